"""The registry: nodes, roles and relationships, as the notebook knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count, starmap
from typing import Any

from roleml_nb.role import NATIVE, NOTEBOOK, RoleInstanceID, TestbedError, did_you_mean, natural_key
from roleml_nb.spec.board_layout import BoardLayout
from roleml_nb.spec.patterns import match

__all__ = ["Registry"]


class Registry:
    """Places of nodes, their roles and their relationships.

    Plain data; the testbed writes it after each success.
    """

    def __init__(self, query_roles: Callable[[str], Iterable[str]] = lambda node: ()) -> None:
        self.query_roles = query_roles
        """The roles of a node, asked for where one is not known here: others than the notebook
        assign roles too.
        """
        self.assignment_counter = count()
        """Numbers of assignments, one after the other."""
        self.places: dict[str, str] = {NOTEBOOK: NOTEBOOK}
        """{node: host}."""
        self.roles: dict[str, dict[str, dict[str, Any]]] = {}
        """{node: {role: class, options, elements, turn, and its channels once asked for}}."""
        self.relationships: dict[str, dict[str, list[str]]] = {}
        """{node: {relationship: members}}."""
        self.links: dict[str, dict[str, str]] = {}
        """{node: {alias: relationship}}."""
        self.contexts: dict[str, dict[str, Any]] = {}
        """{node: the arguments of its context: workdir, src and seed}."""
        self.positions: dict[str, tuple[int, int]] = {}
        """{node: where it was put on the board}."""
        self.board_layout: BoardLayout | None = None
        """The layout of boards; None before there was one."""
        self.revision = 0
        """Counts the changes; whoever draws the registry looks at it."""

    def select(self, pattern: str | Iterable[str]) -> list[str]:
        """Return the nodes that a pattern finds, or any of several; the notebook's own only when it
        has roles, or by its name.
        """
        patterns = [pattern] if isinstance(pattern, str) else list(pattern)
        shown = self.roles.get(NOTEBOOK) or NOTEBOOK in " ".join(patterns)
        return match(patterns, self.places, frozenset() if shown else frozenset([NOTEBOOK]))

    def instances(self, patterns: Any, default: str = "") -> list[RoleInstanceID]:
        """Return the role instances of patterns; one without ``/`` means the role `default`.

        A pattern finds the nodes that have the role. TestbedError when there is none, or a node is
        not there.
        """
        if isinstance(patterns, (str, RoleInstanceID)):
            patterns = [patterns]
        found: dict[RoleInstanceID, None] = {}
        for item in patterns:
            pattern = str(RoleInstanceID(*item)) if isinstance(item, tuple) else str(item)
            node_pattern, _, name = pattern.partition("/")
            nodes = match(node_pattern, self.places)
            name = name or default
            having = nodes
            if len(nodes) > 1:
                having = [node for node in nodes if self._has(node, name)] or nodes[:1]
            for node in having:
                found[self._instance(node, name)] = None
        return list(found)

    def roles_named(self, name: str, nodes: Iterable[str]) -> list[RoleInstanceID]:
        """Return the role of that name of each node; TestbedError when a node has none."""
        return self.instances([f"{node}/{name}" for node in nodes])

    def _has(self, node: str, name: str) -> bool:
        try:
            return bool(self._instance(node, name))
        except TestbedError:
            return False

    def _instance(self, node: str, name: str) -> RoleInstanceID:
        for spelling in (name, name.replace("-", "_"), name.replace("_", "-")):
            if spelling in self.roles.get(node, {}) or spelling == NATIVE:
                return RoleInstanceID(node, spelling)
        known = list(self.query_roles(node))
        if name in known:
            return RoleInstanceID(node, name)
        raise TestbedError(f"node '{node}' has no role '{name}'; {did_you_mean(name, known)}")

    def spawned(self, places: dict[str, str], context: dict[str, Any]) -> None:
        self.places.update(places)
        if context:
            for node in places:
                self.contexts[node] = dict(context)
        self.revision += 1

    def removed(self, node: str) -> None:
        for table in (
            self.places,
            self.roles,
            self.relationships,
            self.links,
            self.contexts,
            self.positions,
        ):
            table.pop(node, None)
        self.revision += 1

    def arranged(self, positions: Mapping[str, tuple[int, int] | None]) -> None:
        """Record the places of nodes on the board; None takes a place away."""
        for node, position in positions.items():
            if position is None:
                self.positions.pop(node, None)
            else:
                self.positions[node] = position
        self.revision += 1

    def assigned(self, node: str, name: str, given: dict[str, Any]) -> None:
        self.roles.setdefault(node, {})[name] = given
        self.revision += 1

    def updated(self, node: str, name: str, cls: str) -> None:
        """Record another version of a role's class, perhaps with other channels and name."""
        self.roles[node][name].pop("channels", None)
        self.roles[node][name]["class"] = cls
        self.revision += 1

    def terminated(self, node: str, name: str) -> None:
        self.roles.get(node, {}).pop(name, None)
        self.revision += 1

    def linked(self, node: str, alias: str, relationship: str) -> None:
        self.links.setdefault(node, {})[alias] = relationship
        self.revision += 1

    def related(
        self, node: str, relationship: str, members: list[RoleInstanceID], *, remove: bool = False
    ) -> None:
        known = self.relationships.setdefault(node, {}).setdefault(relationship, [])
        names = list(map(str, members))
        if remove:
            known[:] = [item for item in known if item not in names]
        else:
            known += [name for name in names if name not in known]
        self.revision += 1

    def moved(
        self,
        old: RoleInstanceID,
        new: RoleInstanceID,
        added: dict[str, dict[str, list]],
        removed: dict[str, dict[str, list]],
    ) -> None:
        """Record a role's new address, and the relationships that came or went on its account."""
        given = self.roles.get(old.actor_name, {}).pop(old.instance_name, None)
        if given is not None:
            self.roles.setdefault(new.actor_name, {})[new.instance_name] = given
        for relationships in self.relationships.values():
            for known in relationships.values():
                for place, member in enumerate(known):
                    if member == str(old):
                        known[place] = str(new)
        for change, remove in ((added, False), (removed, True)):
            for node, names in change.items():
                for relationship, members in names.items():
                    instances = list(starmap(RoleInstanceID, members))
                    self.related(node, relationship, instances, remove=remove)
        self.revision += 1

    def nodes(self) -> list[str]:
        """Return all nodes in natural order; the notebook's own only when it has roles."""
        places = dict(self.places)
        if not self.roles.get(NOTEBOOK):
            places.pop(NOTEBOOK, None)
        return sorted(places, key=natural_key)

    def known(self) -> dict[str, list[str]]:
        """Return {node: the nodes whose roles it knows}, as `nodes`."""
        found: dict[str, list[str]] = {}
        for node in self.nodes():
            known = found[node] = []
            for members in list(self.relationships.get(node, {}).values()):
                for member in members:
                    known.append(member.partition("/")[0])
        return found

    def copy_relationships(self) -> dict[str, dict[str, list[str]]]:
        """Return {node: {relationship: members}} as it is now."""
        copied: dict[str, dict[str, list[str]]] = {}
        for node, relationships in self.relationships.items():
            known = copied[node] = {}
            for relationship, members in relationships.items():
                known[relationship] = list(members)
        return copied

    def copy_roles(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return {node: {role: its entry without the channels, which are asked for again}}."""
        copied: dict[str, dict[str, dict[str, Any]]] = {}
        for node, roles in list(self.roles.items()):
            known = copied[node] = {}
            for name, given in roles.items():
                known[name] = dict(given)
                known[name].pop("channels", None)
        return copied

    def assigned_turns(self) -> set[int]:
        """Return the numbers of the assignments that have made the present roles."""
        numbers = set()
        for roles in self.roles.values():
            for given in roles.values():
                numbers.add(given["turn"])
        return numbers
