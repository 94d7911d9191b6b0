"""What the notebook is told at the end of a cell: errors that nobody waited for, and runs that have ended."""

from __future__ import annotations

import sys
from typing import Any

from roleml_nb.testbed import Testbed
from roleml_nb.testbed.runs import LiveRun

__all__ = ["news", "tell"]


def news(bed: Testbed) -> list[str]:
    """Lines of what is new; each is told once."""
    lines = [bed.errors.news()]
    for run in bed.runs:
        if run.done() and not run.told:
            run.told = True
            lines.append(_ended(run))
    return [line for line in lines if line]


def _ended(run: LiveRun) -> str:
    if run.error is None:
        return f"run {run.number} has ended: {run.name}, {run.progress.rounds}; its result: %rml wait {run.number}"
    text = str(run.error.args[0] if run.error.args else run.error).splitlines()[0]
    how = "failed" if run.state == "failed" else "been stopped"
    return f"run {run.number} has {how}: {text}; all of it: %rml wait {run.number}"


def tell(*beds: Any) -> None:
    """Print what is new of these testbeds, as far as they are some, where errors are printed."""
    for bed in {id(bed): bed for bed in beds if isinstance(bed, Testbed)}.values():
        for line in news(bed):
            print(line, file=sys.stderr)
