"""What the notebook is told: errors that nobody waited for, and runs that have ended."""

from __future__ import annotations

import sys
from typing import NamedTuple

from roleml_nb.testbed import Testbed
from roleml_nb.testbed.calls.runs import LiveRun
from roleml_nb.trace.errors import Failure, summary

__all__ = ["Notifications", "report", "unreported"]


class Notifications(NamedTuple):
    """What has not been told yet."""

    failures: list[Failure]
    runs: list[LiveRun]

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for equal news."""
        return (
            len(self.failures),
            *(failure.number for failure in self.failures[-1:]),
            *(-run.number for run in self.runs),
        )

    def lines(self) -> list[str]:
        """As text: one line for all errors, and one for each run."""
        return ([summary(self.failures)] if self.failures else []) + [
            _ended(run) for run in self.runs
        ]


def unreported(bed: Testbed) -> Notifications:
    return Notifications(
        bed.errors.unreported(), [run for run in bed.runs if run.done() and not run.reported]
    )


def _ended(run: LiveRun) -> str:
    if run.error is None:
        return (
            f"run {run.number} has ended: {run.name}, {run.progress.rounds}; its result: %rml wait"
            f" {run.number}"
        )
    text = str(run.error.args[0] if run.error.args else run.error).splitlines()[0]
    how = "failed" if run.state == "failed" else "been stopped"
    return f"run {run.number} has {how}: {text}; all of it: %rml wait {run.number}"


def report(bed: Testbed) -> None:
    """Print what is new, where errors are printed; it counts as told."""
    news = unreported(bed)
    for failure in news.failures:
        failure.reported = True
    for run in news.runs:
        run.reported = True
    for line in news.lines():
        print(line, file=sys.stderr)
