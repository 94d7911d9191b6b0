"""The door: one listening socket, and who has come in without having shown who it is.

So many, and for so long, at most.
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

__all__ = ["Door"]

GUESTS = 256
"""Connections at a time that have not shown a token; when more come, the one that has been here
longest must go.
"""
PATIENCE = 5.0
"""Seconds that each of them gets."""
UNREAD = 10_000
"""Arrivals that are not looked at yet, as while a handler holds the interpreter; no more are let in
beyond that.
"""
SILENT = 60.0
"""Seconds between two log lines about those turned away."""
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED


class Door:
    """Watches who connects to a ROUTER that is about to be bound.

    All calls but the constructor's come from one thread.

    A listening ZeroMQ socket accepts whoever connects, and keeps those that say nothing for ever.
    """

    def __init__(self, context: zmq.Context, router: zmq.Socket, host_id: str, log: logging.Logger):
        self.host_id, self._log = host_id, log
        self.turned_away = 0
        """Connections closed so far because there were too many, or because they said nothing."""
        self._guests: dict[int, float] = {}
        self._said = 0.0
        self._router = router
        self.monitor = context.socket(zmq.PAIR)
        self.monitor.rcvhwm = UNREAD
        router.monitor(f"inproc://door-{id(router)}", EVENTS)
        self.monitor.connect(f"inproc://door-{id(router)}")

    @property
    def guests(self) -> int:
        """Connections that have not shown a token."""
        return len(self._guests)

    def look(self) -> None:
        """Take note of who came and who went, and turn away whom there is no place or no more
        patience for.
        """
        now = time.monotonic()
        with suppress(zmq.Again):
            while True:
                event, number = struct.unpack("=Hi", self.monitor.recv_multipart(zmq.NOBLOCK)[0])
                self._guests.pop(number, None)  # what had this number before has gone
                if event != zmq.EVENT_ACCEPTED:
                    continue
                self._guests[number] = now
                if len(self._guests) > GUESTS:  # a friend speaks as soon as it comes
                    self._turn_away(
                        next(iter(self._guests)),
                        f"{GUESTS} others have come, and it has not shown who it is",
                    )
        for number, since in list(self._guests.items()):  # the oldest first
            if now - since < PATIENCE:
                break
            self._turn_away(number, f"it has not shown who it is within {PATIENCE:.0f} s")

    def welcome(self, number: int) -> None:
        """The connection with this file descriptor is a friend's."""
        self._guests.pop(number, None)

    def close(self) -> None:
        """Close it, with the ROUTER."""
        close_watched(self._router)
        self.monitor.close(0)

    def _turn_away(self, number: int, reason: str) -> None:
        """End a connection from below; ZeroMQ finds it closed."""
        self._guests.pop(number)
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as guest:
            if not self._is_ours(guest):
                return  # it has gone, and its number is something else's
            guest.shutdown(socket.SHUT_RDWR)
        self.turned_away += 1
        now = time.monotonic()
        if now >= self._said:
            self._said = now + SILENT
            self._log.warning(
                "%s turned away a connection: %s (%d in all)",
                self.host_id,
                reason,
                self.turned_away,
            )

    def _is_ours(self, guest: socket.socket) -> bool:
        here, url = (
            guest.getsockname(),
            self._router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"),
        )
        if guest.family == getattr(socket, "AF_UNIX", None):
            return url == f"ipc://{here}"
        return url.endswith(f":{here[1]}")
