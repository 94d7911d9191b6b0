"""Our own spec: the whole deployment as plain data, and the plan of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
from .entry import ConfigError, Entry, mapping_at, texts_at
from .plan import NodePlan, Plan, RolePlan
from .readers import Reader
from .role_checks import check_role, role_class
from .scope import Scope
from .values import decode, decode_mapping, encode, opaque

if TYPE_CHECKING:
    from roleml_nb.testbed.registry.registry import Registry

__all__ = [
    "KEYS",
    "READERS",
    "VERSION",
    "SpecReader",
    "check_context",
    "check_plain",
    "class_reference",
    "describe",
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
            roles[role] = {
                "turn": rank[given["turn"]],
                "class": _copied(given["class"]),
                "options": _copied(given["options"]),
                "elements": _copied(given["elements"]),
            }
        related = {}
        for key, members in registry.relationships.get(name, {}).items():
            if members:
                related[key] = list(members)
        links = dict(registry.links.get(name, {}))
        if name != NOTEBOOK or roles or related or links:
            node: dict[str, Any] = {"engine": registry.places[name]}
            if name in registry.positions:
                node["at"] = list(registry.positions[name])
            node |= registry.contexts.get(name, {})
            node |= {"roles": roles, "relationships": related, "links": links}
            nodes[name] = node
    board = {"board": registry.board_layout.to_dict(nodes)} if registry.board_layout else {}
    return {"roleml_nb": VERSION, "engines": engines, "seed": seed, **board, "nodes": nodes}


def _copied(value: Any) -> Any:
    """Return a copy of plain data, at all depths."""
    kind = type(value)
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()} if value else {}
    return list(map(_copied, value)) if kind is list else value


def check_context(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the context of a node; TestbedError for unknown keys, and values of other types."""
    for key, value in given.items():
        if key not in CONTEXT_KEYS:
            raise TestbedError(f"a node has no {key!r}; {did_you_mean(key, ('on', *CONTEXT_KEYS))}")
        wanted = int if key == "seed" else str
        if not isinstance(value, wanted):
            raise TestbedError(f"{key} must be {wanted.__name__}, not {value!r}")
        if isinstance(value, str):
            check_file_name(value)
    return given


def class_reference(cls: type[Role]) -> Any:
    """Return the dotted name of a role's class, as the spec has it."""
    encoded = encode(cls)
    return encoded.get("$ref", encoded)


def without_empty(value: Any) -> Any:
    """Return a spec without empty mappings."""
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
    """Check that a spec holds plain data alone; ConfigError names the path of another value."""
    found = list(opaque(spec))
    if found:
        path, kind = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(
            f"{path}: a value of type {kind} is not plain data{more}; give it as impl(function, …),"
            " which is made on the node, with a function that has a name"
        )


class SpecReader(Reader):
    """Reads our own specs, one alone."""

    key = "nodes"
    form = "a spec"

    def reads(self, keys: Collection[str]) -> bool:
        return self.key in keys or "roleml_nb" in keys

    def plan(self, entries: list[Entry], scope: Scope, seed: int | None, usual_seed: int) -> Plan:
        return plan_spec(entries[0], scope)


READERS = (SpecReader(),)
"""For `readers`."""


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
        for key in CONTEXT_KEYS:
            if key in keys:
                node.context[key] = keys[key].integer() if key == "seed" else keys[key].text()
        for role, asked in mapping_at(keys, "roles").items():
            node.roles[role] = _role(role, asked, scope)
        node.add_links(mapping_at(keys, "links"))
    for name, item in given["nodes"].mapping().items():
        _relationships(plan, plan.nodes[name], item)
    return plan


def _read_board_layout(given: Mapping[str, Entry]) -> BoardLayout:
    """Read the layout of boards."""
    group_by = given["by"].choice(GROUPINGS)
    roles = tuple(map(Entry.text, texts_at(given, "roles")))
    places = {}
    for node, at in mapping_at(given, "places").items():
        places[node] = _position(at)
    return BoardLayout(
        group_by, roles, places, frozenset(map(Entry.text, texts_at(given, "loose")))
    )


def _position(entry: Entry) -> tuple[int, int]:
    given = list(map(Entry.integer, entry.sequence()))
    if len(given) != 2:
        raise entry.fail(f"must be [x, y], not {given}")
    return given[0], given[1]


def _role(name: str, entry: Entry, scope: Scope) -> RolePlan:
    given = entry.fields(ROLE_KEYS, required=("class",))
    options = mapping_at(given, "options")
    elements = mapping_at(given, "elements")
    plan = RolePlan(
        role_class(given["class"], scope),
        decode_mapping(options, scope),
        {standard_name(key): decode(item, scope) for key, item in elements.items()},
        entry,
        given["turn"].integer() if "turn" in given else None,
    )
    check_role(name, plan, options, elements)
    return plan


def _relationships(plan: Plan, node: NodePlan, entry: Entry) -> None:
    """Add the members of a node's relationships to its plan.

    A role that the spec does not have may be there one day, since roles, too, can assign roles.
    """
    given = entry.fields(NODE_KEYS)
    for relationship, members in mapping_at(given, "relationships").items():
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
