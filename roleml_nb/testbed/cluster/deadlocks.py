"""Who waits for whom, over all hosts, and the cycles in it."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from roleml_nb.messaging.executions import Key, Working

__all__ = ["WaitCycle", "find_deadlocks", "describe"]

_key = attrgetter("key")


def describe(rows: Iterable[Working]) -> list[str]:
    """Return one line per call that waits, the oldest first."""
    rows = list(rows)
    at_work = _handlers(rows)
    calls = [row for row in rows if row.call]
    calls.sort(key=lambda row: -row.seconds)
    lines = []
    for row in calls:
        there = at_work.get(row.key)
        state = there.state if there is not None else "on its way"
        lines.append(f"{row.source} waits for {row.name} since {row.seconds:.1f} s ({state})")
    return lines


def _handlers(rows: Iterable[Working]) -> dict[Key, Working]:
    return {row.key: row for row in rows if not row.call}


class WaitCycle(NamedTuple):
    """Handlers that wait for each other: the calls that they work for, and their names, the first
    once more at the end.
    """

    calls: tuple[Key, ...]
    names: tuple[str, ...]
    stuck: tuple[Key, ...]
    """Those that wait for no call, but for a lock, or for their role to be ready."""
    cpu: float


def find_deadlocks(rows: Iterable[Working]) -> list[WaitCycle]:
    """Return the cycles in the reports of all hosts.

    A handler that waits for a call can go on when that can. One that is stuck can go on when
    another handler of its role can, which may let go of the lock or resume the role; and it may,
    too, when no other handler of its role is at work, since then the holder of its lock is not
    known. The handlers that cannot go on wait in cycles.
    """
    at_work = _handlers(rows)
    by_role: dict[str, list[Working]] = {}
    for row in at_work.values():
        by_role.setdefault(row.role, []).append(row)

    def waits_for(row: Working) -> list[Working | None]:
        """Return the rows that could let it go on; None stands for an unknown one."""
        if row.waits is not None:
            return [at_work.get(row.waits)]
        if row.stuck:
            return [other for other in by_role[row.role] if other is not row] or [None]
        return [None]

    blocked = dict(at_work)
    some_went_on = True
    while some_went_on:
        some_went_on = False
        for key, row in list(blocked.items()):
            if any(other is None or other.key not in blocked for other in waits_for(row)):
                del blocked[key]
                some_went_on = True
    found = {}
    for row in blocked.values():
        path: list[Working] = []
        while row not in path:
            path.append(row)
            others = [other for other in waits_for(row) if other is not None]
            row = min(others, key=lambda other: (other.stuck, -other.seconds))
        cycle = path[path.index(row) :]
        found[frozenset(map(_key, cycle))] = _wait_cycle(cycle)
    return list(found.values())


def _wait_cycle(members: list[Working]) -> WaitCycle:
    """Return the cycle, begun with the handler that has been at work longest among the handlers
    that hold up another one of their role.
    """
    starts = [index for index in range(len(members)) if members[index - 1].stuck]
    first = max(starts or range(len(members)), key=lambda index: members[index].seconds)
    members = [*members[first:], *members[:first]]
    names = list(map(attrgetter("name"), members))
    if not members[-1].stuck:
        names.append(members[0].name)
    stuck = filter(attrgetter("stuck"), members)
    return WaitCycle(
        tuple(map(_key, members)),
        tuple(names),
        tuple(map(_key, stuck)),
        sum(map(attrgetter("cpu"), members)),
    )
