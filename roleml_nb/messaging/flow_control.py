"""Bounded bytes in flight: whoever sends tasks and events is held back until those sent before are
taken.
"""

from __future__ import annotations

import threading
from typing import Any

from roleml_nb.role import CallTimeout
from roleml_nb.role.forks import Origin

__all__ = ["LIMIT", "Receipt", "Window"]

LIMIT = 64 * 1024 * 1024
"""Bytes of tasks and events that may be on their way to one host, or wait there.

One larger message passes alone.
"""


class Window:
    """Bytes sent and not yet taken by their handlers, on one link."""

    def __init__(self, limit: int = LIMIT):
        self.limit = limit
        self.bytes = 0
        self._origin = Origin()
        # with an RLock: a receipt may be dropped while this thread is in here
        self._changed = threading.Condition()

    def enter(self, size: int, wait: float, where: str) -> None:
        """Count `size` bytes as sent; holds back for up to `wait` seconds (0: not at all) while
        there are too many.

        Raises
        ------
        CallTimeout
            Nothing was taken for that long.
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

    def leave(self, size: int) -> None:
        """`size` bytes were taken."""
        if self._origin.elsewhere:  # a copy of what was sent was dropped, in a fork
            return
        with self._changed:
            self.bytes -= size
            self._changed.notify_all()

    def clear(self) -> None:
        """The link is closed: nobody is held back any more."""
        with self._changed:
            self.bytes = 0
            self._changed.notify_all()


class Receipt:
    """Held by what was received until a handler has taken it; then, or when it is dropped,
    `taken(size)` is called once.
    """

    __slots__ = ("_size", "_taken")

    def __init__(self, taken: Any, size: int):
        self._taken, self._size = taken, size

    def __del__(self) -> None:
        self._taken(self._size)
