"""The messages that pages of a traffic view get: a sample of those of a trace, at a limited rate.

All messages are counted in the totals of flows, which pages get, too; single ones are only drawn.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from roleml_nb.trace import Trace

from .columns import Columns, columns, joined

__all__ = ["ANSWERS", "MAX_PAGE_MESSAGES", "Allowance", "Sample", "thinned"]

MAX_MESSAGES_PER_S = 5_000
"""Messages that a page can draw; of more, it gets every second, third, … one."""
MAX_PAGE_MESSAGES = 50_000
"""Messages that a page begins with."""
MESSAGES_PER_READ = 100_000
MAX_TRAINING_MESSAGES = 500
"""Messages of trainings, and their answers, that are never thinned out."""
ANSWERS = ("reply", "error", "moved")
MULTIPLIER = 2654435761
"""Knuth's multiplicative hash."""


class Allowance:
    """The number of messages that pages may get now, as a token bucket.

    Hosts send records in bursts, so what was not used of a second is kept.
    """

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled_at = 0.0

    def fill(self) -> float:
        """Add the messages of the time that has passed; return how many there may be now."""
        now = time.monotonic()
        passed = now - self._filled_at
        self._filled_at = now
        capacity = min(MAX_PAGE_MESSAGES, MAX_MESSAGES_PER_S * max(1.0, passed))
        self._tokens = min(capacity, self._tokens + MAX_MESSAGES_PER_S * passed)
        return self._tokens

    def spend(self, messages: int) -> None:
        self._tokens -= messages


class Sample:
    """Messages of a trace, evenly chosen, as far as the trace was read; the last ones are kept."""

    def __init__(self, trace: Trace):
        self._trace = trace
        self._position = 0
        self.one_in = 1
        """The last read chose one message in so many."""
        self._parts: deque[Columns] = deque()
        self._count = 0
        self.aggregations: set[tuple[str, str]] = set()
        """Aggregators, each with a role whose model it took."""
        self._training_flows = np.empty(0, int)
        self._training_flows_of = (0, 0)
        """Counts of flows and aggregations that the flows of trainings were found among."""

    def read(self, limit: float) -> Columns:
        """Return about `limit` of the messages that are new in the trace, and keep them."""
        messages = self._trace.messages
        end = messages.added
        unread = min(end - self._position, messages.single_count)
        self.one_in = max(1, -int(-unread // max(1.0, limit)))
        parts = []
        while self._position < end:
            news = messages.since(self._position, MESSAGES_PER_READ)
            self._position = news.number
            read = columns(news.rows, self._trace.start)
            parts.append(thinned(read, self.one_in, self._flows_of_trainings()))
        found = joined(parts)
        if found.rows:
            self._keep(found)
        return found

    def _keep(self, part: Columns) -> None:
        """Keep a part; drop the oldest ones as long as enough messages are left."""
        self._parts.append(part)
        self._count += part.rows
        while self._count - self._parts[0].rows >= MAX_PAGE_MESSAGES:
            self._count -= self._parts.popleft().rows

    def clear(self) -> None:
        """Begin anew, after the trace was cleared, with the messages that come from now on."""
        self._position = self._trace.messages.added
        self._parts.clear()
        self._count = 0
        self.aggregations.clear()

    def columns(self) -> Columns:
        """Return the kept messages."""
        return joined(self._parts)

    def thinned(self, limit: int) -> tuple[Columns, int]:
        """Return about `limit` of the kept messages, and of how many each of them is one."""
        whole = self.columns()
        one_in = max(1, -(-whole.rows // limit))
        return thinned(whole, one_in, self._flows_of_trainings()), max(one_in, self.one_in)

    def _flows_of_trainings(self) -> np.ndarray:
        """Return the numbers of the flows of tasks to roles whose models are taken, and answers.

        They show whom a round waited for, so they are not thinned out.
        """
        numbers = self._trace.messages.flows.keys
        counts = len(numbers), len(self.aggregations)
        if self._training_flows_of != counts:
            found = []
            for source, target, channel, kind in list(numbers):
                if kind == "task" and (source, target) in self.aggregations:
                    found.append(numbers[source, target, channel, kind])
                    for answer in ANSWERS:
                        found.append(numbers.get((target, source, channel, answer), -1))
            known = np.array(found, int)
            self._training_flows = known[known >= 0]
            self._training_flows_of = counts
        return self._training_flows


def thinned(columns: Columns, one_in: int, whole: np.ndarray | None = None) -> Columns:
    """Return one message in so many, so that a call and its reply stay together.

    Of the flows `whole` all messages are returned, unless they are most of the result.
    """
    if one_in == 1:
        return columns
    own_number = np.arange(columns.rows, dtype=np.uint32)
    number = np.where(columns.call > 0, columns.call, own_number).astype(np.uint64)
    chosen = (number * MULTIPLIER >> 16) % one_in == 0
    kept = np.isin(columns.flow, () if whole is None else whole)
    if kept.sum() <= max(MAX_TRAINING_MESSAGES, chosen.sum()):
        chosen |= kept
    return columns.select(chosen)
