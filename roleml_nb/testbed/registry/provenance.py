"""Provenance of a run as plain data: for recordings."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from .registry import Registry
from .versions import Versions

__all__ = ["about", "packages"]


def about(spec: dict[str, Any], registry: Registry, versions: Versions) -> dict[str, Any]:
    """Return the attributes of `Recording`, of a testbed as it stands; `spec` is its spec."""
    seeds = {}
    for node, context in registry.contexts.items():
        if "seed" in context:
            seeds[node] = context["seed"]
    return {
        "spec": spec,
        "seed": spec["seed"],
        "seeds": seeds,
        "roles": _classes(versions),
        "packages": packages(),
        "environment": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "engines": spec["engines"],
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _classes(versions: Versions) -> list[dict[str, Any]]:
    """Return the versions of role classes that were seen, with the roles that have them now."""
    instances: dict[tuple[str, int], list[str]] = {}
    for instance, running in versions.running.items():
        instances.setdefault(running, []).append(str(instance))
    classes = []
    for (name, version), text in versions.sources.items():
        row: dict[str, Any] = {"class": name, "version": version, "source": text}
        row["instances"] = instances.get((name, version), [])
        classes.append(row)
    return classes


def packages() -> dict[str, str]:
    """Return {name: version} of the packages installed here, by name."""
    found = {}
    for item in metadata.distributions():
        if item.metadata["Name"]:
            found[item.metadata["Name"]] = item.version
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))
