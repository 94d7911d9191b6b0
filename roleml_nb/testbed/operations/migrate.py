"""Migrate a role to another node."""

from __future__ import annotations

from roleml_nb.role import Message, RoleInstanceID, TestbedError
from roleml_nb.spec.role_checks import check_role_name
from roleml_nb.testbed.calls.failures import raise_combined

from .deployment import Deployment

__all__ = ["migrate"]


def migrate(
    deployment: Deployment,
    role: str | RoleInstanceID,
    to: str,
    conflicts: str,
    timeout: float = 60.0,
) -> RoleInstanceID:
    """See `Testbed.migrate`."""
    instances = deployment.registry.instances(role)
    if len(instances) != 1:
        raise TestbedError(f"{role!r} names {len(instances)} roles; migrate takes one")
    (instance,) = instances
    node, slash, name = to.partition("/")
    if slash:
        check_role_name(name)
    targets = deployment.registry.select(node)
    if len(targets) != 1:
        raise TestbedError(f"{to!r} names {len(targets)} nodes, and a role moves to one")
    message = Message(
        {
            "name": instance.instance_name,
            "to": f"{targets[0]}/{name or instance.instance_name}",
            "conflicts": conflicts,
            "timeout": timeout,
        }
    )
    results = deployment.calls.ask_nodes("task", "migrate-role", {instance.actor_name: message})
    raise_combined(results, f"migrate {instance}")
    return RoleInstanceID(*results[0][1])
