"""Rows of numbers in the order in which they came: blocks of NumPy records, of which the oldest
are let go first."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ["Rows"]

BLOCK = 16_384
"""Rows of a block."""


class Rows:
    """Grow at the end and shrink at the beginning; not thread-safe.

    Parameters
    ----------
    dtype : numpy.dtype
        Of one row.

    Attributes
    ----------
    gone : int
        Rows that were let go; the next one that is here has this number.
    """

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.gone = 0
        self._blocks: deque[np.ndarray] = deque()
        self._begin = self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def added(self) -> int:
        """Rows that ever came."""
        return self.gone + self._count

    @property
    def nbytes(self) -> int:
        """Bytes of the rows; in memory, the first and the last block may take one block more."""
        return self._count * self.dtype.itemsize

    def extend(self, rows: np.ndarray) -> None:
        """Append rows of the same dtype. Where it is interrupted, those that are not counted yet
        are overwritten."""
        while len(rows):
            number, place = divmod(self._begin + self._count, BLOCK)
            if number == len(self._blocks):
                self._blocks.append(np.empty(BLOCK, self.dtype))
            part, rows = rows[: BLOCK - place], rows[BLOCK - place :]
            self._blocks[number][place : place + len(part)] = part
            self._count += len(part)

    def since(self, number: int, most: int | None = None) -> np.ndarray:
        """Return a copy of the rows from this number on, as far as they are here; the first `most`
        of them."""
        begin = max(0, number - self.gone)
        return self._slice(begin, self._count if most is None else min(self._count, begin + most))

    def let_go(self, count: int) -> np.ndarray:
        """Remove the `count` oldest rows, or all, and return them."""
        count = min(count, self._count)
        removed = self._slice(0, count)
        self.gone += count
        self._begin, self._count = self._begin + count, self._count - count
        while self._blocks and (self._begin >= BLOCK or not self._count):
            self._blocks.popleft()
            self._begin = max(0, self._begin - BLOCK)
        if not self._count:
            self._begin = 0
        return removed

    def _slice(self, begin: int, end: int) -> np.ndarray:
        begin, end = self._begin + begin, self._begin + end
        parts = []
        for at, block in zip(range(0, end, BLOCK), self._blocks, strict=False):
            if begin < at + BLOCK:
                parts.append(block[max(0, begin - at) : end - at])
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)
