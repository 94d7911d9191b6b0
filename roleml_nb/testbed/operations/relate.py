"""Change the relationships that nodes know, and give them second names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roleml_nb.role import Message, RoleInstanceID, check_name
from roleml_nb.testbed.calls.failures import raise_combined

from .deployment import Deployment

__all__ = ["link_relationship", "relate", "set_members", "update_relationship"]


def relate(
    deployment: Deployment, nodes: Sequence[str], relationship: str, instances: Any, remove: bool
) -> None:
    """See `Testbed.relate`."""
    if not remove:
        check_name("relationship", relationship)
    members = deployment.registry.instances(instances, relationship)
    message = _message(relationship, "remove" if remove else "add", members)
    results = deployment.calls.ask_nodes(
        "service", "update-relationship", dict.fromkeys(nodes, message)
    )
    for (node, _), result in results:
        if not isinstance(result, Exception):
            deployment.registry.related(node, relationship, members, remove=remove)
    raise_combined(results, f"relate {relationship}")


def update_relationship(
    deployment: Deployment,
    relationship: str,
    members: Mapping[str, list[RoleInstanceID]],
    operation: str,
) -> None:
    """Add to, or remove from, a relationship that nodes know: {node: members}."""
    messages = {}
    for node, instances in members.items():
        messages[node] = _message(relationship, operation, instances)
    results = deployment.calls.ask_nodes("service", "update-relationship", messages)
    for (node, _), result in results:
        if not isinstance(result, Exception):
            deployment.registry.related(
                node, relationship, members[node], remove=operation == "remove"
            )
    raise_combined(results, f"relate {relationship}")


def set_members(deployment: Deployment, wanted: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Have the relationships of nodes that are not lost get these members, and lose all others.

    Those that are members already stay in their places.
    """
    changes: dict[tuple[str, str], dict[str, list[RoleInstanceID]]] = {}
    for node, relationships in wanted.items():
        if deployment.is_lost(node):
            continue
        known = deployment.registry.relationships.get(node, {})
        for relationship, members in relationships.items():
            here = known.get(relationship, [])
            for operation, some, others in (("remove", here, members), ("add", members, here)):
                kept = set(others)
                changed = [RoleInstanceID.of(member) for member in some if member not in kept]
                if changed:
                    changes.setdefault((operation, relationship), {})[node] = changed
    for (operation, relationship), members_by_node in changes.items():
        update_relationship(deployment, relationship, members_by_node, operation)


def _message(relationship: str, operation: str, instances: list[RoleInstanceID]) -> Message:
    return Message(
        {"relationship_name": relationship, "op": operation},
        {"instances": list(map(tuple, instances))},
    )


def link_relationship(
    deployment: Deployment, nodes: Sequence[str], alias: str, relationship: str
) -> None:
    """See `Testbed.link_relationship`."""
    check_name("relationship", alias)
    check_name("relationship", relationship)
    message = Message({"from_relationship_name": alias, "to_relationship_name": relationship})
    results = deployment.calls.ask_nodes(
        "service", "add-relationship-link", dict.fromkeys(nodes, message)
    )
    for (node, _), result in results:
        if not isinstance(result, Exception):
            deployment.registry.linked(node, alias, relationship)
    raise_combined(results, f"link {alias}")
