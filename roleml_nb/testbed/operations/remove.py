"""Remove nodes, with their roles."""

from __future__ import annotations

from roleml_nb.role import NOTEBOOK, Message, RoleInstanceID, TestbedError
from roleml_nb.testbed.calls.failures import raise_combined

from .deployment import Deployment
from .relate import update_relationship

__all__ = ["remove"]


def remove(deployment: Deployment, nodes: list[str]) -> None:
    """See `Testbed.remove`.

    Others forget them first, so that nobody subscribes, or calls, while they go.
    """
    if NOTEBOOK in nodes:
        raise TestbedError("the notebook's own node cannot be removed")
    lost = set(filter(deployment.is_lost, nodes))
    _forget(deployment, set(nodes))
    for node in nodes:
        if node in lost:
            continue
        for name in deployment.calls.roles_of(node):
            messages = {node: Message({"name": name})}
            results = deployment.calls.ask_nodes("task", "terminate-role", messages)
            raise_combined(results, f"remove {node}")
            deployment.record_termination(node, name)
    deployment.fleet.remove(nodes)
    for node in nodes:
        for name in deployment.registry.roles.get(node, {}):
            deployment.versions.terminated(RoleInstanceID(node, name))
        deployment.registry.removed(node)


def _forget(deployment: Deployment, gone: set[str]) -> None:
    """Take the roles of these nodes out of the relationships of others, lost ones excepted."""
    forgotten: dict[str, dict[str, list[RoleInstanceID]]] = {}
    for node, relationships in deployment.registry.relationships.items():
        if node in gone or deployment.is_lost(node):
            continue
        for relationship, members in relationships.items():
            instances = map(RoleInstanceID.of, members)
            theirs = [instance for instance in instances if instance.actor_name in gone]
            if theirs:
                forgotten.setdefault(relationship, {})[node] = theirs
    for relationship, theirs_by_node in forgotten.items():
        update_relationship(deployment, relationship, theirs_by_node, "remove")
