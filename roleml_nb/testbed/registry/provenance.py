"""What a run was made with, as plain data: for recordings."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["about", "packages"]


def about(bed: Testbed) -> dict[str, Any]:
    """Return the attributes of `Recording`, of a testbed as it stands."""
    contexts = bed.registry.contexts
    return {
        "spec": bed.spec(),
        "seed": bed.seed,
        "seeds": {node: given["seed"] for node, given in contexts.items() if "seed" in given},
        "roles": [
            {
                "class": name,
                "version": version,
                "source": text,
                "instances": _instances(bed, name, version),
            }
            for (name, version), text in bed.versions.sources.items()
        ],
        "packages": packages(),
        "environment": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "engines": len(bed.fleet.numbers),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _instances(bed: Testbed, name: str, version: int) -> list[str]:
    return [
        str(instance)
        for instance, running in bed.versions.running.items()
        if running == (name, version)
    ]


def packages() -> dict[str, str]:
    """Return {name: version} of what is installed here, by name."""
    found = {
        item.metadata["Name"]: item.version
        for item in metadata.distributions()
        if item.metadata["Name"]
    }
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))
