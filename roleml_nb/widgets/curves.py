"""Curves out of a trace as it grows: metrics per role with their mean and range, rounds, and bytes; each of few points."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from roleml_nb.role import NATIVE, natural_key
from roleml_nb.trace import Trace

__all__ = ["BYTES", "ROUNDS", "Curve", "Curves", "decimated"]

POINTS = 400
"""Points of a curve at most."""
BYTES, ROUNDS = "bytes", "rounds"
ROUND = "round-completed"
BIN = 0.1
"""Seconds over which bytes are summed up."""


class Curve(NamedTuple):
    """One line of a chart; `low` and `high` are the range around it, if it is a mean."""

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def decimated(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points of a line: the least and the greatest of each part of it, so that no peak is lost."""
    if len(x) <= points:
        return x, y
    edges = np.linspace(0, len(x), points // 2 + 1).astype(int)
    chosen = {0, len(x) - 1}
    for begin, end in zip(edges, edges[1:], strict=False):
        chosen.update((begin + int(y[begin:end].argmin()), begin + int(y[begin:end].argmax())))
    order = sorted(chosen)
    return x[order], y[order]


class Curves:
    """Follows the metrics and the messages of a trace.

    Parameters
    ----------
    against : {"round", "time"}
        What metrics are drawn against: the count of their emissions, or seconds since the trace began.
    keep : callable
        Whether a node is looked at.
    """

    def __init__(self, trace: Trace, against: str = "round", keep: Callable[[str], bool] = lambda node: True):
        self._trace, self._against, self._keep = trace, against, keep
        self._metrics = self._messages = 0
        self._lines: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
        self._sent: dict[int, float] = {}

    def read(self) -> bool:
        """Take in what is new in the trace; whether something is."""
        metrics, messages = self._trace.metrics.rows, self._trace.messages.rows
        new, self._metrics = metrics[self._metrics:], len(metrics)
        for time, node, role, channel, metric, value, step in new:
            if not self._keep(node):
                continue
            point = (float(step) if self._against == "round" else time - self._trace.start, value)
            self._lines.setdefault((metric, channel), {}).setdefault(f"{node}/{role}", []).append(point)
            if channel == ROUND and metric == "round":
                self._lines.setdefault((ROUNDS, channel), {}).setdefault(f"{node}/{role}", []).append(
                    (time - self._trace.start, float(step)))
        sent, self._messages = messages[self._messages:], len(messages)
        steers = f"/{NATIVE}"
        for row in sent:
            if not (row[2].endswith(steers) or row[3].endswith(steers)) and self._keep(row[2].partition("/")[0]):
                place = int((row[7] - self._trace.start) / BIN)
                self._sent[place] = self._sent.get(place, 0.0) + row[5]
        return bool(new or sent)

    def channels(self, metric: str) -> list[str]:
        """The channels that carry a metric: those of rounds alone, if they have it."""
        found = sorted(channel for name, channel in self._lines if name == metric)
        return [ROUND] if ROUND in found else found

    def curves(self, what: str) -> list[Curve]:
        """What is to be drawn of a metric, of "rounds" (over time), or of "bytes" (MB so far, over time)."""
        if what == BYTES:
            return [self._bytes()] if self._sent else []
        found = []
        for channel in self.channels(what):
            lines = self._lines[what, channel]
            name = "rounds" if what == ROUNDS else channel.removesuffix("-completed")
            found += _mean(name, lines) if len(lines) > 1 else [_line(next(iter(lines)), next(iter(lines.values())))]
        return found

    def each(self, what: str) -> list[Curve]:
        """The line of each role, where there are several."""
        found = []
        for channel in self.channels(what) if what != BYTES else []:
            lines = self._lines[what, channel]
            if len(lines) > 1:
                points = max(20, 4 * POINTS // len(lines))
                found += [_line(role, lines[role], points) for role in sorted(lines, key=natural_key)]
        return found

    def _bytes(self) -> Curve:
        places = sorted(self._sent)
        x, y = np.array(places) * BIN + BIN, np.cumsum([self._sent[place] for place in places]) / 1e6
        return Curve("MB sent", *decimated(np.concatenate([[places[0] * BIN], x]), np.concatenate([[0.0], y])))


def _line(name: str, points: list[tuple[float, float]], most: int = POINTS) -> Curve:
    x, y = np.array(points, float).T
    return Curve(name, *decimated(x, y, most))


def _mean(name: str, lines: dict[str, list[tuple[float, float]]]) -> list[Curve]:
    """Mean and range over roles: each counts with what it had last."""
    series = [np.array(points, float).T for points in lines.values()]
    grid = np.unique(np.concatenate([x for x, _ in series]))
    if len(grid) > POINTS:
        grid = grid[np.linspace(0, len(grid) - 1, POINTS).astype(int)]
    values = np.full((len(series), len(grid)), np.nan)
    for row, (x, y) in zip(values, series, strict=True):
        place = np.searchsorted(x, grid, side="right") - 1
        row[place >= 0] = y[place[place >= 0]]
    here = ~np.isnan(values).all(0)
    grid, values = grid[here], values[:, here]
    return [Curve(f"{name}: mean of {len(series)}", grid, np.nanmean(values, 0), np.nanmin(values, 0), np.nanmax(values, 0))]
