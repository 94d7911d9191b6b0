"""Protocols of the host: roles and actors get time and threads from it, and from nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Clock", "Host", "Waitable"]


class Waitable(Protocol):
    """A future that a clock can wait for."""

    def done(self) -> bool: ...

    def result(self, timeout: float | None = None) -> Any: ...


class Clock(Protocol):
    """The time of this host, in seconds since the epoch."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    def wait(self, future: Waitable, timeout: float | None) -> Any:
        """Return the future's result; TimeoutError after `timeout` seconds."""
        ...


class Host(Protocol):
    """The one object per process that holds its actors and its links."""

    host_id: str
    call_timeout: float
    logger: logging.Logger
    """Logger of the host itself, and of none of its roles."""

    @property
    def clock(self) -> Clock: ...

    def run_in_background(self, work: Callable[[], Any], name: str = "") -> Any:
        """Run `work` on a thread of its own, which the host ends when it stops."""
        ...

    def submit(self, work: Callable[[], Any], *, queued: bool = False) -> None:
        """Run `work` on the worker pool: at once, or (`queued`) when a regular worker is free."""
        ...

    def check_cancelled(self) -> None:
        """Raise `CallCancelled` when the call that this thread works for was cancelled."""
        ...

    def report(self, error: Exception) -> None:
        """Report an error that nobody waits for to the notebook."""
        ...
