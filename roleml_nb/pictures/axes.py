"""Axes of pictures: which span of numbers they show, where a number is, and what stands at them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["Axis", "segments", "span", "ticks"]

MAX_NUMBER = 1e300
"""Numbers beyond are drawn there."""
NAME_PIXELS = 14
"""What the name of a category takes; of more, every second, third, … one is named."""


def span(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis, which are apart, and not so far that their difference is none."""
    low, high = (
        max(-MAX_NUMBER, min(MAX_NUMBER, float(end))) for end in (values.min(), values.max())
    )
    if high - low > max(1e-300, 1e-12 * max(abs(low), abs(high))):
        return low, high
    more = max(0.5, 0.01 * abs(high))
    return low - more, high + more


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, six at most."""
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(times * power for times in (1, 2, 5, 10) if times * power * 5 >= high - low)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def segments(x: np.ndarray, *ys: np.ndarray | None) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the stretches of a line where all is finite; none where there is no line."""
    columns = [x, *(y for y in ys if y is not None)]
    if len(columns) <= len(ys):
        return
    finite = np.isfinite(np.stack(columns)).all(0)
    for stretch in np.split(np.arange(len(x)), np.flatnonzero(np.diff(finite)) + 1):
        if len(stretch) and finite[stretch[0]]:
            yield tuple(column[stretch] for column in columns)


class Axis:
    """One axis of a panel, from pixel `begin` to pixel `end`.

    Parameters
    ----------
    kind : {"linear", "log", "category"}
    values : iterable of sequences
        All that is drawn along it.
    margin : float
        Part of its span that stays free at both ends.
    """

    def __init__(
        self,
        kind: str,
        values: Iterable[Sequence[Any]],
        begin: float,
        end: float,
        *,
        margin: float = 0.0,
        reversed: bool = False,
    ):
        self.kind, self.begin, self.end = kind, begin, end
        columns = list(values)
        self.names = list(dict.fromkeys(str(one) for column in columns for one in column))
        if kind == "category":
            self.low, self.high = -0.5, max(0.5, len(self.names) - 0.5)
        else:
            found = np.concatenate([np.empty(0), *(self._scaled(column) for column in columns)])
            found = found[np.isfinite(found)]
            low, high = span(found) if len(found) else (0.0, 1.0)
            free = margin * (high - low)
            self.low, self.high = low - free, high + free
        if reversed:
            self.begin, self.end = end, begin

    def _scaled(self, values: Sequence[Any]) -> np.ndarray:
        if self.kind == "category":
            places = {name: place for place, name in enumerate(self.names)}
            return np.array([places[str(one)] for one in values], float)
        numbers = np.array([np.nan if one is None else one for one in values], float)
        if self.kind != "log":
            return numbers
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log10(numbers)

    def at(self, values: Sequence[Any]) -> np.ndarray:
        """Return where values are, in pixels; NaN where they are nowhere."""
        return self._pixels(self._scaled(values))

    def _pixels(self, scaled: np.ndarray) -> np.ndarray:
        within = np.where(np.isfinite(scaled), np.clip(scaled, self.low, self.high), np.nan)
        return self.begin + (within - self.low) / (self.high - self.low) * (self.end - self.begin)

    @property
    def step(self) -> float:
        """Pixels from one category, or one unit, to the next."""
        return abs(self.end - self.begin) / (self.high - self.low)

    def labels(self) -> list[tuple[float, str]]:
        """Return what stands at the axis: (pixel, text)."""
        if self.kind == "category":
            every = max(1, math.ceil(NAME_PIXELS / self.step))
            shown = list(enumerate(self.names))[::every]
            return [(float(self._pixels(np.array(float(place)))), name) for place, name in shown]
        places = ticks(self.low, self.high)
        if self.kind == "log":
            whole = [place for place in places if abs(place - round(place)) < 1e-9]
            places = whole if len(whole) > 1 else places
            texts = [f"{10.0**place:.3g}" for place in places]
        else:
            texts = [f"{place:.4g}" for place in places]
        pixels = self._pixels(np.array(places))
        return list(zip(map(float, pixels), texts, strict=True))
