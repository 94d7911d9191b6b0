"""A session: all that travels between this host and one other, whichever link carries it.

Messages that are ready at the same time travel as one batch. Batches are numbered and kept until
the other side has acknowledged them, so that when a link breaks, another can carry on where it
ended: nothing lost, nothing twice, nothing out of order.
"""

from __future__ import annotations

import pickle
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from roleml_nb.role import LinkFailed
from roleml_nb.role.forks import Origin

from .flow_control import Receipt, Window

__all__ = ["Link", "Session"]

BATCH_MESSAGES, BATCH_BYTES = 256, 512 * 1024
ACKNOWLEDGE_BATCHES, ACKNOWLEDGE_BYTES = 64, 4 * 1024 * 1024
AGAIN = -1
"""In place of a batch's number: what was not received so far is to be sent once more."""
PROBE = -2
"""In place of a batch's number: so many were sent until now; say which have come."""
PATIENCE, LAST = 1.0, 16.0
"""Seconds without an acknowledgement after which the other side is probed; each probe waits twice
as long as the one before.
"""

Item = tuple
"""A message as plain data; the last element says how many buffers belong to it."""


class Link(Protocol):
    """Carries frames to one other host, in order.

    A wrapper may delay, shape or lose them without either end knowing.
    """

    kind: str
    peer: str
    shares: bool
    """Whether the other side can open memory of this one, so that what lies in a region need not be
    sent.
    """

    def send(self, frames: list[Any]) -> None: ...

    def close(self) -> None: ...


class Session:
    """This side of it.

    `broken(session, reason)` is called once when a link fails; `attach` another one, or `close`.
    """

    def __init__(self, peer: str, broken: Callable[[Session, str], None]):
        self.peer = peer
        self.link: Link | None = None
        self.reason = ""
        """Why the link is no better one."""
        self.closed: str | None = None
        self.window = Window()
        self._origin = Origin()
        self._broken = broken
        self._queue: deque[tuple[Item, list[Any], int]] = deque()
        self._sending = threading.Lock()  # taken without waiting: whoever has it sends for all
        self._receiving = threading.RLock()
        self._sent = 0
        self._kept: deque[tuple[int, list[Any]]] = deque()
        self._received = self._told = self._unseen = 0
        self._taken: deque[int] = deque()
        self._taken_bytes = self._taken_told = self._their_taken = 0
        self._due = False
        self._missed, self._strays, self._asking = -1, 0, False
        self._probing, self._open, self._since, self._patience = False, (0, 0), 0.0, PATIENCE

    # sending

    def post(
        self,
        item: Item,
        buffers: list[Any],
        counted: int = 0,
        wait: float = 0.0,
        at_once: bool = True,
    ) -> None:
        """Send a message, whose buffers must not be written to any more; from any thread, in the
        order of each.

        Without `at_once` it is sent by the next `flush`, with all that has gathered by then.
        `counted` bytes enter the window, which may hold the caller back for up to `wait` seconds.

        Raises
        ------
        LinkFailed
            The session is closed, or has no link yet.
        CallTimeout
            Held back for too long.
        """
        if counted:
            self.window.enter(counted, wait, self.peer)
        if self.closed is not None:
            raise LinkFailed(f"cannot send to {self.peer}: {self.closed}")
        self._queue.append((item, buffers, counted))
        if at_once:
            self.flush()

    def flush(self) -> None:
        while (self._queue or self._due) and self.link is not None:
            if not self._sending.acquire(blocking=False):
                return  # whoever has it looks again
            try:
                link = self.link
                if link is None:
                    return
                self._send_batch(link)
            except LinkFailed as error:
                self.detach(link, str(error))
            finally:
                self._sending.release()

    def _send_batch(self, link: Link) -> None:
        items: list[Item] = []
        large: list[Any] = []
        counted = size = 0
        while self._queue and len(items) < BATCH_MESSAGES and size < BATCH_BYTES:
            item, buffers, count = self._queue.popleft()
            items.append(item)
            large += buffers
            counted += count
            size += 64 + sum(len(buffer) for buffer in buffers) if buffers else 256
        self._due = False
        if self._asking:
            self._asking = False
            link.send([self._head(AGAIN, 0, [])])
        if items:
            self._sent += 1
        frames = [self._head(self._sent if items else 0, counted, items), *large]
        if items:
            self._kept.append((self._sent, frames))
        probing, self._probing = self._probing, False
        if items or not probing:
            link.send(frames)
        if probing:
            link.send([self._head(PROBE, self._sent, [])])

    def look(self, now: float) -> None:
        """Call it from time to time: a link that loses the last message, or the last
        acknowledgement, shows by nothing else.
        """
        try:
            still = self._kept[0][0], self.window.bytes
        except IndexError:
            still = 0, self.window.bytes
        if still != self._open or still == (0, 0):
            self._open, self._since, self._patience = still, now, PATIENCE
        elif now - self._since > self._patience:
            self._since, self._patience = now, min(2 * self._patience, LAST)
            self._probing = self._due = True
            self.flush()

    def _head(self, sequence: int, counted: int, items: list[Item]) -> bytes:
        while self._taken:
            self._taken_bytes += self._taken.popleft()
        self._told, self._unseen, self._taken_told = self._received, 0, self._taken_bytes
        return pickle.dumps((sequence, self._told, self._taken_told, counted, items), 5)

    # receiving

    def receive(
        self, frames: list[Any], take: Callable[[Item, list[Any], Receipt | None], None]
    ) -> None:
        """Take a batch from whichever link; `take` is called for each message, in order, and must
        not block.
        """
        sequence, acknowledged, taken, counted, items = pickle.loads(frames[0])
        with self._receiving:
            self._acknowledged(acknowledged, taken)
            if sequence != self._received + 1:
                self._out_of_turn(sequence, counted)
                return
            self._received = sequence
            receipt = Receipt(self._took, counted) if counted else None
            place = 1
            for item in items:
                end = place + item[-1]
                take(item, frames[place:end], receipt)
                place = end
            self._unseen += (
                len(frames[0]) if len(frames) == 1 else sum(len(frame) for frame in frames)
            )
        if self._received - self._told >= ACKNOWLEDGE_BATCHES or self._unseen >= ACKNOWLEDGE_BYTES:
            self.acknowledge()

    def _out_of_turn(self, sequence: int, sent: int) -> None:
        """An acknowledgement alone, or a batch that a broken link had delivered after all; or a
        link has lost some.
        """
        if sequence == AGAIN:
            self._send_again()
        elif sequence == PROBE:
            self._asking, self._due = sent > self._received, True
            self.flush()
        elif sequence > self._received:
            if self._missed != self._received:
                self._missed, self._strays = self._received, 0
            # what is on its way meanwhile comes in vain
            if self._strays % ACKNOWLEDGE_BATCHES == 0:
                self._asking = self._due = True
            self._strays += 1
            self.flush()

    def _send_again(self) -> None:
        with self._sending:
            link = self.link
            if link is None:
                return
            link.shares = False  # perhaps that is why they did not come
            try:
                for _, frames in list(self._kept):
                    link.send(frames)
                return
            except LinkFailed as error:
                reason = str(error)
        self.detach(link, reason)

    def _acknowledged(self, sequence: int, taken: int) -> None:
        while self._kept and self._kept[0][0] <= sequence:
            self._kept.popleft()
        if taken > self._their_taken:
            self.window.leave(taken - self._their_taken)
            self._their_taken = taken

    def _took(self, size: int) -> None:
        """A handler has taken so many bytes.

        Called from wherever a receipt is dropped: it must not wait for anything.
        """
        if self._origin.elsewhere:  # a copy of it was dropped, in a fork
            return
        self._taken.append(size)
        if size + self._taken_bytes - self._taken_told >= self.window.limit // 8:
            self.acknowledge()

    def acknowledge(self) -> None:
        """Tell the other side what has arrived and what was taken, if it does not know already."""
        if self._told != self._received or self._taken or self._taken_told != self._taken_bytes:
            self._due = True
            self.flush()

    # links

    @property
    def drained(self) -> bool:
        """Whether the other side has all that was sent, or nothing will be sent any more."""
        return self.closed is not None or not self._queue and not self._kept

    @property
    def shares(self) -> bool:
        return self.link is not None and self.link.shares

    @property
    def kind(self) -> str:
        return "none" if self.link is None else self.link.kind

    def attach(self, link: Link, reason: str = "") -> None:
        """Go on over this link: first what the other side has not acknowledged, then what has
        gathered meanwhile.

        A link that was in use until now is closed, but stays in use if this one fails at once.
        """
        with self._sending:
            if self.closed is not None:
                link.close()
                return
            try:
                for _, frames in list(self._kept):
                    link.send(frames)
            except LinkFailed as error:
                link.close()
                if self.link is None:
                    self._broken(self, str(error))
                return
            former, self.link, self.reason = self.link, link, reason
        if former is not None:
            former.close()
        self.flush()

    def detach(self, link: Link, reason: str) -> None:
        """That link does not work any more. What is sent now waits for the next one."""
        if self.link is link and self.closed is None:
            self.link = None
            link.close()
            self._broken(self, reason)

    def close(self, reason: str) -> None:
        """End it: nothing is sent any more, and nobody is held back."""
        if self.closed is None:
            self.closed = reason
            self.window.clear()
            link, self.link = self.link, None
            if link is not None:
                link.close()
            self._queue.clear()
            self._kept.clear()
