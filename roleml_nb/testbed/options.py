"""Options of `Testbed`: each is checked, and those that do not go together are refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from roleml_nb.role import TestbedError
from roleml_nb.role.checks.numbers import (
    MAX_THREADS,
    as_count,
    check_count,
    check_number,
    check_seed,
)

__all__ = ["JOIN_OPTIONS", "LINKS", "MAX_TIMEOUT_S", "check_engines", "check_host_options"]

JOIN_OPTIONS = frozenset({"cluster", "profile", "cluster_id"})
"""Options that join a cluster that runs already."""
LINKS = ("direct", "relay")
"""Kinds of links, the best first."""
DEFAULT_ENGINES = 2
MAX_ENGINES = 1000
"""Processes that one testbed starts on this machine."""
MAX_WORKERS = 10_000
MAX_TIMEOUT_S = 1e8


def check_host_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that all hosts share, as plain numbers; RoleMLError for a wrong one."""
    options = {**given, "seed": check_seed(given["seed"])}
    options["timeout"] = check_number("timeout", given["timeout"], 0, MAX_TIMEOUT_S, above=True)
    for key, limit in (("workers", MAX_WORKERS), ("threads", MAX_THREADS)):
        if given[key] is not None:
            options[key] = check_count(key, given[key], 1, limit)
    unknown = set(given["links"]) - set(LINKS)
    if unknown:
        raise TestbedError(f"no such link: {', '.join(sorted(unknown))}; known: {', '.join(LINKS)}")
    return options


def check_engines(
    engines: int | None, joins: Mapping[str, Any], *, detached: bool, pin: bool
) -> int:
    """Return the number of engines to start or to wait for; TestbedError where there can be none
    of that kind.
    """
    if engines is None:
        engines = 0 if joins else DEFAULT_ENGINES
    else:
        engines = as_count("engines", engines)
        if not 0 <= engines <= MAX_ENGINES:
            raise TestbedError(f"engines must be from 0 to {MAX_ENGINES:,}, not {engines}")
        if joins and not engines:
            raise TestbedError(
                "engines=0 keeps all nodes in this process, where no cluster is joined: leave out"
                " one of them"
            )
    own = engines > 0 and not joins
    if detached and not own:
        raise TestbedError(
            "detached=True is for engines that this testbed starts: Testbed(engines=2,"
            " detached=True)"
        )
    if pin and not (own and hasattr(os, "sched_setaffinity")):
        raise TestbedError(
            "pin=True is for engines that this testbed starts, on Linux: Testbed(engines=2,"
            " pin=True)"
        )
    return engines
