"""Bytes that nodes have sent, over time, out of the messages of a trace as it grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from roleml_nb.trace import Trace
from roleml_nb.trace.flows import Flow
from roleml_nb.trace.messages import is_control

from .curve import Curve, decimated

__all__ = ["SentBytes"]

FIRST_BIN_S = 0.1
"""Seconds over which bytes are summed up, at first."""
MAX_BINS = 20_000
"""Of more bins, each two become one."""
MESSAGES_PER_READ = 100_000


class SentBytes:
    """Sums up bytes in bins of time.

    The bytes of messages that became totals before they were read are in one step, at the time of
    the last of them.
    """

    def __init__(self, trace: Trace, includes: Callable[[str], bool]):
        self._trace = trace
        self._includes = includes
        self._position = 0
        self._bin_s = FIRST_BIN_S
        self._missed = trace.messages.gone > 0
        """True when some messages became totals before they were read."""
        self._sums: dict[int, float] = {}
        self._counted_flows = np.empty(0, bool)
        """For each flow, whether its bytes are counted."""

    def read(self) -> None:
        """Count what is new in the trace."""
        messages = self._trace.messages
        end = messages.added
        while self._position < end:
            news = messages.since(self._position, MESSAGES_PER_READ)
            self._position = news.number
            self._missed = self._missed or news.missed > 0
            self._count(news.rows)
        if self._missed:
            self._count_missed()
        while len(self._sums) > MAX_BINS:
            self._merge_bins()

    def _count(self, rows: np.ndarray) -> None:
        rows = rows[self._flow_mask()[rows["flow"]]]
        places = np.floor((rows["sent"] - self._trace.start) / self._bin_s).astype(int)
        for place, size in zip(places.tolist(), rows["bytes"].tolist(), strict=True):
            self._sums[place] = self._sums.get(place, 0.0) + size

    def _is_counted(self, flow: Flow) -> bool:
        source, target, _, _ = flow
        return not is_control(source, target) and self._includes(source.partition("/")[0])

    def _flow_mask(self) -> np.ndarray:
        """Return for each flow whether its bytes are counted."""
        new = list(self._trace.messages.flows.keys)[len(self._counted_flows) :]
        more = np.array(list(map(self._is_counted, new)), bool)
        self._counted_flows = np.concatenate([self._counted_flows, more])
        return self._counted_flows

    def _count_missed(self) -> None:
        """Count the bytes of messages that were never read one by one.

        They are all bytes, without those that are counted already.
        """
        messages = self._trace.messages
        last = messages.past(self._is_counted).last
        with self._trace.locked():
            if messages.added != self._position:  # next time
                return
            total = float(messages.flows.totals[1][self._flow_mask()].sum())
        missing = total - sum(self._sums.values())
        self._missed = False
        if missing > 0:
            place = int(last / self._bin_s)
            self._sums[place] = self._sums.get(place, 0.0) + missing

    def _merge_bins(self) -> None:
        sums: dict[int, float] = {}
        for place, size in self._sums.items():
            sums[place // 2] = sums.get(place // 2, 0.0) + size
        self._sums = sums
        self._bin_s *= 2

    def curves(self) -> list[Curve]:
        """Return the curve of megabytes sent so far, if there are some."""
        if not self._sums:
            return []
        places, sizes = np.array(sorted(self._sums.items())).T
        begins = places * self._bin_s
        x = np.concatenate([begins[:1], begins + self._bin_s])
        y = np.concatenate([[0.0], np.cumsum(sizes) / 1e6])
        return [Curve("MB sent", *decimated(x, y))]
