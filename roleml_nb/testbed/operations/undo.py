"""Undo a termination: put a role back that was ended, with its state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from roleml_nb.actor import Invocation
from roleml_nb.actor.snapshot import Activity
from roleml_nb.actor.state_requests import StateRequests
from roleml_nb.role import NOTEBOOK, Role, RoleInstanceID, RoleMLError

from .deployment import Deployment

__all__ = ["TerminatedRole", "capture", "restore"]

STEP_TIMEOUT_S = 60.0
"""Seconds that a node gets to hand out a role's state, or to take it."""


@dataclass
class TerminatedRole:
    """A role that is ended: its entry in the registry, and its state, or the reason why there is
    none.
    """

    instance: RoleInstanceID
    known: dict[str, Any] | None
    """Its entry in the registry; None where another role has assigned it."""
    version: list[Any]
    """Its class, options, elements and their content, as `Versions` has them."""
    state: list[bytes] | None = None
    why: str = ""
    activity: Activity | None = None
    """Its activity before; None when it was not brought to rest."""
    moves: int = 0
    """Roles that had moved before, in this testbed."""

    @property
    def cls(self) -> type[Role] | None:
        return self.version[1]

    @property
    def given(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Options and elements; None where another kernel has assigned it."""
        return self.version[2]


@contextmanager
def capture(
    deployment: Deployment, instances: Iterable[RoleInstanceID]
) -> Iterator[list[TerminatedRole]]:
    """Pause roles and take their state, for them to be ended within; those that are not then go on.

    StatusError when handlers do not end; all go on then.
    """
    native = deployment.fleet.home.actors[NOTEBOOK]
    kept: list[TerminatedRole] = []
    asked: list[tuple[TerminatedRole, Invocation]] = []
    registry, lost = deployment.registry, deployment.fleet.lost
    for instance in instances:
        known = registry.roles.get(instance.actor_name, {}).get(instance.instance_name)
        version = deployment.versions.entries(instance)
        kept.append(TerminatedRole(instance, known, version, moves=len(deployment.moves)))
    try:
        for role in kept:
            node, name = role.instance
            place = registry.places[node]
            if place in lost:
                role.why = f"it is lost with {place}"
            else:
                asked.append((role, native.ask_node(StateRequests.capture, node, name=name)))
        for role, answer in asked:
            role.state, role.why, role.activity = answer.result(STEP_TIMEOUT_S)
        yield kept
    finally:
        for role, answer in asked:
            node, name = role.instance
            with suppress(RoleMLError):  # that one went on by itself, or is gone
                *_, activity = answer.result(STEP_TIMEOUT_S)
                if activity is not None and name in registry.roles.get(node, {}):
                    native.ask_node(
                        StateRequests.release, node, name=name, activity=activity
                    ).result(STEP_TIMEOUT_S)


def restore(deployment: Deployment, terminated: TerminatedRole) -> None:
    """Have a role that was ended back on its node, with its state; TestbedError when there is
    another one of its name.
    """
    node, name = terminated.instance
    deployment.registry.select(node)
    assert terminated.state is not None
    native = deployment.fleet.home.actors[NOTEBOOK]
    native.ask_node(
        StateRequests.restore,
        node,
        name=name,
        frames=terminated.state,
        moves=deployment.moves[terminated.moves :],
    ).result(STEP_TIMEOUT_S)
    if terminated.known is not None:
        deployment.registry.assigned(node, name, terminated.known)
    deployment.versions.restore_entries(terminated.instance, terminated.version)
