"""Flows: messages of one kind from one role to another on one channel, counted exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["MESSAGE", "Flow", "Flows", "Numbered", "Totals"]

MESSAGE = np.dtype(
    [
        ("flow", "u4"),
        ("delivery", "u4"),
        ("call", "i8"),
        ("bytes", "i8"),
        ("sent", "f8"),
        ("received", "f8"),
    ]
)
"""One message in a trace: 40 bytes. The times are seconds since the epoch."""
MAX_DELIVERIES = 60_000
"""Deliveries that are told apart; beyond that, outcomes lose their details, and lines go."""
VIEW_TOTALS = 4
"""The first rows of totals, which views show: messages, bytes, seconds of latency, lost ones."""


class Numbered(dict[Any, int]):
    """The number of each key, in the order in which keys were first asked for."""

    def __missing__(self, key: Any) -> int:
        number = self[key] = len(self)
        return number


class Flow(NamedTuple):
    """The parts that all messages of one flow have in common."""

    source: str
    target: str
    channel: str
    kind: str


class Totals:
    """Sums over messages, for each flow; and when the first and the last of them were sent."""

    NAMES = ("messages", "bytes", "seconds", "lost", "lost_bytes")

    def __init__(self) -> None:
        self._sums = np.zeros((len(self.NAMES), 64))
        self._first, self._last = np.full(64, np.inf), np.full(64, -np.inf)

    def grow(self, flows: int) -> None:
        """Make room for so many flows."""
        more = max(64, flows)
        if flows > len(self._first):
            self._sums = np.pad(self._sums, ((0, 0), (0, more)))
            self._first = np.pad(self._first, (0, more), constant_values=np.inf)
            self._last = np.pad(self._last, (0, more), constant_values=-np.inf)

    def count(self, rows: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Add messages, of which some were lost; return the numbers of their flows, each once."""
        numbers, inverse = np.unique(rows["flow"], return_inverse=True)
        self.grow(int(numbers[-1]) + 1 if len(numbers) else 0)
        size, seconds = rows["bytes"], rows["received"] - rows["sent"]
        for sums, weights in zip(self._sums, (None, size, seconds, lost, size * lost), strict=True):
            sums[numbers] += np.bincount(inverse, weights, len(numbers))
        np.minimum.at(self._first, rows["flow"], rows["sent"])
        np.maximum.at(self._last, rows["flow"], rows["sent"])
        return numbers

    def set(
        self, numbers: np.ndarray, sums: np.ndarray, first: np.ndarray, last: np.ndarray
    ) -> None:
        """Replace the sums, of shape (5, flows), and the times of these flows."""
        self.grow(int(numbers.max(initial=-1)) + 1)
        self._sums[:, numbers] = sums
        self._first[numbers] = first
        self._last[numbers] = last

    def add(self, other: Totals, flows: int) -> None:
        """Add the counts of other totals, of the first `flows` flows."""
        self.grow(flows)
        self._sums[:, :flows] += other.sums(flows)
        self._first[:flows] = np.minimum(self._first[:flows], other.first(flows))
        self._last[:flows] = np.maximum(self._last[:flows], other.last(flows))

    def sums(self, flows: int) -> np.ndarray:
        """Return the sums of the first `flows` flows: shape (5, flows)."""
        self.grow(flows)
        return self._sums[:, :flows]

    def first(self, flows: int) -> np.ndarray:
        """Return the time of the first message of each flow; inf for none."""
        self.grow(flows)
        return self._first[:flows]

    def last(self, flows: int) -> np.ndarray:
        """Return the time of the last message of each flow; -inf for none."""
        self.grow(flows)
        return self._last[:flows]


class Flows:
    """The numbers of flows and of deliveries, and exact counts of messages.

    Not thread-safe, unlike `Messages`.
    """

    def __init__(self) -> None:
        self.keys = Numbered()
        """{(source, target, channel, kind): number}."""
        self.deliveries = Numbered()
        """{(link, outcome, origin): number}."""
        self.all = Totals()
        """Over all messages that ever came."""
        self.batch = 0
        """Batches that were counted."""
        self._changed = np.zeros(64, np.int64)
        """For each flow, the last batch that counted it."""
        self._lost: list[bool] = []
        """For each delivery, True if its messages were lost."""

    def encode(self, columns: Sequence[Sequence]) -> np.ndarray:
        """Count a batch, given as columns, and return its rows, of dtype `MESSAGE`."""
        call, kind, source, target, channel, size, link, sent, received, outcome, origin = columns
        rows = np.empty(len(call), MESSAGE)

        def column(name: str, values: Iterable[Any]) -> None:
            rows[name] = np.fromiter(values, MESSAGE[name], len(rows))

        column("flow", map(self.keys.__getitem__, zip(source, target, channel, kind, strict=True)))
        column("delivery", map(self._number_delivery, zip(link, outcome, origin, strict=True)))
        column("call", call)
        column("bytes", size)
        column("sent", sent)
        column("received", received)
        self.mark_changed(self.all.count(rows, self.lost(rows)))
        return rows

    def _number_delivery(self, key: tuple[str, str, str]) -> int:
        number = self.deliveries.get(key)
        if number is None:
            link, outcome, _ = key
            if len(self.deliveries) >= MAX_DELIVERIES:
                key = (link, outcome.partition(":")[0], "")
            number = self.deliveries[key]
            if number == len(self._lost):
                self._lost.append(outcome.startswith("lost"))
        return number

    def lost(self, rows: np.ndarray) -> np.ndarray:
        """Return 1 for each message that was not delivered, and 0 for the others."""
        return np.fromiter(
            map(self._lost.__getitem__, rows["delivery"].tolist()), np.int64, len(rows)
        )

    def mark_changed(self, numbers: np.ndarray) -> None:
        """Begin a batch, in which these flows have changed."""
        self.batch += 1
        if len(self.keys) > len(self._changed):
            self._changed = np.pad(self._changed, (0, len(self.keys)))
        self._changed[numbers] = self.batch

    def changes(self, batch: int) -> np.ndarray:
        """Return the numbers of the flows that have changed after a batch."""
        return np.flatnonzero(self._changed[: len(self.keys)] > batch).astype(np.uint32)

    @property
    def totals(self) -> np.ndarray:
        """Shape (4, flows): messages, bytes, seconds of latency in all, lost ones."""
        return self.all.sums(len(self.keys))[:VIEW_TOTALS]

    def chosen(self, wanted: Callable[[Flow], bool]) -> np.ndarray:
        """Return the numbers of the flows that are wanted."""
        numbers = []
        for key, number in list(self.keys.items()):
            if wanted(Flow(*key)):
                numbers.append(number)
        return np.array(numbers, np.int64)

    def clear(self) -> None:
        """Set all counts to 0; the numbers of flows stay."""
        self.all = Totals()
        self.mark_changed(np.arange(len(self.keys)))
