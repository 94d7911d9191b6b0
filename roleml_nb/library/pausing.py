"""Runs that can be paused between two rounds, and done round by round."""

from __future__ import annotations

from concurrent.futures import Future

from roleml_nb.role import Role, RoleInstanceID, Service
from roleml_nb.role.running import wait

from .channel_numbers import count_of

__all__ = ["Pausable"]

POLL_INTERVAL_S = 0.1
"""Seconds after which a paused run checks again if it may continue."""


class Pausable(Role):
    """A coordinator whose runs wait between two rounds while it is paused.

    A round that is under way is finished first.
    """

    paused = False
    rounds_allowed = 0
    """Rounds that may still be done while it is paused."""

    @Service(expand=True)
    def pause(self, caller: RoleInstanceID) -> None:
        """Pause this run, and later ones, before the next round."""
        self.paused = True
        self.rounds_allowed = 0

    @Service(expand=True)
    def resume(self, caller: RoleInstanceID) -> None:
        """Continue the run."""
        self.paused = False

    @Service(expand=True)
    def step(self, caller: RoleInstanceID, rounds: int = 1) -> None:
        """Run `rounds` more rounds (1 or more), then pause."""
        self.rounds_allowed += count_of("rounds", rounds, 1)
        self.paused = True

    def before_round(self) -> None:
        """Wait while paused; the worker is free for other tasks meanwhile."""
        while self.paused and not self.rounds_allowed:
            try:
                wait(Future(), POLL_INTERVAL_S)
            except TimeoutError:
                continue
        self.rounds_allowed = max(0, self.rounds_allowed - 1)
