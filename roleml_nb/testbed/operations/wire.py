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
    wanted: dict[str, list[RoleInstanceID]] = {}
    gone: dict[str, list[RoleInstanceID]] = {}
    for node, others in made.neighbours(round or 0).items():
        wanted[node] = [instances[other] for other in others]
        known = bed.registry.relationships.get(node, {}).get(relationship, [])
        gone[node] = list(map(RoleInstanceID.of, _unwanted(known, wanted[node])))
    for operation, changes in (("remove", gone), ("add", wanted)):
        some = {node: members for node, members in changes.items() if members}
        if some:
            update_relationship(bed, relationship, some, operation)
    return made


def _unwanted(known: list[str], wanted: list[RoleInstanceID]) -> list[str]:
    """Return the known members that are not wanted, in order."""
    kept = set(map(str, wanted))
    return [member for member in known if member not in kept]
