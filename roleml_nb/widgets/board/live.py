"""The status of a testbed on the board: who is at work, who waits, and errors, as plain data."""

from __future__ import annotations

from collections import Counter
from typing import Any

from roleml_nb.testbed import Testbed

__all__ = ["failure", "live"]

MAX_LINES = 30
"""Waiting calls, and errors, that a page gets."""


def live(bed: Testbed) -> dict[str, Any]:
    """Return the status of roles that are not ready, their work, waiting calls, and errors."""
    if not bed.running:
        return {"status": {}, "work": {}, "waiting": [], "waits": 0, "errors": {}, "faults": []}
    rows, roles = bed.fleet.at_work()
    work: dict[str, list[int]] = {}
    waiting = []
    for row in rows:
        if row.call:
            if not row.name.rpartition(".")[0].endswith("/actor"):
                waiting.append(f"{row.source} waits for {row.name}")
        elif not row.role.endswith("/actor"):
            work.setdefault(row.role, [0, 0])[row.state.startswith("queued")] += 1
    status = {}
    for node, given in roles.items():
        for name, value in given.items():
            if value != "ready":
                status[f"{node}/{name}"] = value
    failures = list(bed.errors)
    return {
        "status": status,
        "work": work,
        "waiting": sorted(waiting)[:MAX_LINES],
        "waits": len(waiting),
        "errors": dict(Counter(map(_place, failures))),
        "faults": list(map(failure, failures[-MAX_LINES:])),
    }


def failure(error: Any) -> dict[str, Any]:
    """Return an error that nobody waited for, as plain data."""
    return {
        "where": _place(error).strip("/"),
        "text": error.text,
        "traceback": error.remote_traceback,
    }


def _place(error: Any) -> str:
    return f"{error.node}/{error.role}" if error.role else error.node
