"""How the testbed stands, as text that is the same for the same state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from roleml_nb.testbed.cluster.failure_detector import RESPAWN

__all__ = ["NodeStatus", "TestbedStatus"]


@dataclass(frozen=True)
class NodeStatus:
    """One node: where it lives, and the class and status of each of its roles."""

    name: str
    engine: str
    roles: dict[str, tuple[str, str]]
    lost: bool = False


@dataclass(frozen=True)
class TestbedStatus:
    """The testbed's engines and nodes; ``str()`` is a table."""

    __test__ = False

    engines: list[str]
    lost: dict[str, str]
    nodes: list[NodeStatus]
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, for programs: nodes by name, and roles by name within them."""
        nodes = {}
        for node in self.nodes:
            roles = {}
            for name, (cls, status) in sorted(node.roles.items()):
                roles[name] = {"class": cls, "status": status}
            nodes[node.name] = {"engine": node.engine, "lost": node.lost, "roles": roles}
        return {"engines": self.engines, "lost": self.lost, "seed": self.seed, "nodes": nodes}

    def __str__(self) -> str:
        where = f"{len(self.engines)} engines" if self.engines else "in this process"
        seed = f", seed {self.seed}" if self.seed else ""
        lines = [f"testbed: {where}, {len(self.nodes)} nodes{seed}"]
        lines += [
            f"lost: {engine} ({reason}); {RESPAWN}" for engine, reason in sorted(self.lost.items())
        ]
        rows = [("node", "engine", "roles")]
        for node in self.nodes:
            roles = ", ".join(
                f"{name}={cls} {status}" for name, (cls, status) in sorted(node.roles.items())
            )
            rows.append((node.name, node.engine, "lost" if node.lost else roles or "-"))
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines += [
            f"{name:<{widths[0]}}  {engine:<{widths[1]}}  {roles}".rstrip()
            for name, engine, roles in rows
        ]
        return "\n".join(lines)

    __repr__ = __str__
