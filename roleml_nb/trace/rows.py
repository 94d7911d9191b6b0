"""Rows of numbers, oldest first, in blocks of NumPy records; the oldest are dropped first."""

from __future__ import annotations

from collections import deque
from itertools import islice

import numpy as np

__all__ = ["Rows"]

BLOCK_ROWS = 16_384


class Rows:
    """Grow at the end and shrink at the beginning. Not thread-safe.

    An interrupt, such as Ctrl-C, leaves the rows as they were before or after a step.

    Parameters
    ----------
    dtype : numpy.dtype
        Of one row.
    block_rows : int
        Rows of one block.

    Attributes
    ----------
    gone : int
        Rows that were dropped; the first row that is here has this number.
    """

    def __init__(self, dtype: np.dtype, block_rows: int = BLOCK_ROWS):
        self.dtype = dtype
        self.gone = 0
        self._block_rows = block_rows
        self._blocks: deque[np.ndarray] = deque()
        self._begin = 0
        """The place of the first row in the first block."""
        self._count = 0

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
        """Append rows of the same dtype.

        After an interrupt, rows that are not counted yet are overwritten by the next ones.
        """
        size = self._block_rows
        while len(rows):
            number, place = divmod(self._begin + self._count, size)
            if number == len(self._blocks):
                self._blocks.append(np.empty(size, self.dtype))
            part = rows[: size - place]
            rows = rows[size - place :]
            self._blocks[number][place : place + len(part)] = part
            self._count += len(part)

    def since(self, number: int, max_rows: int | None = None) -> np.ndarray:
        """Return a copy of at most `max_rows` rows from this number on, as far as they are here."""
        begin = max(0, number - self.gone)
        end = self._count if max_rows is None else min(self._count, begin + max_rows)
        return self._slice(begin, end)

    def pop_oldest(self, count: int) -> np.ndarray:
        """Remove the `count` oldest rows, or all, and return them."""
        count = min(count, self._count)
        removed = self._slice(0, count)
        left = self._count - count
        gone = self.gone + count
        blocks_gone, begin = divmod(self._begin + count, self._block_rows)
        if left:
            blocks = deque(islice(self._blocks, blocks_gone, None))
        else:
            blocks, begin = deque[np.ndarray](), 0
        # in one statement that calls nothing, between whose parts no interrupt can come
        self._blocks, self._begin, self._count, self.gone = blocks, begin, left, gone
        return removed

    def _slice(self, begin: int, end: int) -> np.ndarray:
        size = self._block_rows
        begin += self._begin
        end += self._begin
        parts = []
        for at, block in zip(range(0, end, size), self._blocks, strict=False):
            if begin < at + size:
                parts.append(block[max(0, begin - at) : end - at])
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)
