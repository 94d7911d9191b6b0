"""Traffic: the messages of a testbed or of a recording, as they travel, in time, in total, and as
contributions to models.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from traitlets import Bool, Dict, List

from roleml_nb.pictures import Picture
from roleml_nb.role import natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.contributions import Contribution, contributions
from roleml_nb.trace.messages import is_control
from roleml_nb.trace.metrics import Key
from roleml_nb.widgets.base.displayed import position
from roleml_nb.widgets.base.graph_layout import places
from roleml_nb.widgets.base.view import View

from .columns import Columns, joined
from .picture import TrafficState
from .sample import MAX_PAGE_MESSAGES, Allowance, Sample

__all__ = ["Traffic"]

HTML_MESSAGES = 20_000
"""Messages that `to_html` writes."""
NOTEBOOK_MESSAGES = 1_000
"""Messages of the page that is left in a notebook."""
MAX_CONTRIBUTIONS = 20_000
"""Contributions that a page gets, the last ones."""
CONSENSUS = "consensus_distance"
"""The metric that is drawn beside what gossip has merged."""
ARRANGE_INTERVAL_S = 2.0
MAX_LINKS = 4_000
"""Pairs of nodes that know each other; the lines of more would hide the messages."""

Content = tuple[dict[str, Any], list[Any]]


@dataclass
class PagePosition:
    """Counts of what all pages have: flows, deliveries, batches, and rows of each series."""

    flows: int = 0
    deliveries: int = 0
    batch: int = 0
    contributions: dict[Key, int] = field(default_factory=dict)
    distances: dict[Key, int] = field(default_factory=dict)


class Traffic(View):
    """Shows the messages of a trace: on the graph of nodes, in time, as a matrix, and as
    contributions to models.

    Parameters
    ----------
    trace : Trace
        Of a testbed, or a `Recording`.
    deployed : callable, optional
        Returns {node: nodes whose roles it knows}; without it, the nodes are those of the messages.
    live : bool
        True for a page that begins with the present, and not with the beginning of the trace.
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
        self._trace = trace
        self._deployed = deployed or dict
        self._flows = trace.messages.flows
        self._reading = threading.RLock()
        self._sample = Sample(trace)
        self._allowance = Allowance()
        self._clears = trace.clears
        self._pages = PagePosition()
        self._arranged_at = -ARRANGE_INTERVAL_S
        self._arranged: Any = None
        self._pictured: Any = None
        """The state of the trace when the picture was published last."""
        super().__init__(_live=live)

    # from the trace

    def _catch_up(self) -> None:
        """Read all of the trace, with the records that hosts have, if they answer."""
        with self._reading:
            self._trace.catch_up()
            self._send_news(MAX_PAGE_MESSAGES, 0.0)

    def _arrange(self, interval_s: float = ARRANGE_INTERVAL_S) -> None:
        """Give all nodes a place, if the last time was long ago and there are others now."""
        now = time.monotonic()
        if now - self._arranged_at < interval_s:
            return
        self._arranged_at = now
        known = self._deployed()
        talking = self._talking()
        links = _links(known)
        undirected = {(min(pair), max(pair)) for pair in links}
        self._links = sorted(undirected) if len(links) <= MAX_LINKS else []
        nodes = sorted(set(known).union(*talking), key=natural_key)
        edges = talking | links
        if self._arranged != (nodes, edges):
            self._arranged = (nodes, edges)
            self._places = places(nodes, sorted(edges), self._places)

    def _talking(self) -> set[tuple[str, str]]:
        """Return the pairs of nodes, one of which has sent a message to the other."""
        pairs = set()
        counts = self._flows.totals[0]
        for (source, target, _, _), count in zip(list(self._flows.keys), counts, strict=False):
            if count and not is_control(source, target):
                pairs.add((source.partition("/")[0], target.partition("/")[0]))
        return pairs

    # to the page

    def on_tick(self) -> None:
        with self._reading:
            self._trace.poll()
            sent = self._send_news(self._allowance.fill())
            self._allowance.spend(sent)

    def _send_news(self, limit: float, interval_s: float = ARRANGE_INTERVAL_S) -> int:
        """Send all pages what is new in the trace; return the number of messages of it.

        Of the messages, about `limit` are sent.
        """
        self._restart_when_cleared()
        found = self._sample.read(limit)
        self._arrange(interval_s)
        pages, trace = self._pages, self._trace
        contributed = sum(pages.contributions.values())
        if self._flows.batch > pages.batch or trace.contributions.count > contributed:
            with trace.locked():
                before = pages.flows, pages.deliveries
                pages.flows = len(self._flows.keys)
                pages.deliveries = len(self._flows.deliveries)
                changed = self._flows.changes(pages.batch)
                pages.batch = self._flows.batch
            rows = trace.contributions.new_rows(pages.contributions)
            distances = trace.metrics.new_rows(pages.distances, is_distance)
            self.send_message("batch", *self._content(found, before, changed, rows, distances))
        return found.rows

    def _restart_when_cleared(self) -> None:
        """Let pages begin anew when the trace was cleared."""
        if self._clears != self._trace.clears:
            self._clears = self._trace.clears
            self._pages = PagePosition()
            self._sample.clear()
            self.send_message("past", *self._past(joined(())))

    def handle_catch_up(self, view: str) -> None:
        """Send one page all that there is to know so far."""
        with self._reading:
            self.on_tick()
            self._arrange(0.0)
            content, buffers = self._past(self._sample.columns())
            self.send_message("past", {**content, "view": view}, buffers)

    def _past(self, messages: Columns) -> Content:
        """Return the content that a page begins with: as far as all pages are, with `messages`."""
        pages, trace = self._pages, self._trace
        numbers = np.arange(pages.flows, dtype=np.uint32)
        rows = trace.contributions.new_rows({}, upto=pages.contributions)
        distances = trace.metrics.new_rows({}, is_distance, pages.distances)
        return self._content(messages, (0, 0), numbers, rows, distances)

    def _content(
        self,
        found: Columns,
        before: tuple[int, int],
        numbers: np.ndarray,
        rows: list[tuple],
        distances: list[tuple],
    ) -> Content:
        """Return content and buffers of a message to pages.

        The content has flows and deliveries from the counts `before` on, contributions of `rows`,
        and consensus distances, with None for numbers that are not finite. The buffers have the
        messages `found`, and the totals of the flows `numbers`.
        """
        pages, messages, start = self._pages, self._trace.messages, self._trace.start
        with self._trace.locked():
            flows = list(self._flows.keys)[before[0] : pages.flows]
            deliveries = list(self._flows.deliveries)[before[1] : pages.deliveries]
            totals = np.ascontiguousarray(self._flows.totals[:, numbers].T)
        lines = messages.lines
        parts = contributions(rows[-2 * MAX_CONTRIBUTIONS :])[-MAX_CONTRIBUTIONS:]
        for part in parts:
            self._sample.aggregations.add((part.target, part.source))
        content = {
            "flows": flows,
            "notes": [(link, outcome, lines[origin]) for link, outcome, origin in deliveries],
            "every": self._sample.one_in,
            "gone": messages.gone,
            "now": self._trace.now() - start,
            "distances": [
                (row[0] - start, finite(row[5])) for row in distances[-MAX_CONTRIBUTIONS:]
            ],
            "parts": [_contribution(part, start) for part in parts],
        }
        return content, [*found, numbers, totals]

    # what stays

    @property
    def owner(self) -> Trace:
        return self._trace

    def stop(self) -> None:
        """Send the page the last of the trace, and end the view's threads. Idempotent."""
        if not self._stopped:
            self._catch_up()
            self.on_tick()
        super().stop()

    def outdated(self) -> bool:
        known = {node: set(others) for node, others in self._deployed().items()}
        before = self._pictured
        self._pictured = (position(self._trace), known)
        return before != self._pictured

    def page(self) -> str:
        return self._page(self.saved(NOTEBOOK_MESSAGES))

    def saved(self, limit: int = HTML_MESSAGES) -> dict[str, Any]:
        """See `View.saved`; with about `limit` of the messages, which are chosen evenly."""
        self._catch_up()
        with self._reading:
            messages, one_in = self._sample.thinned(limit)
            content, buffers = self._past(messages)
        past = {
            "content": {**content, "every": one_in},
            "buffers": [buffer.tobytes() for buffer in buffers],
        }
        return {**super().saved(), "_live": False, "_past": past}

    def svg(self, tab: str = "graph") -> str:
        with self._reading:
            messages = self._sample.columns()
            state = TrafficState(self._trace, messages, self._flows, self._places, self._links)
            return state.draw(tab)

    def picture(self, tab: str = "graph") -> Picture:
        """Draw a tab as it stands, such as "graph" or "space-time"; a wrong name is refused."""
        self._catch_up()
        return Picture(self.svg(tab), self.describe())

    def describe(self) -> str:
        messages, size = self._flows.totals[:2].sum(1)
        nodes = len(self._places)
        gone = self._trace.messages.describe_gone()
        return (
            f"<Traffic: {int(messages)} messages, {size / 1e6:.3g} MB, {nodes} nodes"
            f"{gone and '; '}{gone}>"
        )


def _links(known: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the pairs of different nodes, one of which knows the other."""
    links: set[tuple[str, str]] = set()
    for node, others in known.items():
        for other in others:
            if other != node:
                links.add((node, other))
    return links


def _contribution(part: Contribution, start: float) -> tuple:
    return (
        round(part.sent - start, 6),
        *part[1:4],
        finite(part.weight),
        finite(part.age),
        part.outcome,
    )


def is_distance(key: Key) -> bool:
    return key.metric == CONSENSUS


def finite(number: float | None) -> float | None:
    """Return the number, or None for nan and infinities, which JSON does not have."""
    return number if number is not None and math.isfinite(number) else None
