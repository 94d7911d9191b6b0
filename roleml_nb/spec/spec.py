"""Our own spec: the whole deployment as plain data, and the plan of it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from roleml_nb.role import (
    NOTEBOOK,
    Role,
    RoleInstanceID,
    TestbedError,
    check_file_name,
    did_you_mean,
    natural_key,
    standard_name,
)

from .board_layout import GROUPINGS, BoardLayout
from .entry import ConfigError, Entry
from .plan import NodePlan, Plan, RolePlan
from .roles import check_role, role_class
from .scope import Scope
from .values import decode, encode, opaque

if TYPE_CHECKING:
    from roleml_nb.testbed.registry.registry import Registry

__all__ = [
    "KEYS",
    "VERSION",
    "check_context",
    "check_plain",
    "describe",
    "named",
    "plan_spec",
    "without_empty",
]

VERSION = 1
KEYS = ("roleml_nb", "engines", "seed", "board", "nodes")
BOARD_KEYS = ("by", "roles", "places", "loose")
ROLE_KEYS = ("turn", "class", "options", "elements")
CONTEXT_KEYS = ("workdir", "src", "seed")
NODE_KEYS = ("engine", "at", "roles", "relationships", "links", *CONTEXT_KEYS)


def describe(registry: Registry, engines: int, seed: int) -> dict[str, Any]:
    """Return the deployment as plain data; other values appear as ``{"$opaque": type}``."""
    nodes: dict[str, Any] = {}
    rank = dict(zip(sorted(registry.assigned_turns()), count(), strict=False))
    for name in sorted(registry.places, key=natural_key):
        roles = {}
        for role, given in registry.roles.get(name, {}).items():
            roles[role] = {key: _copied(given[key]) for key in ROLE_KEYS}
            roles[role]["turn"] = rank[given["turn"]]
        related = {
            key: list(members)
            for key, members in registry.relationships.get(name, {}).items()
            if members
        }
        links = dict(registry.links.get(name, {}))
        if name != NOTEBOOK or roles or related or links:
            at = {"at": list(registry.positions[name])} if name in registry.positions else {}
            nodes[name] = {
                "engine": registry.places[name],
                **at,
                **registry.contexts.get(name, {}),
                "roles": roles,
                "relationships": related,
                "links": links,
            }
    board = {"board": registry.board_layout.to_dict(nodes)} if registry.board_layout else {}
    return {"roleml_nb": VERSION, "engines": engines, "seed": seed, **board, "nodes": nodes}


def _copied(value: Any) -> Any:
    """Return a copy of plain data, at all depths."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def check_context(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the context of a node; TestbedError for what is not one."""
    for key, value in given.items():
        if key not in CONTEXT_KEYS:
            raise TestbedError(f"a node has no {key!r}; {did_you_mean(key, ('on', *CONTEXT_KEYS))}")
        wanted = int if key == "seed" else str
        if not isinstance(value, wanted):
            raise TestbedError(f"{key} must be {wanted.__name__}, not {value!r}")
        if isinstance(value, str):
            check_file_name(value)
    return given


def named(cls: type[Role]) -> Any:
    """Return the dotted name of a role's class, as the spec has it."""
    said = encode(cls)
    return said.get("$ref", said)


def without_empty(value: Any) -> Any:
    """Return a spec without the mappings that say nothing."""
    nodes = {}
    for name, node in value["nodes"].items():
        nodes[name] = _without_empty_items(node)
        if "roles" in nodes[name]:
            roles = {}
            for role, given in node["roles"].items():
                roles[role] = _without_empty_items(given)
            nodes[name]["roles"] = roles
    return {**value, "nodes": nodes}


def _without_empty_items(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in given.items() if item != {}}


def check_plain(spec: Mapping[str, Any]) -> None:
    """Check that a spec holds plain data alone; ConfigError names the path of what is not."""
    found = list(opaque(spec))
    if found:
        path, kind = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(
            f"{path}: a value of type {kind} is not plain data{more}; give it as impl(function, …),"
            " which is made on the node, with a function that has a name"
        )


def plan_spec(entry: Entry, scope: Scope) -> Plan:
    """Return the plan of a spec."""
    given = entry.fields(KEYS, required=("nodes",))
    if "roleml_nb" in given and given["roleml_nb"].value != VERSION:
        raise given["roleml_nb"].fail(
            f"a spec of version {given['roleml_nb'].value!r}; this roleml_nb reads version"
            f" {VERSION}"
        )
    plan = Plan(
        engines=given["engines"].integer() if "engines" in given else None,
        seed=given["seed"].integer() if "seed" in given else None,
        board_layout=(
            _read_board_layout(given["board"].fields(BOARD_KEYS, required=("by",)))
            if "board" in given
            else None
        ),
    )
    for name, item in given["nodes"].mapping().items():
        keys = item.fields(NODE_KEYS)
        node = plan.node(
            name, item, place=keys["engine"].text() if "engine" in keys else None, complete=False
        )
        node.at = _position(keys["at"]) if "at" in keys else None
        node.context = {
            key: keys[key].integer() if key == "seed" else keys[key].text()
            for key in CONTEXT_KEYS
            if key in keys
        }
        for role, asked in (keys["roles"].mapping() if "roles" in keys else {}).items():
            node.roles[role] = _role(role, asked, scope)
        for alias, target in (keys["links"].mapping() if "links" in keys else {}).items():
            target.text()
            node.links[alias] = target
    for name, item in given["nodes"].mapping().items():
        _relationships(plan, plan.nodes[name], item)
    return plan


def _read_board_layout(given: Mapping[str, Entry]) -> BoardLayout:
    """Read the layout of boards."""
    places = given["places"].mapping() if "places" in given else {}
    return BoardLayout(
        given["by"].choice(GROUPINGS),
        tuple(_texts(given, "roles")),
        {node: _position(at) for node, at in places.items()},
        frozenset(_texts(given, "loose")),
    )


def _texts(given: Mapping[str, Entry], key: str) -> list[str]:
    return [item.text() for item in given[key].texts()] if key in given else []


def _position(entry: Entry) -> tuple[int, int]:
    given = [item.integer() for item in entry.sequence()]
    if len(given) != 2:
        raise entry.fail(f"must be [x, y], not {given}")
    return given[0], given[1]


def _role(name: str, entry: Entry, scope: Scope) -> RolePlan:
    given = entry.fields(ROLE_KEYS, required=("class",))
    options = given["options"].mapping() if "options" in given else {}
    elements = given["elements"].mapping() if "elements" in given else {}
    plan = RolePlan(
        role_class(given["class"], scope),
        {key: decode(item, scope) for key, item in options.items()},
        {standard_name(key): decode(item, scope) for key, item in elements.items()},
        entry,
        given["turn"].integer() if "turn" in given else None,
    )
    check_role(name, plan, options, elements)
    return plan


def _relationships(plan: Plan, node: NodePlan, entry: Entry) -> None:
    """Plan the members of relationships, by name.

    A role that the spec does not have may be there one day, since roles, too, can assign roles.
    """
    given = entry.fields(NODE_KEYS)
    for relationship, members in (
        given["relationships"].mapping() if "relationships" in given else {}
    ).items():
        found = node.relationships.setdefault(relationship, [])
        for item in members.texts():
            try:
                member = RoleInstanceID.of(item.value)
            except ValueError as error:
                raise item.fail(error) from None
            there = plan.nodes.get(member.actor_name)
            if there is not None and member.instance_name not in (*there.roles, "actor"):
                near = did_you_mean(member.instance_name, there.roles)
                plan.notes.append(f"{item.where}: {member} is not in this spec; {near}")
            found.append((member, item))
