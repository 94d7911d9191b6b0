"""The worker pool of a host: threads for handlers that no receiving thread runs itself.

The pattern is a thread pool of two classes of work. Immediate work, of services and events, always
finds a thread; queued work, of tasks, runs on a few threads at a time, so that a hundred trainers
do not fight for two cores.

Guarantees: no chain of waits starves the pool. A worker that waits for another role's answer leaves
its place to the next task, and where nothing ends for a while, and no processor time is used, one
more is let in: all architectures of the library end on a pool of one worker. Threads belong to
hosts, not to nodes; idle ones are kept, up to a limit. What runs in a fork of the process ends with
its work.

Tried and rejected:

- A thread woken for each handler that is called. Handlers that are called at the same moment share
  the threads that are awake; one more is on its way as long as some wait.
- The pool for service calls within a host, which took 45 µs instead of 10: the caller's own thread
  makes them (see `actor.inline`).

A place is not added whenever tasks wait, for those that compute would only take turns more often,
but where they wait for each other, which their processor time shows.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from roleml_nb.messaging.executions import Executions
from roleml_nb.messaging.lock_detection import cpu_clock, cpu_time
from roleml_nb.role.forks import Origin
from roleml_nb.role.host import Waitable

__all__ = ["SystemClock", "Workers", "end_fork"]

STALLED_S = 0.05
"""Seconds without progress after which a queued task gets an extra worker, if `QUIET_S` is over,
too.
"""
QUIET_S = 0.15
"""Seconds without processor time after which tasks are taken to wait for each other."""
STARVED_S = 5.0
"""Seconds without progress after which a queued task gets an extra worker though others work."""
MIN_CPU_SHARE = 0.02
"""Share of a processor that tasks use at least while they work, on a busy machine, too."""

MAX_IDLE_THREADS = 64
"""Idle threads that are kept for later."""

logger = logging.getLogger(__name__)
Work = Callable[[], Any]


class Workers:
    """Threads for handlers.

    Immediate work always finds a thread: as long as there is some, one more thread is on its way.
    So the threads that are awake do most of the short work, and work that blocks holds up
    nothing. Queued work (tasks: long, busy) runs on at most `regular` threads at a time, so that
    a hundred trainers do not fight for two cores; a worker that waits for another role's answer
    does not count, and when nothing ends for a while one more is let in, so that no chain of waits
    can starve the pool.
    """

    def __init__(self, name: str, regular: int):
        self._name, self._regular = name, regular
        self._immediate: deque[Work] = deque()
        self._thread_scheduled = False
        """True while a thread is on its way to the immediate work."""
        self._queue: deque[Work] = deque()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._busy = 0
        self._progress_at = self._busy_at = time.monotonic()
        self._measured_at = self._measured_cpu = 0.0
        """Time at which work was last seen to wait, and the processor time that tasks had used by
        then.
        """
        self._lock = threading.Lock()
        self._stopped = False
        self.origin = Origin()
        self._local = threading.local()
        self.receive: Callable[[Waitable, float | None], bool] = lambda future, timeout: False
        """Called as ``receive(future, timeout)``: returns True when the waiting thread has received
        the answer itself, or waited in vain for so long.
        """

    def submit(self, work: Work, queued: bool = False) -> None:
        with self._lock:
            if self._stopped:
                return
            if queued:
                self._queue.append(work)
                self._start_queued()
            else:
                self._immediate.append(work)
                self._schedule_thread()

    @property
    def backlog(self) -> int:
        """Number of immediate works that wait for a thread."""
        return len(self._immediate)

    def _schedule_thread(self) -> None:
        if self._immediate and not self._thread_scheduled:
            self._thread_scheduled = True
            self._start(self._begin_immediate, False)

    def _begin_immediate(self) -> None:
        with self._lock:
            self._thread_scheduled = False
            work = self._next()
        if work is not None:  # else others, who were awake, have done it all
            work()

    def _next(self) -> Work | None:
        work = self._immediate.popleft() if self._immediate else None
        self._schedule_thread()
        return work

    def _start_queued(self) -> None:
        while self._queue and self._busy < self._regular:
            self._busy += 1
            self._start(self._queue.popleft(), True)

    def _start(self, work: Work, queued: bool) -> None:
        if self._idle:
            worker = self._idle.pop()
        else:
            worker = _Worker(self, f"{self._name}-{len(self._all)}")
            self._all.add(worker)
            worker.start()
        worker.assign(work, queued)

    def begin(self, queued: bool) -> None:
        self._local.queued = queued

    def next_work(self, worker: _Worker, queued: bool) -> tuple[Work | None, bool]:
        """Return a worker's next work, so that no other one is woken, and True if it was queued."""
        with self._lock:
            if queued:  # services that end say nothing of the tasks
                self._progress_at = time.monotonic()
                self._busy -= 1
            work = self._next()
            if work is not None:
                self._start_queued()
                return work, False
            if self._queue and self._busy < self._regular:
                self._busy += 1
                return self._queue.popleft(), True
            if self._stopped or len(self._idle) >= MAX_IDLE_THREADS:
                self._all.discard(worker)
                worker.assign(None, False)
            else:
                self._idle.append(worker)
            return None, False

    def wait_for(self, future: Waitable, timeout: float | None) -> Any:
        """Return the future's result; a worker that waits leaves its place to queued work."""
        queued = getattr(self._local, "queued", False)
        if not queued or future.done():
            return self._result(future, timeout)
        with self._lock:
            self._busy -= 1
            self._start_queued()
        try:
            return self._result(future, timeout)
        finally:
            with self._lock:
                self._busy += 1

    def _result(self, future: Waitable, timeout: float | None) -> Any:
        if not future.done() and self.receive(future, timeout):
            timeout = 0
        return future.result(timeout)

    def admit_when_stalled(self) -> None:
        """Admit one more worker when queued work makes no progress. Called regularly."""
        with self._lock:
            if not self._queue:
                self._measured_at = 0.0
                return
            now = time.monotonic()
            used = sum(cpu_time(worker.clock) for worker in self._all if worker.queued)
            if not self._measured_at:  # the queue was empty
                self._progress_at = now
            if (
                not self._measured_at
                or not 0 <= used - self._measured_cpu < (now - self._measured_at) * MIN_CPU_SHARE
            ):
                self._busy_at = now
            self._measured_at, self._measured_cpu = now, used
            waited = now - self._progress_at
            if (waited > STALLED_S and now - self._busy_at > QUIET_S) or waited > STARVED_S:
                self._progress_at = now
                self._busy += 1
                self._start(self._queue.popleft(), True)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._queue.clear()
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.assign(None, False)


class _Worker(threading.Thread):
    def __init__(self, pool: Workers, name: str):
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._work: tuple[Work | None, bool] = (None, False)
        self.queued = False
        """True while it works on a task."""
        self.clock: int | None = None
        """Clock of the processor time that it uses, once it runs."""
        self._assigned = threading.Lock()
        self._assigned.acquire()

    def assign(self, work: Work | None, queued: bool) -> None:
        """Give work to a worker, once each time that it is idle."""
        self._work = (work, queued)
        self._assigned.release()

    def run(self) -> None:
        self.clock = cpu_clock()
        while True:
            self._assigned.acquire()
            work, queued = self._work
            self._work = (None, False)
            if work is None:
                return
            while work is not None:
                self.queued = queued
                self._pool.begin(queued)
                try:
                    work()
                except BaseException:  # nothing that a handler raises may cost the pool its worker
                    if not self._pool.origin.in_fork:
                        logger.exception("a handler's wrapper failed")
                end_fork(self._pool.origin)
                work, queued = self._pool.next_work(self, queued)


def end_fork(origin: Origin) -> None:
    """End this process if a handler has forked it off, and has come back in both: the other one
    answers for it.
    """
    if origin.in_fork:
        logging.shutdown()
        os._exit(0)


class SystemClock:
    """The real time."""

    def __init__(self, workers: Workers):
        self._workers = workers
        self.executions = Executions()
        """Handlers that wait: they are not interrupted meanwhile, for the calls that they wait for
        end with the run.
        """
        self._offset = time.time() - time.perf_counter()

    def now(self) -> float:
        return time.perf_counter() + self._offset

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait(self, future: Waitable, timeout: float | None) -> Any:
        shielded = self.executions.shield()
        try:
            return self._workers.wait_for(future, timeout)
        finally:
            self.executions.unshield(shielded)
