"""Executions: the handlers at work on a host, and the calls that they wait for.

The pattern is cancellation with shields, as trio and anyio have it, for threads: an interrupt is an
asynchronous exception, and runtime code on the handler's thread is shielded from it. The executions
are also the nodes of the wait-for graph, in which deadlocks are found.

Guarantees: an interrupt ends a handler only while user code runs on its thread, between `run` and
its return. One that comes meanwhile is raised as soon as user code goes on, so no message is cut in
two, no lock of the runtime stays held, and the answer of a handler that has just ended is sent. A
handler that is interrupted, forbidden or cancelled makes no more calls. One that does not return is
answered for, and its role is freed.

Tried and rejected: interrupts every 20 ms until a handler has ended. The next one hit the answer of
a handler that the one before had ended, and threads that were sending.

Two other means stay beside interrupts, and do not replace them. The next call of a handler that is
`forbidden` raises; but a handler that computes makes no call. Run generations fence off what has
not begun; but they end nothing that has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from roleml_nb.role import NATIVE, CallCancelled, Deadlock, RoleInstanceID
from roleml_nb.role.forks import Origin

from .envelope import Envelope
from .lock_detection import cpu_clock, cpu_time, threads_waiting_for_locks
from .pending import Pending

__all__ = ["MAX_DEPTH", "Execution", "Executions", "Interrupt", "Working", "run"]

MAX_DEPTH = 1000
"""Depth from which on calls within calls count as endless; each costs a waiting thread, or a part
of one's stack.
"""
MAX_TRAIL = 12

Key = tuple[str, int]
"""The host that a call came from, and the call's number there.

In `Executions.table` the actor stands for its host.
"""


class Interrupt(BaseException):
    """Raised in a handler's thread to end it; passes each ``except Exception`` of the handler."""


class Execution:
    """A call that has arrived and is not answered yet."""

    __slots__ = (
        "abandoned",
        "arrived",
        "called",
        "clock",
        "envelope",
        "interrupt_pending",
        "interruptible",
        "forbidden",
        "held",
        "inline",
        "interrupted",
        "key",
        "started",
        "target",
        "thread",
        "waits_for",
        "within",
    )

    def __init__(self, key: Key, envelope: Envelope, target: RoleInstanceID, arrived: float):
        self.key = key
        self.envelope = envelope
        """The header of the call, or event, with the run generation in which it was made: an
        earlier one than the router's is fenced off.
        """
        self.target = target
        self.arrived = arrived
        self.started = 0.0
        self.thread = 0
        self.clock: int | None = None
        """Clock of the processor time that its thread uses."""
        self.held = False
        """True while it waits for its paused role to become ready."""
        self.waits_for: Pending | Execution | None = None
        self.within: Execution | None = None
        """The execution that made this call, and whose thread it runs on."""
        self.called = False
        """True when its caller waits on this very thread."""
        self.inline = 0
        """Number of calls nested on this stack."""
        self.abandoned = False
        """True when it was answered by the runtime, and its role freed, while its thread cannot be
        stopped.
        """
        self.forbidden: Exception | None = None
        """The error that its next call raises, if it must make no more."""
        self.interruptible = False
        """True while user code runs on the handler's thread; only then may `Interrupt` be raised
        there.
        """
        self.interrupted = False
        """True when an interrupt was, or is about to be, raised."""
        self.interrupt_pending = False
        """True when the interrupt is to be raised as soon as user code goes on."""

    @property
    def source(self) -> RoleInstanceID:
        return self.envelope.source

    @property
    def channel(self) -> str:
        return self.envelope.channel

    @property
    def run_generation(self) -> int:
        return self.envelope.run_generation

    @property
    def name(self) -> str:
        return f"{self.target}.{self.envelope.channel}"

    @property
    def number(self) -> int:
        return self.key[1]

    @property
    def sent(self) -> float:
        return self.arrived

    def runs(self, target: RoleInstanceID) -> bool:
        """Return True when that role is at work on this stack."""
        execution: Execution | None = self
        while execution is not None:
            if execution.target == target:
                return True
            execution = execution.within
        return False

    @property
    def may_be_stuck(self) -> bool:
        """True when its thread may wait for a lock: it has begun, and waits for nothing that is
        known.
        """
        return bool(self.started and self.thread) and self.waits_for is None and not self.held

    def state(self, now: float) -> str:
        """Describe the state for a message: "handler running since 11.8 s"."""
        if not self.started:
            return f"queued since {now - self.arrived:.1f} s, no handler has begun"
        if self.held:
            return f"its role is not ready since {now - self.started:.1f} s"
        call = self.waits_for
        if call is not None:
            return (
                f"handler running since {now - self.started:.1f} s, waits for"
                f" {call.target}.{call.channel} since {now - call.sent:.1f} s"
            )
        return f"handler running since {now - self.started:.1f} s"


def run(execution: Execution | None, handler: Callable[..., Any], *arguments: Any) -> Any:
    """Call a handler, which is interruptible until it returns.

    Nothing before and after is interrupted.
    """
    if execution is None:
        return handler(*arguments)
    if execution.interrupt_pending:
        raise Interrupt
    execution.interruptible = True
    try:
        return handler(*arguments)
    finally:
        execution.interruptible = False
        if execution.interrupted:
            _let_interrupt_in()


def _let_interrupt_in() -> None:
    """Give an interrupt that is on its way to this thread a function call to be raised at: here,
    not later.
    """


class Working(NamedTuple):
    """An execution or a waiting call, as hosts report it; keys join the reports of
    several hosts.
    """

    call: bool
    """True for a call that waits, False for a handler at work."""
    key: Key
    source: str
    role: str
    name: str
    seconds: float
    state: str = ""
    stuck: bool = False
    """True when the handler waits for its role to be ready, or for a lock."""
    cpu: float = 0.0
    """Seconds of processor time that the handler's thread has used."""
    waits: Key | None = None
    """The call that the handler waits for now."""
    by: Key | None = None
    """The handler that made the call."""


class Executions:
    """The executions of one host, and that of the current thread."""

    def __init__(self) -> None:
        self.origin = Origin()
        self.table: dict[Key, Execution] = {}
        self._current: ContextVar[Execution | None] = ContextVar("execution", default=None)
        """Of this host alone: a handler of one testbed may use another one."""

    @property
    def current(self) -> Execution | None:
        """The execution that the current thread, or asyncio task, works for."""
        return self._current.get()

    def begin(self, key: Key, now: float) -> Token:
        """Begin a received call on the current thread; pass the result to `end` on the
        same thread.
        """
        execution = self.table.get(key)
        if execution is not None:
            execution.started = now
            execution.thread = threading.get_ident()
            execution.clock = cpu_clock()
        return self._current.set(execution)

    def busy(self) -> int:
        """Return the number of handlers that are at work and wait for no call."""
        return sum(
            each.thread != 0 and each.waits_for is None for each in list(self.table.values())
        )

    def shield(self) -> Execution | None:
        """Shield runtime code on this thread from interrupts. Pass the result to `unshield`.

        RoleInteractionError in a fork of the process.
        """
        self.origin.check()
        execution = self._current.get()
        if (
            execution is None
            or not execution.interruptible
            or execution.thread != threading.get_ident()
        ):
            # a coroutine, or a callback, runs on another thread than the handler that made it
            return None
        execution.interruptible = False
        return execution

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Shield a block as `shield` and `unshield` do, where a microsecond does not matter."""
        shielded = self.shield()
        try:
            yield
        finally:
            self.unshield(shielded)

    def unshield(self, execution: Execution | None) -> None:
        """Unshield this thread, and raise an interrupt that is pending: user code goes on."""
        if execution is not None:
            execution.interruptible = True
            if execution.interrupt_pending:
                execution.interrupt_pending = False
                raise Interrupt

    def end(self, token: Token) -> None:
        """End the work of the current thread for its execution."""
        execution = self._current.get()
        if execution is not None:
            execution.thread = 0
        self._current.reset(token)

    def begin_inline(self, execution: Execution) -> None:
        """Begin a call on the thread that makes it."""
        within = self._current.get()
        if within is not None:
            execution.within = within
            within.waits_for = execution
            execution.inline = within.inline + 1
        execution.started, execution.thread = execution.arrived, threading.get_ident()
        execution.clock = cpu_clock()
        self.table[execution.target.actor_name, execution.number] = execution
        self._current.set(execution)

    def end_inline(self, execution: Execution) -> None:
        self.ended(execution)
        self._current.set(execution.within)
        if execution.within is not None:
            execution.within.waits_for = None

    def suspend_inline(self, execution: Execution) -> None:
        """End this thread's work for a handler that goes on in the event loop; `ended`
        must follow.
        """
        execution.thread = 0
        self._current.set(execution.within)

    def ended(self, execution: Execution) -> None:
        self.table.pop((execution.target.actor_name, execution.number), None)

    def forbid(self, keys: Collection[Key], error: Exception) -> None:
        """Have the next call of these executions raise `error`: nobody waits for their answers any
        more.
        """
        for execution in list(self.table.values()):
            if execution.key in keys:
                execution.forbidden = error

    def cancel(self, key: Key) -> list[tuple[Execution, Exception]]:
        """Forbid the execution of a call, and those on its stack, to make more calls.

        Returns each with the error that its calls raise.
        """
        executions = list(self.table.values())
        found = []
        for each in executions:
            if each.key == key and each.target.instance_name != NATIVE:
                found.append(each)
        for outer in found:  # grows while it is gone through
            found += [each for each in executions if each.within is outer]
        for each in found:
            if each.forbidden is None:
                each.forbidden = CallCancelled(
                    f"{each.name} was cancelled: {each.source} does not wait for it any more"
                )
        return [(each, each.forbidden) for each in found if each.forbidden is not None]

    def working(self, here: str, now: float, calls: list[Pending]) -> list[Working]:
        """Return all executions, and the calls that wait here."""
        table = list(self.table.values())
        locked = threads_waiting_for_locks({each.thread for each in table if each.may_be_stuck})
        found = []
        for each in table:
            call = each.waits_for
            stuck = call is None and (each.held or each.may_be_stuck and each.thread in locked)
            found.append(
                Working(
                    False,
                    each.key,
                    str(each.source),
                    str(each.target),
                    each.name,
                    now - each.arrived,
                    each.state(now),
                    stuck,
                    cpu_time(each.clock) if each.thread else 0.0,
                    (here, call.number) if call else None,
                )
            )
        for each in table:
            if each.called:
                caller = each.within
                found.append(
                    Working(
                        True,
                        each.key,
                        caller.name if caller else str(each.source),
                        str(each.target),
                        each.name,
                        now - each.arrived,
                        by=caller.key if caller else None,
                    )
                )
        for waiting in calls:
            caller = waiting.by
            found.append(
                Working(
                    True,
                    (here, waiting.number),
                    caller.name if caller else str(waiting.source),
                    str(waiting.target),
                    f"{waiting.target}.{waiting.channel}",
                    now - waiting.sent,
                    by=caller.key if caller else None,
                )
            )
        return found

    def nested(self, target: RoleInstanceID, channel: str) -> tuple[int, tuple[str, ...]]:
        """Return the depth of nesting of a call made now, and the last calls that lead to it.

        Raises Deadlock when the nesting is endless.
        """
        current = self.current
        if current is None:
            return 0, ()
        if current.forbidden is not None:
            # raised by others, too, whose frames it must not keep
            raise current.forbidden.with_traceback(None)
        trail = (*current.envelope.trail, current.name)[-MAX_TRAIL:]
        if current.envelope.depth >= MAX_DEPTH:
            raise Deadlock(
                f"{' → '.join(_cycle([*trail, f'{target}.{channel}']))}: calls within calls,"
                f" {MAX_DEPTH} deep, without end; one of them must answer without calling the next"
            )
        return current.envelope.depth + 1, trail


def _cycle(names: list[str]) -> list[str]:
    """Return the last names, from the previous occurrence of the last one on."""
    last = len(names) - 1
    for index in range(last - 1, -1, -1):
        if names[index] == names[last]:
            return names[index:]
    return names
