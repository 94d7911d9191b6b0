"""The direct link: how a host sends to one other host over ZeroMQ. The other end is that host's `transport`."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import zmq

from ..role.errors import LinkFailed

__all__ = ["FAILURES", "WELCOME", "DirectLink", "close_watched", "read_event", "wait_for_welcome"]

WELCOME = b"W"
LINGER_MS = 300
FAILURES: dict[int, str] = {
    zmq.EVENT_CLOSED: "connection refused",
    zmq.EVENT_DISCONNECTED: "the other side closed the connection",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the handshake failed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the handshake failed (not our kind of socket)",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the handshake failed (key refused)",
}


class DirectLink:
    """A way to send to one peer; from any thread, in the order of the calls of each."""

    kind = "direct"

    def __init__(self, peer: str, url: str, dealer: zmq.Socket, monitor: zmq.Socket) -> None:
        self.peer = peer
        self.url = url
        self._dealer = dealer
        self._monitor = monitor
        self._lock = threading.Lock()
        self._closed: str | None = None

    def send(self, frames: Sequence[Any]) -> None:
        """Queue the frames for sending. Large ones are not copied: nobody may write to them any more.

        Raises
        ------
        LinkFailed
            The link is closed, by `close` or because the connection was lost.
        """
        with self._lock:
            if self._closed is not None:
                raise LinkFailed(f"cannot send to host {self.peer!r} at {self.url}: {self._closed}")
            try:
                if len(frames) == 1:
                    self._dealer.send(frames[0], zmq.NOBLOCK)
                else:
                    self._dealer.send_multipart(frames, zmq.NOBLOCK, copy=False)
            except zmq.ZMQError as error:
                raise LinkFailed(f"cannot send to host {self.peer!r} at {self.url}: {error}") from error

    def close(self) -> None:
        """Close the link; what was sent before is still delivered where that takes no longer than 0.3 s."""
        self.end("the link was closed", LINGER_MS)

    def end(self, reason: str, linger: int = 0) -> bool:
        """Close it for that reason; False if it was closed already."""
        with self._lock:
            if self._closed is not None:
                return False
            self._closed = reason
            close_watched(self._dealer, linger)
            return True


def wait_for_welcome(dealer: zmq.Socket, monitor: zmq.Socket, timeout: float) -> None:
    poller = zmq.Poller()
    poller.register(dealer, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    ready = dict(poller.poll(max(1, int(timeout * 1000))))
    if dealer in ready:
        if dealer.recv_multipart() != [WELCOME]:
            raise LinkFailed("what answered does not speak our protocol")
    elif monitor in ready:
        raise LinkFailed(FAILURES.get(read_event(monitor), "the connection ended"))
    else:
        raise LinkFailed(f"no welcome within {timeout:.1f} s; either it is not reached, or it did not admit us with this token")


def close_watched(socket: zmq.Socket, linger: int = 0) -> None:
    """Close a socket that has a monitor: without this, ZeroMQ waits for ever to tell a monitor that nobody reads of its end."""
    with suppress(zmq.ContextTerminated):
        socket.disable_monitor()
    socket.close(linger)


def read_event(monitor: zmq.Socket, flags: int = 0) -> int:
    return struct.unpack("=hi", monitor.recv_multipart(flags)[0])[0]
