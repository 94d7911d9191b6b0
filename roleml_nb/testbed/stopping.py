"""Ending what handlers do, without ending the testbed: first a flag, then an interrupt, then they are left to themselves."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple

from roleml_nb.messaging.executions import Execution, Interrupt
from roleml_nb.role import NATIVE, RunStopped

if TYPE_CHECKING:
    from .host import Host

__all__ = ["Stopped", "stop_work"]

STEP = 0.02
FLAG, INTERRUPT = 0.3, 0.5
"""Seconds that handlers get to notice the flag, and the interrupt."""


class Stopped(NamedTuple):
    """What became of the handlers of one host, by name; of an engine that did not answer and was killed, nothing is known."""

    ended: tuple[str, ...] = ()
    """They saw the flag: their calls were ended, and they make no more."""
    interrupted: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """They do not return from what they called, such as ``time.sleep``. They end when that does; their role is free."""
    killed: tuple[str, ...] = ()
    """Engines."""

    def __str__(self) -> str:
        what = ("ended", "interrupted", "left alone", "killed")
        parts = [f"{word} {_count(names)}" for word, names in zip(what, self, strict=True) if names]
        lost = " (its nodes are lost: respawn() makes them anew on other engines)" if self.killed else ""
        return "run stopped: " + ("; ".join(parts) or "nothing was at work") + lost

    def __repr__(self) -> str:
        return str(self)


def _count(names: tuple[str, ...]) -> str:
    shown = ", ".join(sorted(set(names))[:4])
    return f"{len(names)} ({shown}{', …' if len(set(names)) > 4 else ''})"


def stop_work(host: Host) -> Stopped:
    """Stop all handlers of this host but those of native roles, within a second."""
    seen: dict[int, Execution] = {}
    interrupted: set[int] = set()
    began = host.clock.now()
    quiet = 0
    while host.clock.now() - began < FLAG + INTERRUPT:
        at_work = _at_work(host)
        quiet = 0 if at_work else quiet + 1
        if quiet == 3:  # what was on its way has come
            break
        for execution in at_work:
            seen[id(execution)] = execution
            _flag(host, execution)
            if host.clock.now() - began > FLAG and execution.thread:
                interrupted.add(id(execution))
                _interrupt(execution)
        host.clock.sleep(STEP)
    late = _at_work(host)
    for execution in late:  # some have just begun, for what is no handler and goes on
        seen[id(execution)] = execution
        _flag(host, execution)
        if execution.thread:
            interrupted.add(id(execution))
            _interrupt(execution)
    host.clock.sleep(STEP if late else 0.0)
    left = [execution for execution in _at_work(host) if execution in late]
    for execution in left:
        host.router.abandon(execution)
        lifecycle = host.actors[execution.target.actor_name].find_lifecycle(execution.target.instance_name)
        if lifecycle is not None and execution.started and not execution.held:
            lifecycle.leave()
    names = {key: execution.name for key, execution in seen.items()}
    lost = {id(execution) for execution in left}
    return Stopped(tuple(name for key, name in names.items() if key not in interrupted | lost),
                   tuple(name for key, name in names.items() if key in interrupted - lost),
                   tuple(execution.name for execution in left))


def _at_work(host: Host) -> list[Execution]:
    for actor in list(host.actors.values()):
        actor.subscriptions.forget_events()
    mine = host.router.executions.current
    return [execution for execution in list(host.router.executions.table.values())
            if execution.target.instance_name != NATIVE and execution is not mine]


def _interrupt(execution: Execution) -> None:
    """Its thread raises it as soon as it runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(execution.thread), ctypes.py_object(Interrupt))


def _flag(host: Host, execution: Execution) -> None:
    """It makes no more calls, and waits for none."""
    execution.forbidden = RunStopped(f"{execution.name} was stopped with the run")
    for call in host.router.pending():
        if call.by is execution:
            call.set_exception(execution.forbidden)
