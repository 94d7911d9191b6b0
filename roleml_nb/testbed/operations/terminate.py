"""Terminate a role on nodes."""

from __future__ import annotations

from collections.abc import Sequence

from roleml_nb.role import Message
from roleml_nb.testbed.calls.failures import raise_combined

from .deployment import Deployment

__all__ = ["terminate"]


def terminate(deployment: Deployment, nodes: Sequence[str], name: str) -> None:
    """See `Testbed.terminate`."""
    deployment.registry.roles_named(name, nodes)
    messages = dict.fromkeys(nodes, Message({"name": name}))
    results = deployment.calls.ask_nodes("task", "terminate-role", messages)
    for (node, _), result in results:
        if not isinstance(result, Exception):
            deployment.record_termination(node, name)
    raise_combined(results, f"terminate {name}")
