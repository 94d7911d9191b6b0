"""A model of two numbers, and roles around it, which are quick and exact.

Checks put them beside answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roleml_nb.library import EpochTrainer
from roleml_nb.role import Role, Service, Task

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed

__all__ = [
    "FailingTrainer",
    "Meeting",
    "MeetingTrainer",
    "MeetingWorker",
    "Numbers",
    "Points",
    "centres",
    "models_of",
]

MEETING_TIMEOUT_S = 4.0
"""Seconds that a worker waits for the others; they need far less if they are called at all."""


class Numbers:
    """w of shape (2,), 0 at first; an epoch is w ← w + (mean of the data - w) / 2."""

    def __init__(self) -> None:
        self.w = np.zeros(2)

    def train(self, data: Iterable[np.ndarray]) -> dict[str, float]:
        for batch in data:
            self.w = self.w + (batch.mean(0) - self.w) / 2
        return self.test(data)

    def test(self, data: Iterable[np.ndarray]) -> dict[str, float]:
        losses = []
        for batch in data:
            losses.append(((self.w - batch) ** 2).mean())
        loss = float(np.mean(losses))
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


def centres(places: Sequence[float]) -> np.ndarray:
    """Return the points of `Points` at each of the places, of shape (places, 2)."""
    first = np.array(places)
    return np.column_stack([first, 10.0 - first])


def models_of(bed: Testbed, nodes: Iterable[str]) -> np.ndarray:
    """Return the numbers that the trainers of the nodes have learnt, of shape (nodes, 2)."""
    return np.array([bed.call(f"{node}/trainer", "get-model")["w"] for node in nodes])


class FailingTrainer(EpochTrainer):
    """A trainer whose trainings fail."""

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        raise RuntimeError("the battery is empty")


class Meeting(Role):
    """Counts the roles that have arrived."""

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
    """Its task ``work`` ends as soon as `expected` workers have arrived at the meeting."""

    def __init__(self, result: int, expected: int) -> None:
        super().__init__()
        self.result = result
        self.expected = expected

    @Task(expand=True)
    def work(self, caller: Any) -> int:
        meet(self, self.expected)
        return self.result


class MeetingTrainer(EpochTrainer):
    """A trainer that trains as soon as three have arrived, and fails when they do not come."""

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        meet(self, 3)
        return super().train_impl(num_epochs, **options)


def meet(role: Role, expected: int) -> None:
    """Report the role's arrival at its `meeting`, and wait until `expected` roles are there.

    CallerError when that takes more than `MEETING_TIMEOUT_S`.
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
