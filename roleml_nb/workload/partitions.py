"""Partitioners: who gets which samples.

Each is a function of labels (or keys), the number of parts and a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.numbers import as_count, as_number, check_count, check_seed

__all__ = ["by_key", "dirichlet", "iid", "label_skew", "quantity_skew", "shards"]

MAX_SAMPLES = 2**28
"""Samples."""
ALPHA_RANGE = (1e-3, 1e6)  # outside, NumPy's Dirichlet sampler under- or overflows


def iid(n_or_labels: Any, parts: int, seed: int = 0) -> list[np.ndarray]:
    """Deal samples out at random, in parts that differ by one sample at most.

    Parameters
    ----------
    n_or_labels : int or array of shape (n,)
        How many samples there are, or their labels (of which only the number counts).
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
    parts, seed = _check_parts(parts, n, 1), check_seed(seed)
    order = np.random.default_rng(seed).permutation(n)
    return [np.sort(part) for part in np.array_split(order, parts)]


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
    alpha, min_size = _check_alpha(alpha), as_count("min_size", min_size)
    parts, seed = _check_parts(parts, len(labels), min_size), check_seed(seed)
    rng = np.random.default_rng(seed)
    for _ in range(10):
        dealt = _deal(labels, parts, alpha, rng)
        if min(len(part) for part in dealt) >= min_size:
            break
    else:
        _fill(dealt, min_size, rng)
    return [np.sort(part) for part in dealt]


def shards(labels: Any, parts: int, seed: int = 0, shards_per_part: int = 2) -> list[np.ndarray]:
    """Sort the samples by class, cut them into equal shards, and deal each part `shards_per_part`
    of them at random.

    Most parts see no more classes than they have shards: the "pathological" partition.

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
    shards_per_part, seed = as_count("shards_per_part", shards_per_part), check_seed(seed)
    if shards_per_part < 1:
        raise ArgumentError(f"shards_per_part must be 1 or more, got {shards_per_part!r}")
    parts = _check_parts(parts, len(labels), shards_per_part)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))  # which samples of a class share a shard is random too
    cut = np.array_split(
        shuffled[np.argsort(labels[shuffled], kind="stable")], parts * shards_per_part
    )
    order = rng.permutation(len(cut)).reshape(parts, shards_per_part)
    return [np.sort(np.concatenate([cut[shard] for shard in given])) for given in order]


def label_skew(labels: Any, parts: int, seed: int = 0, classes: int = 2) -> list[np.ndarray]:
    """Give each part `classes` classes, and share the samples of a class evenly among the parts
    that have it.

    Each part draws its classes at random among those that the fewest parts have by then, so that
    each class is had by as many parts as any other, or one fewer.

    Parameters
    ----------
    labels : array of shape (n,)
        Class of each sample.
    parts : int
        At least as many that ``parts * classes`` covers every class, and at most that each gets a
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
    2022, section IV-A (quantity-based label imbalance, "#C = k"); there, how many parts have a
    class is left to chance.
    """
    labels = _labels(labels)
    names = np.unique(labels)
    classes, seed = as_count("classes", classes), check_seed(seed)
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
    had = np.zeros(len(names), np.int64)  # by how many parts each class is had so far
    owners: list[list[int]] = [[] for _ in names]
    for part in rng.permutation(parts):
        # those had by fewest, in random order
        given = np.lexsort((rng.random(len(names)), had))[:classes]
        had[given] += 1
        for place in given:
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
    return [np.sort(np.concatenate(piece)) for piece in pieces]


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
        How many samples there are, or their labels (of which only the number counts).
    parts : int
        From 1 to n // `min_size`.
    seed : int
        The same seed gives the same parts. No global random state is read or written.
    law : {"power", "dirichlet"}
        Sizes follow rank ** -`alpha` (part 0 is not the largest: ranks are dealt at random), or are
        drawn from Dirichlet(`alpha`).
    alpha : float
        From 0.001 to 1000000. "power": the larger the more skewed; "dirichlet": the smaller the
        more skewed.
    min_size : int
        The least number of samples of a part, 1 or more; the law shares out what is beyond it.

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
    alpha, min_size = _check_alpha(alpha), as_count("min_size", min_size)
    parts, seed = _check_parts(parts, n, min_size), check_seed(seed)
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
    return [np.sort(part) for part in np.split(rng.permutation(n), cuts)]


def by_key(keys: Any, parts: int, seed: int = 0) -> list[np.ndarray]:
    """Keep the samples of a key together: one key per part, or, with fewer parts than keys, as even
    in size as they go.

    A key is what the data come from: a writer, a patient, a device.

    Parameters
    ----------
    keys : array of shape (n,)
        Key of each sample; numbers or texts.
    parts : int
        From 1 to the number of keys. As many as there are keys: part i is the i-th key in sorted
        order.
    seed : int
        Of the order in which equally large keys are dealt. No global random state is read or
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
    parts, seed = as_count("parts", parts), check_seed(seed)
    if not 1 <= parts <= len(names):
        raise ArgumentError(
            f"parts must be from 1 to {len(names)}, the number of keys, got {parts!r}"
        )
    owner = np.arange(len(names))
    # the largest key first, each to the part that has least: at most 4/3 of the best (Graham 1969)
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
    return [np.concatenate(piece) for piece in pieces]


def _fill(dealt: list[np.ndarray], min_size: int, rng: np.random.Generator) -> None:
    for small in range(len(dealt)):
        while (lack := min_size - len(dealt[small])) > 0:
            large = max(range(len(dealt)), key=lambda part: len(dealt[part]))
            giver = rng.permutation(dealt[large])
            taken = min(lack, len(giver) - min_size)
            dealt[small] = np.concatenate([dealt[small], giver[:taken]])
            dealt[large] = giver[taken:]


def _count(n_or_labels: Any) -> int:
    return (
        check_count("n", n_or_labels, 1, MAX_SAMPLES)
        if np.ndim(n_or_labels) == 0
        else len(n_or_labels)
    )


def _labels(labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ArgumentError(f"labels must have shape (n,), got {labels.shape}")
    return labels


def _check_alpha(alpha: float) -> float:
    alpha = as_number("alpha", alpha)
    low, high = ALPHA_RANGE
    if not low <= alpha <= high:
        raise ArgumentError(f"alpha must be from {low:g} to {high:g}, got {alpha!r}")
    return alpha


def _check_parts(parts: int, n: int, min_size: int) -> int:
    parts, min_size = as_count("parts", parts), as_count("min_size", min_size)
    if min_size < 1:
        raise ArgumentError(f"min_size must be 1 or more, got {min_size!r}")
    most = n // min_size
    if most < 1:
        raise ArgumentError(f"min_size must be {n} or less for {n} samples, got {min_size!r}")
    if not 1 <= parts <= most:
        each = "at least 1 sample" if min_size == 1 else f"at least {min_size} samples"
        raise ArgumentError(
            f"parts must be from 1 to {most} for {n} samples, {each} each, got {parts!r}"
        )
    return parts
