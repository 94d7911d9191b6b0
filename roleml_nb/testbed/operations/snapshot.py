"""Snapshots: a deployment at one moment, to go back to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from roleml_nb.role import RoleInstanceID, RoleMLError

from .deployment import Deployment
from .relate import update_relationship
from .remove import remove
from .terminate import terminate

__all__ = ["Snapshot"]


class Snapshot:
    """Nodes, roles, relationships and places of a testbed, as they are now."""

    def __init__(self, deployment: Deployment):
        registry = deployment.registry
        self._deployment = deployment
        self._nodes = set(registry.places)
        self._roles: dict[str, dict[str, Any]] = {}
        for node, given in registry.roles.items():
            self._roles[node] = dict(given)
        self._relationships = registry.copy_relationships()
        self._positions = dict(registry.positions)

    def restore(self) -> bool:
        """Undo all operations since; return False, and do nothing, if a role was replaced or
        ended.
        """
        registry = self._deployment.registry
        for node, roles in self._roles.items():
            for name, role in roles.items():
                if registry.roles.get(node, {}).get(name) is not role:
                    return False
        self.undo_additions()
        self._restore_members()
        new = [node for node in registry.places if node not in self._nodes]
        if new:
            remove(self._deployment, new)
        registry.positions.clear()
        registry.arranged(self._positions)
        return True

    def undo_additions(self) -> None:
        """Terminate the roles, and remove the members of relationships, that came since.

        Failures are put among the testbed's errors: the caller reports the first failure.
        """
        deployment, registry = self._deployment, self._deployment.registry
        for node, given in list(registry.roles.items()):
            for name, role in list(given.items()):
                if self._roles.get(node, {}).get(name) is not role:
                    self._attempt(partial(terminate, deployment, [node], name))
        for node, relationships in list(registry.relationships.items()):
            for relationship, members in list(relationships.items()):
                before = self._relationships.get(node, {}).get(relationship, [])
                new = [RoleInstanceID.of(member) for member in members if member not in before]
                if new:
                    self._attempt(
                        partial(
                            update_relationship, deployment, relationship, {node: new}, "remove"
                        )
                    )

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except RoleMLError as error:
            self._deployment.fleet.errors.append(error)

    def _restore_members(self) -> None:
        """Put members back that a relationship has lost, each in its place."""
        for node, relationships in self._relationships.items():
            now = self._deployment.registry.relationships.get(node, {})
            for relationship, members in relationships.items():
                present = list(now.get(relationship, []))
                if present == members:
                    continue
                for operation, some in (("remove", present), ("add", members)):
                    if some:
                        changes = {node: list(map(RoleInstanceID.of, some))}
                        update_relationship(self._deployment, relationship, changes, operation)
