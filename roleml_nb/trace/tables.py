"""The tables of a trace, and their pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from html import escape
from typing import TYPE_CHECKING, Any

from roleml_nb.role import did_you_mean, natural_key

from .records import MessageNote, MetricNote

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Messages", "Metrics"]

MANY = 3
"""With more lines than these, a plot shows their mean and their range, too."""


class Table:
    """Rows of notes, read after a refresh."""

    columns: tuple[str, ...] = ()

    def __init__(self, start: float, refresh: Callable[[], None], lock: threading.Lock):
        self.rows: list[tuple] = []
        self._start, self._refresh, self._lock = start, refresh, lock

    def _frame(self) -> pd.DataFrame:
        import pandas as pd

        self._refresh()
        with self._lock:
            rows = list(self.rows)
        return pd.DataFrame.from_records(rows, columns=list(self.columns))

    def __len__(self) -> int:
        self._refresh()
        return len(self.rows)

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self)[1:-1])}</p>{self._summary().to_html(index=False, border=0)}"

    def _summary(self) -> pd.DataFrame:
        raise NotImplementedError


def _chosen(column: pd.Series, nodes: str | Iterable[str] | None) -> pd.Series:
    """Which names a pattern, or any of several, finds; ValueError when it finds none of those there are."""
    known = sorted(set(column), key=natural_key)
    patterns = ["*"] if nodes is None else [nodes] if isinstance(nodes, str) else list(nodes)
    for pattern in patterns:
        if known and not any(fnmatchcase(name, pattern) for name in known):
            raise ValueError(f"no node of the trace matches {pattern!r}; {did_you_mean(pattern, known)}")
    return column.isin([name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)])


class Messages(Table):
    """Every message: who, to whom, on which channel, how large, when, over which link, and what became of it."""

    columns = MessageNote._fields

    def __repr__(self) -> str:
        frame = self._frame()
        return f"<Messages: {len(frame)} message{'s' * (len(frame) != 1)}, {_size(frame['bytes'].sum())}>"

    def _summary(self) -> pd.DataFrame:
        return self.totals()

    def to_pandas(self) -> pd.DataFrame:
        """One row per message, by time.

        Columns: time (seconds since the start, when sent), kind (service, task, reply, error, event, …), source and
        target (node/role), source_node, target_node, channel, bytes, latency_ms, link, outcome.
        """
        frame = self._frame().sort_values("sent", kind="stable", ignore_index=True)
        frame["time"] = frame["sent"] - self._start
        frame["latency_ms"] = (frame["received"] - frame["sent"]) * 1000
        for side in ("source", "target"):
            frame[f"{side}_node"] = frame[side].str.partition("/")[0] if len(frame) else frame[side]
        return frame[["time", "kind", "source", "target", "source_node", "target_node", "channel", "bytes",
                      "latency_ms", "link", "outcome"]]

    def between_nodes(self, nodes: str | Iterable[str] | None = None) -> pd.DataFrame:
        """The messages between roles of the nodes that match; without those that steer the testbed itself.

        ValueError for a pattern that no node of the trace matches.
        """
        import pandas as pd

        frame = self.to_pandas()
        steering = frame["source"].str.endswith("/actor") | frame["target"].str.endswith("/actor")
        frame = frame[~steering]
        if nodes is None or frame.empty:
            return frame
        both = _chosen(pd.concat([frame["source_node"], frame["target_node"]], ignore_index=True), nodes).to_numpy()
        return frame[both[:len(frame)] & both[len(frame):]]

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

        from .figures import Figure

        table = self.matrix(value, nodes)
        shown = (table / 1e6 if value == "bytes" else table.astype(float)).mask(np.eye(len(table), dtype=bool))
        unit = "MB" if value == "bytes" else "messages"
        figure = Figure(go.Heatmap(
            z=shown.to_numpy(), x=list(table.columns), y=list(table.index), colorscale="Blues", xgap=1, ygap=1,
            colorbar={"title": unit}, hovertemplate="%{y} → %{x}: %{z:.3g} " + unit + "<extra></extra>"))
        figure.update_yaxes(autorange="reversed", title="from", type="category")
        figure.update_xaxes(title="to", type="category", tickangle=-45)
        return figure.update_layout(template="plotly_white", title=title or f"Who sent how much to whom ({unit})",
                                    height=520, width=640)


class Metrics(Table):
    """Every number in an event's args: metrics without any logging call."""

    columns = MetricNote._fields

    def __repr__(self) -> str:
        frame = self._frame()
        values, kinds = len(frame), frame["metric"].nunique()
        return f"<Metrics: {values} value{'s' * (values != 1)} of {kinds} metric{'s' * (kinds != 1)}>"

    def _summary(self) -> pd.DataFrame:
        groups = self.to_pandas().groupby(["metric", "channel"])
        return groups.agg(nodes=("node", "nunique"), values=("value", "count"), last=("value", "last")).reset_index()

    def to_pandas(self) -> pd.DataFrame:
        """One row per number. Columns: time (seconds since the start), node, role, channel, metric, value, step.

        `step` counts the emissions of the channel by the role, from 1.
        """
        frame = self._frame().sort_values("sent", kind="stable", ignore_index=True)
        frame.insert(0, "time", frame.pop("sent") - self._start)
        return frame

    def names(self) -> list[str]:
        """The metrics there are."""
        return sorted(self.to_pandas()["metric"].unique())

    def plot(
        self, metric: str = "accuracy", *, channel: str | None = None, nodes: str | Iterable[str] | None = None,
        by: dict[str, str] | None = None, title: str | None = None,
    ) -> go.Figure:
        """Curves of a metric over steps, a line per role; from four on, thin ones with their mean and their range.

        `by` names groups of nodes to compare: ``{"federated": "server", "gossip": "peer*"}``.
        ValueError for a metric or channel that nobody emitted, and for nodes that did not.
        """
        from .figures import Figure

        frame = self.to_pandas()
        if metric not in set(frame["metric"]):
            raise ValueError(f"no role emitted {_unknown(metric, frame['metric'])}")
        frame = frame[frame["metric"] == metric]
        if channel is not None:
            if channel not in set(frame["channel"]):
                raise ValueError(f"{metric!r} was not emitted on {_unknown(channel, frame['channel'])}")
            frame = frame[frame["channel"] == channel]
        figure = Figure()
        for index, (name, pattern) in enumerate((by or {"": nodes}).items()):
            _draw(figure, frame[_chosen(frame["node"], pattern)], name, index)
        figure.update_xaxes(title="round" if channel == "round-completed" else "step")
        figure.update_yaxes(title=metric)
        return figure.update_layout(template="plotly_white", title=title or f"{metric} over time", height=420,
                                    hovermode="x unified")


def _unknown(name: str, known: Iterable[str]) -> str:
    """The name, the nearest known one, and all."""
    names = sorted(set(known))
    if not names:
        return f"{name!r}; there are no metrics yet"
    near = did_you_mean(name, names)
    return f"{name!r}; {near} known: {', '.join(names)}" if near.startswith("did") else f"{name!r}; known: {', '.join(names)}"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _draw(figure: go.Figure, frame: pd.DataFrame, group: str, index: int) -> None:
    from .figures import COLOURS, shade

    lines = sorted(frame.groupby(frame["node"] + "/" + frame["role"]), key=lambda item: natural_key(item[0]))
    colour = COLOURS[index % len(COLOURS)]
    if len(lines) <= MANY:
        for offset, (node, part) in enumerate(lines):
            name = f"{group}: {node}" if group and len(lines) > 1 else group or node
            figure.add_scatter(x=part["step"], y=part["value"], name=name, mode="lines+markers",
                               line={"color": COLOURS[(index + offset) % len(COLOURS)]})
        return
    steps = frame.groupby("step")["value"].agg(["mean", "min", "max"]).reset_index()
    silent: dict[str, Any] = {"mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(x=steps["step"], y=steps["max"], line={"width": 0}, **silent)
    figure.add_scatter(x=steps["step"], y=steps["min"], line={"width": 0}, fill="tonexty",
                       fillcolor=shade(colour, 0.18), **silent)
    # one trace for all thin lines, with gaps between them: a thousand traces would take seconds to draw
    thin: list[list[float | None]] = [[], []]
    for _, part in lines:
        thin[0] += [*part["step"].tolist(), None]
        thin[1] += [*part["value"].tolist(), None]
    figure.add_scatter(x=thin[0], y=thin[1], line={"width": 1, "color": shade(colour, 0.35)}, connectgaps=False, **silent)
    label = f"mean and range of {len(lines)} nodes"
    figure.add_scatter(x=steps["step"], y=steps["mean"], name=f"{group} ({label})" if group else label, mode="lines",
                       line={"color": colour, "width": 3})
