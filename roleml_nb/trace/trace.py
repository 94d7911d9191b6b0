"""The trace of a testbed, as the notebook collects it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .contributions import CONTRIBUTIONS, Contributions
from .logs import Logs
from .run import Run
from .tables import Messages, Metrics, Table

if TYPE_CHECKING:
    from roleml_nb.widgets import Traffic

__all__ = ["Trace"]


class Trace:
    """Messages, metrics and logs since `start` (seconds since the epoch). Thread-safe.

    `refresh` is called before a table is read: it fetches what the hosts have not shipped yet. `look` adds what has arrived
    without asking for more, which costs little and waits for nobody; live views call it. `now` is the clock of its times.
    """

    def __init__(self, start: float, refresh: Callable[[], None], look: Callable[[], None] | None = None,
                 now: Callable[[], float] = time.time):
        self.start, self.now = start, now
        self.refresh, self.look = refresh, look or refresh
        self._lock = threading.Lock()
        self.messages = Messages(start, refresh, self._lock)
        self.metrics = Metrics(start, refresh, self._lock)
        self.contributions = Contributions(start, refresh, self._lock)
        self.logs = Logs(start, refresh, self._lock)
        self.watchers: list[Callable[[list[tuple]], None]] = []
        """Called with each batch of rows of metrics, on the thread that adds them; they must not block."""

    def add(self, messages: list[tuple], metrics: list[tuple], logs: list[tuple] | None = None) -> None:
        """Take note of a batch."""
        with self._lock:
            self.messages.rows.extend(messages)
            self.metrics.rows.extend(row for row in metrics if row[3] != CONTRIBUTIONS)
            self.contributions.rows.extend(row for row in metrics if row[3] == CONTRIBUTIONS)
            self.logs.add(logs or ())
        for watcher in list(self.watchers):
            watcher(metrics)

    def tables(self) -> dict[str, Table]:
        """All tables, by the names of their attributes."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Table)}

    def run(self, name: str, nodes: str | Iterable[str] | None = None, **how: Any) -> Run:
        """A part of the trace as one run of an experiment, to `compare` with others: ``run("fedavg", "server client*")``.

        `how` is what `Run` takes: seed, metric, channel, start, stop, max_bytes …
        """
        return Run(name, self, nodes=nodes, **how)

    def note(self, node: str, metric: str, value: float) -> None:
        """Note a number that no role emits, such as a consensus distance, as of now: channel "noted", role ""."""
        with self._lock:
            step = sum(row[1:5] == (node, "", "noted", metric) for row in self.metrics.rows) + 1
            self.metrics.rows.append((self.now(), node, "", "noted", metric, float(value), step))

    def traffic(self, **options: Any) -> Traffic:
        """The messages, drawn and replayed in the notebook: see `roleml_nb.widgets.Traffic`, which has the `options`."""
        from roleml_nb.widgets import Traffic  # ipywidgets takes a while to import

        return Traffic(self, **options)

    def __repr__(self) -> str:
        return f"<Trace: {len(self.messages)} messages, {len(self.metrics)} metrics, {len(self.logs)} lines of logs>"
