"""Planners: the hyper-parameters of each epoch of a training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import repeat
from typing import Any

__all__ = ["FixedTrainingPlanner", "TrainingPlanner"]


class TrainingPlanner(ABC):
    """Decides with which options each epoch of a training is done; the element `planner` of
    `EpochTrainer`.
    """

    @abstractmethod
    def make_plan(self, *_: Any, **options: Any) -> Iterable[dict[str, Any]]:
        """Plan one training.

        Called as ``make_plan(num_epochs, **options)`` with the options of the trainer's ``train``.
        Yields the options of the model's ``train``, epoch by epoch, `num_epochs` of them or more.
        Each is taken just before its epoch, so a generator can heed what was reported of the epochs
        before.
        """

    def report(self, result: dict[str, Any]) -> None:  # noqa: B027  (need not be overridden)
        """Take note of the metrics of an epoch that is done."""


class FixedTrainingPlanner(TrainingPlanner):
    """The given options for every epoch."""

    def make_plan(self, num_steps: int, **options: Any) -> Iterable[dict[str, Any]]:
        return repeat(options, num_steps)
