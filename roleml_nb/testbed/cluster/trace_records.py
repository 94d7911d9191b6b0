"""Shipments of an engine's records, unpickled and checked before anything is added to the trace."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["read_messages", "read_metrics_and_logs"]

TEXT, NUMBER = (str,), (int, float)
COLUMNS: tuple[tuple[type, ...], ...] = (
    NUMBER,
    *[TEXT] * 4,
    NUMBER,
    TEXT,
    NUMBER,
    NUMBER,
    TEXT,
    TEXT,
)
"""Types of the columns of the table of messages."""
METRIC: tuple[tuple[type, ...], ...] = (NUMBER, *[TEXT] * 4, NUMBER, (int,))
LINE: tuple[tuple[type, ...], ...] = (NUMBER, *[TEXT] * 4)
MAX_INTEGER = 2**63


def read_messages(pickled: bytes) -> list[Sequence[Sequence]]:
    """Return batches of columns; raises TypeError, or an error of unpickling, for any other
    content.
    """
    batches = _list(pickle.loads(pickled))
    for columns in batches:
        if len(set(map(len, columns))) > 1:
            raise TypeError("columns of messages are not of the same length")
        _check(columns, COLUMNS)
    return batches


def read_metrics_and_logs(pickled: bytes) -> tuple[list[tuple], list[tuple]]:
    """Return rows of metrics and of logs; errors as of `read_messages`."""
    metrics, logs = pickle.loads(pickled)
    for rows, kinds in ((metrics, METRIC), (logs, LINE)):
        if any(len(row) != len(kinds) for row in _list(rows)):
            raise TypeError(f"rows must have {len(kinds)} entries")
        if rows:
            _check(list(zip(*rows, strict=True)), kinds)
    return metrics, logs


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list is expected, not {type(value).__name__}")
    return value


def _check(columns: Iterable[Sequence], kinds: tuple[tuple[type, ...], ...]) -> None:
    for column, allowed in zip(columns, kinds, strict=True):
        found = set(map(type, column))
        for kind in found:
            if not issubclass(kind, allowed):
                raise TypeError(f"a column has a {kind.__name__}")
        if int in found and not all(
            -MAX_INTEGER <= number < MAX_INTEGER for number in column if type(number) is int
        ):
            raise TypeError("a column has an integer of more than 64 bits")
