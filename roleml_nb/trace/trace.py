"""The trace of a testbed: all tables of records in the notebook, within one limit of bytes."""

from __future__ import annotations

import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from roleml_nb.role import ArgumentError, RoleMLError
from roleml_nb.role.checks.arguments import checked
from roleml_nb.trace.analysis.runs import Run
from roleml_nb.views import open_view

from .contributions import Contributions, is_contribution
from .logs import Logs
from .messages import Messages
from .metrics import Key, Metrics
from .readings import as_number
from .tables import Table

if TYPE_CHECKING:
    from roleml_nb.widgets import Traffic

__all__ = ["LIMIT_BYTES", "Trace"]

LIMIT_BYTES = 128_000_000
"""The usual limit of a trace: three million messages of 40 bytes each."""
SHARES = {"metrics": 1 / 4, "contributions": 1 / 8, "logs": 1 / 8}
"""{table: the largest part of the limit that it may take}; the rest is for the messages."""
RECORD_CHANNEL = "noted"
"""The channel of numbers that no role has emitted."""

Watcher = Callable[[list[tuple]], None]


class Trace:
    """Messages, metrics and logs since `start` (seconds since the epoch). Thread-safe.

    `refresh` is called before a table is read: it fetches the records that hosts have not sent yet.
    `poll` adds records that have arrived, without asking for more, which costs little and waits for
    nobody; live views call it. `now` is the clock of its times.

    All tables together take `limit` bytes at most. Beyond that, the oldest single messages become
    totals, which all tables and views of totals count exactly; of metrics, the longest series drop
    their oldest numbers; of logs, the oldest lines go. ``repr`` says so, and tables of single
    messages and of numbers warn.
    """

    def __init__(
        self,
        start: float,
        refresh: Callable[[], None],
        poll: Callable[[], None] | None = None,
        now: Callable[[], float] = time.time,
        *,
        limit: float = LIMIT_BYTES,
    ):
        self.start = start
        self.now = now
        self.refresh = refresh
        self.poll = poll or refresh
        self.clears = 0
        """How often `clear` was called."""
        self._limit = _checked(limit)
        self._untrimmed = 0
        """Blocks of `untrimmed` that run now."""
        self._lock = threading.Lock()
        self.messages = Messages(start, refresh, self._lock)
        self.metrics = Metrics(start, refresh, self._lock)
        self.contributions = Contributions(start, refresh, self._lock)
        self.logs = Logs(start, refresh, self._lock)
        self._watchers: list[weakref.WeakMethod] = []

    def add(
        self, messages: list[tuple], metrics: list[tuple], logs: Iterable[tuple] | None = None
    ) -> None:
        """Add a batch, given as rows."""
        self.add_columns([list(zip(*messages, strict=True))] if messages else [], metrics, logs)

    def add_columns(
        self,
        messages: Iterable[Sequence[Sequence]],
        metrics: list[tuple],
        logs: Iterable[tuple] | None = None,
    ) -> None:
        """Add a batch; messages are given as batches of columns."""
        numbers: list[tuple] = []
        parts: list[tuple] = []
        for row in metrics:
            (parts if is_contribution(row[3], row[4]) else numbers).append(row)
        with self._lock:
            for columns in messages:
                self.messages.add(columns)
            self.metrics.add(numbers)
            self.contributions.add(parts)
            self.logs.add(logs or ())
            self._trim()
        for watcher in self._watchers:
            on_metrics = watcher()
            if on_metrics is not None:
                on_metrics(metrics)

    def catch_up(self) -> None:
        """Fetch the records that hosts have; of one that does not answer, those it has sent."""
        try:
            self.refresh()
        except RoleMLError:
            self.poll()

    def watch(self, watcher: Watcher) -> None:
        """Call a method with each batch of rows of metrics, for as long as its object lives.

        It is called on the thread that adds the batch, and must not block.
        """
        with self._lock:
            watchers = [one for one in self._watchers if one() is not None]
            self._watchers = [*watchers, weakref.WeakMethod(watcher)]

    # size

    @property
    def limit(self) -> float:
        """Bytes that the trace may take, 128 MB unless set; ValueError unless positive, or inf."""
        return self._limit

    @limit.setter
    def limit(self, limit: float) -> None:
        self._limit = _checked(limit)
        with self._lock:
            self._trim()

    @property
    def nbytes(self) -> int:
        """Bytes that the trace takes now."""
        return sum(table.nbytes for table in self.tables().values())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nothing change within the block, which must not ask tables for anything."""
        with self._lock:
            yield

    @contextmanager
    def untrimmed(self) -> Iterator[None]:
        """Drop nothing within the block, so that tables read one after the other fit together."""
        with self._lock:
            self._untrimmed += 1
        try:
            yield
        finally:
            with self._lock:
                self._untrimmed -= 1
                self._trim()

    def _trim(self) -> None:
        if self._untrimmed:
            return
        room = self._limit
        for name, share in SHARES.items():
            table: Table = getattr(self, name)
            table.trim(share * self._limit)
            room -= table.nbytes
        self.messages.trim(room)

    def clear(self) -> None:
        """Drop all messages and their totals, metrics, contributions and logs.

        Hosts are asked for records that they have not sent yet, which are dropped, too. Later ones
        are recorded as before. The steps of metrics go on.
        """
        self.catch_up()
        with self._lock:
            self.clears += 1
            for table in self.tables().values():
                table.clear()

    def describe_gone(self) -> str:
        """Say how many single rows are no longer here, and why; empty when all are."""
        texts = [table.describe_gone() for table in self.tables().values()]
        gone = "; ".join(filter(None, texts))
        return f"{gone}: the limit is {self.limit / 1e6:,.4g} MB, see Trace.limit" if gone else ""

    # parts of it

    def tables(self) -> dict[str, Table]:
        """Return all tables, by the names of their attributes."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Table)}

    @checked
    def run(self, name: str, nodes: str | Iterable[str] | None = None, **how: Any) -> Run:
        """Return a part of the trace as one run of an experiment, to `compare` with others:
        ``run("fedavg", "server client*")``.

        `how` are options of `Run`: seed, metric, channel, start, stop, max_bytes …
        """
        return Run(name, self, nodes=nodes, **how)

    def record(self, node: str, metric: str, value: float) -> None:
        """Record a number that no role emits, such as a consensus distance, as of now.

        Its channel is "noted", its role "".

        ArgumentError, a ValueError, for a value that is no number.
        """
        number = as_number(value)
        if number is None or not isinstance(node, str) or not isinstance(metric, str):
            raise ArgumentError(
                f"record takes a node's name, a metric's name and a number, not ({node!r},"
                f" {metric!r}, {value!r})"
            )
        with self._lock:
            series = self.metrics.series.get(Key(node, "", RECORD_CHANNEL, metric))
            step = series.added + 1 if series else 1
            self.metrics.add([(self.now(), node, "", RECORD_CHANNEL, metric, number, step)])
            self._trim()

    def note(self, node: str, metric: str, value: float) -> None:
        """Record a number under the former name of `record`, which warns."""
        warnings.warn(
            "roleml_nb: Trace.note is called Trace.record now", DeprecationWarning, stacklevel=2
        )
        self.record(node, metric, value)

    def traffic(self, **options: Any) -> Traffic:
        """Show the messages as a view that draws and replays them.

        `options` are those of `roleml_nb.widgets.Traffic`.
        """
        return open_view("Traffic", self, **options)

    def __repr__(self) -> str:
        return f"<Trace: {self.summary()}>"

    def summary(self) -> str:
        """Say how many records there are, and how many are no longer here as single rows."""
        self.refresh()
        gone = f"; {text}" if (text := self.describe_gone()) else ""
        return (
            f"{self.messages.count} messages, {self.metrics.count} metrics, {self.logs.count} lines"
            f" of logs{gone}"
        )


def _checked(limit: float) -> float:
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
        raise ValueError(
            f"the limit of a trace is a number of bytes, more than 0, or math.inf, not {limit!r}"
        )
    return limit
