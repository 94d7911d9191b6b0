"""The state of the testbed as text: equal for equal states."""

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

    @classmethod
    def from_answer(cls, name: str, engine: str, answer: Any) -> NodeStatus:
        """Return the status of a node that has answered {role: (class, status)}, or an error."""
        if isinstance(answer, Exception):
            return cls(name, engine, {}, lost=True)
        roles = {role: (role_class, str(status)) for role, (role_class, status) in answer.items()}
        return cls(name, engine, roles)

    def describe_roles(self) -> str:
        """Return its roles in words: "trainer=Trainer ready"."""
        if self.lost:
            return "lost"
        roles = [f"{name}={cls} {status}" for name, (cls, status) in sorted(self.roles.items())]
        return ", ".join(roles) or "-"


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
        for engine, reason in sorted(self.lost.items()):
            has_nodes = any(f"engine{node.engine}" == engine for node in self.nodes)
            lines.append(f"lost: {engine} ({reason}){f'; {RESPAWN}' if has_nodes else ''}")
        rows = [("node", "engine", "roles")]
        for node in self.nodes:
            rows.append((node.name, node.engine, node.describe_roles()))
        names, engines, _ = zip(*rows, strict=True)
        name_width, engine_width = max(map(len, names)), max(map(len, engines))
        for name, engine, roles in rows:
            lines.append(f"{name:<{name_width}}  {engine:<{engine_width}}  {roles}".rstrip())
        return "\n".join(lines)

    __repr__ = __str__
