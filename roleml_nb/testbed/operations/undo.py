"""Roles that are ended, and can be put back with their state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roleml_nb.actor import Invocation
from roleml_nb.role import NATIVE, NOTEBOOK, Role, RoleInstanceID, RoleMLError

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["TerminatedRole", "capture", "restore"]

STEP_TIMEOUT_S = 60.0
"""Seconds that a node gets to hand out a role's state, or to take it."""


@dataclass
class TerminatedRole:
    """A role that is ended: what the notebook knew of it, and its state, or else why there is
    none.
    """

    instance: RoleInstanceID
    known: dict[str, Any] | None
    """Its entry in the registry; None where another role has assigned it."""
    version: list[Any]
    """Its class, options, elements and their content, as `Versions` has them."""
    state: list[bytes] | None = None
    why: str = ""
    paused: bool = False

    @property
    def cls(self) -> type[Role] | None:
        return self.version[1]

    @property
    def given(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Options and elements; None where another kernel has assigned it."""
        return self.version[2]


@contextmanager
def capture(bed: Testbed, instances: Iterable[RoleInstanceID]) -> Iterator[list[TerminatedRole]]:
    """Pause roles and take their state, for them to be ended within; those that are not then go on.

    StatusError when handlers do not end; all go on then.
    """
    kept, asked = (
        [_known(bed, instance) for instance in instances],
        list[tuple[TerminatedRole, Invocation]](),
    )
    try:
        for one in kept:
            place = bed.registry.places[one.instance.actor_name]
            if place in bed.lost:
                one.why = f"it is lost with {place}"
            else:
                asked.append((one, _ask(bed, "capture", one.instance, None)))
        for one, answer in asked:
            one.state, one.why, one.paused = answer.result(STEP_TIMEOUT_S)
        yield kept
    finally:
        for one, answer in asked:
            with suppress(RoleMLError):  # that one went on by itself, or is gone
                answer.result(STEP_TIMEOUT_S)
                if one.instance.instance_name in bed.registry.roles.get(
                    one.instance.actor_name, {}
                ):
                    _ask(bed, "release", one.instance, one.paused).result(STEP_TIMEOUT_S)


def _known(bed: Testbed, instance: RoleInstanceID) -> TerminatedRole:
    known = bed.registry.roles.get(instance.actor_name, {}).get(instance.instance_name)
    return TerminatedRole(instance, known, bed.versions.entries(instance))


def _ask(bed: Testbed, step: str, instance: RoleInstanceID, content: Any) -> Invocation:
    node, name = instance
    return bed.fleet.home.actors[NOTEBOOK].request(
        f"undo-{step}", NATIVE, RoleInstanceID(node, NATIVE), name, content
    )


def restore(bed: Testbed, kept: TerminatedRole) -> None:
    """Have a role that was ended back on its node, with its state; TestbedError when there is
    another one of its name.
    """
    node, name = kept.instance
    bed.select(node)
    _ask(bed, "restore", kept.instance, kept.state).result(STEP_TIMEOUT_S)
    if kept.known is not None:
        bed.registry.assigned(node, name, kept.known)
    bed.versions.restore_entries(kept.instance, kept.version)
