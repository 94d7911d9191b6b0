"""Columns: messages as a page takes them, as numbers that refer to flows and notes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["TYPES", "Columns", "columns", "joined"]


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


def columns(rows: np.ndarray, start: float) -> Columns:
    """Return rows of dtype `MESSAGE` as columns, by the time when they were sent."""
    made = Columns(
        rows["flow"],
        (rows["call"] & 0xFFFFFFFF).astype("u4"),
        np.minimum(rows["delivery"], 0xFFFF).astype("u2"),
        rows["sent"] - start,
        (rows["received"] - rows["sent"]).astype("f4"),
        rows["bytes"].astype("f8"),
    )
    return made.take(np.argsort(made.sent, kind="stable"))
