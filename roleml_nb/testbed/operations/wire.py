"""Wire roles: relate many nodes at once, along the edges of a graph."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import NOTEBOOK, RoleInstanceID, TestbedError, check_name, natural_key
from roleml_nb.testbed.registry.registry import Registry
from roleml_nb.topologies.topology import Topology, topology

from .deployment import Deployment
from .relate import update_relationship

__all__ = ["wire"]


def wire(
    deployment: Deployment,
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
    registry = deployment.registry
    names = registry.select(_nodes_with(registry, role) if nodes is None else nodes)
    instances = registry.roles_named(role, names)
    instance_of = dict(zip(names, instances, strict=True))
    made = topology(source, names, **{"seed": deployment.seed, **options})
    if made.changes and round is None:
        raise TestbedError(
            "this topology changes from round to round: wire(…, round=0) wires one of its graphs;"
            " to change the graph as rounds go by, give it to the coordinator as its element"
            " 'topology'"
        )
    if connected:
        made.check(round or 0)
    wanted: dict[str, list[RoleInstanceID]] = {}
    unwanted: dict[str, list[RoleInstanceID]] = {}
    for node, others in made.neighbours(round or 0).items():
        wanted[node] = [instance_of[other] for other in others]
        known = registry.relationships.get(node, {}).get(relationship, [])
        unwanted[node] = _without(known, wanted[node])
    for operation, changes in (("remove", unwanted), ("add", wanted)):
        some = {node: members for node, members in changes.items() if members}
        if some:
            update_relationship(deployment, relationship, some, operation)
    return made


def _nodes_with(registry: Registry, role: str) -> list[str]:
    """Return the nodes that have a role of that name, in natural order, without the notebook's own;
    TestbedError for none.
    """
    nodes = []
    for name in sorted(registry.places, key=natural_key):
        if name != NOTEBOOK and role in registry.roles.get(name, {}):
            nodes.append(name)
    if not nodes:
        raise TestbedError(
            f"no node has a role {role!r}; assign it first, or name another: wire(…, role=…)"
        )
    return nodes


def _without(known: list[str], wanted: list[RoleInstanceID]) -> list[RoleInstanceID]:
    """Return the known members that are not wanted, in order."""
    kept = set(map(str, wanted))
    return [RoleInstanceID.of(member) for member in known if member not in kept]
