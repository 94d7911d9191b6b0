"""The base of the tables of a trace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "object_columns"]


def object_columns(keys: Sequence[tuple], width: int) -> list[np.ndarray]:
    """Return the parts of keys as columns of objects."""
    columns = []
    for place in range(width):
        column = np.empty(len(keys), object)
        column[:] = list(map(itemgetter(place), keys))
        columns.append(column)
    return columns


class Table:
    """Rows of records, read after a refresh; `gone` counts the rows that `trim` has dropped."""

    columns: tuple[str, ...] = ()
    noun = "rows"

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

    @property
    def single_count(self) -> int:
        """How many rows are here, without asking the hosts for more."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many there were in all, without asking the hosts for more."""
        return self.gone + self.single_count

    def __len__(self) -> int:
        self._refresh()
        return self.single_count

    def describe_gone(self) -> str:
        """Say in words how many rows are no longer here; empty when all are."""
        if not self.gone:
            return ""
        return f"{self.gone:,} old ones of {self.count:,} {self.noun} are no longer here"

    def __repr__(self) -> str:
        gone = f" ({text})" if (text := self.describe_gone()) else ""
        return f"<{type(self).__name__}: {len(self)} rows{gone}; .to_pandas(), .plot()>"
