"""Credit-based flow control: senders of tasks and events wait while too much is in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from roleml_nb.role import CallTimeout
from roleml_nb.role.forks import Origin

__all__ = ["MAX_BYTES_IN_FLIGHT", "Credit", "Window"]

MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""Bytes of tasks and events that may be on their way to one host, or wait there.

One larger message passes alone.
"""


class Window:
    """Bytes of one link that were sent, and that no handler has taken yet."""

    def __init__(self, limit: int = MAX_BYTES_IN_FLIGHT):
        self.limit = limit
        self.bytes = 0
        self._origin = Origin()
        # with an RLock: a credit may be dropped while this thread is in here
        self._changed = threading.Condition()

    def acquire(self, size: int, wait: float, where: str) -> None:
        """Count `size` bytes as sent; wait up to `wait` seconds (0: not at all) while the window is
        full.

        Raises
        ------
        CallTimeout
            No bytes were released for that long.
        """
        with self._changed:
            if wait and not self._changed.wait_for(
                lambda: not self.bytes or self.bytes + size <= self.limit, wait
            ):
                raise CallTimeout(
                    f"held back for {wait:.1f} s: {self.bytes / 1e6:.0f} MB of tasks and events"
                    f" wait for {where}, and no handler takes them; see waiting()"
                )
            self.bytes += size

    def release(self, size: int) -> None:
        """Count `size` bytes as taken by handlers."""
        if self._origin.in_fork:  # a copy of a sent message was dropped, in a fork
            return
        with self._changed:
            self.bytes -= size
            self._changed.notify_all()

    def clear(self) -> None:
        """Hold nobody back any more: the link is closed."""
        with self._changed:
            self.bytes = 0
            self._changed.notify_all()


class Credit:
    """The right to send `size` bytes, returned by ``on_release(size)`` with the last body.

    Each body of a message holds its credit, and drops it when a handler takes the body, or never
    will.
    """

    __slots__ = ("_on_release", "_size")

    def __init__(self, on_release: Callable[[int], Any], size: int):
        self._on_release = on_release
        self._size = size

    def __del__(self) -> None:
        self._on_release(self._size)
