"""The relay link: over ipyparallel's schedulers, engine → controller → notebook → controller → engine.

It works wherever the engines reach the controller. Engines leave what they send in an outbox; the notebook, which is
ipyparallel's client, fetches and forwards it. The notebook knows from which engine it fetched, so the sender of a
relayed message is as certain as that of a direct one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from roleml_nb.role import LinkFailed

__all__ = ["Outbox", "Relay", "RelayLink"]

Relayed = tuple[str, str, list[bytes]]
"""Sender's host, receiver's host, frames."""


class RelayLink:
    """Hands frames to an outbox."""

    kind = "relay"

    def __init__(self, origin: str, peer: str, put: Callable[[Relayed], None]):
        self.origin, self.peer, self._put = origin, peer, put
        self.closed = False

    def send(self, frames: list[Any]) -> None:
        if self.closed:
            raise LinkFailed(f"the relay to {self.peer} is closed")
        self._put((self.origin, self.peer, [bytes(frame) for frame in frames]))

    def close(self) -> None:
        self.closed = True


class Outbox:
    """What waits on an engine for the notebook to fetch it."""

    def __init__(self) -> None:
        self._items: deque[Relayed] = deque()
        self._filled = threading.Event()

    def put(self, item: Relayed) -> None:
        self._items.append(item)
        self._filled.set()

    def take(self, wait: float) -> list[Relayed]:
        """All items; waits up to `wait` seconds for a first one."""
        self._filled.wait(wait)
        self._filled.clear()
        items = []
        while self._items:
            items.append(self._items.popleft())
        return items


class Relay:
    """The notebook's side: one background loop per engine that exchanges what goes in and out.

    `exchange(host_id, incoming)` runs on the engine, over ipyparallel: it delivers `incoming` and returns the
    engine's outbox. `deliver(peer, frames, "relay")` takes what is for the notebook.
    """

    def __init__(
        self,
        home: str,
        exchange: Callable[[str, list[Relayed]], list[Relayed]],
        deliver: Callable[..., None],
        failed: Callable[[str, str], None],
        run_in_background: Callable[..., Any],
    ):
        self.home = home
        self._exchange, self._deliver, self._failed = exchange, deliver, failed
        self._run_in_background = run_in_background
        self._queues: dict[str, Outbox] = {}
        self._stopping = threading.Event()

    def link(self, peer: str) -> RelayLink:
        """A link from the notebook to an engine, served from now on."""
        self.serve(peer)
        return RelayLink(self.home, peer, self._queues[peer].put)

    def serve(self, peer: str) -> None:
        """Fetch from that engine, and forward to it, from now on."""
        if peer not in self._queues:
            self._queues[peer] = Outbox()
            self._run_in_background(lambda: self._loop(peer), f"relay {peer}")

    def _loop(self, peer: str) -> None:
        while not self._stopping.is_set():
            try:
                fetched = self._exchange(peer, self._queues[peer].take(0.002))
            except Exception as error:  # ipyparallel raises many kinds when an engine is gone: all mean the same here
                if not self._stopping.is_set():
                    self._failed(peer, f"relay: {error}")
                return
            for _, receiver, frames in fetched:
                if receiver == self.home:
                    self._deliver(peer, frames, "relay")
                elif receiver in self._queues:
                    self._queues[receiver].put((peer, receiver, frames))

    def close(self) -> None:
        self._stopping.set()
