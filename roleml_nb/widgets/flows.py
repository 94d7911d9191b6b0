"""Flows: who sends on which channel to whom, counted exactly; and messages as columns of numbers that refer to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Columns", "Flows", "Numbered", "joined"]

TOTALS = ("messages", "bytes", "seconds", "lost")
"""What is counted of a flow; seconds: the latencies of its messages together."""


class Numbered(dict[Any, int]):
    """Numbers things in the order in which they are first asked for."""

    def __missing__(self, key: Any) -> int:
        number = self[key] = len(self)
        return number


class Columns(NamedTuple):
    """Messages, one row each: 34 bytes."""

    flow: np.ndarray
    """Number of its flow: who, to whom, on which channel, of which kind."""
    call: np.ndarray
    """Number that a call and its reply have in common; 0 for an event."""
    note: np.ndarray
    """Number of its link, outcome and line."""
    sent: np.ndarray
    """Seconds since the trace began."""
    latency: np.ndarray
    """Seconds."""
    bytes: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.flow)

    def take(self, chosen: Any) -> Columns:
        return Columns(*(column[chosen] for column in self))


TYPES = dict(zip(Columns._fields, map(np.dtype, ("u4", "u4", "u2", "f8", "f4", "f8")), strict=True))


def joined(parts: Iterable[Columns]) -> Columns:
    """All rows of the parts, one after the other."""
    columns = zip(*parts, strict=True)
    made = [np.concatenate(column) for column in columns]
    return Columns(*made) if made else Columns(*(np.empty(0, dtype) for dtype in TYPES.values()))


class Flows:
    """Numbers what messages have in common, and counts them.

    Parameters
    ----------
    start : float
        When the trace began, in seconds since the epoch.
    lines : mapping of str to str
        Where messages come from, in words.
    """

    def __init__(self, start: float, lines: Mapping[str, str]):
        self.start, self.lines = start, lines
        self.keys = Numbered()
        """{(source, target, channel, kind): number}."""
        self.notes = Numbered()
        """{(link, outcome, line): number}."""
        self._totals = np.zeros((len(TOTALS), 64))
        self._changed: set[int] = set()

    def take(self, rows: Sequence[tuple]) -> Columns:
        """Count rows of the table of messages, and give them as columns, by the time when they were sent."""
        if not rows:
            return joined(())
        call, kind, source, target, channel, size, link, sent, received, outcome, origin = zip(*rows, strict=True)
        count, lines = len(rows), map(self.lines.__getitem__, origin)

        def column(name: str, values: Iterable[Any]) -> np.ndarray:
            return np.fromiter(values, TYPES[name], count)

        times = column("sent", sent)
        columns = Columns(
            column("flow", map(self.keys.__getitem__, zip(source, target, channel, kind, strict=True))),
            column("call", (number & 0xFFFFFFFF for number in call)),
            column("note", (min(self.notes[key], 0xFFFF) for key in zip(link, outcome, lines, strict=True))),
            times - self.start, (column("sent", received) - times).astype(TYPES["latency"]), column("bytes", size))
        self._count(columns, np.fromiter((text != "delivered" for text in outcome), float, count))
        return columns.take(np.argsort(columns.sent, kind="stable"))

    def _count(self, columns: Columns, lost: np.ndarray) -> None:
        size = self._totals.shape[1]
        if len(self.keys) > size:
            self._totals = np.pad(self._totals, ((0, 0), (0, max(size, len(self.keys) - size))))
        numbers, inverse = np.unique(columns.flow, return_inverse=True)
        for row, weights in zip(self._totals, (None, columns.bytes, columns.latency, lost), strict=True):
            row[numbers] += np.bincount(inverse, weights, len(numbers))
        self._changed.update(numbers.tolist())

    @property
    def totals(self) -> np.ndarray:
        """Shape (4, flows): messages, bytes, seconds of latency in all, lost ones."""
        return self._totals[:, :len(self.keys)]

    @property
    def has_changed(self) -> bool:
        return bool(self._changed)

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of all flows, and their totals, one row each."""
        return np.arange(len(self.keys), dtype=np.uint32), np.ascontiguousarray(self.totals.T)

    def changes(self) -> tuple[np.ndarray, np.ndarray]:
        """The flows that have counted since the last call: their numbers, and their totals, one row each."""
        numbers = np.fromiter(sorted(self._changed), np.uint32, len(self._changed))
        self._changed.clear()
        return numbers, np.ascontiguousarray(self._totals[:, numbers].T)
