"""Roles that hold a model: one that keeps and tests it, one that trains it."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import Element, Event, IterableDataset, RoleInstanceID, Service, Task, TrainableModel

from .guarded import GuardedRole
from .planner import FixedTrainingPlanner, TrainingPlanner

__all__ = ["BaseModelMaintainer", "EpochTrainer", "ModelMaintainer"]


class ModelMaintainer(GuardedRole):
    """Keeps a model, hands it out, takes a new one, and tests it.

    Elements: `model`; `dataset_test`, optional. Calls that need the model wait for one another.
    """

    model: Any = Element(TrainableModel)
    dataset_test: Any = Element(IterableDataset, optional=True)
    test_completed = Event()

    @Service(expand=True)
    def apply_update(self, caller: RoleInstanceID, update: Any) -> None:
        """Take `update`, a whole set of parameters, over into the model."""
        with self.lock:
            self.model().set_params(update)

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID) -> Any:
        """The model's parameters."""
        with self.lock:
            return self.model().get_params()

    @Task(expand=True)
    def test(self, caller: RoleInstanceID) -> dict[str, Any]:
        """Test the model on `dataset_test`; the metrics are also emitted as ``test-completed``."""
        self.require(
            self.dataset_test.implemented,
            f"{self.id} has no test data: give its element 'dataset_test', e.g. digits_test()",
        )
        with self.lock:
            model = self.model()
            self.require(hasattr(model, "test"), f"the model of {self.id}, a {type(model).__name__}, has no test()")
            metrics = model.test(self.dataset_test())
        self.test_completed.emit(args=metrics)
        return metrics


BaseModelMaintainer = ModelMaintainer
"""RoleML's name for it."""


class EpochTrainer(ModelMaintainer):
    """Trains its model on its data set, epoch by epoch.

    Elements: those of `ModelMaintainer`; `dataset`; `planner` (a `TrainingPlanner`), which gives every epoch the
    options of the call unless another one is given. After each epoch, ``epoch-completed`` carries the metrics and
    "epoch", counted from 0 over the whole life of the role. Other calls that need the model wait until a training is
    done. To train differently, override `train_impl`.
    """

    dataset: Any = Element(IterableDataset)
    planner: Any = Element(TrainingPlanner, default_constructor=FixedTrainingPlanner)
    epoch_completed = Event()

    def __init__(self) -> None:
        super().__init__()
        self.current_epoch = -1

    @Service(expand=True)
    def get_data_size(self, caller: RoleInstanceID) -> int:
        """Number of training samples."""
        return len(self.dataset())

    @Task(expand=True)
    def train(self, caller: RoleInstanceID, num_epochs: int = 1, **options: Any) -> Any:
        """Train for `num_epochs` epochs (1 or more), and return the parameters. `options` go to the planner."""
        return self._train(num_epochs, options)[0]

    @Task(expand=True)
    def train2(self, caller: RoleInstanceID, num_epochs: int = 1, **options: Any) -> dict[str, Any]:
        """As `train`, but returns "update" (the parameters), "data_size" and "metrics" (what `train_impl` returned)."""
        update, metrics = self._train(num_epochs, options)
        return {"update": update, "data_size": len(self.dataset()), "metrics": metrics}

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        """Train the model; the hook for subclasses. Runs on a worker thread, with `lock` held.

        `options` are those of the call; an override need not use the `planner`. The parameters are taken from `model`
        afterwards.

        Returns
        -------
        dict
            Metrics of the last epoch.
        """
        metrics: dict[str, Any] = {}
        planner = self.planner()
        plan = iter(planner.make_plan(num_epochs, **options))
        for number in range(num_epochs):
            chosen = next(plan, None)
            if chosen is None:
                raise ValueError(f"{type(planner).__name__}.make_plan planned {number} of {num_epochs} epochs: "
                                 "it must yield the options of each")
            metrics = self.model().train(self.dataset(), **chosen)
            self.current_epoch += 1
            planner.report(metrics)
            self.epoch_completed.emit(args={**metrics, "epoch": self.current_epoch})
        return metrics

    def _train(self, num_epochs: int, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self.require(num_epochs >= 1, f"num_epochs must be 1 or more, got {num_epochs!r}")
        with self.lock:
            metrics = self.train_impl(num_epochs, **options)
            return self.model().get_params(), metrics
