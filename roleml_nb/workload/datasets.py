"""Data sets."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from roleml_nb.role import Dataset
from roleml_nb.role.workload import DataPoint

from .partitions import dirichlet, iid

__all__ = ["ArrayDataset", "SimpleDataset", "X", "XYDataset", "Y", "digits", "digits_test"]

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
            raise ValueError(f"x and y must be equally many, got {len(x)} and {len(y)}")
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
        Inputs. Kept without a copy where it is contiguous and writable.
    y : array of shape (n, …)
        Targets.
    batch_size : int
        1 or more. The last batch of an epoch may be smaller.
    shuffle : bool
        Whether every epoch has an order of its own.
    seed : int or sequence of int
        Of the data set's own generator, which goes on from epoch to epoch: the same seed gives the same epochs, and no
        global random state is read or written.

    Raises
    ------
    ValueError
        When the arrays differ in length, or `batch_size` is out of range.
    """

    def __init__(self, x: Any, y: Any, *, batch_size: int = 32, shuffle: bool = False, seed: Any = 0):
        self.x = np.require(x, requirements=["C", "W"])  # torch takes a writable array over without a copy
        self.y = np.require(y, requirements=["C", "W"])
        if self.x.ndim == 0 or self.y.ndim == 0 or len(self.x) != len(self.y):
            raise ValueError(f"x and y must be equally long arrays, got shapes {self.x.shape} and {self.y.shape}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size!r}")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Number of samples (not of batches)."""
        return len(self.x)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """One epoch of ``(x_batch, y_batch)``. Shuffled batches are copies, others views."""
        order = self._rng.permutation(len(self)) if self.shuffle else None
        for start in range(0, len(self), self.batch_size):
            batch = slice(start, start + self.batch_size)
            index = batch if order is None else order[batch]
            yield self.x[index], self.y[index]

    def __repr__(self) -> str:
        arrays = f"x {self.x.shape} {self.x.dtype}, y {self.y.shape} {self.y.dtype}"
        return f"ArrayDataset({arrays}, batches of {self.batch_size})"


def digits(
    part: int = 0, parts: int = 1, *, partition: str = "iid", alpha: float = 0.5, seed: int = 0,
    batch_size: int = 32, shuffle: bool = True,
) -> ArrayDataset:
    """One part of the training split of scikit-learn's handwritten digits, 8x8 pixels, ten classes.

    The training split is 80 % of each class, always the same. All parts made with the same `parts`, `partition`,
    `alpha` and `seed` are disjoint, and are the training split together.

    Parameters
    ----------
    part : int
        Which part, from 0 to `parts` - 1.
    parts : int
        How many parts there are.
    partition : {"iid", "dirichlet"}
        How samples are dealt out; see `partitions`.
    alpha : float
        Concentration of "dirichlet".
    seed : int
        Of the partition, and, together with `part`, of the order of the samples.
    batch_size, shuffle
        See `ArrayDataset`.

    Returns
    -------
    ArrayDataset
        x of shape (n, 64), float32, from 0 to 1; y of shape (n,), int64, from 0 to 9.

    Raises
    ------
    ValueError
        When an argument is out of range.

    Notes
    -----
    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    if not 0 <= part < max(parts, 1):
        raise ValueError(f"part must be from 0 to {parts - 1} (there are {parts} parts), got {part!r}")
    x, y = _load_digits()
    chosen = _digits_partition(parts, partition, alpha, seed)[part]
    return ArrayDataset(x[chosen], y[chosen], batch_size=batch_size, shuffle=shuffle, seed=[seed, part])


def digits_test(batch_size: int = 256) -> ArrayDataset:
    """The test split of `digits`: the other 20 % of each class, in a fixed order.

    Returns
    -------
    ArrayDataset
        As for `digits`.
    """
    x, y = _load_digits()
    chosen = _digits_split()[1]
    return ArrayDataset(x[chosen], y[chosen], batch_size=batch_size)


@lru_cache(maxsize=1)
def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("digits needs scikit-learn, which brings the data: pip install scikit-learn")
    # sklearn.datasets.load_digits reads the same file, but importing it takes 2.0 s, and reading it here 0.02 s
    with gzip.open(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    return table[:, :-1] / np.float32(16), table[:, -1].astype(np.int64)


@lru_cache(maxsize=1)
def _digits_split() -> tuple[np.ndarray, np.ndarray]:
    labels = _load_digits()[1]
    rng = np.random.default_rng(0)
    members = [rng.permutation(np.flatnonzero(labels == label)) for label in range(10)]
    cuts = [round(0.8 * len(one)) for one in members]
    train = np.concatenate([one[:cut] for one, cut in zip(members, cuts, strict=True)])
    test = np.concatenate([one[cut:] for one, cut in zip(members, cuts, strict=True)])
    return np.sort(train), np.sort(test)


@lru_cache(maxsize=8)
def _digits_partition(parts: int, partition: str, alpha: float, seed: int) -> list[np.ndarray]:
    train = _digits_split()[0]
    if partition == "iid":
        dealt = iid(len(train), parts, seed)
    elif partition == "dirichlet":
        dealt = dirichlet(_load_digits()[1][train], parts, alpha, seed)
    else:
        raise ValueError(f"partition must be 'iid' or 'dirichlet', got {partition!r}")
    return [train[index] for index in dealt]
