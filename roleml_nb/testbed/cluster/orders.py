"""Orders: functions that the notebook has an engine run over its link, when ipyparallel has given
the engine up though it lives.

The engine's half is `roleml_nb.host.orders`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from roleml_nb.role import LinkFailed, TestbedError

if TYPE_CHECKING:
    from roleml_nb.host.host import Host

__all__ = ["Order", "Orders"]


class Order:
    """The result of an order, with the methods of ipyparallel's results."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()

    def get(self, timeout: float | None = None) -> Any:
        """Return the result, or raise the error from there; TimeoutError when there is none yet."""
        return self.future.result(timeout)


class Orders:
    """Sends orders to engines, and keeps those that wait for an answer."""

    def __init__(self, home: Host):
        self._home = home
        self._numbers = itertools.count(1)
        self._pending: dict[tuple[str, int], Order] = {}
        home.router.host_handlers["ordered"] = self._on_reply

    def send(self, host_id: str, function: Callable[..., Any], *args: Any) -> Order:
        """Have an engine run ``function(*args)``; LinkFailed when there is no direct link to it."""
        if self._home.router.session(host_id).kind != "direct":
            raise LinkFailed("ipyparallel has given it up, and there is no direct link to it")
        number, order = next(self._numbers), Order()
        self._pending[host_id, number] = order
        try:
            self._home.router.send_to_host(host_id, "order", (number, function, args))
        except BaseException:
            del self._pending[host_id, number]
            raise
        return order

    def fail(self, host_id: str, reason: str, *, stopped: bool = False) -> None:
        """End all that wait for an engine; with None when it was `stopped`, which is the last that
        it was told.
        """
        for key in list(self._pending):
            if key[0] != host_id:
                continue
            future = self._pending.pop(key).future
            if stopped:
                future.set_result(None)
            else:
                future.set_exception(TestbedError(f"{host_id} is lost: {reason}"))

    def _on_reply(self, host_id: str, answer: tuple[int, bool, Any]) -> None:
        number, succeeded, value = answer
        order = self._pending.pop((host_id, number), None)
        if order is not None:
            (order.future.set_result if succeeded else order.future.set_exception)(value)
