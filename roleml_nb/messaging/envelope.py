"""The header of a message: its kind, sender, receivers, and the call that it belongs to."""

from __future__ import annotations

from typing import NamedTuple

from roleml_nb.role import RoleInstanceID, RunStopped

__all__ = ["ANSWERS", "FENCED", "FLOW_CONTROLLED", "Envelope", "Target", "never_begun"]

FLOW_CONTROLLED = ("task", "event")
"""Kinds that nobody waits for, and that could fill memory: windows hold back their senders.

Others are never held back.
"""
ANSWERS = ("reply", "error", "moved")
FENCED = ("service", "task", "event")
"""Kinds that begin a handler: refused when they come from an earlier run generation."""


class Target(NamedTuple):
    """The receiver of a message, and the number of the call that it makes or answers (0: none)."""

    actor_name: str
    instance_name: str
    call: int = 0

    @property
    def instance(self) -> RoleInstanceID:
        return RoleInstanceID(self.actor_name, self.instance_name)


class Envelope(NamedTuple):
    """The header of a message.

    `kind`: service, task or event; discontinue; that of a declared request (see `requests`); reply,
    error or moved, which answer a call; host.
    """

    kind: str
    source: RoleInstanceID
    targets: tuple[Target, ...]
    channel: str
    sent: float
    depth: int = 0
    trail: tuple[str, ...] = ()
    """Depth of the call's nesting in others, and the last of these."""
    call_site: str = ""
    """The line of code that sent it, if that is traced; see `CallSites.current`."""
    run_generation: int = 0
    """The run generation when it was sent, or in which the handler began that sent it."""


def never_begun(target: RoleInstanceID, channel: str) -> RunStopped:
    """Return the error of a call that the end of its run generation kept from beginning."""
    return RunStopped(f"{target}.{channel} was stopped with the run, before it began")
