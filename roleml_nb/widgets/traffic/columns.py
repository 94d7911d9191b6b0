"""Columns: messages as a page gets them, as numbers that refer to flows and deliveries."""

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
    """Number of its delivery: link, outcome and line."""
    sent: np.ndarray
    """Seconds since the trace began."""
    latency: np.ndarray
    """Seconds."""
    bytes: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.flow)

    def select(self, chosen: Any) -> Columns:
        """Return the rows of that mask, or of these numbers."""
        return Columns(*(column[chosen] for column in self))


TYPES = dict(zip(Columns._fields, map(np.dtype, ("u4", "u4", "u2", "f8", "f4", "f8")), strict=True))


def joined(parts: Iterable[Columns]) -> Columns:
    """Concatenate the rows of the parts."""
    columns = list(map(np.concatenate, zip(*parts, strict=True)))
    return (
        Columns(*columns) if columns else Columns(*(np.empty(0, dtype) for dtype in TYPES.values()))
    )


def columns(rows: np.ndarray, start: float) -> Columns:
    """Return rows of dtype `MESSAGE` as columns, sorted by the time when they were sent."""
    made = Columns(
        rows["flow"],
        (rows["call"] & 0xFFFFFFFF).astype("u4"),
        np.minimum(rows["delivery"], 0xFFFF).astype("u2"),
        rows["sent"] - start,
        (rows["received"] - rows["sent"]).astype("f4"),
        rows["bytes"].astype("f8"),
    )
    return made.select(np.argsort(made.sent, kind="stable"))
