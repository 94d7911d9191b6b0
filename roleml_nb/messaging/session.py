"""A session: all that travels between this host and one other, whichever link carries it.

The pattern is a sliding-window protocol with cumulative acknowledgements, as TCP's, one layer up:
it outlives the connection. Messages that are ready at the same time travel as one batch, batches
are numbered, and the sender keeps each until the other side has acknowledged it.

Guarantees, also when a link breaks and another one takes over: no message is lost, none arrives
twice, each sender's messages arrive in its order. A batch that is missing is sent again, all that
follows it with it (go-back-N). The last batch of all is covered, too: a side that waits for an
acknowledgement probes after 1 s, then less and less often, down to every 16 s.

Flow control is by credit: tasks and events, which nobody waits for, count against a window of bytes
until a handler has taken them, and their sender waits while it is full. Service calls and answers
are never held back, nor is the thread that receives, so that every wait ends.

Tried and rejected:

- A batch for each message. Tasks, events and answers to tasks that go together with those that
  gather within moments made twice as many calls a second (`Router.flush_soon`). Service calls are
  sent at once all the same, since their callers wait.
- Acknowledgements without probes. A link that lost the last message of all lost it for good, since
  no later batch showed the gap.

Acknowledgements ride on the batches of the other direction; they go alone only after 64 batches or
4 MB, or when a host's clock ticks. A sender never waits for another one: the thread that holds the
sending lock sends the batches that others have queued meanwhile.

A service call between engines takes 2.11 times a round trip over bare ZeroMQ (0.230 ms to 0.109 ms,
see docs/performance.md), all this included.
"""

from __future__ import annotations

import pickle
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from roleml_nb.role import LinkFailed
from roleml_nb.role.forks import Origin

from .flow_control import Credit, Window

__all__ = ["Link", "Session"]

BATCH_MESSAGES = 256
BATCH_BYTES = 512 * 1024
ACKNOWLEDGE_BATCHES = 64
ACKNOWLEDGE_BYTES = 4 * 1024 * 1024
RETRANSMIT = -1
"""In place of a batch's number: the other side is to send again all that is unacknowledged."""
PROBE = -2
"""In place of a batch's number: the count is that of batches sent; the other side is to reply."""
FIRST_PROBE_S = 1.0
"""Seconds without an acknowledgement before a probe; each next one waits twice as long."""
MAX_PROBE_S = 16.0

Item = tuple
"""A message as plain data; its last element is the number of its buffers."""


class Link(Protocol):
    """Carries frames to one other host, in order.

    A wrapper may delay, shape or lose them without either end knowing.
    """

    kind: str
    peer: str
    shares: bool
    """True when the other side can open memory of this one, so that regions need not be sent."""

    def send(self, frames: list[Any]) -> None: ...

    def close(self) -> None: ...


class Session:
    """This side of a session.

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
        self._sending = threading.Lock()  # acquired without waiting: its holder sends for all
        self._receiving = threading.RLock()
        # batches: the last one sent, those kept, the last one received, and the last one that the
        # other side knows to be received
        self._sent = 0
        self._unacknowledged: deque[tuple[int, list[Any]]] = deque()
        self._received = 0
        self._acknowledged = 0
        self._unacknowledged_bytes = 0
        # credit in bytes: just returned by handlers here, returned in all, told to the other side;
        # and returned by the other side to us
        self._returned: deque[int] = deque()
        self._returned_bytes = 0
        self._returned_bytes_sent = 0
        self._returned_to_us = 0
        self._reply_due = False
        self._gap_after = -1
        self._out_of_order = 0
        self._retransmit_wanted = False
        self._probing = False
        self._stalled = (0, 0)
        self._stalled_since = 0.0
        self._probe_interval = FIRST_PROBE_S

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
            self.window.acquire(counted, wait, self.peer)
        if self.closed is not None:
            raise LinkFailed(f"cannot send to {self.peer}: {self.closed}")
        self._queue.append((item, buffers, counted))
        if at_once:
            self.flush()

    def flush(self) -> None:
        """Send all that is queued, unless another thread does so already."""
        while (self._queue or self._reply_due) and self.link is not None:
            if not self._sending.acquire(blocking=False):
                return  # the holder checks the queue again
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
            size += 64 + sum(map(len, buffers)) if buffers else 256
        self._reply_due = False
        if self._retransmit_wanted:
            self._retransmit_wanted = False
            link.send([self._head(RETRANSMIT, 0, [])])
        if items:
            self._sent += 1
        frames = [self._head(self._sent if items else 0, counted, items), *large]
        if items:
            self._unacknowledged.append((self._sent, frames))
        probing, self._probing = self._probing, False
        if items or not probing:
            link.send(frames)
        if probing:
            link.send([self._head(PROBE, self._sent, [])])

    def probe(self, now: float) -> None:
        """Probe the other side when nothing was acknowledged for long; called from time to time.

        A link that loses the last message, or the last acknowledgement, shows by nothing else.
        """
        try:
            stalled = self._unacknowledged[0][0], self.window.bytes
        except IndexError:
            stalled = 0, self.window.bytes
        if stalled != self._stalled or stalled == (0, 0):
            self._stalled = stalled
            self._stalled_since = now
            self._probe_interval = FIRST_PROBE_S
        elif now - self._stalled_since > self._probe_interval:
            self._stalled_since = now
            self._probe_interval = min(2 * self._probe_interval, MAX_PROBE_S)
            self._probing = self._reply_due = True
            self.flush()

    def _head(self, sequence: int, counted: int, items: list[Item]) -> bytes:
        while self._returned:
            self._returned_bytes += self._returned.popleft()
        self._acknowledged = self._received
        self._unacknowledged_bytes = 0
        self._returned_bytes_sent = self._returned_bytes
        head = sequence, self._acknowledged, self._returned_bytes_sent, counted, items
        return pickle.dumps(head, 5)

    # receiving

    def receive(
        self, frames: list[Any], deliver: Callable[[Item, list[Any], Credit | None], None]
    ) -> None:
        """Receive a batch from any link, and call `deliver` for each message, in order.

        `deliver` must not block.
        """
        sequence, acknowledged, returned, counted, items = pickle.loads(frames[0])
        with self._receiving:
            self._on_acknowledgement(acknowledged, returned)
            if sequence != self._received + 1:
                self._receive_out_of_order(sequence, counted)
                return
            self._received = sequence
            credit = Credit(self._return_credit, counted) if counted else None
            place = 1
            for item in items:
                end = place + item[-1]
                deliver(item, frames[place:end], credit)
                place = end
            self._unacknowledged_bytes += (
                len(frames[0]) if len(frames) == 1 else sum(map(len, frames))
            )
        if (
            self._received - self._acknowledged >= ACKNOWLEDGE_BATCHES
            or self._unacknowledged_bytes >= ACKNOWLEDGE_BYTES
        ):
            self.acknowledge()

    def _receive_out_of_order(self, sequence: int, sent: int) -> None:
        """Handle a head without a next batch.

        It is an acknowledgement alone, a request, a batch that a broken link had delivered after
        all, or one that follows a gap.
        """
        if sequence == RETRANSMIT:
            self._retransmit()
        elif sequence == PROBE:
            self._retransmit_wanted = sent > self._received
            self._reply_due = True
            self.flush()
        elif sequence > self._received:
            if self._gap_after != self._received:
                self._gap_after = self._received
                self._out_of_order = 0
            # all that is on its way meanwhile will be sent again: one request for many of them
            if self._out_of_order % ACKNOWLEDGE_BATCHES == 0:
                self._retransmit_wanted = self._reply_due = True
            self._out_of_order += 1
            self.flush()

    def _retransmit(self) -> None:
        with self._sending:
            link = self.link
            if link is None:
                return
            link.shares = False  # the other side may have failed to open shared memory
            try:
                for _, frames in list(self._unacknowledged):
                    link.send(frames)
                return
            except LinkFailed as error:
                reason = str(error)
        self.detach(link, reason)

    def _on_acknowledgement(self, sequence: int, returned: int) -> None:
        while self._unacknowledged and self._unacknowledged[0][0] <= sequence:
            self._unacknowledged.popleft()
        if returned > self._returned_to_us:
            self.window.release(returned - self._returned_to_us)
            self._returned_to_us = returned

    def _return_credit(self, size: int) -> None:
        """Count bytes that a handler has taken.

        Called from wherever a credit is dropped: it must not wait for anything.
        """
        if self._origin.in_fork:  # a copy of the credit was dropped, in a fork
            return
        self._returned.append(size)
        if size + self._returned_bytes - self._returned_bytes_sent >= self.window.limit // 8:
            self.acknowledge()

    def acknowledge(self) -> None:
        """Tell the other side of batches received and credit returned, if it does not know yet."""
        if (
            self._acknowledged != self._received
            or self._returned
            or self._returned_bytes_sent != self._returned_bytes
        ):
            self._reply_due = True
            self.flush()

    # links

    @property
    def drained(self) -> bool:
        """True when the other side has all that was sent, or nothing will be sent any more."""
        return self.closed is not None or not self._queue and not self._unacknowledged

    @property
    def shares(self) -> bool:
        return self.link is not None and self.link.shares

    @property
    def kind(self) -> str:
        return "none" if self.link is None else self.link.kind

    def attach(self, link: Link, reason: str = "") -> None:
        """Continue over this link: first with unacknowledged batches, then with queued messages.

        A link that was in use until now is closed, but stays in use if this one fails at once.
        """
        with self._sending:
            if self.closed is not None:
                link.close()
                return
            try:
                for _, frames in list(self._unacknowledged):
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
        """Use a link no longer: messages sent from now on wait for the next one."""
        if self.link is link and self.closed is None:
            self.link = None
            link.close()
            self._broken(self, reason)

    def close(self, reason: str) -> None:
        """End the session: nothing is sent any more, and nobody is held back."""
        if self.closed is None:
            self.closed = reason
            self.window.clear()
            link, self.link = self.link, None
            if link is not None:
                link.close()
            self._queue.clear()
            self._unacknowledged.clear()
