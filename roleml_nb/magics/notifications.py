"""Notifications: errors that nobody waited for, and runs that have ended.

A cell prints them when it ends. While none does, the page of a notebook shows them in a card.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from roleml_nb.testbed import Testbed
from roleml_nb.testbed.calls.runs import LiveRun
from roleml_nb.trace.errors import Failure, summary

__all__ = ["Notifications", "Notifier", "unreported"]

CARD_DELAY_S = 0.15
"""Notifications that have stood for so long are shown in the page: no cell has printed them."""


class Notifications(NamedTuple):
    """Failures and ended runs that have not been reported yet."""

    failures: list[Failure]
    runs: list[LiveRun]

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


class Notifier:
    """Reports the notifications of a shell's testbeds, each of them once in a cell."""

    def __init__(self, shell: Any):
        self._shell = shell
        self._cards: WeakKeyDictionary[Testbed, _Card] = WeakKeyDictionary()

    def watch(self, bed: Testbed) -> None:
        """Show notifications in the page, if there is one, until the testbed stops. Idempotent."""
        if hasattr(self._shell, "kernel") and bed not in self._cards and bed.running:
            self._cards[bed] = _Card(bed)
            bed.at_stop.append(lambda: self._drop(bed))

    def _drop(self, bed: Testbed) -> None:
        """Drop the card of a testbed that stops: it would keep the testbed and its trace."""
        self._cards.pop(bed, None)

    def report(self, bed: Testbed) -> None:
        """Print notifications where errors are printed, and count them as reported."""
        notifications = unreported(bed)
        for failure in notifications.failures:
            failure.reported = True
        for run in notifications.runs:
            run.reported = True
        for line in notifications.lines():
            print(line, file=sys.stderr)
        if bed in self._cards:
            self._cards[bed].update()


class _Card:
    """A card in the page, made when there is something to show for the first time.

    Its failures are ignored: no testbed ends because of a card.
    """

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._widget: Any = None
        self._outdated = threading.Event()
        self._stopped = threading.Event()
        bed.errors.when_added(self.update)
        bed.runs.when_ended(self.update)
        bed.at_stop.append(self._stop)
        bed.fleet.home.run_in_background(self._follow, "notices")
        self.update()  # it may have notifications by now

    def update(self) -> None:
        """Show the notifications that stand after a moment. From any thread."""
        self._outdated.set()

    def _stop(self) -> None:
        self._stopped.set()
        self._outdated.set()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            self._outdated.wait()
            self._outdated.clear()
            if not self._stopped.wait(CARD_DELAY_S):
                self._show(unreported(self._bed).lines())
        if self._widget is not None:
            self._show([])
            self._widget.close()

    def _show(self, lines: list[str]) -> None:
        try:
            if self._widget is None:
                if not lines:
                    return
                from roleml_nb.widgets.notifications.card import Notice

                self._widget = Notice()
            self._widget.show(lines)
        except Exception:  # a front end that has no comms, or is gone: the next cell reports it
            self._widget = None
