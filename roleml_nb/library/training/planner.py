"""Planners: the hyper-parameters of each epoch of a training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import repeat
from typing import Any

__all__ = ["FixedTrainingPlanner", "TrainingPlanner"]


class TrainingPlanner(ABC):
    """Decides the options of each epoch of a training; the element `planner` of `EpochTrainer`."""

    @abstractmethod
    def make_plan(self, *_: Any, **options: Any) -> Iterable[dict[str, Any]]:
        """Yield the options of the model's ``train``, epoch by epoch, `num_epochs` of them or more.

        The trainer calls ``make_plan(num_epochs, **options)`` with the options of its ``train``. It
        takes each item just before its epoch, so a generator can use the reports of earlier epochs.
        """

    def report(self, result: dict[str, Any]) -> None:  # noqa: B027  (need not be overridden)
        """Receive the metrics of an epoch that has ended."""


class FixedTrainingPlanner(TrainingPlanner):
    """The given options for every epoch."""

    def make_plan(self, num_steps: int, **options: Any) -> Iterable[dict[str, Any]]:
        return repeat(options, num_steps)
