"""A list in segments."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

__all__ = ["SegmentedList"]

T = TypeVar("T")


class SegmentedList(Generic[T]):
    """A fixed number of lists, to iterate over one after the other."""

    def __init__(self, num_segments: int = 1):
        self.segments: tuple[list[T], ...] = tuple([] for _ in range(num_segments))

    def get_segment(self, idx: int) -> list[T]:
        return self.segments[idx]

    __getitem__ = get_segment

    def iter(
        self,
        start: int | None = None,
        end: int | None = None,
        *,
        range: tuple[int, int] | None = None,
    ) -> Iterator[T]:
        """Iterate over the segments from `start` to before `end`, or of `range`."""
        first, last = range or (0, len(self.segments))
        return chain.from_iterable(
            self.segments[first if start is None else start : last if end is None else end]
        )

    def __str__(self) -> str:
        return str(self.segments)
