"""What happens on the board: who is at work, who waits, and what went wrong, as plain data."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roleml_nb.testbed import Testbed

__all__ = ["failure", "live"]

LINES = 30
"""Waiting calls and errors that are shown."""


def live(bed: Testbed) -> dict[str, Any]:
    """How it stands: of roles, those that are at something; the rest is ready."""
    if not bed.running:
        return {"status": {}, "work": {}, "waiting": [], "waits": 0, "errors": {}, "faults": []}
    rows, roles = bed.fleet.at_work()
    work: dict[str, list[int]] = {}
    for row in rows:
        if not row.call and not row.role.endswith("/actor"):
            work.setdefault(row.role, [0, 0])[row.state.startswith("queued")] += 1
    waiting = [
        f"{row.source} waits for {row.name}"
        for row in rows
        if row.call and not row.name.rpartition(".")[0].endswith("/actor")
    ]
    failures = list(bed.errors)
    return {
        "status": {
            f"{node}/{name}": status
            for node, given in roles.items()
            for name, status in given.items()
            if status != "ready"
        },
        "work": work,
        "waiting": sorted(waiting)[:LINES],
        "waits": len(waiting),
        "errors": dict(
            Counter(f"{one.node}/{one.role}" if one.role else one.node for one in failures)
        ),
        "faults": [failure(one) for one in failures[-LINES:]],
    }


def failure(one: Any) -> dict[str, Any]:
    """An error that nobody waited for, as plain data."""
    return {
        "where": f"{one.node}/{one.role}".strip("/"),
        "text": one.text,
        "traceback": one.remote_traceback,
    }
