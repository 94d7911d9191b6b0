"""The control channel: a second connection, read at once however many messages lie unread.

It has a thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import zmq

from roleml_nb.role.errors import LinkFailed

__all__ = ["CONTROL", "ControlChannel"]

CONTROL = b"U"
"""Ends the greeting of a connection that is to be a control channel."""
POLL_INTERVAL_MS = 2000
"""Seconds between two checks for its end, by the thread that listens."""

logger = logging.getLogger(__name__)


class ControlChannel:
    """The receiving end of one peer's `DirectTransport.send_control`; it can reply.

    A thread that receives a message gives up the interpreter for each of its parts, and where a
    hundred handlers compute, it gets its next turn after a tenth of a second. Here one turn
    suffices.
    """

    def __init__(self, peer: str, socket: zmq.Socket):
        self.peer = peer
        self._socket = socket
        self._socket.rcvtimeo = POLL_INTERVAL_MS
        self._closed = False

    def listen(self, handler: Callable[[ControlChannel, bytes], None]) -> None:
        """Call ``handler(channel, data)`` for each message, on this thread, until `close`."""
        try:
            while not self._closed:
                try:
                    data = self._socket.recv()
                except zmq.Again:
                    continue
                try:
                    handler(self, data)
                except Exception:  # the next message must be handled all the same
                    logger.exception(
                        "a message of %s on its control channel could not be handled", self.peer
                    )
        except zmq.ContextTerminated:
            return
        finally:
            self._socket.close(0)

    def reply(self, data: bytes) -> None:
        """Send something to the peer; only from the thread that listens.

        LinkFailed when the connection has ended.
        """
        try:
            self._socket.send(data, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise LinkFailed(f"cannot answer {self.peer}: {error}") from error

    def close(self) -> None:
        """End the listening thread, within two seconds."""
        self._closed = True
