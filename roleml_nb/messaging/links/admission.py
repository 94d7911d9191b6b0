"""Admission control of one listening socket: connections that have not authenticated themselves.

Both their number and their time are limited.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from contextlib import suppress

import zmq

from .direct import close_watched

__all__ = ["AdmissionControl"]

MAX_UNAUTHENTICATED = 256
"""Connections at a time that have not authenticated themselves; a further one displaces
the oldest.
"""
AUTHENTICATION_TIMEOUT_S = 5.0
"""Seconds that a connection gets to authenticate itself."""
MAX_UNREAD_EVENTS = 10_000
"""Unread arrivals of connections, as while a handler holds the interpreter; no further ones are let
in.
"""
LOG_INTERVAL_S = 60.0
"""Seconds between two log lines about rejected connections."""
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED


class AdmissionControl:
    """Watches connections to a ROUTER that is about to be bound.

    A listening ZeroMQ socket accepts every connection, and keeps silent ones for ever.

    All methods but the constructor are called from one thread.
    """

    def __init__(self, context: zmq.Context, router: zmq.Socket, host_id: str, log: logging.Logger):
        self.host_id, self._log = host_id, log
        self.rejected = 0
        """Connections closed so far because there were too many, or because they said nothing."""
        self._unauthenticated: dict[int, float] = {}
        self._next_log = 0.0
        self._router = router
        self.monitor = context.socket(zmq.PAIR)
        self.monitor.rcvhwm = MAX_UNREAD_EVENTS
        router.monitor(f"inproc://admission-{id(router)}", EVENTS)
        self.monitor.connect(f"inproc://admission-{id(router)}")

    @property
    def unauthenticated(self) -> int:
        """Number of connections that have not authenticated themselves."""
        return len(self._unauthenticated)

    def poll(self) -> None:
        """Register connections that came or went, and reject those for which there is no room or
        time left.
        """
        now = time.monotonic()
        with suppress(zmq.Again):
            while True:
                event, number = struct.unpack("=Hi", self.monitor.recv_multipart(zmq.NOBLOCK)[0])
                self._unauthenticated.pop(
                    number, None
                )  # the connection that had this number before has gone
                if event != zmq.EVENT_ACCEPTED:
                    continue
                self._unauthenticated[number] = now
                # a host of ours authenticates itself as soon as it comes, so it is not the oldest
                if len(self._unauthenticated) > MAX_UNAUTHENTICATED:
                    self._reject(
                        next(iter(self._unauthenticated)),
                        f"{MAX_UNAUTHENTICATED} others have come, and it has not shown who it is",
                    )
        for number, since in list(self._unauthenticated.items()):  # the oldest first
            if now - since < AUTHENTICATION_TIMEOUT_S:
                break
            self._reject(
                number, f"it has not shown who it is within {AUTHENTICATION_TIMEOUT_S:.0f} s"
            )

    def accept(self, number: int) -> None:
        """Accept the connection with this file descriptor: it has authenticated itself."""
        self._unauthenticated.pop(number, None)

    def close(self) -> None:
        """Close the socket and its monitor."""
        close_watched(self._router)
        self.monitor.close(0)

    def _reject(self, number: int, reason: str) -> None:
        """Close a connection at the level of its file descriptor, and log the reason."""
        self._unauthenticated.pop(number)
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
            if not self._is_ours(connection):
                return  # it has gone, and its number is something else's
            connection.shutdown(socket.SHUT_RDWR)
        self.rejected += 1
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + LOG_INTERVAL_S
            self._log.warning(
                "%s turned away a connection: %s (%d in all)",
                self.host_id,
                reason,
                self.rejected,
            )

    def _is_ours(self, connection: socket.socket) -> bool:
        here = connection.getsockname()
        url = self._router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        if connection.family == getattr(socket, "AF_UNIX", None):
            return url == f"ipc://{here}"
        return url.endswith(f":{here[1]}")
