"""Curves out of a trace as it grows: metrics per role with their mean and range, rounds, and
bytes; each of few points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from roleml_nb.role import natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.metrics import Key, Series

from .curve import MAX_POINTS, Curve, decimated
from .sent_bytes import SentBytes

__all__ = ["BYTES", "ROUNDS", "Curves"]

BYTES, ROUNDS = "bytes", "rounds"
ROUND_CHANNEL, ROUND_METRIC = "round-completed", "round"
MIN_POINTS = 20
"""Points of the line of a role, of however many roles."""


class Points(NamedTuple):
    """The numbers of one role, and how many earlier ones are no longer in the trace."""

    x: np.ndarray
    y: np.ndarray
    gone: int


class Curves:
    """Curves of the metrics and the messages of a trace, as far as it was read.

    Parameters
    ----------
    against : {"round", "time"}
        Metrics are drawn against the count of their emissions, or seconds since the trace began.
    includes : callable
        Takes a node; false for nodes that are left out.
    """

    def __init__(
        self,
        trace: Trace,
        against: str = "round",
        includes: Callable[[str], bool] = lambda node: True,
    ):
        self._trace = trace
        self._against = against
        self._includes = includes
        self._position: tuple[int, int, int] | None = None
        """Clears, messages and numbers of the trace when it was read last."""
        self._sent = SentBytes(trace, includes)

    def read(self) -> bool:
        """Read what is new in the trace; return whether something is."""
        trace = self._trace
        numbers = sum(series.added for _, series in self._series())
        position = trace.clears, trace.messages.added, numbers
        if self._position is None:
            changed = any(position[1:]) or trace.messages.gone > 0
        else:
            changed = position != self._position
            if self._position[0] != trace.clears:
                self._sent = SentBytes(trace, self._includes)
        self._position = position
        self._sent.read()
        return changed

    def _series(self) -> Iterator[tuple[Key, Series]]:
        """Yield the series of numbers of the nodes that are not left out."""
        for key, series in list(self._trace.metrics.series.items()):
            if self._includes(key.node):
                yield key, series

    def channels(self, metric: str) -> list[str]:
        """Return the channels that carry a metric: that of rounds alone, if it does."""
        found = {key.channel for key, _ in self._series() if key.metric == _metric(metric)}
        if ROUND_CHANNEL in found:
            return [ROUND_CHANNEL]
        return [] if metric == ROUNDS else sorted(found)

    def _lines(self, panel: str, channel: str) -> dict[str, Points]:
        """Return the points of each role: of rounds, their numbers over time."""
        lines: dict[str, Points] = {}
        for key, series in self._series():
            if key.channel != channel or key.metric != _metric(panel):
                continue
            with self._trace.locked():
                sent, values, steps = series.columns()
                gone = series.gone
            if len(sent):
                over_time = panel == ROUNDS or self._against == "time"
                x = sent - self._trace.start if over_time else steps.astype(float)
                y = steps.astype(float) if panel == ROUNDS else values
                lines[f"{key.node}/{key.role}"] = Points(x, y, gone)
        return lines

    def curves(self, panel: str) -> list[Curve]:
        """Return the curves of a metric, of "rounds" over time, or of "bytes": MB sent so far."""
        if panel == BYTES:
            return self._sent.curves()
        found = []
        for channel in self.channels(panel):
            lines = self._lines(panel, channel)
            name = "rounds" if panel == ROUNDS else channel.removesuffix("-completed")
            if len(lines) > 1:
                found.append(_mean(name, lines))
            else:
                for role, points in lines.items():
                    found.append(_line(role, points))
        return found

    def each(self, panel: str) -> list[Curve]:
        """Return the line of each role, where there are several."""
        found: list[Curve] = []
        if panel == BYTES:
            return found
        for channel in self.channels(panel):
            lines = self._lines(panel, channel)
            if len(lines) > 1:
                points = max(MIN_POINTS, 4 * MAX_POINTS // len(lines))
                for role in sorted(lines, key=natural_key):
                    found.append(_line(role, lines[role], points))
        return found


def _metric(panel: str) -> str:
    return ROUND_METRIC if panel == ROUNDS else panel


def _line(role: str, points: Points, max_points: int = MAX_POINTS) -> Curve:
    remarks = []
    if points.gone:
        remarks.append(f"from {points.x[0]:g} on")
    odd = points.x[~np.isfinite(points.y)]
    if len(odd):
        remarks.append(f"not finite from {odd[0]:g} on")
    name = f"{role} ({', '.join(remarks)})" if remarks else role
    return Curve(name, *decimated(points.x, points.y, max_points))


def _mean(name: str, lines: dict[str, Points]) -> Curve:
    """Return mean and range over roles, each of which counts with its last number.

    Where a role has NaN, so has the mean.
    """
    grid = np.unique(np.concatenate([points.x for points in lines.values()]))
    if len(grid) > MAX_POINTS:
        grid = grid[np.linspace(0, len(grid) - 1, MAX_POINTS).astype(int)]
    values = np.zeros((len(lines), len(grid)))
    known = np.zeros((len(lines), len(grid)), bool)
    for row, here, points in zip(values, known, lines.values(), strict=True):
        place = np.searchsorted(points.x, grid, side="right") - 1
        here[:] = place >= 0
        row[here] = points.y[place[here]]
    some = known.any(0)
    grid, values, known = grid[some], values[:, some], known[:, some]
    with np.errstate(invalid="ignore"):  # of infinite values
        mean = np.where(known, values, 0.0).sum(0) / known.sum(0)
    low = np.where(known, values, np.inf).min(0)
    high = np.where(known, values, -np.inf).max(0)
    parts = [f"{name}: mean of {len(lines)}"]
    odd = int((~np.isfinite(values)).any(1).sum())
    if odd:
        parts.append(f"{odd} not finite")
    gone = sum(points.gone > 0 for points in lines.values())
    if gone:
        parts.append(f"{gone} begin later")
    return Curve(", ".join(parts), grid, mean, low, high)
