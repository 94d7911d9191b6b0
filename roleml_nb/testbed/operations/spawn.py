"""Spawn nodes on the hosts of a testbed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from roleml_nb.role import TestbedError
from roleml_nb.spec.patterns import expand
from roleml_nb.spec.spec import check_context

from .deployment import Deployment

__all__ = ["spawn"]


def spawn(
    deployment: Deployment,
    patterns: Sequence[str],
    on: int | str | None,
    context: Mapping[str, Any],
) -> list[str]:
    """See `Testbed.spawn`. Return the names of all nodes that the patterns name."""
    names = list(dict.fromkeys(chain.from_iterable(map(expand, patterns))))
    hosts = deployment.fleet.hosts_for(on)
    if not patterns:
        raise TestbedError("name the nodes to spawn: spawn('server', 'client{1..8}')")
    new = [name for name in names if name not in deployment.registry.places]
    places = {name: hosts[index % len(hosts)] for index, name in enumerate(new)}
    if places:
        deployment.fleet.spawn(places, {"seed": deployment.seed, **check_context(context)})
        deployment.registry.spawned(places, dict(context))
    return names
