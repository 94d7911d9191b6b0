"""Axes of pictures: their span of numbers, the pixels of values, and their labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["Axis", "distinct_texts", "given_values", "numbers", "segments", "span", "ticks"]

Values = Sequence[Any] | np.ndarray
MAX_NUMBER = 1e300
"""Larger numbers are drawn there."""
NAME_PIXELS = 14
"""The name of a category takes as much; of more, every second, third, … one is named."""


def span(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis, which are apart, and whose difference is finite."""
    low, high = np.clip([values.min(), values.max()], -MAX_NUMBER, MAX_NUMBER).tolist()
    if high - low > max(1e-300, 1e-12 * max(abs(low), abs(high))):
        return low, high
    more = max(0.5, 0.01 * abs(high))
    return low - more, high + more


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, six at most."""
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = power
    for times in (2, 5, 10):
        if step * 5 < high - low:
            step = times * power
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def segments(x: np.ndarray, *ys: np.ndarray | None) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the stretches of a line where all is finite; none when one of `ys` is None."""
    columns = [x]
    for y in ys:
        if y is None:
            return
        columns.append(y)
    table = np.stack(columns)
    finite = np.isfinite(table).all(0)
    for stretch in np.split(np.arange(len(x)), np.flatnonzero(np.diff(finite)) + 1):
        if len(stretch) and finite[stretch[0]]:
            yield tuple(table[:, stretch])


def given_values(traces: list[Any], letter: str) -> list[Any]:
    """Return the values of traces along an axis, where a trace has any."""
    return [trace[letter] for trace in traces if trace[letter] is not None]


def distinct_texts(columns: list[Values]) -> list[str]:
    """Return all values as texts, each once, in order."""
    found: dict[str, None] = {}
    for column in columns:
        found.update(dict.fromkeys(map(str, column)))
    return list(found)


def numbers(values: Values) -> np.ndarray:
    """Return values as numbers; NaN for None."""
    return np.array([np.nan if value is None else value for value in values], float)


class Axis:
    """One axis of a panel, from pixel `begin` to pixel `end`.

    Parameters
    ----------
    kind : {"linear", "log", "category"}
    values : iterable of sequences
        All values that are drawn along it.
    margin : float
        Part of its span that stays free at both ends.
    """

    def __init__(
        self,
        kind: str,
        values: Iterable[Values],
        begin: float,
        end: float,
        *,
        margin: float = 0.0,
        reversed: bool = False,
    ):
        self.kind = kind
        self.begin, self.end = (end, begin) if reversed else (begin, end)
        columns = list(values)
        self.names = distinct_texts(columns)
        if kind == "category":
            self.low, self.high = -0.5, max(0.5, len(self.names) - 0.5)
        else:
            found = np.concatenate([np.empty(0), *map(self._scaled, columns)])
            found = found[np.isfinite(found)]
            low, high = span(found) if len(found) else (0.0, 1.0)
            free = margin * (high - low)
            self.low, self.high = low - free, high + free

    def _scaled(self, values: Values) -> np.ndarray:
        if self.kind == "category":
            places = dict(zip(self.names, range(len(self.names)), strict=True))
            return np.array([places[str(value)] for value in values], float)
        if self.kind != "log":
            return numbers(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log10(numbers(values)))

    def at(self, values: Values) -> np.ndarray:
        """Return the pixels of values; NaN for values that no pixel shows."""
        return self._pixels(self._scaled(values))

    def _pixels(self, scaled: np.ndarray) -> np.ndarray:
        within = np.where(np.isfinite(scaled), np.clip(scaled, self.low, self.high), np.nan)
        return self.begin + (within - self.low) / (self.high - self.low) * (self.end - self.begin)

    @property
    def step(self) -> float:
        """Pixels from one category, or one unit, to the next."""
        return abs(self.end - self.begin) / (self.high - self.low)

    def _number_text(self, place: float) -> str:
        return f"{10.0**place:.3g}" if self.kind == "log" else f"{place:.4g}"

    def labels(self) -> list[tuple[float, str]]:
        """Return the labels of the axis: (pixel, text)."""
        if self.kind == "category":
            every = max(1, math.ceil(NAME_PIXELS / self.step))
            places = np.arange(0.0, len(self.names), every)
            texts = self.names[::every]
        else:
            places = np.array(ticks(self.low, self.high), float)
            if self.kind == "log":
                whole = places[np.abs(places - np.round(places)) < 1e-9]
                places = whole if len(whole) > 1 else places
            texts = list(map(self._number_text, places))
        return list(zip(self._pixels(places).tolist(), texts, strict=True))
