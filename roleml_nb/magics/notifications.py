"""Notifications: errors that nobody waited for, and runs that have ended."""

from __future__ import annotations

import sys
from typing import NamedTuple

from roleml_nb.testbed import Testbed
from roleml_nb.testbed.calls.runs import LiveRun
from roleml_nb.trace.errors import Failure, summary

__all__ = ["Notifications", "report", "unreported"]


class Notifications(NamedTuple):
    """Failures and ended runs that have not been reported yet."""

    failures: list[Failure]
    runs: list[LiveRun]

    @property
    def key(self) -> tuple[int, ...]:
        """Numbers that are equal for equal notifications."""
        newest = self.failures[-1].number if self.failures else 0
        return len(self.failures), newest, *[run.number for run in self.runs]

    def lines(self) -> list[str]:
        """Return the text: one line for all errors, and one for each run."""
        failed = [summary(self.failures)] if self.failures else []
        return [*failed, *map(_ended, self.runs)]


def unreported(bed: Testbed) -> Notifications:
    """Return the notifications that a testbed has for the notebook."""
    ended = [run for run in bed.runs if run.done() and not run.reported]
    return Notifications(bed.errors.unreported(), ended)


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
    """Print notifications where errors are printed, and count them as reported."""
    notifications = unreported(bed)
    for failure in notifications.failures:
        failure.reported = True
    for run in notifications.runs:
        run.reported = True
    for line in notifications.lines():
        print(line, file=sys.stderr)
