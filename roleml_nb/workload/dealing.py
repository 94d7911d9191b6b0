"""How the samples of a data set come to nodes: a split, a partition, and one part of it, in
batches.
"""

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
from .partitions import by_key, dirichlet, iid, label_skew, quantity_skew, shards
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
"""Who gets which samples, by name."""

SKEWS: Mapping[str, Callable[..., np.ndarray]] = {"noise": noise, "rotation": rotation}
"""Partitions that deal out as "iid" does, and then change the inputs of each part."""

BY_CLASS = ("dirichlet", "shards", "label_skew")
"""Partitions that need classes."""

TEST_FOLLOWS_TRAIN = (*BY_CLASS, "natural")
"""Partitions in which a part of the test split has the classes, or the keys, that it has of the
train split.
"""


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one split: inputs of shape (n, …), targets of shape (n,), and, where there are
    any, natural keys.
    """

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
    """One part of a split. All data sets of this room take these arguments.

    All parts made with the same arguments, but for `part`, are disjoint, and are the split
    together.

    Parameters
    ----------
    data : mapping of split to `Samples`, or function that returns one
        Of a function, what was dealt last is kept: it must return the same samples each time.
    part, parts : int
        Which part, from 0 to `parts` - 1, and how many there are.
    split : {"train", "test"}
        Of the test split, a part has the share of each class (or key, if "natural") that it has of
        the train split, so that nodes may have test sets of their own. Small ones may be empty.
    partition : str or callable
        A name in `PARTITIONS` or `SKEWS`, or ``partition(labels, parts, seed, **options)``, which
        returns an array of indices per part.
    seed : int, optional
        Of the partition, and, together with `part`, of the order of the samples. By default that of
        the testbed for whose role the data set is built; 0 outside of roles. Which samples there
        are does not depend on it.
    batch_size, shuffle, drop_last
        See `ArrayDataset`. Unless told otherwise, the train split is shuffled, and the test split
        is not.
    **options
        Of the partition, e.g. ``alpha=0.1`` for "dirichlet".

    Raises
    ------
    ValueError
        When an argument is out of range or unknown, and when a partition of one's own loses or
        doubles samples.
    """
    splits = data() if callable(data) else data
    if split not in splits:
        raise ArgumentError(f"no split is named {split!r}; {did_you_mean(split, splits)}")
    part, parts = as_count("part", part), as_count("parts", parts)
    if not 0 <= part < max(parts, 1):
        raise ArgumentError(
            f"part must be from 0 to {parts - 1} (there are {parts} parts), got {part!r}"
        )
    _check_options(partition, options)
    seed = testbed_seed(seed)
    samples = splits[split]
    given = {} if partition in SKEWS else options
    find = _cached_indices if callable(data) and isinstance(partition, str) else _indices
    train = splits["train"] if split != "train" and partition in TEST_FOLLOWS_TRAIN else samples
    indices = find(train, parts, partition, seed, tuple(sorted(given.items())))
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
    takes = list(inspect.signature(makers[partition]).parameters)
    known = [
        name
        for name in takes
        if name not in ("labels", "n_or_labels", "keys", "parts", "part", "seed", "x")
    ]
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
        own = [
            np.asarray(given, np.int64) for given in partition(labels, parts, seed, **dict(options))
        ]
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
    return PARTITIONS["iid" if partition in SKEWS else partition](
        labels, parts, seed=seed, **dict(options)
    )


def _follow(
    train: Samples, dealt_out: Sequence[np.ndarray], samples: Samples, partition: Any, seed: int
) -> list[np.ndarray]:
    """Deal out another split in the proportions in which the train split was."""
    natural = partition == "natural" and train.keys is not None and samples.keys is not None
    known, labels = (np.asarray(one.keys if natural else one.y) for one in (train, samples))
    pieces: list[list[np.ndarray]] = [[] for _ in dealt_out]
    rng = np.random.default_rng([seed, 2])
    for label in np.unique(labels):
        counts = np.array([(known[part] == label).sum() for part in dealt_out])
        shares = np.cumsum(counts if counts.any() else np.ones(len(dealt_out)))
        members = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(shares[:-1] / shares[-1] * len(members)).astype(np.int64)
        for piece, given in zip(pieces, np.split(members, cuts), strict=True):
            piece.append(given)
    return [np.sort(np.concatenate(piece)) for piece in pieces]


_cached_indices = lru_cache(maxsize=16)(_indices)


def check_partition(parts: Sequence[Any], n: int) -> None:
    """See to it that parts, arrays of indices, hold each of 0 … n-1 once: nothing is lost, nothing
    doubled.

    Raises
    ------
    ValueError
        Otherwise; it names how many samples are lost, doubled and unknown, and one of each.
    """
    n = check_count("n", n, 0, 2**28)
    given = np.concatenate(
        [np.zeros(0, np.int64), *(np.asarray(part, np.int64).ravel() for part in parts)]
    )
    inside = (given >= 0) & (given < n)
    times = np.bincount(given[inside], minlength=n)
    wrong = (
        ("lost", np.flatnonzero(times == 0)),
        ("in more than one place", np.flatnonzero(times > 1)),
        (f"not from 0 to {n - 1}", given[~inside]),
    )
    said = [f"{len(which)} {what} (e.g. {which[0]})" for what, which in wrong if len(which)]
    if said:
        raise ArgumentError(f"this is no partition of {n} samples: {', '.join(said)}")


def split_at_random(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    keys: np.ndarray | None = None,
    *,
    test: float = 0.2,
    seed: int = 0,
) -> Splits:
    """Return a train and a test split; of each class (where targets are integers) a share of
    `test`, from 0 to 1, is for testing.

    Raises
    ------
    ValueError
        When `test` is out of range, or the arrays differ in length.
    """
    test, seed = as_number("test", test), check_seed(seed, "split_seed")
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
    members = [
        rng.permutation(np.arange(len(y)) if stratum is None else np.flatnonzero(y == stratum))
        for stratum in strata
    ]
    cuts = [round((1 - test) * len(one)) for one in members]
    both = {
        "train": [one[:cut] for one, cut in zip(members, cuts, strict=True)],
        "test": [one[cut:] for one, cut in zip(members, cuts, strict=True)],
    }
    chosen = {split: np.sort(np.concatenate(pieces)) for split, pieces in both.items()}
    return {
        split: Samples(name, x[rows], y[rows], None if keys is None else keys[rows])
        for split, rows in chosen.items()
        if len(rows)
    }
