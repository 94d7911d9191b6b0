"""Wiring: relationships between many nodes at once, along the edges of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roleml_nb.role import NOTEBOOK, RoleInstanceID, TestbedError, check_name, natural_key
from roleml_nb.topologies.topology import Topology, topology

from .deploy import update_relationship

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["wire"]


def wire(
    bed: Testbed,
    source: Any,
    relationship: str,
    nodes: Any,
    role: str,
    round: int | None,
    connected: bool,
    options: dict[str, Any],
) -> Topology:
    """See `Testbed.wire`."""
    check_name("relationship", relationship)
    if nodes is None:
        nodes = [
            name
            for name in sorted(bed.registry.places, key=natural_key)
            if name != NOTEBOOK and role in bed.registry.roles.get(name, {})
        ]
        if not nodes:
            raise TestbedError(
                f"no node has a role {role!r}; assign it first, or name another: wire(…, role=…)"
            )
    names = bed.select(nodes).names
    instances = dict(
        zip(names, bed.registry.instances([f"{name}/{role}" for name in names]), strict=True)
    )
    made = topology(source, names, **{"seed": bed.seed, **options})
    if made.changes and round is None:
        raise TestbedError(
            "this topology changes from round to round: wire(…, round=0) wires one of its graphs;"
            " to change the graph as rounds go by, give it to the coordinator as its element"
            " 'topology'"
        )
    if connected:
        made.check(round or 0)
    wanted = {
        node: [instances[other] for other in others]
        for node, others in made.neighbours(round or 0).items()
    }
    known = {node: bed.registry.relationships.get(node, {}).get(relationship, []) for node in names}
    gone = {
        node: [
            RoleInstanceID.of(member)
            for member in known[node]
            if member not in map(str, wanted[node])
        ]
        for node in names
    }
    for operation, changes in (("remove", gone), ("add", wanted)):
        some = {node: members for node, members in changes.items() if members}
        if some:
            update_relationship(bed, relationship, some, operation)
    return made
