"""Shipments of trace records: kept as engines send them, and read when somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from roleml_nb.host.host import Host
from roleml_nb.trace import Trace

from .trace_records import read_messages, read_metrics_and_logs

__all__ = ["Shipments"]


class Shipments:
    """Adds records that engines have sent to the trace.

    Parameters
    ----------
    lost
        Hosts of which no further shipment is awaited.
    """

    def __init__(self, home: Host, trace: Trace, lost: Mapping[str, str]):
        self._home, self._trace, self._lost = home, trace, lost
        self._counts: dict[str, int] = {}
        self._messages: list[tuple[str, bytes]] = []
        self._metrics_and_logs: list[tuple[str, bytes]] = []
        """Unread, with the hosts that they are from."""
        self.unread = 0
        """Bytes that have arrived and were not added to the trace yet."""
        self.unreadable: set[str] = set()
        """Hosts that have sent records which are none."""
        self._arrived = threading.Condition()

    def receive(self, host_id: str, shipment: tuple[bytes, bytes]) -> None:
        """Keep a shipment as it comes: it is unpickled when somebody looks, not while messages
        fly.
        """
        with self._arrived:
            match shipment:
                case bytes() as messages, bytes() as metrics_and_logs:
                    self._messages.append((host_id, messages))
                    self._metrics_and_logs.append((host_id, metrics_and_logs))
                    self.unread += len(messages) + len(metrics_and_logs)
                case _:  # counted as a shipment all the same, so that nobody waits for it
                    error = TypeError(f"two pickles are expected, not {type(shipment).__name__}")
                    self._drop(host_id, error)
            self._counts[host_id] = self._counts.get(host_id, 0) + 1
            self._arrived.notify_all()

    def wait_for(self, counts: Mapping[str, int], timeout: float) -> None:
        """Wait until so many shipments of each host have come: they take another way than the
        answer that counts them.
        """

        def all_here() -> bool:
            for host_id, count in counts.items():
                if self._counts.get(host_id, 0) < count and host_id not in self._lost:
                    return False
            return True

        with self._arrived:
            self._arrived.wait_for(all_here, timeout)

    def drain(self) -> None:
        """Add to the trace all that has arrived; waits for nobody."""
        with self._arrived:
            arrived, self._messages, self.unread = self._messages, [], 0
        for messages in self._readable(arrived, read_messages):
            self._trace.add_columns(messages, [], None)
        self.drain_metrics()

    def drain_metrics(self) -> None:
        """Add metrics and logs that have arrived to the trace; costs little, and never waits."""
        with self._arrived:
            arrived, self._metrics_and_logs = self._metrics_and_logs, []
        for metrics, logs in self._readable(arrived, read_metrics_and_logs):
            self._trace.add([], metrics, logs)

    def _readable(
        self, arrived: list[tuple[str, bytes]], read: Callable[[bytes], Any]
    ) -> Iterable[Any]:
        for host_id, pickled in arrived:
            try:
                content = read(pickled)
            except Exception as error:  # whatever junk raises: records of other hosts are added
                self._drop(host_id, error)
            else:
                yield content

    def _drop(self, host_id: str, error: Exception) -> None:
        """Log once for each host that its records cannot be read."""
        if host_id not in self.unreadable:
            self.unreadable.add(host_id)
            self._home.logger.warning(
                "what %s sends for the trace cannot be read and is dropped: %s: %s",
                host_id,
                type(error).__name__,
                error,
            )
