"""Traffic: the messages of a testbed or of a recording, as they travel, in time, in total, and as contributions to models."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from traitlets import Bool, Dict, List

from roleml_nb.role import NATIVE, RoleMLError, natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.contributions import contributions

from .flows import Columns, Flows, joined
from .picture import Picture
from .places import places
from .traffic_picture import ANSWERS, TABS, draw
from .view import View

__all__ = ["Traffic"]

PER_SECOND = 5_000
"""Messages that a page is told of one by one; of more, every second, third, … one. All are counted."""
KEPT = 50_000
"""Messages that a page begins with."""
SAVED = 20_000
"""Messages that `to_html` writes."""
CHUNK = 100_000
"""Messages that are taken in at once."""
PARTS = 20_000
"""Contributions that a page is told of, the last ones."""
TRAININGS = 500
"""Trainings and their answers that a page is told of at once in any case."""
CONSENSUS = "consensus_distance"
"""The metric that is drawn beside what gossip has merged."""
ARRANGE = 2.0
"""Seconds between two arrangements of the nodes."""
LINKS = 4_000
"""Pairs of nodes that know each other, as far as they are drawn: more of them would hide the messages."""


class Traffic(View):
    """Shows the messages of a trace: on the graph of nodes, in time, as a matrix, and what was aggregated.

    Parameters
    ----------
    trace : Trace
        Of a testbed, or a `Recording`.
    deployed : callable, optional
        Returns {node: nodes whose roles it knows}; without it, the nodes are those that the messages are of.
    live : bool
        Whether the page begins with what happens now, and not with the beginning.
    """

    source = __file__
    _places = Dict().tag(sync=True)
    _links: Any = List().tag(sync=True)
    _live = Bool().tag(sync=True)

    def __init__(self, trace: Trace, *, deployed: Callable[[], Mapping[str, Any]] | None = None, live: bool = False):
        self._trace, self._deployed = trace, deployed or dict
        self._taking = threading.RLock()
        self._flows = Flows(trace.start, trace.messages.lines)
        self._kept: deque[Columns] = deque()
        self._every = 1
        self._told_flows = self._told_notes = self._row = 0
        self._told_parts = self._told_metrics = 0
        self._looked = self._allowed = 0.0
        self._pairs: set[tuple[str, str]] = set()
        """Aggregators and whose models they took."""
        self._waited: tuple[tuple[int, int], np.ndarray] = (0, 0), np.empty(0, int)
        self._arranged: tuple[float, Any] = -ARRANGE, None
        super().__init__(_live=live)

    # from the trace

    def _read(self, limit: float) -> Columns:
        """Count what is new in the trace; at most `limit` of its messages, evenly chosen."""
        parts = []
        rows = self._trace.messages.rows
        while self._row < len(rows):
            new = rows[self._row:self._row + CHUNK]
            self._row += len(new)
            parts.append(self._flows.take(new))
        columns = joined(parts)
        self._every = max(1, -int(-columns.rows // max(1.0, limit)))
        columns = thinned(columns, self._every, self._trainings())
        if columns.rows:
            self._kept.append(columns)
            while sum(part.rows for part in self._kept) - self._kept[0].rows >= KEPT:
                self._kept.popleft()
        return columns

    def _trainings(self) -> np.ndarray:
        """Numbers of the flows of tasks from aggregators to those whose models they took, and of the answers.

        They tell whom a round waited for, so they are not thinned.
        """
        keys, pairs = self._flows.keys, self._pairs
        if self._waited[0] != (len(keys), len(pairs)):
            tasks = [key for key in keys if key[3] == "task" and key[:2] in pairs]
            answers = [(target, source, channel, kind) for source, target, channel, _ in tasks for kind in ANSWERS]
            self._waited = (len(keys), len(pairs)), np.array([keys[key] for key in [*tasks, *answers] if key in keys], int)
        return self._waited[1]

    def _catch_up(self) -> None:
        """Take in all that there is; asks the hosts for it, if they answer."""
        with self._taking:
            try:
                self._trace.refresh()
            except RoleMLError:  # an engine that does not answer: what it has shipped is there
                self._trace.look()
            self._news(KEPT, 0.0)

    def _arrange(self, patience: float = ARRANGE) -> None:
        """Give all nodes a place, anew when there are others."""
        now = time.monotonic()
        if now - self._arranged[0] < patience:
            return
        known = self._deployed()
        ends = {(source.partition("/")[0], target.partition("/")[0])
                for source, target, _, _ in list(self._flows.keys) if not steers(source, target)}
        links = {(node, other) for node, others in known.items() for other in others if node != other}
        self._links = sorted({(min(pair), max(pair)) for pair in links}) if len(links) <= LINKS else []
        edges = {*ends, *links}
        nodes = sorted({*known, *(node for edge in ends for node in edge)}, key=natural_key)
        self._arranged = now, self._arranged[1]
        if self._arranged[1] != (nodes, edges):
            self._arranged = now, (nodes, edges)
            self._places = places(nodes, sorted(edges), self._places)

    # to the page

    def beat(self) -> None:
        with self._taking:
            self._trace.look()
            told = self._news(self._allowance())
            self._allowed -= told

    def _news(self, limit: float, patience: float = ARRANGE) -> int:
        """Tell all pages what is new in the trace; how many messages of it, at most `limit`."""
        columns = self._read(limit)
        self._arrange(patience)
        if self._flows.has_changed or len(self._trace.contributions.rows) > self._told_parts:
            self._tell("batch", columns, self._told_flows, self._told_notes, *self._flows.changes())
            self._told_flows, self._told_notes = len(self._flows.keys), len(self._flows.notes)
        return columns.rows

    def _allowance(self) -> float:
        """How many messages a page may be told of now: hosts tell theirs in bursts, so what was not used of a second is kept."""
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        self._allowed = min(KEPT, PER_SECOND * max(1.0, passed), self._allowed + PER_SECOND * passed)
        return self._allowed

    def ask_catch_up(self, view: str) -> None:
        """Tell one page all that it can know so far."""
        with self._taking:
            self.beat()
            self._arrange(0.0)
            self._told_parts = self._told_metrics = 0
            self._tell("past", joined(self._kept), 0, 0, *self._flows.all(), view=view)

    def _tell(self, kind: str, columns: Columns, flows: int, notes: int, *totals: np.ndarray, **more: Any) -> None:
        content, buffers = self._content(columns, flows, notes, *totals)
        self.tell(kind, {**content, **more}, buffers)

    def _content(self, columns: Columns, flows: int, notes: int, *totals: np.ndarray) -> tuple[dict[str, Any], list[Any]]:
        """What a page is told: flows and notes from these numbers on, messages, and totals of flows."""
        told = self._flows
        return {
            "flows": list(told.keys)[flows:], "notes": list(told.notes)[notes:], "every": self._every,
            "now": self._trace.now() - self._trace.start, **self._learning()}, [*columns, *totals]

    def _learning(self) -> dict[str, Any]:
        """The contributions, and the consensus distances, that were not told yet."""
        rows, metrics = self._trace.contributions.rows, self._trace.metrics.rows
        parts = contributions(rows[max(self._told_parts, len(rows) - 2 * PARTS):])
        self._pairs.update((part.target, part.source) for part in parts)
        distances = [(row[0] - self._trace.start, row[5]) for row in metrics[self._told_metrics:] if row[4] == CONSENSUS]
        self._told_parts, self._told_metrics = len(rows), len(metrics)
        return {"distances": distances[-PARTS:], "parts": [
            (round(part.sent - self._trace.start, 6), part.target, part.step, part.source, part.weight, part.age, part.outcome)
            for part in parts[-PARTS:]]}

    # what stays

    def rest(self) -> None:
        """Tell the page the last of it, and end the view's threads. Idempotent."""
        if not self._ended:
            self._catch_up()
            self.beat()
        super().rest()

    def saved(self) -> dict[str, Any]:
        self._catch_up()
        with self._taking:
            whole = joined(self._kept)
            self._told_parts = self._told_metrics = 0
            every = max(1, -(-whole.rows // SAVED))
            content, buffers = self._content(thinned(whole, every, self._trainings()), 0, 0, *self._flows.all())
        past = {"content": {**content, "every": max(every, self._every)}, "buffers": [buffer.tobytes() for buffer in buffers]}
        return {**super().saved(), "_live": False, "_past": past}

    def svg(self, tab: str = TABS[0]) -> str:
        with self._taking:
            return draw(tab, self._trace, joined(self._kept), self._flows, self._places, self._links)

    def picture(self, tab: str = TABS[0]) -> Picture:
        """One tab as it stands, as a picture: "graph", "space-time", "matrix" or "aggregation"."""
        self._catch_up()
        return Picture(self.svg(tab), self.describe())

    def describe(self) -> str:
        messages, size = self._flows.totals[:2].sum(1)
        return f"<Traffic: {int(messages)} messages, {size / 1e6:.3g} MB, {len(self._places)} nodes>"


def thinned(columns: Columns, every: int, whole: np.ndarray | None = None) -> Columns:
    """One in `every`, so that a call and its reply stay together; of the flows `whole` all, unless they are most of it."""
    if every == 1:
        return columns
    number = np.where(columns.call > 0, columns.call, np.arange(columns.rows, dtype=np.uint32)).astype(np.uint64)
    chosen = (number * 2654435761 >> 16) % every == 0
    kept = np.isin(columns.flow, () if whole is None else whole)
    return columns.take(chosen | kept if kept.sum() <= max(TRAININGS, chosen.sum()) else chosen)


def steers(source: str, target: str) -> bool:
    """Whether a message is one that steers the testbed itself."""
    return source.endswith(f"/{NATIVE}") or target.endswith(f"/{NATIVE}")
