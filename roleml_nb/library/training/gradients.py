"""A role that computes gradients and applies them, for training with a step per message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roleml_nb.library.channel_numbers import as_caller_error
from roleml_nb.role import (
    Element,
    Event,
    GradientsOperableModel,
    IterableDataset,
    RoleInstanceID,
    Service,
    Task,
)
from roleml_nb.role.randomness.torch_generator import own_torch_generator

from .model_maintainer import ModelMaintainer

__all__ = ["GradientsTrainer"]


class GradientsTrainer(ModelMaintainer):
    """Computes gradients of one batch at a time, and applies gradients that others computed.

    Elements: those of `ModelMaintainer`, where `model` is a `GradientsOperableModel`; `dataset`,
    gone through batch by batch, over and over. Calls that need the model wait for one another.
    """

    model: Any = Element(GradientsOperableModel)
    dataset: Any = Element(IterableDataset)
    gradient_computed = Event()
    gradient_applied = Event()

    def __init__(self) -> None:
        super().__init__()
        self.dataset_iterator: Iterator[Any] | None = None

    @Task(expand=True)
    def compute_gradients(self, caller: RoleInstanceID) -> Any:
        """Return the gradients of the next batch, and emit its metrics as ``gradient-computed``."""
        with self.lock:
            with own_torch_generator():
                metrics, gradients = self.model().compute_gradients(self._next_batch())
        self.gradient_computed.emit(args=metrics)
        return gradients

    @Service(expand=True)
    def apply_gradients(self, caller: RoleInstanceID, update: Any) -> None:
        """Make one step with gradients that `compute_gradients` returned, here or elsewhere.

        Afterwards, ``gradient-applied`` is emitted.
        """
        with self.lock:
            with as_caller_error("update"):
                self.model().apply_gradients(update)
        self.gradient_applied.emit()

    def _next_batch(self) -> Any:
        for _ in range(2):
            if self.dataset_iterator is None:
                self.dataset_iterator = iter(self.dataset())
            for batch in self.dataset_iterator:
                return batch
            self.dataset_iterator = None
        self.require(False, f"the data set of {self.id} is empty: there are no batches in it")

    def __getstate__(self) -> dict[str, Any]:
        # after a move, the role begins its epoch anew
        return {**super().__getstate__(), "dataset_iterator": None}
