"""Calls from one role to others: the futures, and the groups."""

from __future__ import annotations

import asyncio
import heapq
import queue
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.pending import Pending
from roleml_nb.role import (
    CallerError,
    CallTimeout,
    ChannelNotFoundError,
    ErrorHandlingStrategy,
    Lifecycle,
    Message,
    RoleInstanceID,
    RoleMLError,
)
from roleml_nb.role.host import Host

from .errors import describe, remote

if TYPE_CHECKING:
    from .host import ActorHost

__all__ = ["Invocation", "collect", "messages_for"]

FIRST_RETRY_S = 0.05
"""Seconds before a failed call is made again; twice as long each further time."""


class Invocation:
    """The future of a call."""

    def __init__(self, pending: Pending, host: ActorHost, lifecycle: Lifecycle | None = None):
        self._pending, self._host, self._lifecycle = pending, host, lifecycle
        self._decoded: Any = None
        self._decoding = Lock()
        self._asked = False
        """True when somebody has asked for its end."""

    def __del__(self) -> None:
        """Have the failure of a task reported to the notebook when nobody can ask for its end any
        more.
        """
        if self._pending.kind == "task" and not self._asked:
            self._pending.add_done_callback(partial(_unheard, self._host))

    @property
    def target(self) -> RoleInstanceID:
        return self._pending.target

    def done(self) -> bool:
        return self._pending.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result and return it; raises the error of the handler, or of the way to it.

        Raises CallTimeout after `timeout` seconds (None: the testbed's limit).
        """
        limit = self._host.call_timeout if timeout is None else timeout
        self._asked = True
        if not self._pending.ended:
            try:
                self._wait(limit)
            except TimeoutError:
                if not self._pending.done():
                    raise self.late() from None
        return self._outcome()

    async def wait(self, timeout: float | None = None) -> Any:
        """Wait for the result as `result` does, without holding the thread."""
        limit = self._host.call_timeout if timeout is None else timeout
        self._asked = True
        if self._decoded is None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            self._pending.add_done_callback(lambda _: _wake(loop, ended))
            try:
                await asyncio.wait_for(ended.wait(), limit)
            except TimeoutError:
                raise self.late() from None
        return self._outcome()

    def __await__(self) -> Generator[Any, None, Any]:
        return self.wait().__await__()

    def _outcome(self) -> Any:
        with self._decoding:  # the body is taken once, whoever asks first
            if self._decoded is None:
                kind, body = self._pending.result(0)
                self._decoded = (kind, body.decode(own=True))
        kind, value = self._decoded
        if kind == "error":
            raise remote(value)
        return value

    def _wait(self, limit: float) -> Any:
        """Wait for the answer, and show in the executions that this handler waits for it."""
        current = self._host.router.executions.current
        if current is None:
            return self._host.clock.wait(self._pending, limit)
        before, current.waits_for = current.waits_for, self._pending
        try:
            return self._host.clock.wait(self._pending, limit)
        finally:
            current.waits_for = before

    def late(self) -> CallTimeout:
        """Return the error of a call that is not answered in time, with the state that the other
        side reports.
        """
        call = self._pending
        return CallTimeout(
            f"{call.target}.{call.channel} has not answered for"
            f" {self._host.clock.now() - call.sent:.1f} s ({call.host_id}:"
            f" {self._host.router.inquiries.state(call)}); wait longer with timeout="
        )

    def not_made(self) -> bool:
        """Return True when the call has failed before it was sent, as to a lost node."""
        return self._pending.done() and self._pending.exception() is not None

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the error that `result` would raise, or None."""
        try:
            self.result(timeout)
        except CallTimeout:
            raise
        except Exception as error:
            return error
        return None

    def add_done_callback(self, func: Callable[[Any], Any]) -> None:
        """Have ``func(self)`` called on a worker thread when the call has ended, on behalf of the
        role that asks.
        """
        context, lifecycle, self._asked = copy_context(), self._lifecycle, True

        def call_back() -> None:
            try:
                context.run(func, self)
            except Exception as error:  # nobody waits for it: it is reported
                where, channel = (
                    self._pending.source,
                    f"callback of {self._pending.target}.{self._pending.channel}",
                )
                self._host.report(describe(error, where, channel, self._host.label))
            finally:
                if lifecycle is not None:
                    lifecycle.callback_done()

        if lifecycle is not None:
            lifecycle.expect_callback()
        self._pending.add_done_callback(lambda _: self._host.submit(call_back))

    def when_done(self, func: Callable[[], Any]) -> None:
        """Have `func` called at once, on the thread that ends the call; it must not block."""
        self._asked = True
        self._pending.add_done_callback(lambda _: func())

    def cancel(self) -> None:
        """Have the task not begin, or make no more calls; see `TaskInvocation`.

        Nothing happens to one that has ended.
        """
        self._host.router.cancel(self._pending)

    def stop_waiting(self) -> None:
        """Wait no longer; a late answer is dropped."""
        self._pending.cancel()


def _unheard(host: ActorHost, pending: Pending) -> None:
    """Report a failed task that nobody asks for. Called on a link's thread, which must not wait."""
    if pending.exception() is None and pending.result(0)[0] == "error":
        host.submit(lambda: host.report(pending.result(0)[1].decode()))


def _wake(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has closed: nobody waits any more
        loop.call_soon_threadsafe(ended.set)


def messages_for(
    group: list[RoleInstanceID],
    message: Message,
    message_map: Mapping[RoleInstanceID, Message] | None,
    messages: Iterable[Message] | None,
) -> list[Message]:
    """Return the message of each target: from the map, else the next of `messages`,
    else `message`.
    """
    stream = None if messages is None else iter(messages)
    chosen = []
    for target in group:
        if message_map and target in message_map:
            chosen.append(message_map[target])
        elif stream is None:
            chosen.append(message)
        else:
            try:
                chosen.append(next(stream))
            except StopIteration:
                raise ValueError(f"{len(group)} targets, but only {len(chosen)} messages") from None
    return chosen


def collect(
    host: Host,
    group: list[RoleInstanceID],
    invocations: list[Invocation],
    call_again: Callable[[int], Invocation],
    on_result: Callable[[RoleInstanceID, Any], Any] | None,
    on_error: ErrorHandlingStrategy,
    timeout: float | None,
    retries: int,
) -> list[tuple[RoleInstanceID, Any]]:
    """Take results as they arrive, and return them in the order of the group."""
    limit = host.call_timeout if timeout is None else timeout
    deadline = host.clock.now() + limit
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index, invocation in enumerate(invocations):
        invocation.when_done(partial(arrived.put, index))
    results: dict[int, Any] = {}
    tries = dict.fromkeys(range(len(group)), 0)
    again: list[tuple[float, int]] = []
    open_calls = set(tries)
    while open_calls:
        now = host.clock.now()
        while again and again[0][0] <= now:
            _, index = heapq.heappop(again)
            invocations[index] = call_again(index)
            invocations[index].when_done(partial(arrived.put, index))
        wake_at = min(deadline, again[0][0]) if again else deadline
        try:
            index = arrived.get(timeout=max(0.0, wake_at - now))
        except queue.Empty:
            if host.clock.now() < deadline:
                continue
            names = ", ".join(str(group[index]) for index in sorted(open_calls))
            raise CallTimeout(
                f"no answer for {limit:.1f} s from {names}; wait longer with timeout="
            ) from None
        try:
            results[index] = invocations[index].result(0)
        except RoleMLError as error:
            if on_error is ErrorHandlingStrategy.RAISE_FIRST:
                raise
            if on_error is ErrorHandlingStrategy.RETRY:
                if tries[index] >= retries or isinstance(
                    error, (CallerError, ChannelNotFoundError)
                ):
                    raise
                heapq.heappush(again, (host.clock.now() + FIRST_RETRY_S * 2 ** tries[index], index))
                tries[index] += 1
                continue
            if on_error is ErrorHandlingStrategy.KEEP:
                results[index] = error
        if on_result is not None and index in results:
            on_result(group[index], results[index])
        open_calls.discard(index)
    return [(group[index], results[index]) for index in sorted(results)]
