"""The messages of a trace: single ones as far as there is room, and totals of all."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roleml_nb.role import NATIVE, ArgumentError, natural_key
from roleml_nb.role.checks.arguments import checked

from .flows import MESSAGE, Flow, Flows, Totals
from .lines import Lines
from .rows import Rows
from .tables import Table

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Messages", "NewMessages", "Past", "is_control"]

MAX_NAMED_NODES = 60
"""In a heat map of up to so many nodes each has its name."""
BYTES_PER_FLOW = 600
"""Bytes of a flow, with its names' places in tables."""


class NewMessages(NamedTuple):
    """What a reader is told of the messages after those that it knows."""

    rows: np.ndarray
    """Of dtype `MESSAGE`."""
    number: int
    """From which to ask next time."""
    missed: int
    """Messages that became totals before the reader had asked for them."""


class Past(NamedTuple):
    """The messages of some flows that are totals by now."""

    messages: int
    bytes: int
    """Of all of them."""
    lost_bytes: int
    """Of those that were lost."""
    first: float
    """When the first was sent, in seconds since the trace began; inf for none."""
    last: float
    """When the last was sent; -inf for none."""


class Messages(Table):
    """Every message: who, to whom, on which channel, how large, when, over which link, from which
    line, and what became of it.

    What is beyond the limit of the trace is there as totals: `totals` and `matrix` count all that
    ever came, the tables of single messages begin later, and say so.
    """

    columns = (
        "call",
        "kind",
        "source",
        "target",
        "channel",
        "bytes",
        "link",
        "sent",
        "received",
        "outcome",
        "line",
    )

    def __init__(self, start: float, refresh: Callable[[], None], lock: threading.Lock):
        super().__init__(start, refresh, lock)
        self.lines = Lines()
        self.flows = Flows()
        self._rows = Rows(MESSAGE)
        self._past = Totals()

    # what comes and goes; the caller holds the lock

    def add(self, columns: Sequence[Sequence]) -> None:
        """Take note of a batch, as columns."""
        self._rows.extend(self.flows.encode(columns))

    def trim(self, limit: float) -> None:
        """Let the oldest single messages go until the table takes `limit` bytes."""
        excess = self.nbytes - limit
        if excess > 0 and len(self._rows):
            count = int(min(len(self._rows), excess / MESSAGE.itemsize + len(self._rows) / 16 + 1))
            self._add_to_past(self._rows.pop_oldest(count))

    def _add_to_past(self, rows: np.ndarray) -> None:
        self._past.count(rows, self.flows.lost(rows))
        self.gone += len(rows)

    def clear(self) -> None:
        self._rows.pop_oldest(len(self._rows))
        self.flows.clear()
        self._past = Totals()
        self.gone = 0

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._rows.nbytes + BYTES_PER_FLOW * (
            len(self.flows.keys) + len(self.flows.deliveries)
        )

    # reading

    def __len__(self) -> int:
        self._refresh()
        return len(self._rows)

    @property
    def count(self) -> int:
        """How many there were in all, without asking the hosts for more."""
        return self.gone + len(self._rows)

    def since(self, number: int, max_rows: int | None = None) -> NewMessages:
        """Return at most `max_rows` messages from a number on, by their arrival.

        The hosts are not asked for more.
        """
        with self._lock:
            rows, missed = self._rows.since(number, max_rows), max(0, self._rows.gone - number)
        return NewMessages(rows, number + missed + len(rows), missed)

    @property
    def added(self) -> int:
        """The number of the next message."""
        return self._rows.added

    @property
    def single_count(self) -> int:
        """How many are here one by one, without asking the hosts for more."""
        return len(self._rows)

    def raw(self) -> pd.DataFrame:
        """As `Table.raw`, the lines in words; single messages alone."""
        import pandas as pd

        self._refresh()
        rows, (kinds, sources, targets, channels), (links, outcomes, lines) = self._decoded()
        return pd.DataFrame(
            {
                "call": rows["call"],
                "kind": kinds,
                "source": sources,
                "target": targets,
                "channel": channels,
                "bytes": rows["bytes"],
                "link": links,
                "sent": rows["sent"],
                "received": rows["received"],
                "outcome": outcomes,
                "line": lines,
            }
        )

    @checked
    def last(self, count: int) -> list[tuple]:
        """Return the last messages, as tuples of `columns`, oldest first."""
        self._refresh()
        rows, flow, note = self._decoded(count)
        kinds, sources, targets, channels = flow
        links, outcomes, lines = note
        return list(
            zip(
                rows["call"].tolist(),
                kinds,
                sources,
                targets,
                channels,
                rows["bytes"].tolist(),
                links,
                rows["sent"].tolist(),
                rows["received"].tolist(),
                outcomes,
                lines,
                strict=True,
            )
        )

    def _decoded(
        self, last: int | None = None
    ) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
        """Return single messages; kinds, sources, targets and channels; links, outcomes and
        lines."""
        with self._lock:
            rows = self._rows.since(0 if last is None else self._rows.added - last)
            flows = [
                (kind, source, target, channel) for source, target, channel, kind in self.flows.keys
            ]
            notes = [
                (link, outcome, self.lines[origin])
                for link, outcome, origin in self.flows.deliveries
            ]
        return rows, _columns(flows, 4, rows["flow"]), _columns(notes, 3, rows["delivery"])

    def to_pandas(self) -> pd.DataFrame:
        """One row per message, by time; of those that became totals there is none, and a warning
        says so.

        Columns: time (seconds since the start, when sent), kind (service, task, reply, error,
        event, …), source and target (node/role), source_node, target_node, channel, bytes,
        latency_ms, link, outcome, and line: where in the code it was sent, as ``Cell In[7], line
        4: self.call("trainer", "train")``; empty for answers, and for what nodes send by
        themselves.
        """
        frame = self.singles()
        if self.gone:
            warnings.warn(
                f"{self.describe_gone()}; .totals() and .matrix() count all", stacklevel=2
            )
        return frame

    def singles(self) -> pd.DataFrame:
        """As `to_pandas`, without a warning."""
        frame = self.raw().sort_values("sent", kind="stable", ignore_index=True)
        frame["time"] = frame["sent"] - self._start
        frame["latency_ms"] = (frame["received"] - frame["sent"]) * 1000
        for side in ("source", "target"):
            frame[f"{side}_node"] = frame[side].str.partition("/")[0] if len(frame) else frame[side]
        return frame[
            [
                "time",
                "kind",
                "source",
                "target",
                "source_node",
                "target_node",
                "channel",
                "bytes",
                "latency_ms",
                "link",
                "outcome",
                "line",
            ]
        ]

    @checked
    def between_nodes(self, nodes: str | Iterable[str] | None = None) -> pd.DataFrame:
        """The messages between roles of the nodes that match; without those that steer the testbed
        itself."""
        frame = self.singles()
        controls = frame["source"].str.endswith("/actor") | frame["target"].str.endswith("/actor")
        frame = frame[~controls]
        if nodes is not None:
            patterns = _patterns(nodes)
            for side in ("source_node", "target_node"):
                matches = [
                    any(fnmatchcase(name, item) for item in patterns) for name in frame[side]
                ]
                frame = frame[np.array(matches, bool)]
        return frame

    def past(self, wanted: Callable[[Flow], bool] = lambda flow: True) -> Past:
        """Return what is known of the messages that became totals, of the flows that are wanted."""
        with self._lock:
            chosen, flows = self.flows.chosen(wanted), len(self.flows.keys)
            messages, size, _, _, lost = self._past.sums(flows)[:, chosen].sum(1)
            first = self._past.first(flows)[chosen].min(initial=np.inf)
            last = self._past.last(flows)[chosen].max(initial=-np.inf)
        return Past(
            int(messages),
            int(size),
            int(lost),
            float(first) - self._start,
            float(last) - self._start,
        )

    def past_table(self) -> pd.DataFrame:
        """Return the totals of what became totals, one row per flow. Columns: those of `Flow`, and
        `Totals`; first, last."""
        import pandas as pd

        with self._lock:
            flows = len(self.flows.keys)
            frame = pd.DataFrame(list(self.flows.keys), columns=list(Flow._fields))
            for name, sums in zip(Totals.NAMES, self._past.sums(flows), strict=True):
                frame[name] = sums
            frame["first"], frame["last"] = self._past.first(flows), self._past.last(flows)
        return frame[frame["messages"] > 0].reset_index(drop=True)

    def restore_past(self, frame: pd.DataFrame) -> None:
        """Count what `past_table` gave, as messages that became totals before all others."""
        with self._lock:
            keys = frame[list(Flow._fields)].itertuples(index=False, name=None)
            numbers = np.fromiter(map(self.flows.keys.__getitem__, keys), np.int64, len(frame))
            self._past.set(
                numbers,
                frame[list(Totals.NAMES)].to_numpy(float).T,
                frame["first"].to_numpy(float),
                frame["last"].to_numpy(float),
            )
            self.flows.all.add(self._past, len(self.flows.keys))
            self.flows.mark_changed(numbers)
            self.gone += int(frame["messages"].sum())

    # totals

    def _sums(self, flows: Iterable[Flow] | None = None) -> pd.DataFrame:
        """Messages and bytes of each flow, of all that ever came."""
        import pandas as pd

        with self._lock:
            frame = pd.DataFrame(list(self.flows.keys), columns=list(Flow._fields))
            messages, size = self.flows.totals[:2]
            frame["messages"], frame["bytes"] = messages.astype(int), size.astype(int)
        return frame[frame["messages"] > 0]

    def totals(self) -> pd.DataFrame:
        """Messages and bytes per kind and channel, of all that ever came."""
        self._refresh()
        return self._sums().groupby(["kind", "channel"])[["messages", "bytes"]].sum().reset_index()

    @checked
    def matrix(
        self, value: str = "bytes", nodes: str | Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Who sent how much to whom, of all that ever came: rows send, columns receive; `value` is
        "bytes" or "messages"."""
        if value not in ("bytes", "messages"):
            raise ArgumentError(f"value must be 'bytes' or 'messages', not {value!r}")
        self._refresh()
        patterns, frame = _patterns(nodes), self._sums()
        between = []
        for source, target in zip(frame["source"], frame["target"], strict=True):
            ends = source.partition("/")[0], target.partition("/")[0]
            chosen = all(any(fnmatchcase(name, item) for item in patterns) for name in ends)
            between.append(chosen and not is_control(source, target))
        frame = frame[np.array(between, bool)]
        names = {
            side: [name.partition("/")[0] for name in frame[side]] for side in ("source", "target")
        }
        known = sorted({*names["source"], *names["target"]}, key=natural_key)
        table = (
            frame.assign(**names).groupby(["source", "target"])[value].sum().unstack(fill_value=0)
        )
        table = table.rename_axis(index="source_node", columns="target_node")
        return table.reindex(index=known, columns=known, fill_value=0)

    @checked
    def plot(
        self,
        value: str = "bytes",
        nodes: str | Iterable[str] | None = None,
        title: str | None = None,
    ) -> go.Figure:
        """Heat map: who sent how much to whom. What stays within a node is left out (see `matrix`
        for it)."""
        import plotly.graph_objects as go

        from roleml_nb.pictures.figure import Figure

        table = self.matrix(value, nodes)
        shown = (table / 1e6 if value == "bytes" else table.astype(float)).mask(
            np.eye(len(table), dtype=bool)
        )
        unit = "MB" if value == "bytes" else "messages"
        figure = Figure(
            go.Heatmap(
                z=shown.to_numpy(),
                x=list(table.columns),
                y=list(table.index),
                colorscale="Blues",
                xgap=1,
                ygap=1,
                colorbar={"title": unit},
                hovertemplate="%{y} → %{x}: %{z:.3g} " + unit + "<extra></extra>",
            )
        )
        figure.update_yaxes(autorange="reversed", title="from", type="category")
        figure.update_xaxes(title="to", type="category", tickangle=-45)
        side = 520
        if 20 < len(table) <= MAX_NAMED_NODES:
            figure.update_xaxes(dtick=1).update_yaxes(dtick=1)
            side = max(side, 200 + 15 * len(table))
        return figure.update_layout(
            template="plotly_white",
            title=title or f"Who sent how much to whom ({unit})",
            height=side,
            width=side + 120,
        )

    def describe_gone(self) -> str:
        """Say which messages are totals; empty when none are."""
        if not self.gone:
            return ""
        return f"the first {self.gone:,} of {self.count:,} messages are totals by now"


def is_control(source: str, target: str) -> bool:
    """Return whether a message is one that steers the testbed itself."""
    return source.endswith(f"/{NATIVE}") or target.endswith(f"/{NATIVE}")


def _patterns(nodes: str | Iterable[str] | None) -> list[str]:
    return ["*"] if nodes is None else [nodes] if isinstance(nodes, str) else list(nodes)


def _columns(keys: list[tuple], width: int, numbers: np.ndarray) -> list[np.ndarray]:
    """Return the parts of keys as columns of objects, a row for each number."""
    columns = [np.empty(len(keys), object) for _ in range(width)]
    for column, values in zip(columns, zip(*keys, strict=True), strict=False):
        column[:] = values
    return [column[numbers] for column in columns]
