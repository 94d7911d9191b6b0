"""Deadlock detection: handlers on all hosts that wait for each other are found, confirmed, and
told.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from roleml_nb.messaging.executions import Key, Working
from roleml_nb.role import NOTEBOOK

from .deadlocks import WaitCycle, find_deadlocks

if TYPE_CHECKING:
    from .fleet import Fleet

__all__ = ["DeadlockDetector"]

CONFIRMING_LOOKS = 3
"""Looks at which a cycle must stand unchanged.

One that stands at two may be two looks at a process in which nobody had a turn in between, as
during a long garbage collection, or one that was frozen.
"""
IDLE_CPU_S = 0.01
"""Processor time over these looks below which a handler counts as stuck."""


class _Sighting(NamedTuple):
    cpu: float
    looks: int
    heard: Mapping[str, float]
    """When each host in it had last told who waits there."""


class DeadlockDetector:
    """Looks at who waits for whom, as the hosts tell it, and ends the calls of a cycle that
    stands.
    """

    def __init__(self, fleet: Fleet):
        self._fleet = fleet
        self._seen: dict[WaitCycle, _Sighting] = {}

    def check(
        self, now: float, rows: Mapping[str, list[Working]], heard: Mapping[str, float]
    ) -> None:
        """End the calls of cycles that have stood like this for `CONFIRMING_LOOKS`.

        Parameters
        ----------
        rows
            {host: who is at work and who waits there}, as each has told last.
        heard
            When that was. A look counts only if every host of the cycle has told anew since the
            last one.
        """
        home: dict[Key, str] = {}
        for host, reported in rows.items():
            for row in reported:
                if not row.call:
                    home[row.key] = host
        before, self._seen = self._seen, {}
        for cycle in find_deadlocks(chain.from_iterable(rows.values())):
            name = cycle._replace(cpu=0.0)
            times = {}
            for key in cycle.calls:
                host = home[key]
                times[host] = now if host == NOTEBOOK else heard.get(host, 0.0)
            sighting = _count(before.get(name), cycle.cpu, times)
            if sighting.looks < CONFIRMING_LOOKS:
                self._seen[name] = sighting
            else:
                self._end(cycle.calls, cycle.names, cycle.stuck)

    def _end(self, calls: tuple[Key, ...], names: tuple[str, ...], stuck: tuple[Key, ...]) -> None:
        home = self._fleet.home
        home.break_deadlock(calls, names, stuck)
        for host_id in self._fleet.alive:
            home.router.host_messages.send(
                host_id, "deadlock", calls=calls, names=names, stuck=stuck
            )


def _count(known: _Sighting | None, cpu: float, heard: Mapping[str, float]) -> _Sighting:
    if known is None or cpu - known.cpu > IDLE_CPU_S:
        return _Sighting(cpu, 1, heard)
    if any(time <= known.heard.get(host, 0.0) for host, time in heard.items()):
        return known
    return known._replace(looks=known.looks + 1, heard=heard)
