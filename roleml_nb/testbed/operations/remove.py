"""Remove nodes, with their roles."""

from __future__ import annotations

from roleml_nb.role import NOTEBOOK, Message, RoleInstanceID, TestbedError
from roleml_nb.testbed.calls.failures import raise_combined

from .deployment import Deployment
from .relate import set_members

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
    """Take the roles of these nodes out of the relationships of others."""
    wanted: dict[str, dict[str, list[str]]] = {}
    for node, relationships in deployment.registry.relationships.items():
        for relationship, members in relationships.items() if node not in gone else ():
            left = [item for item in members if item.partition("/")[0] not in gone]
            if len(left) < len(members):
                wanted.setdefault(node, {})[relationship] = left
    set_members(deployment, wanted)
