"""Notifications in the page while no cell runs, until the next one prints them.

See also `notifications`, which prints them.
"""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakSet

from roleml_nb.testbed import Testbed

from .notifications import Notifications, unreported

__all__ = ["PageNotifications"]

POLL_INTERVAL_S = 0.15
"""Notifications that have stood for an interval are shown: by then, no cell has reported them."""


class PageNotifications:
    """Show notifications of a notebook's testbeds. Outside of notebooks, there is no page."""

    def __init__(self, shell: Any):
        self._shell = shell
        self._watched: WeakSet[Testbed] = WeakSet()

    def watch(self, bed: Testbed) -> None:
        """Show notifications of a testbed until it stops. Idempotent."""
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
        notifications = unreported(bed)
        if notifications.key == before and notifications.key != shown:
            card.show(notifications.lines())
            shown = notifications.key
        before = notifications.key
    card.close()


class _Card:
    """A card in the page, made when there is something to show for the first time.

    Its failures are ignored: no testbed ends because of a card.
    """

    def __init__(self) -> None:
        self._widget: Any = None

    def show(self, lines: list[str]) -> None:
        try:
            if self._widget is None:
                from roleml_nb.widgets.notifications.card import Notice

                self._widget = Notice()
            self._widget.show(lines)
        except Exception:  # a front end that has no comms, or is gone: the next cell reports it
            self._widget = None

    def close(self) -> None:
        if self._widget is not None:
            self.show([])
            self._widget.close()
