"""Quiescence, the host's half: pause the roles of one host, and let them go on.

The notebook's half, which asks all hosts, is `roleml_nb.testbed.cluster.quiesce`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from roleml_nb.role import NATIVE, Runnable, Status, StatusError

if TYPE_CHECKING:
    from .host import Host

__all__ = ["Roles", "at_work", "pause_ready_roles", "resume", "stop_routines"]

Roles = dict[str, list[str]]
"""{node: roles}."""


def at_work(host: Host) -> list[str]:
    """Return handlers, main routines and messages that have not ended, by name."""
    now = host.clock.now()
    found = []
    for execution in list(host.router.executions.table.values()):
        if execution.target.instance_name != NATIVE:
            found.append(f"{execution.name} ({execution.state(now)})")
    for actor in list(host.actors.values()):
        for name in actor.roles.names():
            lifecycle = actor.roles.find_lifecycle(name)
            if lifecycle is not None and (
                lifecycle.busy or lifecycle.status not in Status.READY | Status.PAUSED
            ):
                found.append(lifecycle.where)
        for name in actor.routines.running():
            found.append(f"the main routine of {actor.roles.instance(name)}")
        found += actor.subscriptions.at_work()
    for peer, session in list(host.router.links.items()):
        if not session.drained:
            found.append(f"messages to {peer}")
    return list(dict.fromkeys(found))


def stop_routines(host: Host) -> Roles:
    """Ask main routines of `Runnable`s to end; return the roles that were asked."""
    found: Roles = {}
    for actor in list(host.actors.values()):
        for name in actor.routines.running():
            role: Any = actor.roles[name]
            if type(role).stop is not Runnable.stop:  # else it ends by itself, and is waited for
                found.setdefault(actor.name, []).append(name)
                role.stop()
    return found


def pause_ready_roles(host: Host) -> Roles:
    """Pause ready roles; a role that is at work again is left out."""
    found: Roles = {}
    for actor in list(host.actors.values()):
        for name in actor.roles.names():
            lifecycle = actor.roles.find_lifecycle(name)
            if lifecycle is not None and lifecycle.ready:
                with suppress(StatusError):
                    lifecycle.pause(0.0)
                    found.setdefault(actor.name, []).append(name)
    return found


def resume(host: Host, ready: Roles, running: Roles) -> None:
    """Resume roles of this host, and run main routines again."""
    for actor in list(host.actors.values()):
        for name in ready.get(actor.name, []):
            if name in actor.roles and actor.roles.lifecycle(name).status is Status.PAUSED:
                actor.roles.lifecycle(name).resume()
        for name in running.get(actor.name, []):
            if name in actor.roles:
                actor.routines.restart(name)
