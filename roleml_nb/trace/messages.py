"""The messages of a trace: single ones as far as there is room, and totals of all."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roleml_nb.role import NATIVE, natural_key
from roleml_nb.role.checks.arguments import checked
from roleml_nb.role.checks.names import check_choice

from .flows import MESSAGE, Flow, Flows, Totals
from .lines import Lines
from .rows import Rows
from .tables import Table, object_columns

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Messages", "NewMessages", "Past", "is_control", "matches_any"]

BYTES_PER_FLOW = 600
"""Bytes of a flow or of a delivery, with the places of its names in tables."""


class NewMessages(NamedTuple):
    """Messages that came after those that a reader knows."""

    rows: np.ndarray
    """Of dtype `MESSAGE`."""
    number: int
    """The number to ask from next time."""
    missed: int
    """Messages that became totals before the reader asked for them."""


class Past(NamedTuple):
    """The messages of some flows that are totals by now."""

    messages: int
    bytes: int
    """Of all of them."""
    lost_bytes: int
    """Of those that were lost."""
    first: float
    """The time when the first was sent, in seconds since the trace began; inf for none."""
    last: float
    """The time when the last was sent; -inf for none."""


class Messages(Table):
    """Every message, with its roles, channel, size, times, link, outcome and line of code.

    Messages beyond the limit of the trace become totals: `totals` and `matrix` count all that ever
    came; tables of single messages begin later, and say so.
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

    # adding and dropping; the caller holds the lock

    def add(self, columns: Sequence[Sequence]) -> None:
        """Add a batch, given as columns."""
        self._rows.extend(self.flows.encode(columns))

    def trim(self, limit: float) -> None:
        """Turn the oldest single messages into totals until the table takes `limit` bytes."""
        excess = self.nbytes - limit
        singles = len(self._rows)
        if excess > 0 and singles:
            count = int(min(singles, excess / MESSAGE.itemsize + singles / 16 + 1))
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

    def since(self, number: int, max_rows: int | None = None) -> NewMessages:
        """Return at most `max_rows` messages from a number on, by their arrival.

        The hosts are not asked for more.
        """
        with self._lock:
            rows = self._rows.since(number, max_rows)
            missed = max(0, self._rows.gone - number)
        return NewMessages(rows, number + missed + len(rows), missed)

    @property
    def added(self) -> int:
        """The number of the next message."""
        return self._rows.added

    @property
    def single_count(self) -> int:
        return len(self._rows)

    def raw(self) -> pd.DataFrame:
        """Return single messages as `Table.raw` does, with lines in words."""
        import pandas as pd

        self._refresh()
        return pd.DataFrame(dict(zip(self.columns, self._decoded(), strict=True)))

    @checked
    def last(self, count: int) -> list[tuple]:
        """Return the last `count` messages, as tuples of `columns`, oldest first."""
        self._refresh()
        return list(zip(*map(np.ndarray.tolist, self._decoded(count)), strict=True))

    def _decoded(self, last: int | None = None) -> list[np.ndarray]:
        """Return single messages, all or the `last` ones, as `columns`."""
        deliveries = []
        with self._lock:
            rows = self._rows.since(0 if last is None else self._rows.added - last)
            flows = list(self.flows.keys)
            for link, outcome, origin in self.flows.deliveries:
                deliveries.append((link, outcome, self.lines[origin]))
        source, target, channel, kind = (
            column[rows["flow"]] for column in object_columns(flows, 4)
        )
        link, outcome, line = (column[rows["delivery"]] for column in object_columns(deliveries, 3))
        return [
            rows["call"],
            kind,
            source,
            target,
            channel,
            rows["bytes"],
            link,
            rows["sent"],
            rows["received"],
            outcome,
            line,
        ]

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per single message, by time, and warn when some became totals.

        Columns: time (seconds since the start, when sent), kind (service, task, reply, error,
        event, …), source and target (node/role), source_node, target_node, channel, bytes,
        latency_ms, link, outcome, and line: the line of code that sent it, as ``Cell In[7], line
        4: self.call("trainer", "train")``; empty for answers, and for messages that nodes send by
        themselves.
        """
        frame = self.singles()
        if self.gone:
            warnings.warn(
                f"{self.describe_gone()}; .totals() and .matrix() count all", stacklevel=2
            )
        return frame

    def singles(self) -> pd.DataFrame:
        """Return the same as `to_pandas`, without a warning."""
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
        """Return the messages between roles of the nodes that match, without control messages."""
        frame = self.singles()
        controls = frame["source"].str.endswith("/actor") | frame["target"].str.endswith("/actor")
        frame = frame[~controls]
        if nodes is not None:
            patterns = _patterns(nodes)
            match = partial(matches_any, patterns=patterns)
            for side in ("source_node", "target_node"):
                frame = frame[frame[side].map(match).astype(bool)]
        return frame

    def past(self, wanted: Callable[[Flow], bool] = lambda flow: True) -> Past:
        """Return the totals of messages that became totals, over the flows that are wanted."""
        with self._lock:
            chosen = self.flows.chosen(wanted)
            flows = len(self.flows.keys)
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
        """Return the totals of messages that became totals, one row per flow.

        Columns: those of `Flow`, and `Totals`; first, last.
        """
        import pandas as pd

        with self._lock:
            flows = len(self.flows.keys)
            frame = pd.DataFrame(list(self.flows.keys), columns=list(Flow._fields))
            for name, sums in zip(Totals.NAMES, self._past.sums(flows), strict=True):
                frame[name] = sums
            frame["first"] = self._past.first(flows)
            frame["last"] = self._past.last(flows)
        return frame[frame["messages"] > 0].reset_index(drop=True)

    def restore_past(self, frame: pd.DataFrame) -> None:
        """Count the rows of `past_table` as messages that became totals before all others."""
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
        """Return messages and bytes of each flow, of all that ever came."""
        import pandas as pd

        with self._lock:
            frame = pd.DataFrame(list(self.flows.keys), columns=list(Flow._fields))
            messages, size = self.flows.totals[:2]
            frame["messages"], frame["bytes"] = messages.astype(int), size.astype(int)
        return frame[frame["messages"] > 0]

    def totals(self) -> pd.DataFrame:
        """Return messages and bytes per kind and channel, of all that ever came."""
        self._refresh()
        return self._sums().groupby(["kind", "channel"])[["messages", "bytes"]].sum().reset_index()

    @checked
    def matrix(
        self, value: str = "bytes", nodes: str | Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Return the "bytes" or "messages" from node to node, of all that ever came.

        Rows send, columns receive. Control messages are left out.
        """
        check_choice("value", value, ("bytes", "messages"))
        self._refresh()
        patterns = _patterns(nodes)
        frame = self._sums()
        sources, targets, chosen = [], [], []
        for source, target in zip(frame["source"], frame["target"], strict=True):
            sources.append(source.partition("/")[0])
            targets.append(target.partition("/")[0])
            matching = matches_any(sources[-1], patterns) and matches_any(targets[-1], patterns)
            chosen.append(matching and not is_control(source, target))
        frame = frame.assign(source=sources, target=targets)[np.array(chosen, bool)]
        known = sorted({*frame["source"], *frame["target"]}, key=natural_key)
        table = frame.groupby(["source", "target"])[value].sum().unstack(fill_value=0)
        table = table.rename_axis(index="source_node", columns="target_node")
        return table.reindex(index=known, columns=known, fill_value=0)

    @checked
    def plot(
        self,
        value: str = "bytes",
        nodes: str | Iterable[str] | None = None,
        title: str | None = None,
    ) -> go.Figure:
        """Draw a heat map of `matrix`. Messages within a node are left out."""
        from .heat_map import draw_heat_map

        return draw_heat_map(self.matrix(value, nodes), value, title)

    def describe_gone(self) -> str:
        """Say how many messages became totals; empty when none did."""
        if not self.gone:
            return ""
        return f"the first {self.gone:,} of {self.count:,} messages are totals by now"


def is_control(source: str, target: str) -> bool:
    """Return True for a message that controls the testbed itself."""
    return source.endswith(f"/{NATIVE}") or target.endswith(f"/{NATIVE}")


def matches_any(node: str, patterns: Iterable[str]) -> bool:
    """Return True if a node's name matches one of the patterns."""
    return any(fnmatchcase(node, pattern) for pattern in patterns)


def _patterns(nodes: str | Iterable[str] | None) -> list[str]:
    if nodes is None:
        return ["*"]
    return [nodes] if isinstance(nodes, str) else list(nodes)
