"""The relay link: over ipyparallel's schedulers, engine → controller → notebook → controller →
engine.

It works wherever the engines reach the controller. Engines leave their messages in an outbox; the
notebook, which is ipyparallel's client, fetches and forwards it. The notebook knows from which
engine it fetched, so the sender of a relayed message is as certain as that of a direct one.
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

POLL_S = 0.002
"""Seconds that one exchange waits for messages; up to `MAX_IDLE_FACTOR` times that while idle."""
MAX_IDLE_FACTOR = 20


class RelayLink:
    """Hands frames to an outbox."""

    kind = "relay"
    shares = False

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
    """Frames that wait on an engine for the notebook to fetch them."""

    def __init__(self) -> None:
        self._items: deque[Relayed] = deque()
        self._filled = threading.Event()

    def put(self, item: Relayed) -> None:
        self._items.append(item)
        self._filled.set()

    def drain(self, wait: float) -> list[Relayed]:
        """Return all items and remove them; wait up to `wait` seconds for a first one."""
        self._filled.wait(wait)
        self._filled.clear()
        items = []
        while self._items:
            items.append(self._items.popleft())
        return items


class Relay:
    """The notebook's side: one background loop per engine that needs it exchanges messages.

    `exchange(host_id, incoming, wait)` runs on the engine, over ipyparallel: it delivers `incoming`
    and returns the engine's outbox. `deliver(peer, frames, "relay")` takes messages for the
    notebook. `failed(host_id, reason)` is called when ipyparallel does not reach an engine any
    more.
    """

    def __init__(
        self,
        home: str,
        exchange: Callable[[str, list[Relayed], float], list[Relayed]],
        deliver: Callable[..., None],
        failed: Callable[[str, str], None],
        run_in_background: Callable[..., Any],
    ):
        self.home = home
        self._exchange, self._deliver, self._failed = exchange, deliver, failed
        self._run_in_background = run_in_background
        self._queues: dict[str, Outbox] = {}
        self._serving: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def link(self, peer: str) -> RelayLink:
        """Make a link from the notebook to an engine, and serve it.

        Raises LinkFailed when the relay has been stopped.
        """
        self.serve(peer)
        queue = self._queues.get(peer)
        if queue is None:
            raise LinkFailed(f"no relay to {peer!r}: the testbed is being stopped")
        return RelayLink(self.home, peer, queue.put)

    def serve(self, peer: str) -> None:
        """Exchange frames with that engine from now on."""
        with self._lock:
            if peer in self._serving or self._stopping.is_set():
                return
            self._serving.add(peer)
            self._queues.setdefault(peer, Outbox())
        self._run_in_background(lambda: self._loop(peer), f"relay {peer}")

    def serves(self, peer: str) -> bool:
        return peer in self._serving

    def release(self, peer: str) -> None:
        """Serve that engine no longer."""
        with self._lock:
            self._serving.discard(peer)

    def _loop(self, peer: str) -> None:
        idle = 0
        queue = self._queues[peer]
        while peer in self._serving and not self._stopping.is_set():
            wait = POLL_S * min(1 + idle // 10, MAX_IDLE_FACTOR)
            going = queue.drain(wait)
            try:
                fetched = self._exchange(peer, going, wait)
            # ipyparallel raises many kinds when an engine is gone: all mean the same here
            except Exception as error:
                self.release(peer)
                if not self._stopping.is_set():
                    self._failed(peer, f"relay: {error}")
                return
            idle = 0 if going or fetched else idle + 1
            for _, receiver, frames in fetched:
                if receiver == self.home:
                    self._deliver(peer, frames, "relay")
                elif receiver in self._queues:
                    self.serve(receiver)
                    self._queues[receiver].put((peer, receiver, frames))

    def close(self) -> None:
        self._stopping.set()
