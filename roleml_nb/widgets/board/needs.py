"""Unmet needs of roles: relationships without members, and channels that members lack."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from roleml_nb.role import NATIVE, Role, RoleInstanceID, natural_key
from roleml_nb.role.partners import Partner
from roleml_nb.testbed import Testbed

__all__ = ["needs", "requirements"]

CALLS = {"call", "call_async", "call_task", "call_group", "call_task_group", "subscribe"}
READS = {"members", "get_relationship", "get_relationship_view", "get_relationship_unsafe"}
LIBRARY_READS = {"members_of"}
"""Functions of the library that read a relationship of a role: ``members_of(self, "ring", …)``."""
ALWAYS_THERE = {"/", "manager", NATIVE}
_known: WeakKeyDictionary[type[Role], dict[str, set[str]]] = WeakKeyDictionary()

Need = dict[str, Any]


def requirements(cls: type[Role]) -> dict[str, set[str]]:
    """Return the relationships that the code of a class names, each with the channels called there.

    Only names written as text are found. A relationship that the code asks `has` about first is
    optional and left out, unless it does so to `require` it.
    """
    if cls not in _known:
        _known[cls] = _read(cls)
    return _known[cls]


def _read(cls: type[Role]) -> dict[str, set[str]]:
    found = _declared(cls)
    optional: set[str] = set()
    required: set[str] = set()
    for call in _calls(cls):
        first, second = _text(call, 0), _text(call, 1)
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name == "require" and call.args:
            required.update(_asked_by_has(call.args[0]))
        elif first and name == "has":
            optional.add(first)
        elif first and name in CALLS and _is_of_self(call):
            found.setdefault(first, set()).update({second} if second else ())
        elif first and name in READS and "relationships" in ast.unparse(call.func):
            found.setdefault(first, set())
        elif second and isinstance(call.func, ast.Name) and call.func.id in LIBRARY_READS:
            found.setdefault(second, set())
    left_out = optional - required | ALWAYS_THERE
    return {name: channels for name, channels in found.items() if name not in left_out}


def _declared(cls: type[Role]) -> dict[str, set[str]]:
    """Return the relationships of a class's partners and event handlers."""
    found: dict[str, set[str]] = {}
    for attribute in dir(cls):
        value = inspect.getattr_static(cls, attribute, None)
        if isinstance(value, Partner):
            found.setdefault(value.relationship_name, set())
    for attribute in cls.subscriptions:
        handler = getattr(cls, attribute).handler
        found.setdefault(handler.relationship, set()).add(handler.channel)
    return found


def _asked_by_has(tree: ast.expr) -> Iterator[str]:
    """Yield the relationships of all calls of `has` in an expression."""
    for item in ast.walk(tree):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute):
            if item.func.attr == "has":
                yield _text(item, 0)


def _calls(cls: type[Role]) -> Iterator[ast.Call]:
    """Yield the calls in methods of a class, and in inherited ones that it keeps, or calls by
    super().
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
            except (OSError, SyntaxError, TypeError):  # code without a source requires nothing
                continue
            if f"super().{name}(" not in source:
                overridden.add(name)
            for item in ast.walk(tree):
                if isinstance(item, ast.Call):
                    yield item


def _is_of_self(call: ast.Call) -> bool:
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "self"


def _text(call: ast.Call, place: int) -> str:
    """Return the argument at that place as a name, if it is written as text, else ""."""
    given = call.args[place] if len(call.args) > place else None
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return _normal(given.value)
    return ""


def _normal(name: str) -> str:
    return name.replace("_", "-")


def needs(bed: Testbed) -> list[Need]:
    """Return what roles lack, as plain data: role, relationship, `why`, and a `proposal`.

    A proposal holds the arguments of the command that relates the node to all roles of that name on
    other nodes. It is None where there are none.
    """
    by_name: dict[str, list[str]] = {}
    for node, roles in bed.registry.roles.items():
        for name in roles:
            by_name.setdefault(_normal(name), []).append(f"{node}/{name}")
    found: list[Need] = []
    for instance, cls in sorted(bed.versions.classes.items(), key=_by_address):
        node = instance.actor_name
        if node not in bed.registry.places or bed.registry.places[node] in bed.lost:
            continue
        known = _known_at(bed, node)
        for relationship, channels in requirements(cls).items():
            if relationship in known:
                found += _lacking_channels(
                    bed, instance, relationship, known[relationship], channels
                )
            else:
                others = by_name.get(relationship, [])
                found.append(_lacking_relationship(instance, relationship, others))
    return found


def _by_address(item: tuple[RoleInstanceID, Any]) -> Any:
    return natural_key(str(item[0]))


def _lacking_relationship(
    instance: RoleInstanceID, relationship: str, namesakes: Iterable[str]
) -> Need:
    """Return the need of a relationship, and propose roles of its name on other nodes."""
    node = instance.actor_name
    others = [role for role in namesakes if role.partition("/")[0] != node]
    why = f"asks for {relationship!r}, which {node} does not know"
    proposal = None
    if others:
        proposal = {"nodes": [node], "relationship": relationship, "instances": others}
    else:
        why += f"; no role is called so: assign one on {node}, or relate {node} to roles"
    return {
        "role": str(instance),
        "relationship": relationship,
        "why": why,
        "proposal": proposal,
    }


def _lacking_channels(
    bed: Testbed,
    instance: RoleInstanceID,
    relationship: str,
    members: list[str],
    channels: Iterable[str],
) -> Iterator[Need]:
    """Yield a need for each channel that members of a relationship do not have."""
    for channel in sorted(channels):
        lacking = [member for member in members if not _has(bed, member, channel)]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            yield {
                "role": str(instance),
                "relationship": relationship,
                "proposal": None,
                "why": (
                    f"calls {channel!r} of {relationship!r}, which {lacking[0]}{more} does not have"
                ),
            }


def _known_at(bed: Testbed, node: str) -> Mapping[str, list[str]]:
    """Return the roles that each name means on a node, relationships before its own roles."""
    known = {}
    for name in bed.registry.roles.get(node, {}):
        known[_normal(name)] = [f"{node}/{name}"]
    for name, members in bed.registry.relationships.get(node, {}).items():
        if members:
            known[_normal(name)] = members
    for alias, target in bed.registry.links.get(node, {}).items():
        if _normal(target) in known:
            known[_normal(alias)] = known[_normal(target)]
    return known


def _has(bed: Testbed, member: str, channel: str) -> bool:
    cls = bed.versions.classes.get(RoleInstanceID.of(member))
    return cls is None or channel in {*cls.services, *cls.tasks, *cls.events}
