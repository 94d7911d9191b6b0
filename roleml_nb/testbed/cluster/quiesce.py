"""Quiescence: no handler at work, no message on its way, every role paused.

The host's half is `roleml_nb.host.quiesce`.
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
"""Seconds between two checks that all is at rest."""
SETTLE_TIMEOUT_S = 3.0
"""Seconds for messages on their way to arrive, once all roles are paused."""
MAX_NAMES = 4


class Quiesced(NamedTuple):
    """Roles to resume and main routines to run again."""

    ready: Roles
    """Roles that were ready, and were paused for this; others were paused before."""
    running: Roles
    """`Runnable`s whose main routine ran, and was asked to end."""


@contextmanager
def quiesced(fleet: Fleet, timeout: float) -> Iterator[Quiesced]:
    """Wait up to `timeout` seconds until nothing is at work, pause all roles, and have them go on
    afterwards.

    Main routines of `Runnable`s are asked to stop, and are run again. TestbedError, with the
    names of the work left, when it is not quiesced by then; everything goes on.
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
    """Return the names of all work on any host; empty as soon as there is none, else the last ones
    seen.
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
