"""A model of a few numbers, and roles around it: checks put them beside answers, since they are
quick and exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from roleml_nb.library import EpochTrainer
from roleml_nb.role import Role, Service, Task

__all__ = ["MeetingTrainer", "FailingTrainer", "Meeting", "Numbers", "Points", "MeetingWorker"]


MEETING_TIMEOUT_S = 4.0
"""Seconds that a worker waits for the others: far more than they need to come, if they are called
at all.
"""


class Numbers:
    """w of shape (2,), 0 at first; an epoch is w ← w + (mean of the data - w) / 2."""

    def __init__(self) -> None:
        self.w = np.zeros(2)

    def train(self, data: Iterable[np.ndarray]) -> dict[str, float]:
        for batch in data:
            self.w = self.w + (batch.mean(0) - self.w) / 2
        return self.test(data)

    def test(self, data: Iterable[np.ndarray]) -> dict[str, float]:
        loss = float(np.mean([((self.w - batch) ** 2).mean() for batch in data]))
        return {"loss": loss, "accuracy": 1 / (1 + loss)}

    def get_params(self) -> dict[str, np.ndarray]:
        return {"w": self.w.copy()}

    def set_params(self, params: dict[str, Any]) -> None:
        self.w = np.array(params["w"])


class Points:
    """One batch of `count` points at (`place`, 10 - `place`)."""

    def __init__(self, place: float, count: int) -> None:
        self.batch = np.tile([place, 10.0 - place], (count, 1))

    def __iter__(self) -> Iterator[np.ndarray]:
        yield self.batch

    def __len__(self) -> int:
        return len(self.batch)


class FailingTrainer(EpochTrainer):
    """A trainer that fails whenever it is to train."""

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        raise RuntimeError("the battery is empty")


class Meeting(Role):
    """Knows how many have arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: set[str] = set()

    @Service(expand=True)
    def arrive(self, caller: Any) -> None:
        self.arrived.add(str(caller))

    @Service(expand=True)
    def count(self, caller: Any) -> int:
        return len(self.arrived)


class MeetingWorker(Role):
    """Its task ``work`` is done as soon as as many others are at work as there are `expected` at
    the meeting.
    """

    def __init__(self, result: int, expected: int) -> None:
        super().__init__()
        self.result, self.expected = result, expected

    @Task(expand=True)
    def work(self, caller: Any) -> int:
        meet(self, self.expected)
        return self.result


class MeetingTrainer(EpochTrainer):
    """A trainer that trains as soon as three are at it, and fails when it has waited for them in
    vain.
    """

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        meet(self, 3)
        return super().train_impl(num_epochs, **options)


def meet(role: Role, expected: int) -> None:
    """Return as soon as so many have arrived at the role's `meeting`; CallerError when that takes
    more than `MEETING_TIMEOUT_S`.
    """
    clock = role.base.host.clock
    begun = clock.now()
    role.call("meeting", "arrive")
    while role.call("meeting", "count") < expected:
        role.require(
            clock.now() - begun < MEETING_TIMEOUT_S,
            f"{role.id.actor_name} was at work alone for {MEETING_TIMEOUT_S:g} s",
        )
        clock.sleep(0.01)
