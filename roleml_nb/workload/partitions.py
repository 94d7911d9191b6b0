"""Partitioners: functions that share samples out among parts.

Each takes labels (or keys), the number of parts and a seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.numbers import as_count, check_count, check_number, check_seed

__all__ = ["by_key", "dirichlet", "iid", "join_pieces", "label_skew", "quantity_skew", "shards"]

MAX_SAMPLES = 2**28
MAX_DRAWS = 10
"""Draws of Dirichlet proportions, in the hope of large enough parts."""
ALPHA_RANGE = (1e-3, 1e6)
"""Outside of it, NumPy's Dirichlet sampler under- or overflows."""


def iid(n_or_labels: Any, parts: int, seed: int = 0) -> list[np.ndarray]:
    """Deal samples out at random, in parts whose sizes differ by one sample at most.

    Parameters
    ----------
    n_or_labels : int or array of shape (n,)
        The number of samples, or their labels (of which only the number counts).
    parts : int
        From 1 to n.
    seed : int
        The same seed gives the same parts. No global random state is read or written.

    Returns
    -------
    list of `parts` int64 arrays
        Sorted indices; disjoint, together 0 … n-1, none empty.

    Raises
    ------
    ValueError
        When `parts` is out of range.
    """
    n = _count(n_or_labels)
    parts = _check_parts(parts, n, 1)
    seed = check_seed(seed)
    order = np.random.default_rng(seed).permutation(n)
    return list(map(np.sort, np.array_split(order, parts)))


def dirichlet(
    labels: Any, parts: int, alpha: float = 0.5, seed: int = 0, min_size: int = 1
) -> list[np.ndarray]:
    """Deal the samples of each class out in Dirichlet(`alpha`) proportions.

    A small `alpha` gives most of a class to few parts, a large one tends to `iid`. Up to ten draws
    are made until every part has `min_size` samples; after that, samples drawn at random from the
    largest part fill the small ones.

    Parameters
    ----------
    labels : array of shape (n,)
        Class of each sample.
    parts : int
        From 1 to n // `min_size`.
    alpha : float
        Concentration, from 0.001 to 1000000.
    seed : int
        The same seed gives the same parts. No global random state is read or written.
    min_size : int
        The least number of samples of a part, 1 or more.

    Returns
    -------
    list of `parts` int64 arrays
        Sorted indices; disjoint, together 0 … n-1, each of `min_size` or more.

    Raises
    ------
    ValueError
        When an argument is out of range, so also when there are too few samples.

    Notes
    -----
    Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks", ICML 2019;
    Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated
    Visual Classification", 2019.
    """
    labels = _labels(labels)
    alpha = check_number("alpha", alpha, *ALPHA_RANGE)
    min_size = as_count("min_size", min_size)
    parts = _check_parts(parts, len(labels), min_size)
    seed = check_seed(seed)
    rng = np.random.default_rng(seed)
    for _ in range(MAX_DRAWS):
        dealt = _deal(labels, parts, alpha, rng)
        if min(map(len, dealt)) >= min_size:
            break
    else:
        _fill(dealt, min_size, rng)
    return list(map(np.sort, dealt))


def shards(labels: Any, parts: int, seed: int = 0, shards_per_part: int = 2) -> list[np.ndarray]:
    """Sort the samples by class, cut them into equal shards, and deal the shards out at random.

    Each part gets `shards_per_part` shards. Most parts see no more classes than they have shards:
    the "pathological" partition.

    Parameters
    ----------
    labels : array of shape (n,)
        Class of each sample.
    parts, shards_per_part : int
        1 or more; their product, the number of shards, is n at most.
    seed : int
        The same seed gives the same parts. No global random state is read or written.

    Returns
    -------
    list of `parts` int64 arrays
        Sorted indices; disjoint, together 0 … n-1. Shards differ by one sample at most.

    Raises
    ------
    ValueError
        When an argument is out of range.

    Notes
    -----
    McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of Deep
    Networks from Decentralized Data", AISTATS 2017, section 3 (200 shards of MNIST, two for each of
    100 clients).
    """
    labels = _labels(labels)
    shards_per_part = check_count("shards_per_part", shards_per_part, 1)
    seed = check_seed(seed)
    parts = _check_parts(parts, len(labels), shards_per_part)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))  # a shard's samples are random within a class, too
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    shards = np.array_split(by_class, parts * shards_per_part)
    pieces = []
    for numbers in rng.permutation(len(shards)).reshape(parts, shards_per_part):
        pieces.append([shards[number] for number in numbers])
    return join_pieces(pieces)


def label_skew(labels: Any, parts: int, seed: int = 0, classes: int = 2) -> list[np.ndarray]:
    """Give each part `classes` classes, and share each class evenly among the parts that have it.

    Each part draws its classes at random among those that the fewest parts have by then, so that
    the numbers of parts with a class differ by one at most.

    Parameters
    ----------
    labels : array of shape (n,)
        Class of each sample.
    parts : int
        Enough for ``parts * classes`` to cover every class, and few enough for each to get a
        sample.
    seed : int
        The same seed gives the same parts. No global random state is read or written.
    classes : int
        Classes per part, from 1 to the number of classes.

    Returns
    -------
    list of `parts` int64 arrays
        Sorted indices; disjoint, together 0 … n-1, each with exactly `classes` classes.

    Raises
    ------
    ValueError
        When an argument is out of range, or a class has fewer samples than parts that are to have
        it.

    Notes
    -----
    Li, Diao, Chen and He, "Federated Learning on Non-IID Data Silos: An Experimental Study", ICDE
    2022, section IV-A (quantity-based label imbalance, "#C = k"); there, the number of parts with
    a class is left to chance.
    """
    labels = _labels(labels)
    names = np.unique(labels)
    classes = as_count("classes", classes)
    seed = check_seed(seed)
    if not 1 <= classes <= len(names):
        raise ArgumentError(
            f"classes must be from 1 to {len(names)}, the number of classes, got {classes!r}"
        )
    parts = _check_parts(parts, len(labels), classes)
    if parts * classes < len(names):
        raise ArgumentError(
            f"{parts} parts with {classes} of {len(names)} classes each leave "
            f"{len(names) - parts * classes} out: give parts × classes of {len(names)} or more"
        )
    rng = np.random.default_rng(seed)
    owner_counts = np.zeros(len(names), np.int64)  # of each class, so far
    owners: list[list[int]] = [[] for _ in names]
    for part in rng.permutation(parts):
        # the classes with the fewest owners, in random order
        drawn = np.lexsort((rng.random(len(names)), owner_counts))[:classes]
        owner_counts[drawn] += 1
        for place in drawn:
            owners[place].append(part)
    pieces: list[list[np.ndarray]] = [[] for _ in range(parts)]
    for label, group in zip(names, owners, strict=True):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < len(group):
            raise ArgumentError(
                f"class {label} has {len(members)} samples, too few for the {len(group)} parts that"
                " are to have it: give fewer parts, or fewer classes"
            )
        for part, piece in zip(group, np.array_split(members, len(group)), strict=True):
            pieces[part].append(piece)
    return join_pieces(pieces)


def quantity_skew(
    n_or_labels: Any,
    parts: int,
    seed: int = 0,
    law: str = "power",
    alpha: float = 1.0,
    min_size: int = 1,
) -> list[np.ndarray]:
    """Deal samples out at random, in parts of very different sizes.

    Parameters
    ----------
    n_or_labels : int or array of shape (n,)
        The number of samples, or their labels (of which only the number counts).
    parts : int
        From 1 to n // `min_size`.
    seed : int
        The same seed gives the same parts. No global random state is read or written.
    law : {"power", "dirichlet"}
        Sizes follow rank ** -`alpha` (ranks are dealt at random, so part 0 need not be the
        largest), or are drawn from Dirichlet(`alpha`).
    alpha : float
        From 0.001 to 1000000. "power": the larger the more skewed; "dirichlet": the smaller the
        more skewed.
    min_size : int
        The least number of samples of a part, 1 or more; the law shares the others out.

    Returns
    -------
    list of `parts` int64 arrays
        Sorted indices; disjoint, together 0 … n-1, each of `min_size` or more.

    Raises
    ------
    ValueError
        When an argument is out of range.

    Notes
    -----
    "dirichlet" is the quantity skew of Li, Diao, Chen and He, ICDE 2022, section IV-C; "power" is
    the law of the sizes in Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, "Federated Optimization
    in Heterogeneous Networks", MLSys 2020.
    """
    n = _count(n_or_labels)
    alpha = check_number("alpha", alpha, *ALPHA_RANGE)
    min_size = as_count("min_size", min_size)
    parts = _check_parts(parts, n, min_size)
    seed = check_seed(seed)
    rng = np.random.default_rng(seed)
    if law == "power":
        logs = -alpha * np.log(1.0 + rng.permutation(parts))
        shares = np.exp(logs - logs.max())
        shares /= shares.sum()
    elif law == "dirichlet":
        shares = rng.dirichlet(np.full(parts, alpha))
    else:
        raise ArgumentError(f"law must be 'power' or 'dirichlet', got {law!r}")
    spare = n - parts * min_size
    cuts = np.rint(np.cumsum(shares)[:-1] * spare).astype(np.int64) + min_size * np.arange(1, parts)
    return list(map(np.sort, np.split(rng.permutation(n), cuts)))


def by_key(keys: Any, parts: int, seed: int = 0) -> list[np.ndarray]:
    """Keep the samples of a key together: one key per part, or several in parts of similar size.

    A key is the origin of data: a writer, a patient, a device.

    Parameters
    ----------
    keys : array of shape (n,)
        Key of each sample; numbers or texts.
    parts : int
        From 1 to the number of keys. If it is that number, part i is the i-th key in sorted order.
    seed : int
        Seed of the order in which equally large keys are dealt. No global random state is read or
        written.

    Returns
    -------
    list of `parts` int64 arrays
        Sorted indices; disjoint, together 0 … n-1, none empty.

    Raises
    ------
    ValueError
        When `parts` is out of range.
    """
    names, place, sizes = np.unique(_labels(keys), return_inverse=True, return_counts=True)
    parts = as_count("parts", parts)
    seed = check_seed(seed)
    if not 1 <= parts <= len(names):
        raise ArgumentError(
            f"parts must be from 1 to {len(names)}, the number of keys, got {parts!r}"
        )
    owner = np.arange(len(names))
    # the largest key first, to the smallest part: at most 4/3 of the best (Graham 1969)
    if parts < len(names):
        load = np.zeros(parts, np.int64)
        shuffled = np.random.default_rng(seed).permutation(len(names))
        for key in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            owner[key] = np.lexsort((np.arange(parts), load))[0]
            load[owner[key]] += sizes[key]
    return [np.flatnonzero(owner[place] == part) for part in range(parts)]


def _deal(
    labels: np.ndarray, parts: int, alpha: float, rng: np.random.Generator
) -> list[np.ndarray]:
    pieces: list[list[np.ndarray]] = [[] for _ in range(parts)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        shares = rng.dirichlet(np.full(parts, alpha))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
        for piece, given in zip(pieces, np.split(members, cuts), strict=True):
            piece.append(given)
    return list(map(np.concatenate, pieces))


def join_pieces(pieces: Iterable[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Return the sorted indices of each part, given in pieces."""
    return [np.sort(np.concatenate(arrays)) for arrays in pieces]


def _fill(dealt: list[np.ndarray], min_size: int, rng: np.random.Generator) -> None:
    for small in range(len(dealt)):
        while (lack := min_size - len(dealt[small])) > 0:
            large = max(range(len(dealt)), key=lambda part: len(dealt[part]))
            giver = rng.permutation(dealt[large])
            count = min(lack, len(giver) - min_size)
            dealt[small] = np.concatenate([dealt[small], giver[:count]])
            dealt[large] = giver[count:]


def _count(n_or_labels: Any) -> int:
    if np.ndim(n_or_labels) == 0:
        return check_count("n", n_or_labels, 1, MAX_SAMPLES)
    return len(n_or_labels)


def _labels(labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ArgumentError(f"labels must have shape (n,), got {labels.shape}")
    return labels


def _check_parts(parts: int, n: int, min_size: int) -> int:
    parts = as_count("parts", parts)
    min_size = check_count("min_size", min_size, 1)
    most = n // min_size
    if most < 1:
        raise ArgumentError(f"min_size must be {n} or less for {n} samples, got {min_size!r}")
    if not 1 <= parts <= most:
        each = "at least 1 sample" if min_size == 1 else f"at least {min_size} samples"
        raise ArgumentError(
            f"parts must be from 1 to {most} for {n} samples, {each} each, got {parts!r}"
        )
    return parts
