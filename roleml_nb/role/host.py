"""What the rooms above ask of the host they live in: time and threads come from it, and from
nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Clock", "Host", "Waitable"]


class Waitable(Protocol):
    """What one can wait for: a future."""

    def done(self) -> bool: ...

    def result(self, timeout: float | None = None) -> Any: ...


class Clock(Protocol):
    """Seconds since the epoch, of this host."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    def wait(self, future: Waitable, timeout: float | None) -> Any:
        """The future's result; TimeoutError after `timeout` seconds."""
        ...


class Host(Protocol):
    """The one object per process that holds its actors and its links."""

    host_id: str
    call_timeout: float
    logger: logging.Logger
    """What concerns the host itself, and none of its roles."""

    @property
    def clock(self) -> Clock: ...

    def run_in_background(self, work: Callable[[], Any], name: str = "") -> Any:
        """Run on a thread of its own, which the host ends when it stops."""
        ...

    def submit(self, work: Callable[[], Any], *, queued: bool = False) -> None:
        """Run on the worker pool: at once, or (`queued`) when one of its regular workers is
        free.
        """
        ...

    def check_cancelled(self) -> None:
        """Raise `CallCancelled` where the caller has cancelled what the current thread works
        for.
        """
        ...

    def report(self, error: Exception) -> None:
        """Tell the notebook of an error that nobody waits for."""
        ...
