"""What roles ask for that is not there: relationships without members, and channels that nobody
there has.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from roleml_nb.role import NATIVE, Role, RoleInstanceID, natural_key
from roleml_nb.role.partners import Partner
from roleml_nb.testbed import Testbed

__all__ = ["asks", "needs"]

CALLS = {"call", "call_async", "call_task", "call_group", "call_task_group", "subscribe"}
READS = {"members", "get_relationship", "get_relationship_view", "get_relationship_unsafe"}
_known: WeakKeyDictionary[type[Role], dict[str, set[str]]] = WeakKeyDictionary()


def asks(cls: type[Role]) -> dict[str, set[str]]:
    """The relationships that a class speaks of in its code, and the channels that it calls there.

    Only what stands there as a text counts. What the class asks `has` about first is not asked for,
    unless it does so to `require` it.
    """
    if cls not in _known:
        _known[cls] = _read(cls)
    return _known[cls]


def _read(cls: type[Role]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    optional: set[str] = set()
    required: set[str] = set()
    for attribute in dir(cls):
        value = inspect.getattr_static(cls, attribute, None)
        if isinstance(value, Partner):
            found.setdefault(value.relationship_name, set())
    for attribute in cls.subscriptions:
        handler = getattr(cls, attribute).handler
        found.setdefault(handler.relationship, set()).add(handler.channel)
    for call in _calls(cls):
        first, second = (_text(call, place) for place in (0, 1))
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name == "require" and call.args:
            required |= {
                _text(item, 0)
                for item in ast.walk(call.args[0])
                if isinstance(item, ast.Call)
                and isinstance(item.func, ast.Attribute)
                and item.func.attr == "has"
            }
        elif first and name == "has":
            optional.add(first)
        elif first and name in CALLS and _of_self(call):
            found.setdefault(first, set()).update({second} if second else ())
        elif first and name in READS and "relationships" in ast.unparse(call.func):
            found.setdefault(first, set())
    return {
        name: channels
        for name, channels in found.items()
        if name not in optional - required | {"/", "manager", NATIVE}
    }


def _calls(cls: type[Role]) -> Iterator[ast.Call]:
    """The calls in a class's methods, and in those of its bases that it does not override, or calls
    by super().
    """
    overridden: set[str] = set()
    for base in cls.__mro__:
        if base in (Role, object):
            continue
        for name, value in vars(base).items():
            if not inspect.isfunction(value) or name in overridden:
                continue
            try:
                source = textwrap.dedent(inspect.getsource(value))
                tree = ast.parse(source)
            # code without a source asks for what it likes
            except (OSError, SyntaxError, TypeError):
                continue
            if f"super().{name}(" not in source:
                overridden.add(name)
            yield from (item for item in ast.walk(tree) if isinstance(item, ast.Call))


def _of_self(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "self"
    )


def _text(call: ast.Call, place: int) -> str:
    given = call.args[place] if len(call.args) > place else None
    return (
        given.value.replace("_", "-")
        if isinstance(given, ast.Constant) and isinstance(given.value, str)
        else ""
    )


def needs(bed: Testbed) -> list[dict[str, Any]]:
    """What is not there, as plain data: role, relationship, what to say of it, and a `proposal`
    where there is but one.

    A proposal is the gesture that gives the node the relationship: all roles of that name on other
    nodes.
    """
    registry = bed.registry
    by_name: dict[str, list[str]] = {}
    for node, roles in registry.roles.items():
        for name in roles:
            by_name.setdefault(name.replace("_", "-"), []).append(f"{node}/{name}")
    found = []
    for instance, cls in sorted(
        bed.versions.classes.items(), key=lambda item: natural_key(str(item[0]))
    ):
        node = instance.actor_name
        if node not in registry.places or registry.places[node] in bed.lost:
            continue
        known = _known_at(bed, node)
        for relationship, channels in asks(cls).items():
            members = known.get(relationship)
            if members is None:
                others = [
                    one for one in by_name.get(relationship, []) if one.partition("/")[0] != node
                ]
                proposal = (
                    {"nodes": [node], "relationship": relationship, "instances": others}
                    if others
                    else None
                )
                why = f"asks for {relationship!r}, which {node} does not know" + (
                    ""
                    if others
                    else f"; no role is called so: assign one on {node}, or relate {node} to roles"
                )
                found.append(
                    {
                        "role": str(instance),
                        "relationship": relationship,
                        "why": why,
                        "proposal": proposal,
                    }
                )
                continue
            for channel in sorted(channels):
                lacking = [one for one in members if not _has(bed, one, channel)]
                if lacking:
                    some = (
                        lacking[0]
                        if len(lacking) == 1
                        else f"{lacking[0]} and {len(lacking) - 1} more"
                    )
                    found.append(
                        {
                            "role": str(instance),
                            "relationship": relationship,
                            "proposal": None,
                            "why": (
                                f"calls {channel!r} of {relationship!r}, which {some} does not have"
                            ),
                        }
                    )
    return found


def _known_at(bed: Testbed, node: str) -> dict[str, list[str]]:
    """What names mean on a node, relationships before its own roles."""
    known = {
        name.replace("_", "-"): [f"{node}/{name}"] for name in bed.registry.roles.get(node, {})
    }
    for name, members in bed.registry.relationships.get(node, {}).items():
        if members:
            known[name.replace("_", "-")] = members
    for alias, target in bed.registry.links.get(node, {}).items():
        if target.replace("_", "-") in known:
            known[alias.replace("_", "-")] = known[target.replace("_", "-")]
    return known


def _has(bed: Testbed, member: str, channel: str) -> bool:
    cls = bed.versions.classes.get(RoleInstanceID.of(member))
    return cls is None or any(channel in table for table in (cls.services, cls.tasks, cls.events))
