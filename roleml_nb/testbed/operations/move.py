"""Move nodes to another engine: each takes another name on its way, and its own there again."""

from __future__ import annotations

from .deployment import Deployment
from .rename import check_renamable, rename

__all__ = ["move"]


def move(deployment: Deployment, nodes: list[str], on: int | str) -> list[str]:
    """See `Testbed.move`."""
    (host,) = deployment.fleet.hosts_for(on)
    for node in nodes:
        check_renamable(deployment, node)
    places = deployment.registry.places
    moved = [node for node in nodes if places[node] != host]
    for node in moved:
        between = f"{node}.moves"
        rename(deployment, node, between, host)
        rename(deployment, between, node, host)
    return moved
