"""Stop, the host's half: end the handlers of one host.

First their next call raises, then they are interrupted, then they are left alone. The notebook's
half, which asks all hosts, is `roleml_nb.testbed.cluster.stop`.

The notebook asks on the control channels that the engines have to it: that takes one turn of the
interpreter. A link's thread reads the request after all that lies unread, and messages over
ipyparallel, those of the relay too, take an engine's main thread ten turns.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from roleml_nb.messaging.executions import Execution, Interrupt
from roleml_nb.messaging.host_messages import pack
from roleml_nb.messaging.links.control_channel import ControlChannel
from roleml_nb.messaging.lock_detection import cpu_time
from roleml_nb.role import NATIVE, LinkFailed, RunStopped

from . import switch_interval

if TYPE_CHECKING:
    from .host import Host

__all__ = ["BOOST_SIGNAL", "POLL_INTERVAL_S", "Stopped", "serve_stops", "stop_work"]

BOOST_SIGNAL = "SIGURG"
"""Signal that has an engine's main thread boost the switch interval; the system ignores it where
nobody handles it.
"""
POLL_INTERVAL_S = 0.02
FLAG_TIMEOUT_S, INTERRUPT_TIMEOUT_S = 0.3, 0.5
"""Seconds that handlers get to raise at their next call; and after an interrupt, since the last one
ended.
"""
REPEAT_INTERRUPT_S = 0.2
"""Seconds until a handler that goes on is interrupted once more; no sooner, since it may be about
to answer.
"""
MAX_STOP_S = 1.6
"""Seconds that handlers get in all, as long as one after the other ends."""

_raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in_thread.argtypes = (ctypes.c_ulong, ctypes.py_object)
NO_THREAD = ctypes.c_ulong(-1).value
"""A number that no thread has. Since Python 3.12 a thread that is about to begin has 0."""
FREEZES_IF_TRACED = sys.version_info < (3, 12)
"""True when threads that a debugger or coverage traces stand still until another thread raises its
interrupt.
"""


class Stopped(NamedTuple):
    """Outcomes of the handlers of one host, by name; of an engine that was killed, nothing is
    known.
    """

    ended: tuple[str, ...] = ()
    """Handlers whose calls were ended, and which have ended."""
    interrupted: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """They do not return from a call of theirs, such as ``time.sleep``.

    They end when that does; their role is free.
    """
    killed: tuple[str, ...] = ()
    """Engines."""

    def __str__(self) -> str:
        what = ("ended", "interrupted", "left alone", "killed")
        parts = [f"{word} {_count(names)}" for word, names in zip(what, self, strict=True) if names]
        lost = (
            " (its nodes are lost: respawn() makes them anew on other engines)"
            if self.killed
            else ""
        )
        return "run stopped: " + ("; ".join(parts) or "nothing was at work") + lost

    def __repr__(self) -> str:
        return str(self)


def _count(names: tuple[str, ...]) -> str:
    shown = ", ".join(sorted(set(names))[:4])
    return f"{len(names)} ({shown}{', …' if len(set(names)) > 4 else ''})"


def stop_work(
    host: Host, run_generation: int, progress: Callable[[], object] = lambda: None
) -> Stopped:
    """Stop all handlers of an earlier run generation, except handlers of native roles.

    Takes a second, and longer as long as one handler after the other ends. `progress` is called
    meanwhile.
    """
    host.router.run_generation = max(run_generation, host.router.run_generation)
    switch_interval.request(host.router, switch_interval.MIN_INTERVAL_S)
    try:
        return _stop_work(host, progress)
    finally:
        switch_interval.request(host.router, None)


def _stop_work(host: Host, progress: Callable[[], object]) -> Stopped:
    seen: dict[int, Execution] = {}
    used: dict[int, float] = {}
    interrupted: dict[int, float] = {}
    began = host.clock.now()
    ended, fewest, quiet = began, -1, 0
    while True:
        at_work, now = _at_work(host), host.clock.now()
        if fewest < 0 or len(at_work) < fewest:
            ended, fewest = now, len(at_work)
        quiet = 0 if at_work else quiet + 1
        # one that is received at this moment was sent before, and may not have seen the number
        if quiet == 2 or now > min(
            began + MAX_STOP_S, max(began + FLAG_TIMEOUT_S, ended) + INTERRUPT_TIMEOUT_S
        ):
            break
        seen.update((id(execution), execution) for execution in at_work)
        _flag(host, at_work)
        if now - began <= FLAG_TIMEOUT_S:
            used = {id(execution): cpu_time(execution.clock) for execution in at_work}
        else:
            for execution in at_work:
                key = id(execution)
                if now - interrupted.get(key, began) <= REPEAT_INTERRUPT_S:
                    continue
                if _is_traced() and cpu_time(execution.clock) == used.get(key):
                    continue
                if _interrupt(execution):
                    interrupted[key] = now
            # each ends in the first turn that it gets, and needs all of it
            switch_interval.request(host.router, None)
        progress()
        host.clock.sleep(POLL_INTERVAL_S)
    left = {id(execution): execution for execution in at_work}
    for execution in at_work:
        _leave_alone(host, execution)
    names = {key: execution.name for key, execution in seen.items() if key not in left}
    return Stopped(
        tuple(name for key, name in names.items() if key not in interrupted),
        tuple(name for key, name in names.items() if key in interrupted),
        tuple(execution.name for execution in left.values()),
    )


def _is_traced() -> bool:
    """Return True if an interrupt for a thread that waits could freeze the process: see
    `FREEZES_IF_TRACED`.

    CPython 3.11 looks for interrupts of any thread where a traced function begins, and does not
    begin it while there is one. So a thread that has used no processor time since the stop is not
    interrupted there: it would hear of it after its wait.
    """
    return FREEZES_IF_TRACED and (sys.gettrace() or threading.gettrace()) is not None


def _at_work(host: Host) -> list[Execution]:
    """Return the handlers that began before the stop, or were called before it and wait for a
    thread.
    """
    for actor in list(host.actors.values()):
        actor.subscriptions.clear_events()
    mine = host.router.executions.current
    return [
        execution
        for execution in list(host.router.executions.table.values())
        if execution.run_generation < host.router.run_generation
        and execution.target.instance_name != NATIVE
        and execution is not mine
    ]


def _flag(host: Host, executions: Iterable[Execution]) -> None:
    """Forbid handlers to make calls, and end those that they wait for."""
    for execution in executions:
        if execution.forbidden is None:
            execution.forbidden = RunStopped(f"{execution.name} was stopped with the run")
    flagged = set(map(id, executions))
    for call in host.router.pending():
        if call.by is not None and id(call.by) in flagged:
            call.set_exception(call.by.forbidden)  # type: ignore[arg-type]


def _interrupt(execution: Execution) -> bool:
    """Interrupt a handler as soon as its own code runs; return False if it has no thread.

    The call itself checks that this code runs now, so that no turn of the interpreter ends
    between.
    """
    execution.interrupted = True
    if not _raise_in_thread(execution.thread if execution.interruptible else NO_THREAD, Interrupt):
        execution.interrupt_pending = True
    return execution.thread != 0


def _leave_alone(host: Host, execution: Execution) -> None:
    host.router.abandon(execution)
    lifecycle = host.actors[execution.target.actor_name].roles.find_lifecycle(
        execution.target.instance_name
    )
    if lifecycle is not None and execution.started and not execution.held:
        lifecycle.exit()


class _Listening(threading.local):
    """The control channel that a thread listens to; it alone may reply there."""

    channel: ControlChannel | None = None


def serve_stops(host: Host, notebook: str) -> None:
    """Have an engine's host stop its work when `RunStopper` asks for it, on whichever way first."""
    lock = threading.Lock()
    listening = _Listening()
    begun = 0

    def inform(name: str, **arguments: Any) -> None:
        if listening.channel is not None:
            try:
                listening.channel.reply(pack(name, **arguments))
                return
            except LinkFailed as error:
                host.logger.info("%s; it is told over its link", error)
        host.inform_notebook(name, **arguments)

    def show_life() -> None:
        inform("pulse", rows=host.long_waits())

    def stop(run_generation: int) -> None:
        nonlocal begun
        with lock:
            if run_generation <= begun:
                return
            begun = run_generation
        switch_interval.request(host.router, switch_interval.MIN_INTERVAL_S)
        show_life()
        stopped = stop_work(host, run_generation, show_life)
        inform("stopped", run_generation=run_generation, stopped=stopped)

    def receive(peer: str, run_generation: int) -> None:
        # at once, on the thread that has received it
        host.router.run_generation = max(run_generation, host.router.run_generation)
        if listening.channel is not None:
            stop(run_generation)
        elif run_generation > begun:
            host.run_in_background(lambda: stop(run_generation), "stop")

    def handle_control(channel: ControlChannel, data: bytes) -> None:
        listening.channel = channel
        host.router.host_messages.receive_packed(notebook, data)

    host.control_handlers[notebook] = handle_control
    host.router.host_messages.serve("stop", receive)
