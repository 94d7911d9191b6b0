"""Messages from host to host, by name, with named arguments. `HOST_MESSAGES` declares who may send
which; some are answered.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from roleml_nb.role import LinkFailed, RoleInstanceID, RoleMLError, TestbedError

from .envelope import Envelope
from .pending import Pending
from .permissions import HOST_MESSAGES, host_refusal

if TYPE_CHECKING:
    from .router import Router

__all__ = ["HostMessages", "pack"]


def pack(name: str, /, **arguments: Any) -> bytes:
    """Return a message as one text of bytes, for a control channel."""
    return name.encode() + b" " + pickle.dumps((0, arguments), 5)


class HostMessages:
    """Sends the messages of one host to others, and handles theirs."""

    def __init__(self, router: Router):
        self._router = router
        self._handlers: dict[str, tuple[Callable[..., Any], bool]] = {}
        self._asked: dict[int, Pending] = {}
        self._numbers = itertools.count(1)
        self.serve("answer", self._on_answer)

    def serve(self, name: str, handler: Callable[..., Any], *, in_background: bool = False) -> None:
        """Have ``handler(peer, **arguments)`` handle messages: at once, on the link's thread, which
        must not wait, or `in_background`.

        ValueError for a name of which it is not declared who may send it.
        """
        if name not in HOST_MESSAGES:
            raise ValueError(f"{name!r} is served, and HOST_MESSAGES does not say who may send it")
        self._handlers[name] = handler, in_background

    def send(self, host_id: str, name: str, /, **arguments: Any) -> None:
        """Send a message; LinkFailed when there is no link."""
        self._router.send_to_host(host_id, name, (0, arguments))

    def ask(self, host_id: str, name: str, /, **arguments: Any) -> Pending:
        """Send a message whose handler's result, or error, is the answer. LinkFailed as `send`."""
        here = RoleInstanceID(self._router.host.host_id, "")
        envelope = Envelope("host", here, (), name, self._router.host.clock.now())
        asked = Pending(
            envelope, RoleInstanceID(host_id, ""), host_id, next(self._numbers), self._asked
        )
        try:
            self._router.send_to_host(host_id, name, (asked.number, arguments))
        except BaseException:
            asked.cancel()
            raise
        return asked

    def end(self, host_id: str, error: Exception | None) -> None:
        """End all that a host was asked and has not answered: with an error, or with None."""
        for asked in list(self._asked.values()):
            if asked.host_id == host_id:
                asked.set_result(None) if error is None else asked.set_exception(error)

    def receive_packed(self, peer: str, data: bytes) -> None:
        """Handle a message that came on a control channel."""
        name, _, pickled = data.partition(b" ")
        self.receive(peer, name.decode(errors="replace"), lambda: pickle.loads(pickled))

    def receive(self, peer: str, name: str, decode: Callable[[], Any]) -> None:
        """Handle a message, unless that host may not send it; then it is not even decoded."""
        host = self._router.host
        reason = host_refusal(name, peer, host.host_id)
        if reason:
            host.logger.warning("%s: dropped", reason)
        elif name in self._handlers:
            handler, in_background = self._handlers[name]
            try:
                number, arguments = decode()
                work = partial(handler, peer, **arguments)
                if number:
                    work = partial(self._answer, peer, number, work)
                if in_background:
                    host.run_in_background(work, name)
                else:
                    work()
            except Exception:  # one bad message must not cut off those that came with it
                host.logger.exception("%r from %s could not be done", name, peer)

    def _answer(self, peer: str, number: int, work: Callable[[], Any]) -> None:
        try:
            answer = {"succeeded": True, "value": work()}
        except RoleMLError as error:
            answer = {"succeeded": False, "value": error}
        except Exception as error:  # its class may not be known over there
            text = f"{type(error).__name__}: {error}"
            answer = {"succeeded": False, "value": TestbedError(text)}
        with suppress(LinkFailed):  # one of both hosts has ended, and the other will learn of it
            self.send(peer, "answer", number=number, **answer)

    def _on_answer(self, peer: str, number: int, succeeded: bool, value: Any) -> None:
        asked = self._asked.get(number)
        if asked is not None and asked.host_id == peer:
            (asked.set_result if succeeded else asked.set_exception)(value)
