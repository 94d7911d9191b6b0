"""A role that trains a model, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.state_dicts import Step, as_float64, buffers_of, local_entries
from roleml_nb.library.channel_numbers import count_of, number_of
from roleml_nb.library.channel_types import Params
from roleml_nb.role import (
    ArgumentError,
    Element,
    Event,
    IterableDataset,
    RoleInstanceID,
    Service,
    Task,
)
from roleml_nb.role.checks.names import check_choice

from .data_sizes import data_size, is_empty
from .finite import check_finite
from .local_steps import LocalSteps
from .model_maintainer import ModelMaintainer
from .model_options import unknown_option
from .optimizers import FRESH, KEPT, OPTIMIZERS, fednova_problem, reset_optimizer
from .planner import FixedTrainingPlanner, TrainingPlanner
from .snapshots import Snapshot

__all__ = ["EpochTrainer"]


class EpochTrainer(ModelMaintainer):
    """Trains its model on its data set, epoch by epoch.

    Elements: those of `ModelMaintainer`; `dataset`; `planner` (a `TrainingPlanner`), which by
    default gives every epoch the options of the call. After each epoch, ``epoch-completed`` carries
    the metrics and "epoch", counted from 0 over the whole life of the role. Other calls that need
    the model wait until a training has ended. The model is restored when a training fails, is
    cancelled (which is checked before each epoch), or ends with a model that is not finite, which
    is an error. To train differently, override `train_impl`.

    Parameters
    ----------
    local : str or sequence of str
        As for `ModelMaintainer`.
    optimizer : {"kept", "fresh"}
        "kept" (the default) keeps the optimizer's state, such as momentum, from one training to the
        next; "fresh" begins each training without one, as most papers do.
    """

    dataset: Any = Element(IterableDataset)
    planner: Any = Element(TrainingPlanner, default_constructor=FixedTrainingPlanner)
    epoch_completed = Event()

    def __init__(self, local: str | Sequence[str] = (), optimizer: str = KEPT) -> None:
        super().__init__(local)
        self.optimizer = check_choice("optimizer", optimizer, OPTIMIZERS)
        self.current_epoch = -1
        self.control: dict[str, Any] = {}
        """SCAFFOLD's control variate of this client, cᵢ; entries that are missing are zero."""
        self._steps: LocalSteps | None = None
        self._begun: tuple[Snapshot, dict[str, Any]] | None = None
        self._saved: tuple[Snapshot, dict[str, Any]] | None = None

    @Service(expand=True)
    def apply_update(self, caller: RoleInstanceID, update: Any) -> int:
        """Set the model's parameters to `update`, and return the number of training samples.

        `take_back` restores the role as it is then.
        """
        with self.lock:
            super().apply_update(caller, update)
            kept = local_entries(self.model(), self.local) if self.local else ()
            self._begun = (Snapshot(self.model(), kept), self.control)
            return data_size(self.dataset())

    @Service(expand=True)
    def take_back(self, caller: RoleInstanceID) -> None:
        """Undo the trainings since `apply_update`, whose results were not used.

        Restored are `local` entries, the optimizer's state and the control variate; the next
        `apply_update` renews all else.
        """
        self._restore_snapshot(self._begun)

    @Service(expand=True)
    def save(self, caller: RoleInstanceID) -> None:
        """Save the model, the optimizer's state and the control variate for `restore`.

        This needs the memory of a second model.
        """
        with self.lock:
            self.base.host.check_cancelled()
            self._saved = (Snapshot(self.model()), self.control)

    @Service(expand=True)
    def restore(self, caller: RoleInstanceID) -> None:
        """Restore the state that `save` has saved."""
        self.require(
            self._saved is not None, f"{self.id} has saved nothing: call its service 'save' first"
        )
        self._restore_snapshot(self._saved)

    def _restore_snapshot(self, to: tuple[Snapshot, dict[str, Any]] | None) -> None:
        with self.lock:
            self.base.host.check_cancelled()
            if to is not None:
                snapshot, self.control = to
                snapshot.restore(self.model())

    @Service(expand=True)
    def get_data_size(self, caller: RoleInstanceID) -> int:
        """Return the number of training samples."""
        return data_size(self.dataset())

    @Task(expand=True)
    def evaluate(self, caller: RoleInstanceID, update: Any = None) -> dict[str, Any]:
        """Return the metrics of the model, or of `update`, on the training data.

        The model stays as it is.
        """
        with self.lock:
            before = self.model().get_params()
            try:
                if update is not None:
                    self._set_params(update)
                return self._evaluate()
            finally:
                if update is not None:
                    self.model().set_params(before)

    @Task(expand=True)
    def train(
        self, caller: RoleInstanceID, num_epochs: int = 1, proximal: float = 0.0, **options: Any
    ) -> Any:
        """Train for `num_epochs` epochs (1 or more), and return the parameters.

        `options` go to the planner.

        With `proximal` > 0, μ of FedProx, the model is kept near where the training began: see
        `LocalSteps`.
        """
        num_epochs = count_of("num_epochs", num_epochs, 1)
        proximal = number_of("proximal", proximal, 0)
        with self.lock:
            self._train(num_epochs, proximal, None, False, options)
            return self._shared_params()

    @Task(expand=True)
    def train2(
        self,
        caller: RoleInstanceID,
        num_epochs: int = 1,
        proximal: float = 0.0,
        control: Params | None = None,
        stepwise: bool = False,
        test_first: bool = False,
        normalise: float | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Train as `train` does, and return the parameters with data that strategies need.

        Parameters
        ----------
        control : mapping of name to array, optional
            SCAFFOLD's control variate of the server, c; missing entries are zero.
        stepwise : bool
            Count the steps.
        test_first : bool
            Evaluate the model on the training data before the training.
        normalise : float, optional
            FedNova's momentum ρ. Another optimizer than SGD with this momentum, or one that is kept
            from round to round, is refused before any step.

        Returns
        -------
        dict
            "update" (the parameters), "data_size", "metrics" (as `train_impl` returns them) and
            "buffers" (names of entries that are not trained); "steps" when stepwise; "normaliser"
            and "rated" (of `LocalSteps`) when normalised; "initial_loss" when tested first;
            "control" (the change of this client's control variate, cᵢ⁺ − cᵢ) when `control` was
            given.
        """
        num_epochs = count_of("num_epochs", num_epochs, 1)
        proximal = number_of("proximal", proximal, 0)
        if normalise is not None:
            normalise = number_of("normalise", normalise, 0, 1, below=True)
        with self.lock:
            if normalise is not None:
                problem = fednova_problem(self.model(), normalise, self.optimizer, str(self.id))
                self.require(problem is None, str(problem))
            if control is not None:
                control = self._check_control(control)
            result = {"initial_loss": self._evaluate()["loss"]} if test_first else {}
            result["metrics"], steps = self._train(
                num_epochs, proximal, control, stepwise, options, normalise
            )
            if steps is not None:
                result["steps"] = steps.count
            if steps is not None and normalise is not None:
                result |= {"normaliser": steps.normaliser, "rated": steps.rated}
            if steps is not None and control is not None:
                result["control"] = self._renew_control(steps)
            return {
                **result,
                "update": self._shared_params(),
                "data_size": data_size(self.dataset()),
                "buffers": buffers_of(self.model()),
            }

    def _renew_control(self, steps: LocalSteps) -> Step:
        """Replace the control variate after a training; return its change."""
        renewed = steps.new_control()
        change: Step = {}
        for name, value in renewed.items():
            change[name] = value - self.control.get(name, 0.0)
        self.control = renewed
        return change

    def _check_control(self, control: Mapping[str, Any]) -> Step:
        """Return SCAFFOLD's control variate as arrays in the shapes of the model's entries."""
        own = self.model().get_params()
        arrays: Step = {}
        for name, entry in control.items():
            arrays[name] = entry if isinstance(entry, np.ndarray) else as_float64(name, entry)
        for name in arrays.keys() & own.keys():
            given = arrays[name].shape
            wanted = np.shape(own[name])
            self.require(
                given == wanted,
                f"control must have the shapes of the model: {name} has {wanted}, got {given}",
            )
        return arrays

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        """Train the model; the hook for subclasses. Runs on a worker thread, with `lock` held.

        `options` are those of the call; an override need not use the `planner`. Afterwards, the
        role reads the parameters from `model`.

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
                raise ArgumentError(
                    f"{type(planner).__name__}.make_plan planned {number} of {num_epochs} epochs: "
                    "it must yield the options of each"
                )
            self.base.host.check_cancelled()
            metrics = self.train_epoch(**chosen)
            self.current_epoch += 1
            planner.report(metrics)
            self.epoch_completed.emit(args={**metrics, "epoch": self.current_epoch})
        return metrics

    def train_epoch(self, **options: Any) -> dict[str, Any]:
        """Train the model for one epoch, step by step if the call asks for it.

        `options` are those of the model.
        """
        problem = unknown_option(self.model().train, options)
        self.require(
            problem is None,
            f"the model of {self.id}, a {type(self.model()).__name__}, takes no {problem}",
        )
        if self._steps is None:
            return self._call_model("train", self.model().train, self.dataset(), **options)
        return self._steps.epoch(self.dataset(), options)

    def _train(
        self,
        num_epochs: int,
        proximal: float,
        control: Mapping[str, Any] | None,
        stepwise: bool,
        options: dict[str, Any],
        normalise: float | None = None,
    ) -> tuple[dict[str, Any], LocalSteps | None]:
        self.base.host.check_cancelled()
        steps = None
        self.require(
            not is_empty(self.dataset()),
            f"{self.id} has no samples to train on: leave it out (%rml unrelate), or deal "
            "the data out so that every part has some",
        )
        before = Snapshot(self.model())
        if self.optimizer == FRESH:
            reset_optimizer(self.model())
        if proximal or stepwise or control is not None or normalise is not None:
            steps = LocalSteps(self.model(), proximal, control, self.control, normalise)
        self._steps = steps
        try:
            metrics = self.train_impl(num_epochs, **options)
            check_finite(self.id, self.model().get_params())
            self.require(
                steps is None or steps.count,
                f"{type(self).__name__}.train_impl made no step that could be counted or "
                "corrected: have it train with self.train_epoch(**options)",
            )
        except BaseException:
            before.restore(self.model())
            raise
        finally:
            self._steps = None
        return metrics, steps

    def _evaluate(self) -> dict[str, Any]:
        model = self.model()
        self.require(
            hasattr(model, "test"),
            f"the model of {self.id}, a {type(model).__name__}, has no test()",
        )
        return self._call_model("test", model.test, self.dataset())
