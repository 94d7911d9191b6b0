"""Quiescence: no handler at work, no message on its way, every role paused.

What each host does is in `roleml_nb.host.quiesce`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from roleml_nb.host.quiesce import Roles, at_work, pause_ready_roles, resume, stop_routines
from roleml_nb.role import TestbedError

if TYPE_CHECKING:
    from .fleet import Fleet

__all__ = ["Quiesced", "quiesced"]

POLL_INTERVAL_S = 0.02
"""Seconds between two looks at whether all is at rest."""
SETTLE_TIMEOUT_S = 3.0
"""Seconds that what is on its way gets to come, once all roles are paused."""
MAX_NAMES = 4


class Quiesced(NamedTuple):
    """What goes on when the testbed does."""

    ready: Roles
    """Roles that were ready, and were paused for this; others were paused before."""
    running: Roles
    """`Runnable`s whose main routine ran, and was asked to end."""


@contextmanager
def quiesced(fleet: Fleet, timeout: float) -> Iterator[Quiesced]:
    """Wait up to `timeout` seconds until nothing is at work, pause all roles, and have them go on
    afterwards.

    Main routines of `Runnable`s are asked to stop, and are run again. TestbedError, with what is at
    work, when it is not still by then; everything goes on.
    """
    deadline = fleet.home.clock.now() + timeout
    running = _of_all(fleet.on_hosts(stop_routines))
    ready: Roles = {}
    try:
        while True:
            _wait(fleet, deadline, timeout)
            ready = _of_all(fleet.on_hosts(pause_ready_roles))
            if not _at_work(fleet, min(deadline, fleet.home.clock.now() + SETTLE_TIMEOUT_S)):
                break
            fleet.on_hosts(resume, ready, {})
            ready = {}
        yield Quiesced(ready, running)
    finally:
        fleet.on_hosts(resume, ready, running)


def _wait(fleet: Fleet, deadline: float, timeout: float) -> None:
    at_work = _at_work(fleet, deadline)
    if at_work:
        names = ", ".join(at_work[:MAX_NAMES]) + (
            f" and {len(at_work) - MAX_NAMES} more" if len(at_work) > MAX_NAMES else ""
        )
        raise TestbedError(
            f"after {timeout:g} s this is still at work: {names}; wait until it has ended, or end"
            " it with bed.stop_run() or %rml stop --run"
        )


def _at_work(fleet: Fleet, deadline: float) -> list[str]:
    """Return the names of what is at work anywhere; empty as soon as nothing is, else those seen
    last.
    """
    clock = fleet.home.clock
    while True:
        found = list(chain.from_iterable(fleet.on_hosts(at_work).values()))
        if not found or clock.now() >= deadline:
            return found
        clock.sleep(POLL_INTERVAL_S)


def _of_all(answers: dict[str, Roles]) -> Roles:
    united: Roles = {}
    for roles in answers.values():
        united.update(roles)
    return united
