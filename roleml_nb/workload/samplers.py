"""Samplers: orders in which the samples of a data set are visited."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import cycle
from typing import Generic

from roleml_nb.role.checks.numbers import as_count
from roleml_nb.role.randomness.seeds import node_seed
from roleml_nb.role.workload import DatasetType

__all__ = [
    "BUILTIN_SAMPLERS",
    "IndexSampler",
    "RandomOneOffIndexSampler",
    "RandomReplaceIndexSampler",
    "SequentialCycleIndexSampler",
    "SequentialOneOffIndexSampler",
]


class IndexSampler(ABC, Generic[DatasetType]):
    """Yields indices of `source`; iterating begins an epoch.

    Subclasses may take further options.
    """

    def __init__(self, source: DatasetType):
        self.source = source

    @abstractmethod
    def __iter__(self) -> Iterator[int]: ...


class SequentialOneOffIndexSampler(IndexSampler[DatasetType]):
    """Every index once, in order."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.source)))


class SequentialCycleIndexSampler(IndexSampler[DatasetType]):
    """Every index in order, over and over: an epoch without end."""

    def __iter__(self) -> Iterator[int]:
        return cycle(range(len(self.source)))


class _RandomIndexSampler(IndexSampler[DatasetType]):
    """Draws from a generator of its own, which goes on from epoch to epoch.

    No global random state is read or written.

    Parameters
    ----------
    source : data set
        The samples.
    limit : int
        Indices per epoch; as many as there are samples when 0 or less.
    seed : int, optional
        The same seed gives the same epochs. By default that of the node whose role the sampler is
        built for; 0 outside of roles.
    """

    def __init__(self, source: DatasetType, limit: int = -1, *, seed: int | None = None):
        super().__init__(source)
        self.limit = as_count("limit", limit)
        self._random = random.Random(node_seed(seed))


class RandomOneOffIndexSampler(_RandomIndexSampler[DatasetType]):
    """`limit` indices, each at most once, in random order."""

    def __iter__(self) -> Iterator[int]:
        size = len(self.source)
        count = size if self.limit <= 0 else min(self.limit, size)
        return iter(self._random.sample(range(size), count))


class RandomReplaceIndexSampler(_RandomIndexSampler[DatasetType]):
    """`limit` indices, each drawn from all."""

    def __iter__(self) -> Iterator[int]:
        size = len(self.source)
        count = size if self.limit <= 0 else self.limit
        return (self._random.randrange(size) for _ in range(count))


BUILTIN_SAMPLERS: dict[str, type[IndexSampler]] = {
    "sequential": SequentialOneOffIndexSampler,
    "sequential-oneoff": SequentialOneOffIndexSampler,
    "sequential-cycle": SequentialCycleIndexSampler,
    "random": RandomReplaceIndexSampler,
    "random-oneoff": RandomOneOffIndexSampler,
    "random-replace": RandomReplaceIndexSampler,
}
"""Samplers by name, for configurations and `DatasetViewFactory`."""
