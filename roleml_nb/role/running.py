"""The role that the current thread works for, and waits that leave its worker to others."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Role

__all__ = ["DEFAULT_WAIT_TIMEOUT_S", "running", "running_role", "wait", "wait_async"]

DEFAULT_WAIT_TIMEOUT_S = 600.0
"""Timeout of `wait` outside of roles, where no testbed's limit is known."""

_running: ContextVar[Role | None] = ContextVar("running role", default=None)


class running:  # noqa: N801 - in a third of the time of a generator made a context manager
    """Context manager in which the actor runs code for `role`; tasks of asyncio inherit it."""

    __slots__ = ("_role", "_token")

    def __init__(self, role: Role):
        self._role = role

    def __enter__(self) -> None:
        self._token = _running.set(self._role)

    def __exit__(self, *_: object) -> None:
        _running.reset(self._token)


def running_role() -> Role | None:
    """Return the role whose handler runs here; None outside of handlers, as in a cell."""
    return _running.get()


def wait(future: Future, timeout: float | None = None) -> Any:
    """Return the future's result; in a handler, the worker serves other tasks meanwhile.

    TimeoutError after `timeout` seconds (None: the testbed's limit for calls).
    """
    role = running_role()
    timeout_s = _timeout_s(timeout)
    return (
        future.result(timeout_s) if role is None else role.base.host.clock.wait(future, timeout_s)
    )


async def wait_async(future: Future, timeout: float | None = None) -> Any:
    """Return the future's result in an ``async def`` handler: others go on meanwhile."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    future.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(done.set))
    await asyncio.wait_for(done.wait(), _timeout_s(timeout))
    return future.result(0)


def _timeout_s(timeout: float | None) -> float:
    if timeout is not None:
        return timeout
    role = running_role()
    return DEFAULT_WAIT_TIMEOUT_S if role is None else role.base.host.call_timeout
