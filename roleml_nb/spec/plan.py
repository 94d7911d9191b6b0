"""A plan of a deployment, checked as far as possible before anything is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roleml_nb.role import (
    NATIVE,
    NOTEBOOK,
    ArgumentError,
    Role,
    RoleInstanceID,
    TestbedError,
    check_name,
    did_you_mean,
)
from roleml_nb.role.checks.names import pluralize

from .board_layout import BoardLayout
from .definitions import names_upstream
from .entry import Entry
from .patterns import expand
from .scope import Scope

__all__ = ["NodePlan", "Plan", "RolePlan"]

Member = tuple[RoleInstanceID, Entry]


@dataclass
class RolePlan:
    """A role to be assigned, as `entry` asks. Roles of a lower `turn` come first."""

    cls: type[Role]
    options: dict[str, Any]
    elements: dict[str, Any]
    entry: Entry
    turn: int | None = None


@dataclass
class NodePlan:
    """A node with its roles, relationships, links and context."""

    entry: Entry
    place: str | None = None
    """The host that it was on, if the configuration says."""
    at: tuple[int, int] | None = None
    """Where it was put on the board."""
    roles: dict[str, RolePlan] = field(default_factory=dict)
    relationships: dict[str, list[Member]] = field(default_factory=dict)
    links: dict[str, Entry] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    """Its workdir, src and seed, as far as given."""
    complete: bool = True
    """True when all its roles are here; otherwise relationships may name others."""

    def add_links(self, links: Mapping[str, Entry]) -> None:
        """Add links of names to relationships."""
        for alias, target in links.items():
            target.text()
            self.links[alias] = target


@dataclass
class Plan:
    """Nodes by name, in the order of deployment; those in `first` one after the other."""

    nodes: dict[str, NodePlan] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)
    engines: int | None = None
    seed: int | None = None
    board_layout: BoardLayout | None = None
    notes: list[str] = field(default_factory=list)
    """Lines for the user about parts that were not taken as written."""
    unused: dict[str, None] = field(default_factory=dict)
    """Keys that have no effect here."""

    def node(self, name: str, entry: Entry, **given: Any) -> NodePlan:
        """Return the node of that name, made when it is not there yet."""
        if name not in self.nodes:
            try:
                alone = expand(name) == [name]
            except TestbedError as error:
                raise entry.fail(error) from None
            if not alone:
                raise entry.fail(f"{name!r} names several nodes; name each")
            self.nodes[name] = NodePlan(entry, **given)
        return self.nodes[name]

    @property
    def names_upstream(self) -> bool:
        """True if roles or elements are given names under ``roleml.``, which nodes will look up."""
        for node in self.nodes.values():
            for role in node.roles.values():
                given: list[Any] = [role.options]
                for element in role.elements.values():
                    given.append(getattr(element, "constructor_args", None))
                if any(map(names_upstream, given)):
                    return True
        return False

    @property
    def size(self) -> str:
        """The numbers of nodes and roles, in words."""
        roles = sum(len(node.roles) for node in self.nodes.values())
        return f"{pluralize(len(self.nodes), 'node')}, {pluralize(roles, 'role')}"

    def add(self, other: Plan) -> None:
        """Merge the plan of another configuration of the same testbed into this one."""
        for name, theirs in other.nodes.items():
            ours = self.nodes.setdefault(name, NodePlan(theirs.entry, theirs.place))
            ours.at = theirs.at or ours.at
            ours.context.update(theirs.context)
            ours.complete = ours.complete and theirs.complete
            ours.roles.update(theirs.roles)
            ours.links.update(theirs.links)
            for relationship, members in theirs.relationships.items():
                ours.relationships.setdefault(relationship, []).extend(members)
        for name in other.first:
            if name not in self.first:
                self.first.append(name)
        self.engines = self.engines if other.engines is None else other.engines
        self.seed = other.seed if self.seed is None else self.seed
        self.board_layout = self.board_layout or other.board_layout
        self.notes += [note for note in other.notes if note not in self.notes]
        self.unused.update(other.unused)

    def check_files(self, scope: Scope) -> None:
        """Check the files that elements are read from and written to."""
        for node in self.nodes.values():
            for role in node.roles.values():
                for given in role.elements.values():
                    for key in ("deserializer_source", "serializer_destination"):
                        name = getattr(given, key, None)
                        if name is not None:
                            workdir = node.context.get("workdir", os.getcwd())
                            scope.check_place(role.entry, os.path.join(workdir, name), "open")

    def check(self, existing: Mapping[str, Iterable[str]]) -> None:
        """Check members and links; `existing` holds the roles of nodes that are there already."""
        known = {NOTEBOOK, *self.nodes, *existing}
        for node in self.nodes.values():
            for relationship, members in node.relationships.items():
                for member, entry in members:
                    _check_relationship(relationship, entry)
                    if member.actor_name not in known:
                        raise entry.fail(
                            f"no node {member.actor_name!r};"
                            f" {did_you_mean(member.actor_name, known)}"
                        )
                    self._check_role(member, entry, existing)
            self._check_links(node)

    def _check_role(
        self, member: RoleInstanceID, entry: Entry, existing: Mapping[str, Iterable[str]]
    ) -> None:
        plan = self.nodes.get(member.actor_name)
        roles = {*(plan.roles if plan else ()), *existing.get(member.actor_name, ())}
        same = {
            member.instance_name,
            member.instance_name.replace("-", "_"),
            member.instance_name.replace("_", "-"),
        }
        if member.instance_name != NATIVE and not same & roles and (plan is None or plan.complete):
            raise entry.fail(
                f"node {member.actor_name!r} has no role {member.instance_name!r}; "
                + did_you_mean(member.instance_name, roles)
            )

    @staticmethod
    def _check_links(node: NodePlan) -> None:
        for alias, entry in node.links.items():
            for name in (alias, entry.text()):
                _check_relationship(name, entry)
            if node.relationships.get(alias):
                raise entry.fail(
                    f"{alias!r} is a relationship with members and cannot be a link too"
                )
            seen = {alias}
            name = entry.text()
            while name in node.links:
                if name in seen:
                    raise entry.fail(f"the link {alias!r} → {entry.value!r} is a circle")
                seen.add(name)
                name = node.links[name].text()
            if name in seen:
                raise entry.fail(f"the link {alias!r} → {entry.value!r} is a circle")


def _check_relationship(name: str, entry: Entry) -> None:
    try:
        check_name("relationship", name)
    except ArgumentError as error:
        raise entry.fail(error) from None
