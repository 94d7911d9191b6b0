"""A testbed that stands still: no handler at work, no message on its way, every role paused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from roleml_nb.role import NATIVE, Runnable, Status, StatusError, TestbedError

if TYPE_CHECKING:
    from .fleet import Fleet
    from .host import Host

__all__ = ["Still", "go_on", "still"]

LOOK = 0.02
"""Seconds between two looks at whether all is at rest."""
SETTLE = 3.0
"""Seconds that what is on its way gets to come, once all roles are paused."""
SHOWN = 4

Roles = dict[str, list[str]]
"""{node: roles}."""


class Still(NamedTuple):
    """What goes on when the testbed does."""

    ready: Roles
    """Roles that were ready, and were paused for this; others were paused before."""
    running: Roles
    """`Runnable`s whose main routine ran, and was asked to end."""


@contextmanager
def still(fleet: Fleet, timeout: float) -> Iterator[Still]:
    """Wait up to `timeout` seconds until nothing is at work, pause all roles, and have them go on
    afterwards.

    Main routines of `Runnable`s are asked to stop, and are run again. TestbedError, with what is at
    work, when it is not still by then; everything goes on.
    """
    deadline = fleet.home.clock.now() + timeout
    running = _of_all(fleet.on_hosts(_halt))
    ready: Roles = {}
    try:
        while True:
            _wait(fleet, deadline, timeout)
            ready = _of_all(fleet.on_hosts(_pause))
            if not _at_work(fleet, min(deadline, fleet.home.clock.now() + SETTLE)):
                break
            fleet.on_hosts(go_on, ready, {})
            ready = {}
        yield Still(ready, running)
    finally:
        fleet.on_hosts(go_on, ready, running)


def _wait(fleet: Fleet, deadline: float, timeout: float) -> None:
    at_work = _at_work(fleet, deadline)
    if at_work:
        names = ", ".join(at_work[:SHOWN]) + (
            f" and {len(at_work) - SHOWN} more" if len(at_work) > SHOWN else ""
        )
        raise TestbedError(
            f"after {timeout:g} s this is still at work: {names}; wait until it has ended, or end"
            " it with bed.stop_run() or %rml stop --run"
        )


def _at_work(fleet: Fleet, deadline: float) -> list[str]:
    """What is at work, anywhere; empty as soon as nothing is, else what there was last."""
    clock = fleet.home.clock
    while True:
        found = [name for names in fleet.on_hosts(at_work).values() for name in names]
        if not found or clock.now() >= deadline:
            return found
        clock.sleep(LOOK)


def _of_all(answers: dict[str, Roles]) -> Roles:
    return {node: roles for found in answers.values() for node, roles in found.items()}


# on one host


def at_work(host: Host) -> list[str]:
    """Handlers, main routines and messages that have not ended, by name."""
    now = host.clock.now()
    found = [
        f"{each.name} ({each.state(now)})"
        for each in list(host.router.executions.table.values())
        if each.target.instance_name != NATIVE
    ]
    for actor in list(host.actors.values()):
        for name in [name for name in actor.roles if name != NATIVE]:
            lifecycle = actor.find_lifecycle(name)
            if lifecycle is not None and (
                lifecycle.busy or lifecycle.status not in Status.READY | Status.PAUSED
            ):
                found.append(lifecycle.where)
        found += [f"the main routine of {actor.instance(name)}" for name in actor.routines()]
        found += actor.subscriptions.at_work()
    found += [
        f"messages to {peer}"
        for peer, session in list(host.router.links.items())
        if not session.drained
    ]
    return list(dict.fromkeys(found))


def _halt(host: Host) -> Roles:
    found: Roles = {}
    for actor in list(host.actors.values()):
        for name in actor.routines():
            role: Any = actor.roles[name]
            if type(role).stop is not Runnable.stop:  # else it ends by itself, and is waited for
                found.setdefault(actor.name, []).append(name)
                role.stop()
    return found


def _pause(host: Host) -> Roles:
    """Pause what is ready; what is at work again stays as it is."""
    found: Roles = {}
    for actor in list(host.actors.values()):
        for name in [
            name for name in actor.roles if name != NATIVE and actor.lifecycle(name).ready
        ]:
            try:
                actor.lifecycle(name).pause(0.0)
            except StatusError:
                continue
            found.setdefault(actor.name, []).append(name)
    return found


def go_on(host: Host, ready: Roles, running: Roles) -> None:
    """Resume roles of this host, and run main routines again."""
    for actor in list(host.actors.values()):
        for name in ready.get(actor.name, []):
            if name in actor.roles and actor.lifecycle(name).status is Status.PAUSED:
                actor.lifecycle(name).resume()
        for name in running.get(actor.name, []):
            if name in actor.roles:
                actor.run_again(name)
