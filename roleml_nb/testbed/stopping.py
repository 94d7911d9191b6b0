"""Ending what handlers do, without ending the testbed: first a flag, then an interrupt, then they are left to themselves.

The notebook asks over the links, which hear of it as soon as their thread gets one turn; what ipyparallel brings is heard by
an engine's main thread after ten turns and more, which is too late where many handlers are busy.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from roleml_nb.messaging.executions import Execution, Interrupt
from roleml_nb.role import NATIVE, LinkFailed, RunStopped

from . import turns

if TYPE_CHECKING:
    from .fleet import Fleet
    from .host import Host

__all__ = ["Stopped", "Stops", "serve_stops", "stop_work"]

STEP = 0.02
FLAG, INTERRUPT = 0.3, 0.5
"""Seconds that handlers get to notice the flag; and the interrupt, since the last one ended."""
AGAIN = 0.2
"""Seconds until one that goes on is interrupted once more; no sooner, for it may be about to answer."""
LONGEST = 1.6
"""Seconds that handlers get in all, as long as one after the other ends."""
ANSWER = 1.5
"""Seconds that an engine gets to say that its handlers are stopped, or are being stopped."""
TURN = 0.05
"""Seconds more for each handler that is at work there: its thread that hears of the stop must wait for its turn."""
LATEST = 6.0
"""Seconds that an engine gets in all; one that lives is left to end its handlers by itself then."""

_raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in_thread.argtypes = (ctypes.c_ulong, ctypes.py_object)


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


def stop_work(host: Host, stops: int, progress: Callable[[], object] = lambda: None) -> Stopped:
    """Stop all handlers of this host that began before the run was stopped so often, but those of native roles.

    Takes a second, or longer as long as one after the other ends. `progress` is called meanwhile.
    """
    host.router.stops = max(stops, host.router.stops)
    turns.wish(host.router, turns.SHORT)
    try:
        return _stop_work(host, progress)
    finally:
        turns.wish(host.router, None)


def _stop_work(host: Host, progress: Callable[[], object]) -> Stopped:
    seen: dict[int, Execution] = {}
    interrupted: dict[int, float] = {}
    began = host.clock.now()
    ended, fewest, quiet = began, -1, 0
    while True:
        at_work, now = _at_work(host), host.clock.now()
        if fewest < 0 or len(at_work) < fewest:
            ended, fewest = now, len(at_work)
        quiet = 0 if at_work else quiet + 1
        # one that is received at this moment was sent before, and may not have seen the number
        if quiet == 2 or now > min(began + LONGEST, max(began + FLAG, ended) + INTERRUPT):
            break
        seen.update((id(execution), execution) for execution in at_work)
        _flag(host, at_work)
        if now - began > FLAG:
            late = [execution for execution in at_work if now - interrupted.get(id(execution), began) > AGAIN]
            interrupted.update((id(execution), now) for execution in late if _interrupt(execution))
            turns.wish(host.router, None)  # each ends in the first turn that it gets, and needs all of it
        progress()
        host.clock.sleep(STEP)
    left = {id(execution): execution for execution in at_work}
    for execution in at_work:
        _leave_alone(host, execution)
    names = {key: execution.name for key, execution in seen.items() if key not in left}
    return Stopped(tuple(name for key, name in names.items() if key not in interrupted),
                   tuple(name for key, name in names.items() if key in interrupted),
                   tuple(execution.name for execution in left.values()))


def _at_work(host: Host) -> list[Execution]:
    """Who began before the stop, or was called before and waits for a thread."""
    for actor in list(host.actors.values()):
        actor.subscriptions.forget_events()
    mine = host.router.executions.current
    return [execution for execution in list(host.router.executions.table.values())
            if execution.stops < host.router.stops and execution.target.instance_name != NATIVE and execution is not mine]


def _flag(host: Host, executions: Iterable[Execution]) -> None:
    """They make no more calls, and wait for none."""
    for execution in executions:
        if execution.forbidden is None:
            execution.forbidden = RunStopped(f"{execution.name} was stopped with the run")
    flagged = set(map(id, executions))
    for call in host.router.pending():
        if call.by is not None and id(call.by) in flagged:
            call.set_exception(call.by.forbidden)  # type: ignore[arg-type]


def _interrupt(execution: Execution) -> bool:
    """Its thread raises it as soon as it runs Python code; False if it has none, or must not be interrupted now.

    Whether it must not is looked up in the call itself, so that no turn of the interpreter ends between.
    """
    return _raise_in_thread(execution.thread, Interrupt) > 0


def _leave_alone(host: Host, execution: Execution) -> None:
    host.router.abandon(execution)
    lifecycle = host.actors[execution.target.actor_name].find_lifecycle(execution.target.instance_name)
    if lifecycle is not None and execution.started and not execution.held:
        lifecycle.leave()


def serve_stops(host: Host, notebook: str) -> None:
    """Have an engine's host do what `Stops` asks for."""
    def stop(peer: str, stops: int) -> None:
        host.router.stops = stops  # at once, on the thread that has heard it
        turns.wish(host.router, turns.SHORT)
        tell("stopping", None)
        host.run_in_background(lambda: work(stops), "stop")  # the pool may have a hundred threads to start before

    def work(stops: int) -> None:
        tell("stopped", (stops, stop_work(host, stops, lambda: tell("stopping", None))))

    def tell(channel: str, value: object) -> None:
        try:
            host.router.control(notebook, channel, value)
        except LinkFailed as error:
            host.logger.info("the notebook was not told of %s: %s", channel, error)

    host.router.controls["stop"] = stop


class Stops:
    """The notebook's side: has all hosts stop their work, and kills engines that do not even answer."""

    def __init__(self, fleet: Fleet):
        self._fleet = fleet
        self._one_at_a_time = threading.Lock()
        self._news = threading.Condition()
        self._signs: dict[str, float] = {}
        self._answers: dict[str, Stopped] = {}
        fleet.home.router.controls["stopping"] = lambda peer, _: self._alive(peer)
        fleet.home.router.controls["stopped"] = lambda peer, told: self._told(peer, *told)

    def stop(self) -> Stopped:
        """See `Testbed.stop_run`."""
        with self._one_at_a_time:
            home, hosts = self._fleet.home, self._fleet.alive
            stops, began = home.router.stops + 1, home.clock.now()
            self._signs, self._answers = dict.fromkeys(hosts, began), {}
            home.router.stops = stops
            for host_id in hosts:
                try:
                    home.router.control(host_id, "stop", stops)
                except LinkFailed as error:
                    home.logger.info("%s is not asked to stop: %s", host_id, error)
            found = [stop_work(home, stops), *(self._answer(host_id, began) for host_id in hosts)]
            return Stopped(*(sum(parts, ()) for parts in zip(*found, strict=True)))

    def _answer(self, host_id: str, began: float) -> Stopped:
        """What one engine answers; it is killed when it does not. One that gives signs of life is given more time."""
        fleet, now = self._fleet, self._fleet.home.clock.now
        patience = ANSWER + TURN * fleet.handlers(host_id)
        with self._news:
            while host_id not in self._answers and host_id not in fleet.lost:
                if now() > began + LATEST:
                    return Stopped(left=(f"handlers on {host_id}",))
                if now() > max(self._signs[host_id], fleet.heard(host_id)) + patience:
                    fleet.kill(host_id)
                    return Stopped(killed=(host_id,))
                self._news.wait(STEP)  # that it is lost, or silent, is no news
        return self._answers.get(host_id, Stopped())

    def _alive(self, host_id: str) -> None:
        with self._news:
            self._signs[host_id] = self._fleet.home.clock.now()

    def _told(self, host_id: str, stops: int, stopped: Stopped) -> None:
        with self._news:
            if stops == self._fleet.home.router.stops:
                self._answers[host_id] = stopped
                self._news.notify_all()
