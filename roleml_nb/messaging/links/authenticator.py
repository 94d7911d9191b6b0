"""Which public keys CurveZMQ lets in: ZeroMQ asks for each connection (ZAP, ZeroMQ RFC 27) before
anything is read from it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

import zmq
from zmq.auth import Authenticator

__all__ = ["KeyAuthenticator"]

DOMAIN = "roleml_nb"

logger = logging.getLogger(__name__)


class KeyAuthenticator:
    """Answers for all sockets of one context that are made secure with it, without a thread of its
    own.

    Parameters
    ----------
    admits
        Called with a public key (40 bytes, Z85); returns True for a host that may connect.
    refused
        Called with the address of a host that may not connect.
    """

    def __init__(
        self, context: zmq.Context, admits: Callable[[bytes], bool], refused: Callable[[str], None]
    ):
        self._admits, self._refused = admits, refused
        self._asked_by = ""
        self._zap = Authenticator(context, log=logger)
        self._zap.configure_curve_callback(DOMAIN, self)
        self._zap.start()

    def secure(self, router: zmq.Socket) -> None:
        """Have connections to this socket, which is about to be bound, be asked for; nobody comes
        in unasked.
        """
        router.curve_server = True
        router.set(zmq.ZAP_DOMAIN, DOMAIN.encode())
        router.set(zmq.ZAP_ENFORCE_DOMAIN, 1)

    @property
    def bell(self) -> int:
        """The file descriptor that is ready when `answer` is to be called."""
        return self._zap.zap_socket.FD

    def answer(self) -> None:
        """Answer all questions that have come.

        Always on a thread that has the transport's sockets to itself.
        """
        with suppress(zmq.Again):
            while True:
                question = self._zap.zap_socket.recv_multipart(zmq.NOBLOCK)
                self._asked_by = question[3].decode(errors="replace")
                # a coroutine that waits for nothing, so no event loop is needed
                with suppress(StopIteration):
                    self._zap.handle_zap_message(question).send(None)

    def callback(self, domain: str, key: bytes) -> bool:
        """Answer pyzmq's `Authenticator`, which calls this for each key."""
        admitted = self._admits(key)
        if not admitted:
            self._refused(self._asked_by)
        return admitted

    def close(self) -> None:
        """Answer no more: from then on nobody comes in."""
        self._zap.stop()
