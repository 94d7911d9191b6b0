"""A client like a telephone: slow, and switched off now and then."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from roleml_nb.library import EpochTrainer
from roleml_nb.role import RoleInstanceID, Service
from roleml_nb.role.running import wait

__all__ = ["Phone"]


class Phone(EpochTrainer):
    """The library's trainer, slowed down; while it is switched off, it finishes no training.

    Parameters
    ----------
    seconds : float
        Seconds that a training takes in addition.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self._power: Future[None] | None = None

    @Service(expand=True)
    def switch(self, caller: RoleInstanceID, on: bool) -> None:
        """Switch the phone on or off; a training that waits goes on as soon as it is on."""
        if not on:
            self._power = self._power or Future()
        elif self._power is not None:
            power = self._power
            self._power = None
            power.set_result(None)

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        metrics = super().train_impl(num_epochs, **options)
        if self.seconds:
            self.base.host.clock.sleep(self.seconds)
        if self._power is not None:
            wait(self._power)
        return metrics
