"""An urgent line: what is said on it is heard at once, however many messages lie unread.

It has a thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import zmq

from roleml_nb.role.errors import LinkFailed

__all__ = ["URGENT", "UrgentLine"]

URGENT = b"U"
"""What the greeting of such a connection ends with."""
LOOK_MS = 2000
"""How often its thread looks at whether it is of use yet."""

logger = logging.getLogger(__name__)


class UrgentLine:
    """The end that listens for what one peer says with `DirectTransport.tell`, and can answer.

    A thread that receives a message gives up the interpreter for each of its parts, and where a
    hundred handlers compute, it gets its next turn after a tenth of a second. Here one turn
    suffices.
    """

    def __init__(self, peer: str, socket: zmq.Socket):
        self.peer = peer
        self._socket = socket
        self._socket.rcvtimeo = LOOK_MS
        self._closed = False

    def listen(self, heard: Callable[[UrgentLine, bytes], None]) -> None:
        """Call ``heard(line, data)`` for all that is said, on this thread, until `close` or the end
        of the transport.
        """
        try:
            while not self._closed:
                try:
                    data = self._socket.recv()
                except zmq.Again:
                    continue
                try:
                    heard(self, data)
                except Exception:  # the next word is to be heard all the same
                    logger.exception("what %s said on its urgent line could not be done", self.peer)
        except zmq.ContextTerminated:
            return
        finally:
            self._socket.close(0)

    def answer(self, data: bytes) -> None:
        """Say something to the peer; only from the thread that listens.

        LinkFailed when the connection has ended.
        """
        try:
            self._socket.send(data, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise LinkFailed(f"cannot answer {self.peer}: {error}") from error

    def close(self) -> None:
        """It is of no more use: its thread ends within two seconds."""
        self._closed = True
