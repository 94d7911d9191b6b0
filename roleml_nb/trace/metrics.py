"""The metrics of a trace: series of numbers that roles emit."""

from __future__ import annotations

import threading
import warnings
from array import array
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roleml_nb.pictures.palette import PALETTE, translucent
from roleml_nb.role import ArgumentError, did_you_mean, natural_key
from roleml_nb.role.checks.arguments import checked

from .tables import Table, object_columns

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Key", "Metrics", "Numbers", "Series"]

MAX_LINES = 3
"""Lines of a plot that are drawn each; of more, their mean and range."""
BYTES_PER_NUMBER = 24
"""Bytes of one number, with its time and step."""
BYTES_PER_SERIES = 800
"""Bytes of a series, with its key and without its numbers."""


class Key(NamedTuple):
    """The parts that all numbers of a series have in common."""

    node: str
    role: str
    channel: str
    metric: str


class Series:
    """The numbers of one metric of one role on one channel, oldest first. Not thread-safe."""

    __slots__ = ("first_sent", "first_step", "gone", "gone_until", "sent", "steps", "values")

    def __init__(self) -> None:
        self.sent = array("d")
        self.values = array("d")
        self.steps = array("q")
        self.gone = 0
        """Numbers that are no longer here, all of which were emitted until `gone_until`."""
        self.gone_until = -np.inf
        self.first_sent = np.inf
        """The time of the first number that ever came."""
        self.first_step = 0
        """Its step."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def added(self) -> int:
        """Numbers that ever came."""
        return self.gone + len(self.values)

    def add(self, sent: float, value: float, step: int) -> None:
        if not self.added:
            self.first_sent, self.first_step = sent, step
        self.sent.append(sent)
        self.values.append(value)
        self.steps.append(step)

    def columns(self, last: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return copies of times, values and steps, of the `last` numbers or of all."""
        begin = 0 if last is None else max(0, len(self) - last)
        return (
            np.array(self.sent[begin:]),
            np.array(self.values[begin:]),
            np.array(self.steps[begin:], np.int64),
        )

    def drop_oldest(self, count: int) -> None:
        """Remove the oldest numbers."""
        self.gone += count
        self.gone_until = max(self.gone_until, *self.sent[:count])
        for column in (self.sent, self.values, self.steps):
            del column[:count]


class Numbers(Table):
    """A table of numbers in args of events, as series."""

    columns = ("sent", "node", "role", "channel", "metric", "value", "step")
    noun = "numbers"

    def __init__(self, start: float, refresh: Callable[[], None], lock: threading.Lock):
        super().__init__(start, refresh, lock)
        self.series: dict[Key, Series] = {}
        self._count = 0

    # adding and dropping; the caller holds the lock

    def add(self, rows: Iterable[tuple]) -> None:
        """Add rows with the columns `columns`; the caller holds the lock."""
        for sent, node, role, channel, metric, value, step in rows:
            key = Key(node, role, channel, metric)
            series = self.series.get(key)
            if series is None:
                series = self.series[key] = Series()
            series.add(sent, value, step)
            self._count += 1

    def trim(self, limit: float) -> None:
        """Drop old numbers of the longest series first, so that rare ones stay."""
        if self.nbytes <= limit:
            return
        room = max(0.0, limit * 15 / 16 - BYTES_PER_SERIES * len(self.series)) / BYTES_PER_NUMBER
        largest = _largest_size(sorted(map(len, self.series.values())), room)
        for series in self.series.values():
            excess = len(series) - largest
            if excess > 0:
                series.drop_oldest(excess)
                self.gone += excess
                self._count -= excess

    def clear(self) -> None:
        self.series = {}
        self.gone = self._count = 0

    @property
    def nbytes(self) -> int:
        return BYTES_PER_NUMBER * self._count + BYTES_PER_SERIES * len(self.series)

    # reading

    @property
    def single_count(self) -> int:
        return self._count

    def raw(self) -> pd.DataFrame:
        """Return the numbers as `Table.raw` does, by time."""
        import pandas as pd

        self._refresh()
        keys: list[Key] = []
        sent = [np.empty(0)]
        values = [np.empty(0)]
        steps = [np.empty(0, np.int64)]
        with self._lock:
            for key, series in self.series.items():
                columns = series.columns()
                keys.append(key)
                sent.append(columns[0])
                values.append(columns[1])
                steps.append(columns[2])
        sizes = list(map(len, sent[1:]))
        names = {}
        for name, words in zip(Key._fields, object_columns(keys, len(Key._fields)), strict=True):
            names[name] = np.repeat(words, sizes)
        frame = pd.DataFrame({"sent": np.concatenate(sent), **names})
        frame["value"] = np.concatenate(values)
        frame["step"] = np.concatenate(steps)
        return frame.sort_values("sent", kind="stable", ignore_index=True)

    def new_rows(
        self,
        known: MutableMapping[Key, int],
        wanted: Callable[[Key], bool] = lambda key: True,
        upto: Mapping[Key, int] | None = None,
    ) -> list[tuple]:
        """Return the rows that came after the first `known` ones of each series, by time.

        `known` counts them from then on. With `upto`, only rows among the first so many of each
        series are returned. Rows that are no longer here are left out. The hosts are not asked for
        more.
        """
        rows: list[tuple] = []
        with self._lock:
            for key, series in self.series.items():
                begin = known.get(key, 0)
                end = series.added if upto is None else upto.get(key, 0)
                if end <= begin or not wanted(key):
                    continue
                known[key] = end
                count = max(0, end - max(begin, series.gone))
                sent, values, steps = series.columns(series.added - begin)
                rows += zip(
                    sent[:count].tolist(),
                    *map(repeat, key),
                    values[:count].tolist(),
                    steps[:count].tolist(),
                    strict=False,
                )
        rows.sort(key=lambda row: row[0])
        return rows

    def past_table(self) -> list[list]:
        """Return counts and times of numbers that are no longer here, as plain data.

        There is one row for each series that has lost some.
        """
        rows = []
        with self._lock:
            for key, series in self.series.items():
                if series.gone:
                    first = (series.first_sent, series.first_step)
                    rows.append([*key, series.gone, series.gone_until, *first])
        return rows

    def restore_past(self, rows: Iterable[Sequence]) -> None:
        """Restore the rows of `past_table`."""
        with self._lock:
            for *key, gone, until, first_sent, first_step in rows:
                series = self.series.setdefault(Key(*key), Series())
                series.gone, series.gone_until = gone, until
                series.first_sent, series.first_step = first_sent, first_step
                self.gone += gone


def _largest_size(sizes: list[int], room: float) -> int:
    """Return the largest size of a series with which all together have `room`; sizes ascend."""
    for place, size in enumerate(sizes):
        share = room / (len(sizes) - place)
        if size > share:
            return int(share)
        room -= size
    return sizes[-1] if sizes else 0


class Metrics(Numbers):
    """Every number in an event's args: metrics without any logging call."""

    noun = "metrics"

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per number, by time, and warn when some are no longer here.

        Columns: time (seconds since the start), node, role, channel, metric, value, step. `step`
        counts the emissions of the channel by the role, from 1.
        """
        if self.gone:
            warnings.warn(self.describe_gone(), stacklevel=2)
        return self.table()

    def table(self) -> pd.DataFrame:
        """Return the same as `to_pandas`, without a warning."""
        frame = self.raw()
        frame.insert(0, "time", frame.pop("sent") - self._start)
        return frame

    def names(self) -> list[str]:
        """Return the names of all metrics, sorted."""
        self._refresh()
        with self._lock:
            return sorted({key.metric for key in self.series})

    @checked
    def plot(
        self,
        metric: str = "accuracy",
        *,
        channel: str | None = None,
        nodes: str | None = None,
        by: dict[str, str] | None = None,
        title: str | None = None,
    ) -> go.Figure:
        """Plot a metric over steps, a line per node; from four on, each group's mean and range.

        `by` names groups of nodes to compare: ``{"federated": "server", "gossip": "peer*"}``.
        ValueError for a metric that nobody emitted, and for a channel or a pattern without values.
        """
        from roleml_nb.pictures.figure import Figure

        frame = self.to_pandas()
        if metric not in set(frame["metric"]):
            raise ArgumentError(
                f"no role emitted {metric!r}; {did_you_mean(metric, frame['metric'].unique())}"
            )
        frame = frame[frame["metric"] == metric]
        if channel and channel not in set(frame["channel"]):
            raise ArgumentError(
                f"no {metric!r} on channel {channel!r};"
                f" {did_you_mean(channel, frame['channel'].unique())}"
            )
        frame = frame[frame["channel"] == channel] if channel else frame
        figure = Figure()
        for index, (name, pattern) in enumerate((by or {"": nodes or "*"}).items()):
            chosen = frame[frame["node"].map(partial(fnmatchcase, pat=pattern))]
            if chosen.empty:
                raise ArgumentError(
                    f"no {metric!r} from nodes {pattern!r};"
                    f" {did_you_mean(pattern, frame['node'].unique())}"
                )
            _draw(figure, chosen, name, index)
        figure.update_xaxes(title="round" if channel == "round-completed" else "step")
        figure.update_yaxes(title=metric)
        return figure.update_layout(
            template="plotly_white",
            title=title or f"{metric} over time",
            height=420,
            hovermode="x unified",
        )


def _draw(figure: go.Figure, frame: pd.DataFrame, group: str, index: int) -> None:
    lines = list(frame.groupby(frame["node"] + "/" + frame["role"]))
    colour = PALETTE[index % len(PALETTE)]
    if len(lines) <= MAX_LINES:
        lines.sort(key=lambda line: natural_key(str(line[0])))
        for offset, (node, part) in enumerate(lines):
            figure.add_scatter(
                x=part["step"],
                y=part["value"],
                name=group or str(node),
                mode="lines+markers",
                line={"color": PALETTE[(index + offset) % len(PALETTE)]},
            )
        return
    with np.errstate(all="ignore"):  # of infinite and of huge values
        steps = frame.groupby("step")["value"].agg(["mean", "min", "max"])
    # pandas leaves out what is NaN, as if it were not there
    spoiled = frame["value"].isna().groupby(frame["step"]).any()
    steps = steps.mask(spoiled).reset_index()
    odd = frame.loc[~np.isfinite(frame["value"]), ["node", "role"]].drop_duplicates()
    remark = f", {len(odd)} not finite" if len(odd) else ""
    shade: dict[str, Any] = {
        "mode": "lines",
        "line": {"width": 0},
        "showlegend": False,
        "hoverinfo": "skip",
    }
    figure.add_scatter(x=steps["step"], y=steps["max"], **shade)
    figure.add_scatter(
        x=steps["step"],
        y=steps["min"],
        fill="tonexty",
        fillcolor=translucent(colour),
        **shade,
    )
    figure.add_scatter(
        x=steps["step"],
        y=steps["mean"],
        name=f"{group or 'mean'} (mean and range of {len(lines)} nodes{remark})",
        mode="lines",
        line={"color": colour, "width": 3},
    )
