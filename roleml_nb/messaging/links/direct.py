"""The direct link: the sending end towards one other host, over ZeroMQ.

The other end is that host's `transport`.
"""

from __future__ import annotations

import itertools
import pickle
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import zmq

from roleml_nb.messaging.serialization.shared_memory import Region
from roleml_nb.role.errors import LinkFailed

__all__ = [
    "FAILURES",
    "SHARED",
    "WELCOME",
    "YES",
    "DirectLink",
    "close_watched",
    "read_event",
    "wait_for_welcome",
    "with_shared",
]

WELCOME, YES = b"W", b"Y"
SHARED = b"M"
"""Begins a first frame that says where other frames lie."""
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

    def __init__(
        self, peer: str, url: str, dealer: zmq.Socket, monitor: zmq.Socket, shares: bool
    ) -> None:
        self.peer = peer
        self.url = url
        self.shares = shares
        self._dealer = dealer
        self._monitor = monitor
        self._lock = threading.Lock()
        self._closed: str | None = None

    def send(self, frames: Sequence[Any]) -> None:
        """Send frames: hand them to the socket's queue.

        Large ones are not copied: nobody may write to them any more.

        Raises
        ------
        LinkFailed
            The link is closed, by `close` or because the connection was lost.
        """
        if self.shares:
            frames = _without_shared(frames)
        with self._lock:
            if self._closed is not None:
                raise LinkFailed(f"cannot send to host {self.peer!r} at {self.url}: {self._closed}")
            try:
                if len(frames) == 1:
                    self._dealer.send(frames[0], zmq.NOBLOCK)
                else:
                    self._dealer.send_multipart(frames, zmq.NOBLOCK, copy=False)
            except zmq.ZMQError as error:
                raise LinkFailed(
                    f"cannot send to host {self.peer!r} at {self.url}: {error}"
                ) from error

    def close(self) -> None:
        """Close the link; messages sent before are still delivered, for up to 0.3 s."""
        self.end("the link was closed", LINGER_MS)

    def end(self, reason: str, linger: int = 0) -> bool:
        """Close the link for a reason; return False if it was closed already."""
        with self._lock:
            if self._closed is not None:
                return False
            self._closed = reason
            close_watched(self._dealer, linger)
            return True


def _without_shared(frames: Sequence[Any]) -> Sequence[Any]:
    """Empty the frames that lie in shared memory, and have the first frame say where they are."""
    shared: dict[Region, list[int]] = {}
    for index, frame in enumerate(frames):
        region = Region.of(frame)
        if region is not None:
            shared.setdefault(region, []).append(index)
    if not shared:
        return frames
    rest = list(frames)
    for index in itertools.chain.from_iterable(shared.values()):
        rest[index] = b""
    return [
        SHARED + pickle.dumps([(region.place, indexes) for region, indexes in shared.items()], 5),
        *rest,
    ]


def with_shared(frames: list[Any]) -> tuple[list[Any], list[Region]]:
    """Return the frames as they were sent, and the regions that some are mapped from.

    Raises OSError if one cannot be opened.
    """
    where, *rest = frames
    regions = []
    for place, indexes in pickle.loads(where[len(SHARED) :]):
        region = Region.at(place)
        for index, buffer in zip(indexes, region.map(), strict=True):
            rest[index] = buffer
        regions.append(region)
    return rest, regions


def wait_for_welcome(dealer: zmq.Socket, monitor: zmq.Socket, timeout: float) -> bool:
    """Wait for the welcome; return True when the other side can open memory that we share.

    Raises LinkFailed if it does not welcome us.
    """
    poller = zmq.Poller()
    poller.register(dealer, zmq.POLLIN)
    poller.register(monitor, zmq.POLLIN)
    ready = dict(poller.poll(max(1, int(timeout * 1000))))
    if dealer in ready:
        match dealer.recv_multipart():
            case [answer, can_open] if answer == WELCOME:
                return can_open == YES
        raise LinkFailed("what answered does not speak our protocol")
    if monitor in ready:
        raise LinkFailed(FAILURES.get(read_event(monitor), "the connection ended"))
    raise LinkFailed(
        f"no welcome within {timeout:.1f} s; either it is not reached, or it did not admit us"
    )


def close_watched(socket: zmq.Socket, linger: int = 0) -> None:
    """Close a socket that has a monitor: without this, ZeroMQ waits for ever to tell a monitor that
    nobody reads of its end.
    """
    with suppress(zmq.ContextTerminated):
        socket.disable_monitor()
    socket.close(linger)


def read_event(monitor: zmq.Socket, flags: int = 0) -> int:
    return struct.unpack("=hi", monitor.recv_multipart(flags)[0])[0]
