"""Deals the samples of a data set out to nodes: one part of a partition of a split, in batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError, did_you_mean, testbed_seed
from roleml_nb.role.checks.numbers import as_count, as_number, check_count, check_seed

from .datasets import ArrayDataset
from .partitions import by_key, dirichlet, iid, join_pieces, label_skew, quantity_skew, shards
from .skews import noise, rotation

__all__ = [
    "BY_CLASS",
    "PARTITIONS",
    "SKEWS",
    "Samples",
    "check_partition",
    "dealt",
    "split_at_random",
]

PARTITIONS: Mapping[str, Callable[..., list[np.ndarray]]] = {
    "iid": iid,
    "dirichlet": dirichlet,
    "shards": shards,
    "label_skew": label_skew,
    "quantity_skew": quantity_skew,
    "natural": by_key,
}
"""Partitioners by name: they decide the part that each sample belongs to."""

SKEWS: Mapping[str, Callable[..., np.ndarray]] = {"noise": noise, "rotation": rotation}
"""Partitions that deal out as "iid" does, and then alter the inputs of each part."""

BY_CLASS = ("dirichlet", "shards", "label_skew")
"""Partitions that need classes."""

TEST_FOLLOWS_TRAIN = (*BY_CLASS, "natural")
"""Partitions whose test parts have the same classes, or keys, as their train parts."""

FIXED_ARGUMENTS = ("labels", "n_or_labels", "keys", "parts", "part", "seed", "x")
"""Arguments of partitioners and skews that are no options of theirs."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one split: inputs (n, …), targets (n,), and natural keys (n,) or None."""

    name: str
    x: np.ndarray
    y: np.ndarray
    keys: np.ndarray | None = None


Splits = Mapping[str, Samples]


def dealt(
    data: Splits | Callable[..., Splits],
    part: int = 0,
    parts: int = 1,
    *,
    split: str = "train",
    partition: str | Callable[..., Sequence[Any]] = "iid",
    seed: int | None = None,
    batch_size: int = 32,
    shuffle: bool | None = None,
    drop_last: bool = False,
    **options: Any,
) -> ArrayDataset:
    """Return one part of a split; all data sets of this room take these arguments.

    The parts that differ in `part` alone are disjoint, and together they are the split.

    Parameters
    ----------
    data : mapping of split to `Samples`, or function that returns one
        A function must return the same samples each time, since partitions of them are cached.
    part, parts : int
        Number of the part, from 0 to `parts` - 1, and the number of parts.
    split : {"train", "test"}
        A part has the same share of each class (or key, if "natural") in the test split as in the
        train split, so that nodes may have test sets of their own. Small ones may be empty.
    partition : str or callable
        A name in `PARTITIONS` or `SKEWS`, or ``partition(labels, parts, seed, **options)``, which
        returns an array of indices per part.
    seed : int, optional
        Seed of the partition, and, together with `part`, of the order of the samples. By default
        that of the testbed for whose role the data set is built; 0 outside of roles. The samples
        themselves do not depend on it.
    batch_size, shuffle, drop_last
        See `ArrayDataset`. By default the train split is shuffled, and the test split is not.
    **options
        Options of the partition, e.g. ``alpha=0.1`` for "dirichlet".

    Raises
    ------
    ValueError
        When an argument is out of range or unknown, and when the user's own partition loses or
        doubles samples.
    """
    splits = data() if callable(data) else data
    if split not in splits:
        raise ArgumentError(f"no split is named {split!r}; {did_you_mean(split, splits)}")
    part = as_count("part", part)
    parts = as_count("parts", parts)
    if not 0 <= part < max(parts, 1):
        raise ArgumentError(
            f"part must be from 0 to {parts - 1} (there are {parts} parts), got {part!r}"
        )
    _check_options(partition, options)
    seed = testbed_seed(seed)
    samples = splits[split]
    partition_options = {} if partition in SKEWS else options
    find = _cached_indices if callable(data) and isinstance(partition, str) else _indices
    train = splits["train"] if split != "train" and partition in TEST_FOLLOWS_TRAIN else samples
    indices = find(train, parts, partition, seed, tuple(sorted(partition_options.items())))
    if train is not samples:
        indices = _follow(train, indices, samples, partition, seed)
    chosen = indices[part]
    x = samples.x[chosen]
    if isinstance(partition, str) and partition in SKEWS:
        x = SKEWS[partition](x, part, parts, seed, **options)
    return ArrayDataset(
        x,
        samples.y[chosen],
        batch_size=batch_size,
        seed=[seed, part],
        drop_last=drop_last,
        shuffle=split == "train" if shuffle is None else shuffle,
    )


def _check_options(partition: Any, options: Mapping[str, Any]) -> None:
    if callable(partition):
        return
    makers = {**PARTITIONS, **SKEWS}
    if partition not in makers:
        raise ArgumentError(
            f"no partition is named {partition!r}; {did_you_mean(partition, makers)}"
        )
    arguments = inspect.signature(makers[partition]).parameters
    known = [name for name in arguments if name not in FIXED_ARGUMENTS]
    for option in options:
        if option not in known:
            offers = did_you_mean(option, known) if known else "it takes no options"
            raise ArgumentError(f"partition {partition!r} has no option {option!r}; {offers}")


def _indices(
    samples: Samples, parts: int, partition: Any, seed: int, options: tuple
) -> list[np.ndarray]:
    labels = samples.y
    if partition in BY_CLASS and not np.issubdtype(labels.dtype, np.integer):
        raise ArgumentError(
            f"partition {partition!r} goes by classes, but the targets of {samples.name} are"
            f" numbers ({labels.dtype}): use one that does not, e.g. 'quantity_skew'"
        )
    if callable(partition):
        returned = partition(labels, parts, seed, **dict(options))
        own = [np.asarray(given, np.int64) for given in returned]
        if len(own) != parts:
            raise ArgumentError(f"the partition must return {parts} parts, it returned {len(own)}")
        check_partition(own, len(labels))
        return own
    if partition == "natural":
        if samples.keys is None:
            raise ArgumentError(
                f"{samples.name} has no natural key; data sets that have one: synthetic, and those"
                " that are made with keys by from_arrays or from_frame"
            )
        return by_key(samples.keys, parts, seed)
    partitioner = PARTITIONS["iid" if partition in SKEWS else partition]
    return partitioner(labels, parts, seed=seed, **dict(options))


def _follow(
    train: Samples, dealt_out: Sequence[np.ndarray], samples: Samples, partition: Any, seed: int
) -> list[np.ndarray]:
    """Deal out another split in the proportions of the train split."""
    natural = partition == "natural" and train.keys is not None and samples.keys is not None
    known = np.asarray(train.keys if natural else train.y)
    labels = np.asarray(samples.keys if natural else samples.y)
    pieces: list[list[np.ndarray]] = [[] for _ in dealt_out]
    rng = np.random.default_rng([seed, 2])
    for label in np.unique(labels):
        counts = np.array([(known[part] == label).sum() for part in dealt_out])
        shares = np.cumsum(counts if counts.any() else np.ones(len(dealt_out)))
        members = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(shares[:-1] / shares[-1] * len(members)).astype(np.int64)
        for piece, given in zip(pieces, np.split(members, cuts), strict=True):
            piece.append(given)
    return join_pieces(pieces)


_cached_indices = lru_cache(maxsize=16)(_indices)


def check_partition(parts: Sequence[Any], n: int) -> None:
    """Check that parts, arrays of indices, hold each of 0 … n-1 once.

    Raises
    ------
    ValueError
        Otherwise; it has the numbers of samples lost, doubled and unknown, and one of each.
    """
    n = check_count("n", n, 0, 2**28)
    pieces = [np.zeros(0, np.int64)]
    for part in parts:
        pieces.append(np.asarray(part, np.int64).ravel())
    given = np.concatenate(pieces)
    inside = (given >= 0) & (given < n)
    times = np.bincount(given[inside], minlength=n)
    wrong = {
        "lost": np.flatnonzero(times == 0),
        "in more than one place": np.flatnonzero(times > 1),
        f"not from 0 to {n - 1}": given[~inside],
    }
    faults = []
    for fault, indices in wrong.items():
        if len(indices):
            faults.append(f"{len(indices)} {fault} (e.g. {indices[0]})")
    if faults:
        raise ArgumentError(f"this is no partition of {n} samples: {', '.join(faults)}")


def split_at_random(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    keys: np.ndarray | None = None,
    *,
    test: float = 0.2,
    seed: int = 0,
) -> Splits:
    """Return a train and a test split.

    A share of `test`, from 0 to 1, of each class (where targets are integers) is for testing.

    Raises
    ------
    ValueError
        When `test` is out of range, or the arrays differ in length.
    """
    test = as_number("test", test)
    seed = check_seed(seed, "split_seed")
    if not 0 <= test < 1:
        raise ArgumentError(
            f"test must be from 0 to less than 1, the share of the samples to test on, got {test!r}"
        )
    lengths = [len(array) for array in (x, y, keys) if array is not None]
    if len(set(lengths)) != 1:
        raise ArgumentError(
            f"inputs, targets and keys must be equally many, got {', '.join(map(str, lengths))}"
        )
    rng = np.random.default_rng(seed)
    strata = np.unique(y) if np.issubdtype(y.dtype, np.integer) else [None]
    train_rows = []
    test_rows = []
    for stratum in strata:
        members = np.arange(len(y)) if stratum is None else np.flatnonzero(y == stratum)
        shuffled = rng.permutation(members)
        cut = round((1 - test) * len(shuffled))
        train_rows.append(shuffled[:cut])
        test_rows.append(shuffled[cut:])
    splits = {}
    for split, pieces in (("train", train_rows), ("test", test_rows)):
        rows = np.sort(np.concatenate(pieces))
        if len(rows):
            splits[split] = Samples(name, x[rows], y[rows], None if keys is None else keys[rows])
    return splits
