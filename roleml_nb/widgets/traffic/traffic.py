"""Traffic: the messages of a testbed or of a recording, as they travel, in time, in total, and as
contributions to models.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from traitlets import Bool, Dict, List

from roleml_nb.pictures import Picture
from roleml_nb.role import RoleMLError, natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.contributions import contributions
from roleml_nb.trace.messages import is_control
from roleml_nb.trace.metrics import Key
from roleml_nb.widgets.base.displayed import position
from roleml_nb.widgets.base.view import View

from .columns import Columns, columns, joined
from .graph_layout import places
from .picture import ANSWERS, TABS, draw

__all__ = ["Traffic"]

PER_SECOND = 5_000
"""Messages that a page is told of one by one; of more, every second, third, … one.

All are counted.
"""
KEPT = 50_000
"""Messages that a page begins with."""
SAVED, LEFT = 20_000, 1_000
"""Messages that `to_html` writes, and that a page has which is left in a notebook."""
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
"""Pairs of nodes that know each other, as far as they are drawn: more of them would hide the
messages.
"""


@dataclass
class Told:
    """What all pages were told so far: flows, notes and batches of the trace; numbers of each
    series.
    """

    flows: int = 0
    notes: int = 0
    batch: int = 0
    parts: dict[Key, int] = field(default_factory=dict)
    distances: dict[Key, int] = field(default_factory=dict)


class Traffic(View):
    """Shows the messages of a trace: on the graph of nodes, in time, as a matrix, and what was
    aggregated.

    Parameters
    ----------
    trace : Trace
        Of a testbed, or a `Recording`.
    deployed : callable, optional
        Returns {node: nodes whose roles it knows}; without it, the nodes are those that the
        messages are of.
    live : bool
        Whether the page begins with what happens now, and not with the beginning.
    """

    source = __file__
    _places = Dict().tag(sync=True)
    _links: Any = List().tag(sync=True)
    _live = Bool().tag(sync=True)

    def __init__(
        self,
        trace: Trace,
        *,
        deployed: Callable[[], Mapping[str, Any]] | None = None,
        live: bool = False,
    ):
        self._trace, self._deployed = trace, deployed or dict
        self._taking = threading.RLock()
        self._flows = trace.messages.flows
        self._kept: deque[Columns] = deque()
        self._every = 1
        self._row, self._clears, self._pages = 0, trace.clears, Told()
        self._looked = self._allowed = 0.0
        self._pairs: set[tuple[str, str]] = set()
        """Aggregators and whose models they took."""
        self._waited: tuple[tuple[int, int], np.ndarray] = (0, 0), np.empty(0, int)
        self._arranged: tuple[float, Any] = -ARRANGE, None
        self._pictured: Any = None
        """What there was to show when the picture was published last."""
        super().__init__(_live=live)

    # from the trace

    def _read(self, limit: float) -> Columns:
        """Read what is new in the trace; at most `limit` of its messages, evenly chosen."""
        messages, parts = self._trace.messages, []
        end = messages.added
        self._every = max(1, -int(-min(end - self._row, messages.single_count) // max(1.0, limit)))
        while self._row < end:
            news = messages.since(self._row, CHUNK)
            self._row = news.number
            parts.append(
                thinned(columns(news.rows, self._trace.start), self._every, self._trainings())
            )
        found = joined(parts)
        if found.rows:
            self._kept.append(found)
            while sum(part.rows for part in self._kept) - self._kept[0].rows >= KEPT:
                self._kept.popleft()
        return found

    def _trainings(self) -> np.ndarray:
        """Numbers of the flows of tasks from aggregators to those whose models they took, and of
        the answers.

        They tell whom a round waited for, so they are not thinned.
        """
        keys, pairs = self._flows.keys, self._pairs
        if self._waited[0] != (len(keys), len(pairs)):
            tasks = [key for key in list(keys) if key[3] == "task" and key[:2] in pairs]
            answers = [
                (target, source, channel, kind)
                for source, target, channel, _ in tasks
                for kind in ANSWERS
            ]
            self._waited = (
                (len(keys), len(pairs)),
                np.array([keys[key] for key in [*tasks, *answers] if key in keys], int),
            )
        return self._waited[1]

    def _catch_up(self) -> None:
        """Take in all that there is; asks the hosts for it, if they answer."""
        with self._taking:
            try:
                self._trace.refresh()
            except RoleMLError:  # an engine that does not answer: what it has shipped is there
                self._trace.poll()
            self._news(KEPT, 0.0)

    def _arrange(self, patience: float = ARRANGE) -> None:
        """Give all nodes a place, anew when there are others."""
        now = time.monotonic()
        if now - self._arranged[0] < patience:
            return
        known = self._deployed()
        ends = {
            (source.partition("/")[0], target.partition("/")[0])
            for (source, target, _, _), messages in zip(
                list(self._flows.keys), self._flows.totals[0], strict=False
            )
            if messages and not is_control(source, target)
        }
        links = {
            (node, other) for node, others in known.items() for other in others if node != other
        }
        self._links = (
            sorted({(min(pair), max(pair)) for pair in links}) if len(links) <= LINKS else []
        )
        edges = {*ends, *links}
        nodes = sorted({*known, *(node for edge in ends for node in edge)}, key=natural_key)
        self._arranged = now, self._arranged[1]
        if self._arranged[1] != (nodes, edges):
            self._arranged = now, (nodes, edges)
            self._places = places(nodes, sorted(edges), self._places)

    # to the page

    def on_tick(self) -> None:
        with self._taking:
            self._trace.poll()
            told = self._news(self._allowance())
            self._allowed -= told

    def _news(self, limit: float, patience: float = ARRANGE) -> int:
        """Tell all pages what is new in the trace; how many messages of it, at most `limit`."""
        self._begin_anew()
        found = self._read(limit)
        self._arrange(patience)
        told, trace = self._pages, self._trace
        if self._flows.batch > told.batch or trace.contributions.count > sum(told.parts.values()):
            with trace.locked():
                before, told.flows, told.notes = (
                    (told.flows, told.notes),
                    len(self._flows.keys),
                    len(self._flows.deliveries),
                )
                numbers, told.batch = self._flows.changes(told.batch), self._flows.batch
            parts = trace.contributions.new_rows(told.parts)
            distances = trace.metrics.new_rows(told.distances, is_distance)
            self.send_message("batch", *self._content(found, before, numbers, parts, distances))
        return found.rows

    def _begin_anew(self) -> None:
        """Let pages begin anew when the trace was cleared."""
        if self._clears != self._trace.clears:
            self._clears, self._pages, self._row = (
                self._trace.clears,
                Told(),
                self._trace.messages.added,
            )
            self._kept.clear()
            self._pairs.clear()
            self.send_message("past", *self._past(joined(())))

    def _allowance(self) -> float:
        """How many messages a page may be told of now: hosts tell theirs in bursts, so what was not
        used of a second is kept.
        """
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        self._allowed = min(
            KEPT, PER_SECOND * max(1.0, passed), self._allowed + PER_SECOND * passed
        )
        return self._allowed

    def handle_catch_up(self, view: str) -> None:
        """Tell one page all that it can know so far."""
        with self._taking:
            self.on_tick()
            self._arrange(0.0)
            content, buffers = self._past(joined(self._kept))
            self.send_message("past", {**content, "view": view}, buffers)

    def _past(self, kept: Columns) -> tuple[dict[str, Any], list[Any]]:
        """What a page begins with: all that pages were told so far, as far as it is here."""
        told, trace = self._pages, self._trace
        parts = trace.contributions.new_rows({}, upto=told.parts)
        distances = trace.metrics.new_rows({}, is_distance, told.distances)
        return self._content(kept, (0, 0), np.arange(told.flows, dtype=np.uint32), parts, distances)

    def _content(
        self,
        found: Columns,
        before: tuple[int, int],
        numbers: np.ndarray,
        rows: list[tuple],
        distances: list[tuple],
    ) -> tuple[dict[str, Any], list[Any]]:
        """What a page is told: flows and notes from those `before` on, messages, the totals of
        flows of these numbers, contributions and consensus distances; of a number that is not
        finite, None.
        """
        told, messages, start = self._pages, self._trace.messages, self._trace.start
        with self._trace.locked():
            flows, notes = (
                list(self._flows.keys)[before[0] : told.flows],
                list(self._flows.deliveries)[before[1] : told.notes],
            )
            totals = np.ascontiguousarray(self._flows.totals[:, numbers].T)
        parts = contributions(rows[-2 * PARTS :])[-PARTS:]
        self._pairs.update((part.target, part.source) for part in parts)
        return {
            "flows": flows,
            "notes": [(link, outcome, messages.lines[origin]) for link, outcome, origin in notes],
            "every": self._every,
            "gone": messages.gone,
            "now": self._trace.now() - start,
            "distances": [(row[0] - start, finite(row[5])) for row in distances[-PARTS:]],
            "parts": [
                (
                    round(part.sent - start, 6),
                    *part[1:4],
                    finite(part.weight),
                    finite(part.age),
                    part.outcome,
                )
                for part in parts
            ],
        }, [*found, numbers, totals]

    # what stays

    @property
    def owner(self) -> Trace:
        return self._trace

    def stop(self) -> None:
        """Tell the page the last of it, and end the view's threads. Idempotent."""
        if not self._stopped:
            self._catch_up()
            self.on_tick()
        super().stop()

    def outdated(self) -> bool:
        known = {node: set(others) for node, others in self._deployed().items()}
        before, self._pictured = self._pictured, (position(self._trace), known)
        return before != self._pictured

    def page(self) -> str:
        return self._page(self.saved(LEFT))

    def saved(self, limit: int = SAVED) -> dict[str, Any]:
        """See `View.saved`; at most about `limit` of the messages, which are chosen evenly."""
        self._catch_up()
        with self._taking:
            whole = joined(self._kept)
            every = max(1, -(-whole.rows // limit))
            content, buffers = self._past(thinned(whole, every, self._trainings()))
        past = {
            "content": {**content, "every": max(every, self._every)},
            "buffers": [buffer.tobytes() for buffer in buffers],
        }
        return {**super().saved(), "_live": False, "_past": past}

    def svg(self, tab: str = TABS[0]) -> str:
        with self._taking:
            return draw(
                tab, self._trace, joined(self._kept), self._flows, self._places, self._links
            )

    def picture(self, tab: str = TABS[0]) -> Picture:
        """One tab as it stands, as a picture: "graph", "space-time", "matrix" or "aggregation"."""
        self._catch_up()
        return Picture(self.svg(tab), self.describe())

    def describe(self) -> str:
        messages, size = self._flows.totals[:2].sum(1)
        gone = f"; {text}" if (text := self._trace.messages.describe_gone()) else ""
        return (
            f"<Traffic: {int(messages)} messages, {size / 1e6:.3g} MB, {len(self._places)}"
            f" nodes{gone}>"
        )


def thinned(columns: Columns, every: int, whole: np.ndarray | None = None) -> Columns:
    """One in `every`, so that a call and its reply stay together; of the flows `whole` all, unless
    they are most of it.
    """
    if every == 1:
        return columns
    number = np.where(
        columns.call > 0, columns.call, np.arange(columns.rows, dtype=np.uint32)
    ).astype(np.uint64)
    chosen = (number * 2654435761 >> 16) % every == 0
    kept = np.isin(columns.flow, () if whole is None else whole)
    return columns.take(chosen | kept if kept.sum() <= max(TRAININGS, chosen.sum()) else chosen)


def is_distance(key: Key) -> bool:
    return key.metric == CONSENSUS


def finite(number: float | None) -> float | None:
    """Return the number, or None for nan and infinities, which JSON does not have."""
    return number if number is not None and math.isfinite(number) else None
