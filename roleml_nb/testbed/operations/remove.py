"""Taking nodes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roleml_nb.role import NATIVE, NOTEBOOK, Message, RoleInstanceID, TestbedError
from roleml_nb.testbed.calls.failures import raise_combined

from .deploy import update_relationship

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["remove"]


def remove(bed: Testbed, nodes: list[str]) -> list[str]:
    """See `Testbed.remove`.

    Others forget them first, so that nobody subscribes, or calls, while they go.
    """
    if NOTEBOOK in nodes:
        raise TestbedError("the notebook's own node cannot be removed")
    gone = set(nodes)
    there = [node for node in nodes if bed.registry.places[node] not in bed.lost]
    _forget(bed, gone)
    for node in there:
        for name in bed._calls.roles_of(node):
            target = RoleInstanceID(node, NATIVE)
            raise_combined(
                bed._calls.group(
                    "task", [target], "terminate-role", {target: Message({"name": name})}
                ),
                f"remove {node}",
            )
            bed.registry.terminated(node, name)
            bed.versions.terminated(RoleInstanceID(node, name))
    bed.fleet.remove(nodes)
    for node in nodes:
        for name in bed.registry.roles.get(node, {}):
            bed.versions.terminated(RoleInstanceID(node, name))
        bed.registry.removed(node)
    return nodes


def _forget(bed: Testbed, gone: set[str]) -> None:
    """Take the roles of these nodes out of the relationships of others."""
    lost: dict[str, dict[str, list[RoleInstanceID]]] = {}
    for node, relationships in bed.registry.relationships.items():
        if node in gone:
            continue
        for relationship, members in relationships.items():
            theirs = [one for one in map(RoleInstanceID.of, members) if one.actor_name in gone]
            if theirs:
                lost.setdefault(relationship, {})[node] = theirs
    for relationship, theirs_by_node in lost.items():
        there = {
            node: some
            for node, some in theirs_by_node.items()
            if bed.registry.places[node] not in bed.lost
        }
        if there:
            update_relationship(bed, relationship, there, "remove")
