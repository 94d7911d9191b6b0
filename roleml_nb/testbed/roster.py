"""The roster: what is deployed where, as the notebook knows it."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import NATIVE, RoleInstanceID, TestbedError, did_you_mean, natural_key

from .host import NOTEBOOK
from .patterns import match

__all__ = ["Roster"]


class Roster:
    """Places of nodes, their roles and their relationships. Plain data; the testbed writes it after each success."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {NOTEBOOK: NOTEBOOK}
        """{node: host}."""
        self.roles: dict[str, dict[str, dict[str, Any]]] = {}
        """{node: {role: class, options, elements, and its channels once asked for}}."""
        self.relationships: dict[str, dict[str, list[str]]] = {}
        """{node: {relationship: members}}."""
        self.links: dict[str, dict[str, str]] = {}
        """{node: {alias: relationship}}."""
        self.contexts: dict[str, dict[str, Any]] = {}
        """{node: what it was given of workdir, src and seed}."""

    def instances(self, patterns: Any, default: str = "") -> list[RoleInstanceID]:
        """Role instances of a pattern, or of several; one without ``/`` means the role `default`.

        TestbedError for a node or a role that is not there.
        """
        if isinstance(patterns, (str, RoleInstanceID)):
            patterns = [patterns]
        found: dict[RoleInstanceID, None] = {}
        for item in patterns:
            pattern = str(RoleInstanceID(*item)) if isinstance(item, tuple) else str(item)
            node_pattern, _, name = pattern.partition("/")
            for node in match(node_pattern, self.places):
                found[self._instance(node, name or default)] = None
        return list(found)

    def _instance(self, node: str, name: str) -> RoleInstanceID:
        known = self.roles.get(node, {})
        for spelling in (name, name.replace("-", "_"), name.replace("_", "-")):
            if spelling in known or spelling == NATIVE:
                return RoleInstanceID(node, spelling)
        raise TestbedError(f"node '{node}' has no role '{name}'; {did_you_mean(name, known)}")

    def spawned(self, places: dict[str, str], context: dict[str, Any]) -> None:
        self.places.update(places)
        if context:
            self.contexts.update({node: dict(context) for node in places})

    def assigned(self, node: str, name: str, given: dict[str, Any]) -> None:
        self.roles.setdefault(node, {})[name] = given

    def terminated(self, node: str, name: str) -> None:
        self.roles.get(node, {}).pop(name, None)

    def related(self, node: str, relationship: str, members: list[RoleInstanceID], *, remove: bool = False) -> None:
        known = self.relationships.setdefault(node, {}).setdefault(relationship, [])
        named = [str(item) for item in members]
        known[:] = ([item for item in known if item not in named] if remove
                    else [*known, *(item for item in named if item not in known)])

    def nodes(self) -> list[str]:
        """All nodes in natural order; the notebook's own only when it has roles."""
        return sorted((name for name in self.places if name != NOTEBOOK or self.roles.get(NOTEBOOK)), key=natural_key)
