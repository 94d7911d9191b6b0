"""The trace of a testbed, as the notebook collects it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .tables import Messages, Metrics

__all__ = ["Trace"]


class Trace:
    """Messages and metrics since `start` (seconds since the epoch). Thread-safe.

    `refresh` is called before a table is read: it fetches what the hosts have not shipped yet.
    """

    def __init__(self, start: float, refresh: Callable[[], None]):
        self._lock = threading.Lock()
        self.messages = Messages(start, refresh, self._lock)
        self.metrics = Metrics(start, refresh, self._lock)

    def add(self, messages: list[tuple], metrics: list[tuple]) -> None:
        """Take note of a batch."""
        with self._lock:
            self.messages.rows.extend(messages)
            self.metrics.rows.extend(metrics)

    def __repr__(self) -> str:
        return f"<Trace: {len(self.messages)} messages, {len(self.metrics)} metrics>"
