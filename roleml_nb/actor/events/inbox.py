"""Inboxes: the waiting events of one other role, for one of ours."""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

from roleml_nb.actor.errors import describe
from roleml_nb.actor.host import ActorHost
from roleml_nb.actor.role_table import RoleTable
from roleml_nb.messaging.executions import Execution, Interrupt, run
from roleml_nb.messaging.serialization.codec import Body
from roleml_nb.role import Lifecycle, RoleInstanceID, RunStopped
from roleml_nb.role.channels import Handler
from roleml_nb.role.conditions import passes
from roleml_nb.role.running import running

__all__ = ["Contents", "Inbox", "Listener"]

Contents = list[tuple[str, list[bytes]]]
"""Events that wait: the listener's name, and the frames."""


@dataclass(eq=False)
class Listener:
    """A handler, with the conditions of the events that it wants."""

    name: str
    """The attribute, for one that the class declares; of one subscribed by hand, a name that no
    attribute has.
    """
    handler: Handler
    method: Callable[..., Any]
    conditions: dict[str, Any]
    mode: str
    automatic: bool
    fired: bool = False
    """True when it has received the one event that it wanted."""


class Inbox:
    """The events of one channel of one other role, for one of ours: in order, one at a time, while
    our role is ready.

    `once` is called with the inbox and a listener that has just heard its only event, before that
    is handled.
    """

    def __init__(
        self,
        roles: RoleTable,
        host: ActorHost,
        instance_name: str,
        source: RoleInstanceID,
        channel: str,
        once: Callable[[Inbox, Listener], None],
    ):
        self.instance_name, self.source, self.channel = instance_name, source, channel
        self.listeners: dict[str, Listener] = {}
        """By name, in the order in which each event is handled. Replaced, never changed."""
        self._roles = roles
        self._host = host
        self._once = once
        self._waiting: deque[tuple[Listener, Body]] = deque()
        self._running = False
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """True when a handler is at work, or will be as soon as the role is ready."""
        return (
            self._running or bool(self._waiting) and self._roles.lifecycle(self.instance_name).ready
        )

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, body: Body) -> None:
        """Take an event in, for all who listen now. Called on the link's thread."""
        with self._lock:
            listeners = self.listeners.values()
            bodies = [body] if len(listeners) == 1 else body.shares(len(listeners))
            self._waiting.extend(zip(listeners, bodies, strict=True))
            if self._running or not listeners:
                return
            self._running = True
        self._host.submit(self._drain)

    def wake(self) -> None:
        """Handle events that have waited for the role to become ready."""
        with self._lock:
            if self._running or not self._waiting:
                return
            self._running = True
        self._host.submit(self._drain)

    def clear(self) -> None:
        """Drop the events that wait."""
        with self._lock:
            self._waiting.clear()

    # moving

    def contents(self) -> Contents:
        """Return the waiting events as plain data."""
        with self._lock:
            waiting = list(self._waiting)
        return [(listener.name, list(map(bytes, body.frames()))) for listener, body in waiting]

    def insert(self, place: int, contents: Contents) -> None:
        """Insert the contents of another inbox before that place; events without a listener are
        left out.
        """
        known = []
        for name, frames in contents:
            if name in self.listeners:
                known.append((self.listeners[name], Body.of_frames(frames)))
        with self._lock:
            waiting = list(self._waiting)
            self._waiting = deque([*waiting[:place], *known, *waiting[place:]])

    # handling

    def _drain(self) -> None:
        name = self.instance_name
        while True:
            run_generation = self._host.router.run_generation
            lifecycle = self._roles.find_lifecycle(name)
            entered = lifecycle is not None and lifecycle.try_enter()
            # taken from the queue by a running handler only: a paused role has all its events there
            with self._lock:
                item = self._waiting.popleft() if entered and self._waiting else None
                self._running = item is not None
            if lifecycle is None:
                return
            if item is None:
                if entered:
                    lifecycle.exit()
                elif lifecycle.ready:  # it has become ready since `try_enter`
                    self.wake()
                return
            going_on = self._handle(*item, lifecycle, run_generation)
            if going_on is not None:
                going_on.add_done_callback(lambda _: self._host.submit(self._drain))
                return

    def _handle(
        self, listener: Listener, body: Body, lifecycle: Lifecycle, run_generation: int
    ) -> Future | None:
        """Run the handler, unless the run is stopped by now; the future of one that goes on in the
        event loop.
        """
        source = self.source
        message: tuple[Any, Any] = {}, {}
        router = self._host.router
        execution = router.begin_event(
            source, self._roles.instance(self.instance_name), self.channel, run_generation
        )
        try:
            with running(self._roles[self.instance_name]):
                message = body.decode()
                if run_generation == router.run_generation and self._wanted(listener, message[0]):
                    answer = run(
                        execution, listener.handler.invoke, listener.method, source, *message
                    )
                    if inspect.iscoroutine(answer):
                        future = self._host.run_coroutine(answer, copy_context())
                        router.executions.suspend_inline(execution)
                        future.add_done_callback(
                            partial(self._ended, listener, lifecycle, execution, message)
                        )
                        return future
        except Interrupt:
            self._report(RunStopped(f"{execution.name} was interrupted with the run"))
        except BaseException as error:  # nobody waits for it: it is reported
            self._keep(listener, message, error)
            self._report(error)
        router.executions.end_inline(execution)
        if not execution.abandoned:
            lifecycle.exit()
        return None

    def _wanted(self, listener: Listener, args: Any) -> bool:
        """Return True when this listener wants the event, which at least one listener of the role
        does.
        """
        if listener.fired or listener.conditions and not passes(listener.conditions, args):
            return False
        if listener.mode == "once":
            listener.fired = True
            self._once(self, listener)
        return True

    def _ended(
        self,
        listener: Listener,
        lifecycle: Lifecycle,
        execution: Execution,
        message: tuple,
        future: Future,
    ) -> None:
        self._host.router.executions.ended(execution)
        if not execution.abandoned:
            lifecycle.exit()
        error = future.exception()
        if isinstance(error, Exception):
            self._keep(listener, message, error)
            self._report(error)

    def _keep(self, listener: Listener, message: Iterable[Any], error: BaseException) -> None:
        attribute = getattr(listener.method, "__name__", "")
        self._host.failures.keep(
            error,
            self._roles.instance(self.instance_name),
            attribute,
            self.channel,
            self.source,
            *message,
        )

    def _report(self, error: BaseException) -> None:
        where = self._roles.instance(self.instance_name)
        self._host.report(
            describe(error, where, f"on {self.source}.{self.channel}", self._host.label)
        )
