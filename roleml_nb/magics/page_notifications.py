"""What the next cell will tell at its end, told in the page at once, also when no cell runs."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakSet

from roleml_nb.testbed import Testbed

from .notifications import Notifications, unreported

__all__ = ["PageNotifications"]

POLL_INTERVAL_S = 0.15
"""Seconds between two looks.

What has stood for a beat is shown: what a cell is about to tell, or is waiting for, is not.
"""


class PageNotifications:
    """Looks on at the testbeds of a notebook.

    A terminal has no page, and a program that runs a notebook shows none.
    """

    def __init__(self, shell: Any):
        self._shell = shell
        self._watched: WeakSet[Testbed] = WeakSet()

    def watch(self, bed: Testbed) -> None:
        """From now on, and until it stops. Idempotent."""
        if not hasattr(self._shell, "kernel") or bed in self._watched or not bed.running:
            return
        self._watched.add(bed)
        ended = threading.Event()
        bed.at_stop.append(ended.set)
        bed.fleet.home.run_in_background(lambda: _follow(bed, ended), "notices")


def _follow(bed: Testbed, ended: threading.Event) -> None:
    card = _Card()
    before = shown = Notifications([], []).key
    while not ended.wait(POLL_INTERVAL_S):
        news = unreported(bed)
        if news.key == before and news.key != shown:
            card.show(news.lines())
            shown = news.key
        before = news.key
    card.close()


class _Card:
    """Made when there is something to show for the first time.

    What goes wrong with it must cost nobody the testbed.
    """

    def __init__(self) -> None:
        self._widget: Any = None

    def show(self, lines: list[str]) -> None:
        try:
            if self._widget is None:
                from roleml_nb.widgets.notifications.card import Notice

                self._widget = Notice()
            self._widget.show(lines)
        except Exception:  # a front end that has no comms, or is gone: the next cell tells it
            self._widget = None

    def close(self) -> None:
        if self._widget is not None:
            self.show([])
            self._widget.close()
