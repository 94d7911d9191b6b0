"""Helpers for threads and waits of RoleML programs, beside the host's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from enum import Enum, auto
from typing import Any

from roleml_nb.role import Runnable

__all__ = ["CallAtMostOnceLimiter", "ReturnStrategy", "ThreadManager", "TimerLocal", "at_most_once"]


class ReturnStrategy(Enum):
    """The condition that `ThreadManager.wait_for_threaded_tasks` waits for."""

    FIRST_COMPLETED = auto()
    FIRST_EXCEPTION = auto()
    ALL_COMPLETED = auto()


class ThreadManager:
    """Threads for `Runnable`s, and a pool for functions. No thread keeps the process alive."""

    def __init__(self, max_pooled_workers: int | None = None):
        self._components: dict[str, tuple[threading.Thread, Runnable]] = {}
        self._executor = ThreadPoolExecutor(max_pooled_workers)

    def add_threaded_component(
        self, component: Runnable, *, name: str | None = None, start: bool = True
    ) -> threading.Thread:
        thread = threading.Thread(target=component.run, name=name, daemon=True)
        if thread.name in self._components:
            raise RuntimeError(f"there is a thread named {thread.name!r} already")
        self._components[thread.name] = thread, component
        if start:
            thread.start()
        return thread

    def add_threaded_task(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        callback: Callable[[Future], Any] | None = None,
    ) -> Future:
        future = self._executor.submit(func, *args, **(kwargs or {}))
        if callback is not None:
            future.add_done_callback(callback)
        return future

    @staticmethod
    def wait_for_threaded_tasks(
        futures: Iterable[Future],
        timeout: float | None = None,
        return_strategy: ReturnStrategy = ReturnStrategy.ALL_COMPLETED,
    ) -> Any:
        return wait(futures, timeout, return_strategy.name)

    def start_all_components(self) -> None:
        for name in self._components:
            self.start_component(name)

    def start_component(self, name: str) -> None:
        thread, _ = self._component(name)
        if thread.ident is None:
            thread.start()

    def terminate_all_components(self, timeout: float | None = None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        for name in self._components:
            self.terminate_component(
                name, None if deadline is None else max(0.0, deadline - time.monotonic())
            )

    def terminate_component(self, name: str, timeout: float | None = None) -> None:
        thread, component = self._component(name)
        if thread.is_alive():
            component.stop()
            thread.join(timeout)

    def _component(self, name: str) -> tuple[threading.Thread, Runnable]:
        try:
            return self._components[name]
        except KeyError:
            raise RuntimeError(
                f"there is no component named {name!r}; known: {', '.join(self._components)}"
            ) from None


class CallAtMostOnceLimiter:
    """Calls a function once, with any arguments; later calls return the first result.

    Without `cache`, they return None.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        lock: Any = None,
        cache: bool = True,
    ):
        self.lock = lock or threading.RLock()
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.cache = cache
        self.called = False
        self.result: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            if self.called:
                return self.result
            result = self.func(*(args or self.args), **(kwargs or self.kwargs or {}))
            self.called = True
            if self.cache:
                self.result = result
            return result


def at_most_once(func: Callable[..., Any]) -> CallAtMostOnceLimiter:
    """Decorate a function (not a method) as with `CallAtMostOnceLimiter`."""
    return CallAtMostOnceLimiter(func)


class TimerLocal:
    """A wait that another thread can interrupt."""

    def __init__(self, lock: Any = None):
        self.condition = threading.Condition(lock)
        self._interrupted = self._running = False

    def interrupt(self) -> None:
        """End the present wait, or the next one."""
        with self.condition:
            self._interrupted = True
            self.condition.notify_all()

    def wait(
        self,
        timeout: float | None = None,
        *,
        on_interrupt: Callable[[], Any] = lambda: None,
        on_timeout: Callable[[], Any] = lambda: None,
    ) -> None:
        """Wait `timeout` seconds, then call `on_timeout`; or `on_interrupt` when interrupted."""
        with self.condition:
            if self._running:
                raise RuntimeError("this timer runs already: use one timer for each wait")
            self._running = True
            try:
                self.condition.wait_for(lambda: self._interrupted, timeout)
                interrupted, self._interrupted = self._interrupted, False
                (on_interrupt if interrupted else on_timeout)()
            finally:
                self._running = False
