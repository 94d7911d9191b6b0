"""The event loop that all ``async def`` handlers of one host share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from typing import Any

from roleml_nb.role.forks import Origin

from .workers import end_fork

__all__ = ["EventLoop"]


class EventLoop:
    """An asyncio loop on a thread of its own, which begins when first needed.

    `run_in_background(function, name)` starts the thread.
    """

    def __init__(self, name: str, origin: Origin, run_in_background: Callable[..., Any]):
        self._name = name
        self._origin = origin
        self._run_in_background = run_in_background
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> Future:
        """Run a coroutine; the future has its result."""
        loop = self._started()
        future: Future = Future()

        def start() -> None:
            task = loop.create_task(_guarded(coroutine, self._origin), context=context)
            task.add_done_callback(lambda task: _settle(task, future))

        loop.call_soon_threadsafe(start)
        return future

    def stop(self) -> None:
        """Stop the loop, if it was needed; handlers that are still in it are cancelled."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                self._run_in_background(lambda: _run_loop(loop), self._name)
            return self._loop


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then cancel handlers that are still in it."""
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()


async def _guarded(coroutine: Coroutine[Any, Any, Any], origin: Origin) -> Any:
    """Await a handler; exceptions that would end the loop, such as SystemExit, end it alone."""
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
    finally:
        end_fork(origin)


def _settle(task: asyncio.Task, future: Future) -> None:
    """Give the outcome of `task` to `future`."""
    if task.cancelled():
        future.set_exception(RuntimeError("the handler was cancelled"))
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())
