"""The base of the tables of a trace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLOURS", "Table", "translucent"]

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"]
"""Okabe and Ito's palette, which survives colour blindness."""


def translucent(colour: str) -> str:
    """Return the colour of a band behind a line of a colour such as "#0072B2"."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgba({red},{green},{blue},0.18)"


class Table:
    """Rows of records, read after a refresh; `gone` counts the rows that `trim` has dropped."""

    columns: tuple[str, ...] = ()

    def __init__(self, start: float, refresh: Callable[[], None], lock: threading.Lock):
        self.gone = 0
        """Rows that are no longer here."""
        self._start, self._refresh, self._lock = start, refresh, lock

    def raw(self) -> pd.DataFrame:
        """Return the rows as the hosts recorded them, with the columns `columns`.

        Times are seconds since the epoch.
        """
        raise NotImplementedError

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        raise NotImplementedError

    def trim(self, limit: float) -> None:
        """Drop old rows until the table takes `limit` bytes; the caller holds the lock."""
        raise NotImplementedError

    def clear(self) -> None:
        """Drop all rows and totals; the caller holds the lock."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def describe_gone(self) -> str:
        """Say in words how many rows are no longer here; empty when all are."""
        raise NotImplementedError

    def __repr__(self) -> str:
        gone = f" ({text})" if (text := self.describe_gone()) else ""
        return f"<{type(self).__name__}: {len(self)} rows{gone}; .to_pandas(), .plot()>"
