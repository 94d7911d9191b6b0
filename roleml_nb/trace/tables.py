"""The tables of a trace, and their pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from roleml_nb.role import did_you_mean, natural_key

from .lines import Lines

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Messages", "Metrics", "Table"]

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"]
"""Okabe and Ito's palette, which survives colour blindness."""

NAMED = 60
"""In a heat map of up to so many nodes each has its name."""

MANY = 3
"""From so many lines on, a plot shows their mean and their range."""


class Table:
    """Rows of notes, read after a refresh."""

    columns: tuple[str, ...] = ()

    def __init__(self, start: float, refresh: Callable[[], None], lock: threading.Lock):
        self.rows: list[tuple] = []
        self._start, self._refresh, self._lock = start, refresh, lock

    def raw(self) -> pd.DataFrame:
        """The rows as the hosts noted them, with the columns `columns`; times are seconds since the epoch."""
        import pandas as pd

        self._refresh()
        with self._lock:
            rows = list(self.rows)
        return pd.DataFrame.from_records(rows, columns=list(self.columns))

    def last(self, count: int) -> list[tuple]:
        """The last rows, as they are noted, oldest first."""
        self._refresh()
        with self._lock:
            return list(self.rows[-count:])

    def __len__(self) -> int:
        self._refresh()
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} rows; .to_pandas(), .plot()>"


class Messages(Table):
    """Every message: who, to whom, on which channel, how large, when, over which link, from which line, and what became of it."""

    columns = ("call", "kind", "source", "target", "channel", "bytes", "link", "sent", "received", "outcome", "line")

    def __init__(self, start: float, refresh: Callable[[], None], lock: threading.Lock):
        super().__init__(start, refresh, lock)
        self.lines = Lines()

    def raw(self) -> pd.DataFrame:
        """As `Table.raw`, the lines in words."""
        frame = super().raw()
        frame["line"] = frame["line"].map(self.lines.__getitem__)
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """One row per message, by time.

        Columns: time (seconds since the start, when sent), kind (service, task, reply, error, event, …), source and
        target (node/role), source_node, target_node, channel, bytes, latency_ms, link, outcome, and line: where in the code
        it was sent, as ``Cell In[7], line 4: self.call("trainer", "train")``; empty for answers, and for what nodes send
        by themselves.
        """
        frame = self.raw().sort_values("sent", kind="stable", ignore_index=True)
        frame["time"] = frame["sent"] - self._start
        frame["latency_ms"] = (frame["received"] - frame["sent"]) * 1000
        for side in ("source", "target"):
            frame[f"{side}_node"] = frame[side].str.partition("/")[0] if len(frame) else frame[side]
        return frame[["time", "kind", "source", "target", "source_node", "target_node", "channel", "bytes",
                      "latency_ms", "link", "outcome", "line"]]

    def between_nodes(self, nodes: str | Iterable[str] | None = None) -> pd.DataFrame:
        """The messages between roles of the nodes that match; without those that steer the testbed itself."""
        frame = self.to_pandas()
        steering = frame["source"].str.endswith("/actor") | frame["target"].str.endswith("/actor")
        frame = frame[~steering]
        if nodes is not None:
            patterns = [nodes] if isinstance(nodes, str) else list(nodes)
            for side in ("source_node", "target_node"):
                frame = frame[frame[side].map(lambda name: any(fnmatchcase(name, item) for item in patterns))]
        return frame

    def totals(self) -> pd.DataFrame:
        """Messages and bytes per kind and channel."""
        return self.to_pandas().groupby(["kind", "channel"])["bytes"].agg(messages="count", bytes="sum").reset_index()

    def matrix(self, value: str = "bytes", nodes: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Who sent how much to whom: rows send, columns receive; `value` is "bytes" or "messages"."""
        if value not in ("bytes", "messages"):
            raise ValueError(f"value must be 'bytes' or 'messages', not {value!r}")
        frame = self.between_nodes(nodes)
        names = sorted({*frame["source_node"], *frame["target_node"]}, key=natural_key)
        cells = frame.groupby(["source_node", "target_node"])["bytes"]
        table = (cells.sum() if value == "bytes" else cells.count()).unstack(fill_value=0)
        return table.reindex(index=names, columns=names, fill_value=0)

    def plot(self, value: str = "bytes", nodes: str | Iterable[str] | None = None, title: str | None = None) -> go.Figure:
        """Heat map: who sent how much to whom. What stays within a node is left out (see `matrix` for it)."""
        import numpy as np
        import plotly.graph_objects as go

        table = self.matrix(value, nodes)
        shown = (table / 1e6 if value == "bytes" else table.astype(float)).mask(np.eye(len(table), dtype=bool))
        unit = "MB" if value == "bytes" else "messages"
        figure = go.Figure(go.Heatmap(
            z=shown.to_numpy(), x=list(table.columns), y=list(table.index), colorscale="Blues", xgap=1, ygap=1,
            colorbar={"title": unit}, hovertemplate="%{y} → %{x}: %{z:.3g} " + unit + "<extra></extra>"))
        figure.update_yaxes(autorange="reversed", title="from", type="category")
        figure.update_xaxes(title="to", type="category", tickangle=-45)
        side = 520
        if 20 < len(table) <= NAMED:
            figure.update_xaxes(dtick=1).update_yaxes(dtick=1)
            side = max(side, 200 + 15 * len(table))
        return figure.update_layout(template="plotly_white", title=title or f"Who sent how much to whom ({unit})",
                                    height=side, width=side + 120)


class Metrics(Table):
    """Every number in an event's args: metrics without any logging call."""

    columns = ("sent", "node", "role", "channel", "metric", "value", "step")

    def to_pandas(self) -> pd.DataFrame:
        """One row per number. Columns: time (seconds since the start), node, role, channel, metric, value, step.

        `step` counts the emissions of the channel by the role, from 1.
        """
        frame = self.raw().sort_values("sent", kind="stable", ignore_index=True)
        frame.insert(0, "time", frame.pop("sent") - self._start)
        return frame

    def names(self) -> list[str]:
        """The metrics there are."""
        return sorted(self.to_pandas()["metric"].unique())

    def plot(
        self, metric: str = "accuracy", *, channel: str | None = None, nodes: str | None = None,
        by: dict[str, str] | None = None, title: str | None = None,
    ) -> go.Figure:
        """Curves of a metric over steps, a line per node; from four on, each group's mean and range.

        `by` names groups of nodes to compare: ``{"federated": "server", "gossip": "peer*"}``.
        ValueError for a metric that nobody emitted, and for a channel or a pattern under which there is none.
        """
        import plotly.graph_objects as go

        frame = self.to_pandas()
        if metric not in set(frame["metric"]):
            raise ValueError(f"no role emitted {metric!r}; {did_you_mean(metric, frame['metric'].unique())}")
        frame = frame[frame["metric"] == metric]
        if channel and channel not in set(frame["channel"]):
            raise ValueError(f"no {metric!r} on channel {channel!r}; {did_you_mean(channel, frame['channel'].unique())}")
        frame = frame[frame["channel"] == channel] if channel else frame
        figure = go.Figure()
        for index, (name, pattern) in enumerate((by or {"": nodes or "*"}).items()):
            chosen = frame[frame["node"].map(lambda node, pattern=pattern: fnmatchcase(node, pattern))]
            if chosen.empty:
                raise ValueError(f"no {metric!r} from nodes {pattern!r}; {did_you_mean(pattern, frame['node'].unique())}")
            _draw(figure, chosen, name, index)
        figure.update_xaxes(title="round" if channel == "round-completed" else "step")
        figure.update_yaxes(title=metric)
        return figure.update_layout(template="plotly_white", title=title or f"{metric} over time", height=420,
                                    hovermode="x unified")


def _draw(figure: go.Figure, frame: pd.DataFrame, group: str, index: int) -> None:
    lines = {str(node): part for node, part in frame.groupby(frame["node"] + "/" + frame["role"])}
    colour = COLOURS[index % len(COLOURS)]
    if len(lines) <= MANY:
        for offset, (node, part) in enumerate(sorted(lines.items(), key=lambda item: natural_key(item[0]))):
            figure.add_scatter(x=part["step"], y=part["value"], name=group or node, mode="lines+markers",
                               line={"color": COLOURS[(index + offset) % len(COLOURS)]})
        return
    steps = frame.groupby("step")["value"].agg(["mean", "min", "max"]).reset_index()
    red, green, blue = (int(colour[place:place + 2], 16) for place in (1, 3, 5))
    shade: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(x=steps["step"], y=steps["max"], **shade)
    figure.add_scatter(x=steps["step"], y=steps["min"], fill="tonexty",
                       fillcolor=f"rgba({red},{green},{blue},0.18)", **shade)
    figure.add_scatter(x=steps["step"], y=steps["mean"], name=f"{group or 'mean'} (mean and range of {len(lines)} nodes)",
                       mode="lines", line={"color": colour, "width": 3})
