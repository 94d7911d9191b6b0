"""The lifecycle of a role instance on a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Condition

from .errors import NoSuchRoleError, StatusError

__all__ = ["Lifecycle", "Status"]


class Status(Enum):
    """Where a role instance stands; only READY and DECLARED roles answer their channels at once."""

    DECLARING = "declaring"
    DECLARED = "declared"
    STARTING = "starting"
    READY = "ready"
    PAUSING = "pausing"
    PAUSED = "paused"
    TERMINATING = "terminating"
    FINALIZING = "finalizing"
    TERMINATED = "terminated"


_OPEN = {Status.DECLARED, Status.STARTING, Status.READY}
_GONE = {Status.TERMINATING, Status.FINALIZING, Status.TERMINATED}


class Lifecycle:
    """The status of one role instance, and the handlers that run in it."""

    def __init__(self, where: str, changed: Callable[[Status], None] = lambda status: None):
        self.where = where
        self.status = Status.DECLARING
        self.running = 0
        self._changed = changed
        self._condition = Condition()

    def become(self, status: Status) -> None:
        with self._condition:
            self.status = status
            self._condition.notify_all()
        self._changed(status)

    @contextmanager
    def execution(self, timeout: float | None = None) -> Iterator[None]:
        """Hold while a handler runs. Waits while the role is paused; NoSuchRoleError when it is gone."""
        with self._condition:
            if self.status not in _OPEN and not self._condition.wait_for(
                lambda: self.status in _OPEN or self.status in _GONE, timeout
            ):
                raise StatusError(f"{self.where} is {self.status.value} and did not become ready in {timeout} s")
            if self.status in _GONE:
                raise NoSuchRoleError(f"{self.where} is {self.status.value}")
            self.running += 1
        try:
            yield
        finally:
            with self._condition:
                self.running -= 1
                if not self.running:
                    self._condition.notify_all()

    def pause(self, timeout: float | None = None) -> None:
        """Hold back new messages, and return when the running handlers have ended."""
        self._close(Status.PAUSING, Status.PAUSED, timeout)

    def resume(self) -> None:
        with self._condition:
            if self.status is not Status.PAUSED:
                raise StatusError(f"{self.where} is {self.status.value}, not paused")
        self.become(Status.READY)

    def terminate(self, timeout: float | None = None) -> None:
        """Refuse new messages, and return when the running handlers have ended."""
        self._close(Status.TERMINATING, Status.FINALIZING, timeout)

    def _close(self, closing: Status, closed: Status, timeout: float | None) -> None:
        with self._condition:
            before = self.status
            if before in _GONE:
                raise StatusError(f"{self.where} is {before.value}")
        self.become(closing)
        with self._condition:
            idle = self._condition.wait_for(lambda: self.running == 0, timeout)
        if not idle:
            self.become(before)
            raise StatusError(f"{self.where}: {self.running} handlers still running after {timeout} s")
        self.become(closed)
