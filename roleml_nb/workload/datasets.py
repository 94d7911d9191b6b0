"""Data sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from roleml_nb.role import ArgumentError, Dataset, node_seed
from roleml_nb.role.checks.numbers import check_count, check_seed
from roleml_nb.role.workload import DataPoint

__all__ = ["ArrayDataset", "SimpleDataset", "X", "XYDataset", "Y"]

X = TypeVar("X")
Y = TypeVar("Y")


class SimpleDataset(Generic[DataPoint]):
    """A sequence as a data set: sample by sample, by index."""

    def __init__(self, source: Sequence[DataPoint]):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> DataPoint:
        return self.source[index]

    def __iter__(self) -> Iterator[DataPoint]:
        return (self[index] for index in range(len(self)))


class XYDataset(Generic[X, Y]):
    """Inputs and targets, equally many, as a data set of pairs."""

    def __init__(self, x: Dataset[X], y: Dataset[Y]):
        if len(x) != len(y):
            raise ArgumentError(f"x and y must be equally many, got {len(x)} and {len(y)}")
        self.x = x
        self.y = y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[X, Y]:
        return self.x[index], self.y[index]

    def __iter__(self) -> Iterator[tuple[X, Y]]:
        return (self[index] for index in range(len(self)))


class ArrayDataset:
    """Two arrays, gone through in batches.

    Parameters
    ----------
    x : array of shape (n, …)
        Inputs, kept without a copy where the array is contiguous and writable.
    y : array of shape (n, …)
        Targets.
    batch_size : int
        1 or more. The last batch of an epoch may be smaller.
    drop_last : bool
        True leaves such a smaller batch out of each epoch, as BatchNorm needs where it would be a
        single sample; ``len()`` counts its samples all the same.
    shuffle : bool
        True gives every epoch an order of its own.
    seed : int or sequence of int, optional
        Seed of the data set's own generator, which goes on from epoch to epoch: the same seed gives
        the same epochs, and no global random state is read or written. By default that of the node
        whose role the data set is built for; 0 outside of roles.

    Raises
    ------
    ValueError
        When the arrays differ in length, or `batch_size` is out of range.
    """

    drop_last = False  # for checkpoints of versions without that choice

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int = 32,
        shuffle: bool = False,
        seed: Any = None,
        drop_last: bool = False,
    ):
        # torch takes a writable array over without a copy
        self.x = np.require(x, requirements=["C", "W"])
        self.y = np.require(y, requirements=["C", "W"])
        if self.x.ndim == 0 or self.y.ndim == 0 or len(self.x) != len(self.y):
            raise ArgumentError(
                f"x and y must be equally long arrays, got shapes {self.x.shape} and {self.y.shape}"
            )
        self.batch_size = check_count("batch_size", batch_size, 1)
        self.drop_last = drop_last
        self.shuffle = shuffle
        self._rng = np.random.default_rng(_entropy(seed))

    def __len__(self) -> int:
        """Return the number of samples (not of batches)."""
        return len(self.x)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield one epoch of ``(x_batch, y_batch)``; shuffled batches are copies, others views."""
        order = self._rng.permutation(len(self)) if self.shuffle else None
        for start in range(0, len(self), self.batch_size):
            if self.drop_last and start + self.batch_size > len(self):
                break
            batch = slice(start, start + self.batch_size)
            index = batch if order is None else order[batch]
            yield self.x[index], self.y[index]

    def __repr__(self) -> str:
        arrays = f"x {self.x.shape} {self.x.dtype}, y {self.y.shape} {self.y.dtype}"
        return f"ArrayDataset({arrays}, batches of {self.batch_size})"


def _entropy(seed: Any) -> int | list[int]:
    return list(map(check_seed, seed)) if isinstance(seed, list | tuple) else node_seed(seed)
