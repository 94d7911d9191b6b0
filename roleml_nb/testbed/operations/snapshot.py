"""What is deployed at one moment, to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roleml_nb.role import RoleInstanceID

from .deploy import undo_deployment, update_relationship

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["Snapshot"]

Known = dict[str, dict[str, list[str]]]


class Snapshot:
    """Nodes, roles, relationships and places of a testbed, as they are now."""

    def __init__(self, bed: Testbed):
        self._bed = bed
        self._nodes = set(bed.registry.places)
        self._roles: dict[str, dict[str, Any]] = {
            node: dict(given) for node, given in bed.registry.roles.items()
        }
        self._related: Known = bed.registry.copy_relationships()
        self._positions = dict(bed.registry.positions)

    def restore(self) -> bool:
        """Take back what came since; False, and nothing is done, where a role was replaced or
        ended.
        """
        registry = self._bed.registry
        for node, roles in self._roles.items():
            for name, role in roles.items():
                if registry.roles.get(node, {}).get(name) is not role:
                    return False
        undo_deployment(self._bed, self._roles, self._related)
        self._relate_again()
        new = [node for node in registry.places if node not in self._nodes]
        if new:
            self._bed.remove(new)
        registry.positions.clear()
        registry.arranged(self._positions)
        return True

    def _relate_again(self) -> None:
        """Put members back that a relationship has lost, each in its place."""
        registry = self._bed.registry
        for node, known in self._related.items():
            for relationship, members in known.items():
                now = list(registry.relationships.get(node, {}).get(relationship, []))
                if now != members:
                    for operation, some in (("remove", now), ("add", members)):
                        if some:
                            given = {node: [RoleInstanceID.of(item) for item in some]}
                            update_relationship(self._bed, relationship, given, operation)
