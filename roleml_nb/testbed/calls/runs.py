"""Runs: calls that are under way while the notebook goes on."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import Any

from roleml_nb.actor import Invocation
from roleml_nb.role import CallTimeout, RoleInstanceID, RunStopped, TestbedError, standard_name
from roleml_nb.role.host import Host
from roleml_nb.testbed.cluster.fleet import Fleet

from .calls import Calls, is_pattern
from .progress import Progress

__all__ = ["LiveRun", "Runs", "begin_run"]

MAX_RUNS = 20
"""Runs that are kept once they have ended; older ones are forgotten, with their results."""


class LiveRun:
    """A call to one role, or to many at the same time, with its progress.

    ``result(timeout=…)`` waits for it and returns or raises as `Testbed.call` does; `done` asks;
    `progress` counts rounds.
    """

    def __init__(
        self,
        number: int,
        name: str,
        many: bool,
        invocations: list[Invocation],
        gather: Callable[[list[Invocation]], Any],
        progress: Progress,
        host: Host,
        last_drain: Callable[[], None],
    ):
        self.number, self.name, self.progress = number, name, progress
        self.many = many
        """True when its result is {node: result}."""
        self.error: Exception | None = None
        """The error that it failed with."""
        self.reported = False
        """True when somebody has seen its result or error."""
        self.value: Any = None
        """Its result, once it has ended without an error."""
        self._host, self._gather, self._invocations = host, gather, invocations
        self._ended, self._last_drain = threading.Event(), last_drain
        self._left = len(invocations)
        self._lock = threading.Lock()
        self._when_ended: list[Callable[[], None]] = []
        for invocation in invocations:
            invocation.when_done(self._one_is_done)

    def _one_is_done(self) -> None:
        """Count one more call that is done; runs on a link's thread, which must not wait."""
        with self._lock:
            self._left -= 1
            left = self._left
        if not left:
            self._host.submit(self._settle)

    def _settle(self) -> None:
        state = "done"
        try:
            self.value = self._gather(self._invocations)
        except Exception as error:  # whatever the handler raised is for who asks for the result
            self.error = error
            state = "stopped" if isinstance(error, RunStopped) else "failed"
        self._invocations = []
        self.progress.end(state, self._last_drain)
        with self._lock:
            self._ended.set()
        for callback in self._when_ended:
            callback()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call `callback` once it has ended, on whichever thread; it must not wait."""
        with self._lock:
            if not self._ended.is_set():
                self._when_ended.append(callback)
                return
        callback()

    def done(self) -> bool:
        """Return True if it has ended, in whichever way."""
        return self._ended.is_set()

    @property
    def state(self) -> str:
        """running, done, failed or stopped."""
        return self.progress.state if self.done() else "running"

    @property
    def limit(self) -> float:
        """Seconds that `result` waits unless told otherwise."""
        return self._host.call_timeout

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, or for `timeout` seconds; return True if it has ended."""
        return self._ended.wait(timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result; raises the handler's error, or CallTimeout after `timeout` seconds.

        Without `timeout`, the limit is the testbed's. The run itself goes on after a timeout.
        """
        if not self.wait(self.limit if timeout is None else timeout):
            pending = [invocation for invocation in self._invocations if not invocation.done()]
            late = pending[0].late() if pending else ""
            raise CallTimeout(
                f"run {self.number} ({self.name}) has not ended after {self.progress.seconds:.1f} s"
                f" and goes on: {self.progress}; {late}"
            )
        self.reported = True
        if self.error is not None:
            raise self.error
        return self.value

    def forget(self) -> None:
        """Wait no longer: late answers are dropped, and the run counts as stopped."""
        for invocation in list(self._invocations):
            invocation.stop_waiting()

    def __str__(self) -> str:
        return f"run {self.number}: {self.name}, {self.state}, {self.progress.rounds}"

    def __repr__(self) -> str:
        return f"<{self}>"


def begin_run(
    runs: Runs,
    calls: Calls,
    fleet: Fleet,
    target: str | RoleInstanceID,
    channel: str,
    args: Mapping[str, Any],
    payloads: Mapping[str, Any] | None,
) -> LiveRun:
    """See `Testbed.run`."""
    home = fleet.home
    began, total = home.clock.now(), args.get("num_rounds")
    invocations = calls.begin(target, channel, args, payloads)
    progress = Progress(
        map(attrgetter("target"), invocations),
        total if isinstance(total, int) else None,
        began,
        fleet.drain_metrics,
        home.clock.now,
    )
    fleet.trace.watch(progress.add_metrics)
    run = LiveRun(
        runs.next_number(),
        f"{target}.{standard_name(channel)}",
        is_pattern(target),
        invocations,
        partial(calls.gather, target, channel),
        progress,
        home,
        fleet.flush_hosts,
    )
    runs.add(run)
    return run


class Runs:
    """The runs of a testbed, those under way and the last ones that have ended; ``runs[2]`` is the
    one of that number.
    """

    def __init__(self) -> None:
        self._runs: dict[int, LiveRun] = {}
        self._last = 0
        self.latest: LiveRun | None = None
        """The one that was begun last, also when it is forgotten."""
        self._watchers: list[weakref.WeakMethod] = []

    def next_number(self) -> int:
        self._last += 1
        return self._last

    def add(self, run: LiveRun) -> None:
        ended = [number for number, other in self._runs.items() if other.done()]
        for number in ended[: max(0, len(ended) - MAX_RUNS + 1)]:
            del self._runs[number]
        self._runs[run.number] = self.latest = run
        run.when_ended(self._report_end)

    def when_ended(self, watcher: Callable[[], None]) -> None:
        """Call a method whenever a run has ended, for as long as its object lives; it must not
        wait.
        """
        self._watchers = [known for known in self._watchers if known() is not None]
        self._watchers.append(weakref.WeakMethod(watcher))

    def _report_end(self) -> None:
        for watcher in self._watchers:
            if (method := watcher()) is not None:
                method()

    def discard(self, run: LiveRun) -> None:
        """Forget a run that has ended; if it was the last one, the next one gets its number."""
        if run.done():
            self._runs.pop(run.number, None)
            self._last -= run.number == self._last

    def __getitem__(self, number: int) -> LiveRun:
        try:
            return self._runs[number]
        except KeyError:
            known = ", ".join(map(str, self._runs)) or "none"
            raise TestbedError(f"no run {number}; there are: {known}") from None

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(list(self._runs.values()))

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def last(self) -> LiveRun:
        """The one that was begun last; TestbedError when there is none."""
        if not self._runs:
            raise TestbedError(
                "there are no runs; begin one with bed.run(…) or %rml call … --background"
            )
        return self._runs[max(self._runs)]

    def first_under_way(self) -> int | None:
        """Return the number of the first run that has not ended."""
        for run in self:
            if not run.done():
                return run.number
        return None

    @property
    def under_way(self) -> list[LiveRun]:
        """Those that have not ended."""
        return [run for run in self if not run.done()]

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no runs"

    def __repr__(self) -> str:
        return str(self)
