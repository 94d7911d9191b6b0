"""The parts of a testbed that its operations act on."""

from __future__ import annotations

from dataclasses import dataclass, field

from roleml_nb.role import RoleInstanceID
from roleml_nb.testbed.calls.calls import Calls
from roleml_nb.testbed.cluster.fleet import Fleet
from roleml_nb.testbed.registry.code_changes import CodeChanges
from roleml_nb.testbed.registry.registry import Registry
from roleml_nb.testbed.registry.versions import Versions

__all__ = ["Deployment"]


@dataclass(frozen=True, eq=False)
class Deployment:
    """Hosts of one testbed, calls to their nodes, and the registry.

    Operations write registry and versions after each success.
    """

    seed: int
    fleet: Fleet
    calls: Calls
    registry: Registry
    versions: Versions
    code_changes: CodeChanges
    moves: list[tuple[RoleInstanceID, RoleInstanceID]] = field(default_factory=list)
    """Addresses of roles that have moved, old and new, in the order of their moves."""

    def is_lost(self, node: str) -> bool:
        """Return True if the host that the node lives on is lost."""
        return self.registry.places[node] in self.fleet.lost

    def record_termination(self, node: str, name: str) -> None:
        """Record that a role has ended."""
        self.registry.terminated(node, name)
        self.versions.terminated(RoleInstanceID(node, name))

    def record_move(self, old: RoleInstanceID, new: RoleInstanceID, *_: object) -> None:
        """Record that a role is elsewhere."""
        self.moves.append((old, new))
