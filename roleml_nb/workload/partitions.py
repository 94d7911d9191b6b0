"""Partitioners: who gets which samples."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["dirichlet", "iid"]

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
    n = int(n_or_labels) if np.ndim(n_or_labels) == 0 else len(n_or_labels)
    _check_parts(parts, n, 1)
    order = np.random.default_rng(seed).permutation(n)
    return [np.sort(part) for part in np.array_split(order, parts)]


def dirichlet(labels: Any, parts: int, alpha: float, seed: int = 0, min_size: int = 1) -> list[np.ndarray]:
    """Deal the samples of each class out in Dirichlet(`alpha`) proportions.

    A small `alpha` gives most of a class to few parts, a large one tends to `iid`. Up to ten draws are made until
    every part has `min_size` samples; after that, samples drawn at random from the largest part fill the small ones.

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
    Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks", ICML 2019; Hsu, Qi and Brown,
    "Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification", 2019.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels must have shape (n,), got {labels.shape}")
    low, high = ALPHA_RANGE
    if not low <= alpha <= high:
        raise ValueError(f"alpha must be from {low:g} to {high:g}, got {alpha!r}")
    if min_size < 1:
        raise ValueError(f"min_size must be 1 or more, got {min_size!r}")
    _check_parts(parts, len(labels), min_size)
    rng = np.random.default_rng(seed)
    for _ in range(10):
        dealt = _deal(labels, parts, alpha, rng)
        if min(len(part) for part in dealt) >= min_size:
            break
    else:
        _fill(dealt, min_size, rng)
    return [np.sort(part) for part in dealt]


def _deal(labels: np.ndarray, parts: int, alpha: float, rng: np.random.Generator) -> list[np.ndarray]:
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


def _check_parts(parts: int, n: int, min_size: int) -> None:
    most = n // min_size
    if not 1 <= parts <= most:
        each = "at least 1 sample" if min_size == 1 else f"at least {min_size} samples"
        raise ValueError(f"parts must be from 1 to {most} for {n} samples, {each} each, got {parts!r}")
