"""The lifecycle of a role instance on a node."""

from __future__ import annotations

from collections.abc import Callable
from enum import Flag, auto
from threading import Condition
from types import TracebackType
from typing import Any

from roleml_nb.role.checks.names import did_you_mean

from .errors import NoSuchRoleError, RoleMoved, StatusError
from .identity import RoleInstanceID

__all__ = ["EnteredLifecycle", "Lifecycle", "Status"]


class Status(Flag):
    """The status of a role instance.

    ``str(status)`` is its name in small letters; ``Status("ready")`` is the reverse.

    DECLARING → DECLARED → STARTING → READY; READY → PAUSING → PAUSED → RESUMING → READY; from any
    of these TERMINATING → FINALIZING → TERMINATED; PAUSED → OFFLOADED when the role has moved to
    another node.
    """

    DECLARING = auto()
    """The actor registers channels and elements."""
    DECLARED = auto()
    """On the node, but not started.

    Channels refuse calls, no event can be emitted, subscriptions can be made by hand.
    """
    STARTING = auto()
    """Eager elements are built and automatic subscriptions made; calls wait."""
    READY = auto()
    """At work."""
    PAUSING = auto()
    """New calls and events wait; running handlers go on."""
    PAUSED = auto()
    """New calls and events wait; no handler runs."""
    RESUMING = auto()
    """On the way from PAUSED to READY."""
    TERMINATING = auto()
    """New calls and events are refused, no event can be emitted; running handlers go on."""
    FINALIZING = auto()
    """Subscriptions end both ways, elements are serialized and destroyed, `Runnable`s stopped."""
    TERMINATED = auto()
    """Gone from the node."""
    OFFLOADED = auto()
    """Gone to another node: calls follow it there."""

    DECLARED_COMPATIBLE = DECLARED | STARTING | READY | PAUSING | PAUSED

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, str):
            return super()._missing_(value)
        try:
            return cls[value.upper()]
        except KeyError:
            hint = did_you_mean(value.lower(), map(str, cls))
            raise ValueError(f"no status {value!r}; {hint}") from None

    def __str__(self) -> str:
        return (self.name or "").lower()


_WAITING = Status.STARTING | Status.PAUSING | Status.PAUSED | Status.RESUMING
_ENDED = Status.TERMINATING | Status.FINALIZING | Status.TERMINATED
_LIVE = Status.DECLARING | Status.DECLARED | Status.STARTING | Status.READY | Status.PAUSED
_STARTED = _WAITING | Status.READY
_EMITTING = Status.READY | Status.PAUSING


class Lifecycle:
    """The status of one role instance, and the number of its running handlers.

    `changed(status, before)` is called after every change, on the thread that made it.
    """

    def __init__(
        self, where: str, changed: Callable[[Status, Status], None] = lambda status, before: None
    ):
        self.where = where
        self.status = Status.DECLARING
        self.running = 0
        self._callbacks = 0
        self.moved_to: RoleInstanceID | None = None
        self._changed = changed
        self._condition = Condition()

    def become(self, status: Status) -> None:
        with self._condition:
            before, self.status = self.status, status
            self._condition.notify_all()
        self._changed(status, before)

    @property
    def ready(self) -> bool:
        return self.status is Status.READY

    @property
    def busy(self) -> bool:
        """True while handlers run or callbacks are expected."""
        return self.running > 0 or self._callbacks > 0

    @property
    def started(self) -> bool:
        """True while the role is ready, or on the way to it."""
        return self.status in _STARTED

    # handlers

    def enter(self, timeout: float | None = None) -> None:
        """Count a handler as running; `exit` must follow.

        Waits while the role is starting or paused. Raises StatusError when that takes longer than
        `timeout` seconds or the role was not started, NoSuchRoleError when it has ended, RoleMoved
        when it is on another node now.
        """
        with self._condition:
            if self.status is not Status.READY:
                self._wait_for_ready(timeout)
            self.running += 1

    def try_enter(self) -> bool:
        """Enter as `enter` does, or return False at once unless the role is ready.

        After False, `exit` must not follow.
        """
        with self._condition:
            if self.status is not Status.READY:
                return False
            self.running += 1
            return True

    def _wait_for_ready(self, timeout: float | None) -> None:
        if self.status in _WAITING and not self._condition.wait_for(
            lambda: self.status not in _WAITING, timeout
        ):
            raise StatusError(
                f"{self.where} is {self.status} and did not become ready in {timeout} s"
            )
        if self.status is Status.OFFLOADED and self.moved_to is not None:
            raise RoleMoved(f"{self.where} has moved to {self.moved_to}", self.moved_to)
        if self.status in _ENDED:
            raise NoSuchRoleError(f"{self.where} is {self.status}")
        if self.status is not Status.READY:
            raise StatusError(f"{self.where} is {self.status}, not ready: start it first")

    def exit(self) -> None:
        """Count a handler as ended."""
        with self._condition:
            self.running -= 1
            if not self.running:
                self._condition.notify_all()

    def expect_callback(self) -> None:
        """Announce a callback of the role after a call; `callback_done` must follow."""
        with self._condition:
            self._callbacks += 1

    def callback_done(self) -> None:
        with self._condition:
            self._callbacks -= 1
            self._condition.notify_all()

    def wait_for_callbacks(self, timeout: float | None = None) -> None:
        """Wait until no callback is expected; StatusError after `timeout` seconds."""
        with self._condition:
            if not self._condition.wait_for(lambda: not self._callbacks, timeout):
                raise StatusError(
                    f"{self.where}: {self._callbacks} of its calls have not ended after {timeout} s"
                )

    def entered(self, timeout: float | None = None) -> EnteredLifecycle:
        """Return a context manager that enters and exits."""
        return EnteredLifecycle(self, timeout)

    def wait_to_emit(self, channel: str, timeout: float | None) -> None:
        """Wait while the role is paused, until it can emit events.

        StatusError when the role was not started, ends, or is not resumed within `timeout` seconds.
        """
        with self._condition:
            if self.status in _WAITING and self.status not in _EMITTING:
                self._condition.wait_for(
                    lambda: self.status not in _WAITING or self.status in _EMITTING, timeout
                )
            if self.status not in _EMITTING:
                raise StatusError(f"{self.where} is {self.status}: it cannot emit '{channel}'")

    # changes

    def pause(self, timeout: float | None = None) -> None:
        """Hold back new messages, and return when the running handlers have ended.

        Does nothing on a paused role. StatusError when the role is not ready, or its handlers run
        longer than `timeout` seconds; its status is then the former one.
        """
        if self.status is not Status.PAUSED:
            self._drain(Status.READY, "paused", Status.PAUSING, Status.PAUSED, timeout)

    def resume(self) -> None:
        """Return to work; StatusError when the role is not paused."""
        self._require(Status.PAUSED, "resumed")
        self.become(Status.RESUMING)
        self.become(Status.READY)

    def terminate(self, timeout: float | None = None) -> None:
        """Refuse new messages, and return (FINALIZING) when the running handlers have ended.

        StatusError when they run longer than `timeout` seconds; its status is then the former one.
        """
        self._drain(_LIVE, "terminated", Status.TERMINATING, Status.FINALIZING, timeout)

    def offloaded(self, to: RoleInstanceID) -> None:
        """Redirect callers, waiting and later ones, to another node: the role is there now."""
        self._require(Status.PAUSED, "offloaded")
        self.moved_to = to
        self.become(Status.OFFLOADED)

    def _require(self, allowed: Status, done: str) -> None:
        if self.status not in allowed:
            raise StatusError(f"{self.where} is {self.status} and cannot be {done}")

    def _drain(
        self, allowed: Status, done: str, closing: Status, closed: Status, timeout: float | None
    ) -> None:
        with self._condition:  # of two threads, the second one is refused
            self._require(allowed, done)
            before, self.status = self.status, closing
        self._changed(closing, before)
        with self._condition:
            idle = self._condition.wait_for(lambda: self.running == 0, timeout)
            still = self.running
        self.become(closed if idle else before)
        if not idle:
            raise StatusError(f"{self.where}: {still} handlers still running after {timeout} s")


class EnteredLifecycle:
    """Context manager that holds a lifecycle entered while a handler runs."""

    __slots__ = ("_lifecycle", "_timeout")

    def __init__(self, lifecycle: Lifecycle, timeout: float | None):
        self._lifecycle, self._timeout = lifecycle, timeout

    def __enter__(self) -> None:
        self._lifecycle.enter(self._timeout)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self._lifecycle.exit()
