"""Records of one host, messages and metrics, until they are shipped to the notebook.

See also `log_buffer`, for lines, which travel with them.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from roleml_nb.messaging.records import InternedNames, columns
from roleml_nb.role import RoleInstanceID
from roleml_nb.trace.readings import readings

from .log_buffer import LogBuffer

__all__ = ["Shipment", "TraceBuffer"]

MAX_BUFFERED_RECORDS = 1_000_000
"""Records of each kind that are kept while there is no notebook; the oldest are dropped."""


class Shipment(NamedTuple):
    """Records that travel together: messages as batches of columns, metrics and lines as rows."""

    messages: list[list[Sequence]]
    metrics: list[tuple]
    logs: list[tuple]


class TraceBuffer:
    """Takes records from any thread without waiting for anything."""

    def __init__(self, host_id: str, now: Callable[[], float], log_buffer: LogBuffer):
        self._host_id = host_id
        self._now = now
        self._log_buffer = log_buffer
        self._messages: deque[tuple] = deque()
        self._batches: deque[list[Sequence]] = deque()
        self._names = InternedNames()
        self._metrics: deque[tuple] = deque()
        self._dropped: Counter[str] = Counter()
        """Records that were dropped while there was no notebook."""
        self.draining = threading.RLock()
        """Held while records are taken out and sent."""
        self.record_message = self._messages.append

    def record_metrics(
        self, source: RoleInstanceID, channel: str, args: Mapping[str, Any], step: int
    ) -> None:
        """Record the numbers in an event's args as metrics: see `readings`."""
        now = self._now()
        for name, value in readings(args):
            self._metrics.append(
                (now, source.actor_name, source.instance_name, channel, name, value, step)
            )

    def keep(self) -> None:
        """Keep all records, as there is no notebook; drop the oldest where there are too many."""
        self._batch()
        while sum(len(batch[0]) for batch in self._batches) > MAX_BUFFERED_RECORDS:
            self._dropped["messages"] += len(self._batches.popleft()[0])
        while len(self._metrics) > MAX_BUFFERED_RECORDS:
            self._metrics.popleft()
            self._dropped["metrics"] += 1

    def drain(self, everything: bool) -> Shipment:
        """Take all records out; `everything`: printed lines without an end, too."""
        self._batch()
        messages = _pop_all(self._batches)
        metrics = _pop_all(self._metrics)
        if self._dropped:
            self._report_dropped()
        return Shipment(messages, metrics, self._log_buffer.drain(everything))

    def _batch(self) -> None:
        records = _pop_all(self._messages)
        if records:
            self._batches.append(columns(records, self._names))

    def _report_dropped(self) -> None:
        dropped = self._dropped
        self._dropped = Counter()
        counts = " and ".join(f"{count:,} {what}" for what, count in dropped.items())
        text = f"({counts} let go: for too long no notebook was there)"
        self._log_buffer.add_line(self._host_id, "", "warning", text)


def _pop_all(records: deque[Any]) -> list[Any]:
    """Remove the records that are there now, while others may be added."""
    return [records.popleft() for _ in range(len(records))]
