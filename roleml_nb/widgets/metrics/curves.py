"""Curves out of a trace as it grows: metrics per role with their mean and range, rounds, and
bytes; each of few points."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from roleml_nb.role import natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.messages import is_control
from roleml_nb.trace.metrics import Key, Series

__all__ = ["BYTES", "ROUNDS", "Curve", "Curves", "decimated"]

POINTS = 400
"""Points of a curve at most."""
BYTES, ROUNDS = "bytes", "rounds"
ROUND = "round-completed"
BIN = 0.1
"""Seconds over which bytes are summed up, at first."""
BINS = 20_000
"""Spans of time with bytes of their own; of more, two become one."""
CHUNK = 100_000
"""Messages that are read at once."""


class Curve(NamedTuple):
    """One line of a chart; `low` and `high` are the range around it, if it is a mean."""

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def decimated(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points of a line: the least and the greatest of each part of it, so that no
    peak is lost.

    Of numbers that are not finite, each part keeps the first.
    """
    if len(x) <= points:
        return x, y
    finite = np.isfinite(y)
    each = 2 if finite.all() else 3
    edges = np.linspace(0, len(x), points // each + 1).astype(int)
    chosen = {0, len(x) - 1}
    for begin, end in zip(edges, edges[1:], strict=False):
        here = np.flatnonzero(finite[begin:end])
        if len(here):
            part = y[begin:end][here]
            chosen.update((begin + int(here[part.argmin()]), begin + int(here[part.argmax()])))
        if len(here) < end - begin:
            chosen.add(begin + int(finite[begin:end].argmin()))
    order = sorted(chosen)
    return x[order], y[order]


class Curves:
    """Curves of the metrics and the messages of a trace, as far as it was read.

    Parameters
    ----------
    against : {"round", "time"}
        What metrics are drawn against: the count of their emissions, or seconds since the trace
        began.
    keep : callable
        Whether a node is looked at.
    """

    def __init__(
        self, trace: Trace, against: str = "round", keep: Callable[[str], bool] = lambda node: True
    ):
        self._trace, self._against, self._keep = trace, against, keep
        self._read: tuple[int, int, int] = -1, 0, 0
        self._sent = Sent(trace, keep)

    def read(self) -> bool:
        """Take in what is new in the trace; whether something is."""
        trace = self._trace
        metrics = sum(series.added for key, series in self._series() if self._keep(key.node))
        state = trace.clears, trace.messages.added, metrics
        new = (
            state != self._read if self._read[0] >= 0 else any(state[1:]) or trace.messages.gone > 0
        )
        if self._read[0] not in (-1, trace.clears):
            self._sent = Sent(trace, self._keep)
        self._read = state
        self._sent.read()
        return new

    def _series(self) -> list[tuple[Key, Series]]:
        return list(self._trace.metrics.series.items())

    def channels(self, metric: str) -> list[str]:
        """The channels that carry a metric: those of rounds alone, if they have it."""
        name, known = ("round", (ROUND,)) if metric == ROUNDS else (metric, None)
        found = sorted(
            {
                key.channel
                for key, _ in self._series()
                if key.metric == name and self._keep(key.node)
            }
        )
        found = [channel for channel in found if known is None or channel in known]
        return [ROUND] if ROUND in found else found

    def _lines(self, what: str, channel: str) -> dict[str, Points]:
        """The points of each role: of rounds, their numbers over time."""
        lines: dict[str, Points] = {}
        for key, series in self._series():
            if (
                key.channel != channel
                or key.metric != ("round" if what == ROUNDS else what)
                or not self._keep(key.node)
            ):
                continue
            with self._trace.locked():
                sent, values, steps = series.columns()
                gone = series.gone
            if len(sent):
                over_time = what == ROUNDS or self._against == "time"
                x = sent - self._trace.start if over_time else steps.astype(float)
                y = steps.astype(float) if what == ROUNDS else values
                lines[f"{key.node}/{key.role}"] = Points(x, y, gone)
        return lines

    def curves(self, what: str) -> list[Curve]:
        """What is to be drawn of a metric, of "rounds" (over time), or of "bytes" (MB so far, over
        time)."""
        if what == BYTES:
            return self._sent.curves()
        found = []
        for channel in self.channels(what):
            lines = self._lines(what, channel)
            name = "rounds" if what == ROUNDS else channel.removesuffix("-completed")
            if len(lines) > 1:
                found += _mean(name, lines)
            else:
                found += [_line(role, points) for role, points in lines.items()]
        return found

    def each(self, what: str) -> list[Curve]:
        """The line of each role, where there are several."""
        found = []
        for channel in self.channels(what) if what != BYTES else []:
            lines = self._lines(what, channel)
            if len(lines) > 1:
                points = max(20, 4 * POINTS // len(lines))
                found += [
                    _line(role, lines[role], points) for role in sorted(lines, key=natural_key)
                ]
        return found


class Points(NamedTuple):
    """The numbers of one role, and how many of them are no longer here."""

    x: np.ndarray
    y: np.ndarray
    gone: int


class Sent:
    """Bytes that some nodes have sent, over time; those of messages that became totals in one
    step, at their end."""

    def __init__(self, trace: Trace, keep: Callable[[str], bool]):
        self._trace, self._keep = trace, keep
        self._row, self._bin = 0, BIN
        self._missed = trace.messages.gone > 0
        """Whether some messages became totals before they were read."""
        self._sums: dict[int, float] = {}
        self._kept = np.empty(0, bool)
        """For each flow, whether its bytes are counted."""

    def read(self) -> None:
        """Count what is new."""
        messages = self._trace.messages
        end = messages.added
        while self._row < end:
            news = messages.since(self._row, CHUNK)
            self._row, self._missed = news.number, self._missed or news.missed > 0
            self._count(news.rows)
        if self._missed:
            self._count_missed()
        while len(self._sums) > BINS:
            self._merge()

    def _count(self, rows: np.ndarray) -> None:
        rows = rows[self._chosen()[rows["flow"]]]
        places = np.floor((rows["sent"] - self._trace.start) / self._bin).astype(int)
        for place, size in zip(places.tolist(), rows["bytes"].tolist(), strict=True):
            self._sums[place] = self._sums.get(place, 0.0) + size

    def _chosen(self) -> np.ndarray:
        flows = list(self._trace.messages.flows.keys)[len(self._kept) :]
        more = [
            not is_control(source, target) and self._keep(source.partition("/")[0])
            for source, target, _, _ in flows
        ]
        self._kept = np.concatenate([self._kept, np.array(more, bool)])
        return self._kept

    def _count_missed(self) -> None:
        """Count the bytes of messages that were never seen one by one: of all, those that are not
        counted yet."""
        messages = self._trace.messages
        last = messages.past(
            lambda flow: not is_control(*flow[:2]) and self._keep(flow.source.partition("/")[0])
        ).last
        with self._trace.locked():
            if messages.added != self._row:  # next time
                return
            missing = float(messages.flows.totals[1][self._chosen()].sum()) - sum(
                self._sums.values()
            )
        self._missed = False
        if missing > 0:
            place = int(last / self._bin)
            self._sums[place] = self._sums.get(place, 0.0) + missing

    def _merge(self) -> None:
        """Sum up over spans of twice the length."""
        sums: dict[int, float] = {}
        for place, size in self._sums.items():
            sums[place // 2] = sums.get(place // 2, 0.0) + size
        self._sums, self._bin = sums, 2 * self._bin

    def curves(self) -> list[Curve]:
        if not self._sums:
            return []
        places = sorted(self._sums)
        x, y = (
            np.array(places) * self._bin + self._bin,
            np.cumsum([self._sums[place] for place in places]) / 1e6,
        )
        return [
            Curve(
                "MB sent",
                *decimated(
                    np.concatenate([[places[0] * self._bin], x]), np.concatenate([[0.0], y])
                ),
            )
        ]


def _line(role: str, points: Points, most: int = POINTS) -> Curve:
    odd = points.x[~np.isfinite(points.y)]
    told = [f"from {points.x[0]:g} on"] if points.gone else []
    told += [f"not finite from {odd[0]:g} on"] if len(odd) else []
    return Curve(
        f"{role} ({', '.join(told)})" if told else role, *decimated(points.x, points.y, most)
    )


def _mean(name: str, lines: dict[str, Points]) -> list[Curve]:
    """Mean and range over roles: each counts with what it had last. Where one has NaN, so has the
    mean."""
    grid = np.unique(np.concatenate([points.x for points in lines.values()]))
    if len(grid) > POINTS:
        grid = grid[np.linspace(0, len(grid) - 1, POINTS).astype(int)]
    values, known = np.zeros((len(lines), len(grid))), np.zeros((len(lines), len(grid)), bool)
    for row, here, points in zip(values, known, lines.values(), strict=True):
        place = np.searchsorted(points.x, grid, side="right") - 1
        here[:] = place >= 0
        row[here] = points.y[place[here]]
    some = known.any(0)
    grid, values, known = grid[some], values[:, some], known[:, some]
    with np.errstate(invalid="ignore"):  # of infinite values
        mean = np.where(known, values, 0.0).sum(0) / known.sum(0)
    low, high = np.where(known, values, np.inf).min(0), np.where(known, values, -np.inf).max(0)
    odd = int((~np.isfinite(values)).any(1).sum())
    gone = sum(points.gone > 0 for points in lines.values())
    told = [f"{odd} not finite"] * (odd > 0) + [f"{gone} begin later"] * (gone > 0)
    return [Curve(", ".join([f"{name}: mean of {len(lines)}", *told]), grid, mean, low, high)]
