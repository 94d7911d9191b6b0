"""Who waits for whom, over all hosts, and the circles in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from roleml_nb.messaging.executions import Key, Working

__all__ = ["Circle", "circles", "describe"]


def describe(rows: Iterable[Working]) -> list[str]:
    """One line per call that waits, the oldest first."""
    rows = list(rows)
    at_work = {row.key: row for row in rows if not row.call}
    lines = []
    for row in sorted((row for row in rows if row.call), key=lambda row: -row.seconds):
        there = at_work.get(row.key)
        state = there.state if there is not None else "on its way"
        lines.append(f"{row.source} waits for {row.name} since {row.seconds:.1f} s ({state})")
    return lines


class Circle(NamedTuple):
    """Calls that wait for each other: their keys, and the names of the handlers, the first once more at the end."""

    calls: tuple[Key, ...]
    names: tuple[str, ...]
    stuck: Key | None
    """The handler that waits for no call, if there is one."""
    cpu: float


def circles(rows: Iterable[Working]) -> list[Circle]:
    """The circles among what all hosts have told.

    There are two kinds. A handler may wait for a call that, through others, waits for that very handler. Or a handler
    is stuck (its role is paused, or a lock is taken) because of a handler of the same role that waits, through others,
    for this one; if a further handler works in that role, it may let go of the lock, and there is no circle.
    """
    rows = list(rows)
    at_work = {row.key: row for row in rows if not row.call}
    calls = {row.key: row for row in rows if row.call}
    found = {}
    for start in at_work.values():
        path = _forward(start, at_work) if start.waits else _backward(start, at_work, calls) if start.stuck else []
        if path:
            keys = tuple(row.waits for row in path if row.waits is not None)
            names = [row.name for row in path]
            first = names.index(min(names)) if start.waits else 0
            shown = (*names[first:], *names[:first], names[first]) if start.waits else tuple(names)
            found[frozenset(keys)] = Circle(keys, shown, None if start.waits else start.key, sum(row.cpu for row in path))
    return list(found.values())


def _forward(start: Working, at_work: dict[Key, Working]) -> list[Working]:
    """From a handler to what it waits for, and on, until it comes round again."""
    path, row = [start], start
    while row.waits is not None:
        following = at_work.get(row.waits)
        if following is None:
            return []
        if following.key == start.key:
            return path
        if any(following.key == each.key for each in path):
            return []  # a circle, but one that this handler only waits for
        path.append(following)
        row = following
    return []


def _backward(start: Working, at_work: dict[Key, Working], calls: dict[Key, Working]) -> list[Working]:
    """From a stuck handler to whom it works for, and on, until that is of the same role."""
    path, row = [start], start
    while True:
        call = calls.get(row.key)
        caller = at_work.get(call.by) if call is not None and call.by is not None else None
        if caller is None or caller.waits != row.key:
            return []
        path.insert(0, caller)
        if caller.role == start.role:
            break
        row = caller
    members = {row.key for row in path}
    others = [row for row in at_work.values() if row.role == start.role and row.key not in members and not row.stuck]
    return [] if others else path
