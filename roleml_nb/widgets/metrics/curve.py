"""A curve: one line of a chart, with a range around it if it is a mean, and of few points."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

__all__ = ["MAX_POINTS", "Curve", "decimated"]

MAX_POINTS = 400


class Curve(NamedTuple):
    """One line of a chart; `low` and `high` are the range around it, if it is a mean."""

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def decimated(
    x: np.ndarray, y: np.ndarray, points: int = MAX_POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """Return at most so many points of a line, with the least and the greatest of each part of it.

    So no peak is lost. Of numbers that are not finite, each part keeps the first.
    """
    if len(x) <= points:
        return x, y
    finite = np.isfinite(y)
    points_per_part = 2 if finite.all() else 3
    edges = np.linspace(0, len(x), points // points_per_part + 1).astype(int).tolist()
    chosen = {0, len(x) - 1}
    for begin, end in pairwise(edges):
        here = np.flatnonzero(finite[begin:end])
        if len(here):
            part = y[begin:end][here]
            chosen.add(begin + int(here[part.argmin()]))
            chosen.add(begin + int(here[part.argmax()]))
        if len(here) < end - begin:
            chosen.add(begin + int(finite[begin:end].argmin()))
    order = sorted(chosen)
    return x[order], y[order]
