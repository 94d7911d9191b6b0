"""Roles that hold a model: one that keeps and tests it, one that trains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.state_dicts import as_float64, buffers_of, local_entries
from roleml_nb.library.channel_numbers import as_caller_error, count_of, number_of
from roleml_nb.library.channel_types import Params
from roleml_nb.library.locking import GuardedRole
from roleml_nb.role import (
    ArgumentError,
    Element,
    Event,
    IterableDataset,
    RoleInstanceID,
    Service,
    Task,
    TrainableModel,
)
from roleml_nb.role.checks.numbers import short
from roleml_nb.role.parameters import describe, like
from roleml_nb.role.randomness.torch_generator import own_torch_generator

from .data_sizes import data_size, is_empty
from .finite import check_finite
from .local_steps import LocalSteps
from .model_options import unknown_option
from .optimizers import FRESH, KEPT, OPTIMIZERS, fednova_problem, reset_optimizer
from .planner import FixedTrainingPlanner, TrainingPlanner
from .snapshots import Snapshot

__all__ = ["BaseModelMaintainer", "EpochTrainer", "ModelMaintainer"]


class ModelMaintainer(GuardedRole):
    """Keeps a model, hands it out, takes a new one, and tests it.

    Elements: `model`; `dataset_test`, optional. Calls that need the model wait for one another.

    Parameters
    ----------
    local : str or sequence of str
        Entries of the model that stay here, neither handed out nor taken in: "buffers",
        "batch-norm" (parameters and buffers of BatchNorm layers: FedBN, Li, Jiang, Zhang, Kamp and
        Dou, "FedBN: Federated Learning on Non-IID Features via Local Batch Normalization", ICLR
        2021), or names, where ``*`` stands for anything. None by default.
    """

    model: Any = Element(TrainableModel)
    dataset_test: Any = Element(IterableDataset, optional=True)
    test_completed = Event()

    def __init__(self, local: str | Sequence[str] = ()) -> None:
        super().__init__()
        self.local = local
        self._quiet: set[str] = set()

    @Service(expand=True)
    def apply_update(self, caller: RoleInstanceID, update: Any) -> None:
        """Take `update`, what `get_model` of a like role returned, over into the model."""
        with self.lock:
            self.base.host.check_cancelled()
            self._set_params(update)

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID, whole: bool = False) -> Any:
        """Return the model's parameters; with `whole`, those that are local too."""
        with self.lock:
            model = self.model()
            return describe(model.get_params(), model) if whole else self._shared_params()

    @Task(expand=True)
    def test(self, caller: RoleInstanceID) -> dict[str, Any]:
        """Test the model on `dataset_test`; the metrics are also emitted as ``test-completed``."""
        self.require(
            self.dataset_test.implemented,
            f"{self.id} has no test data: give its element 'dataset_test', e.g. digits_test()",
        )
        self.require(
            not is_empty(self.dataset_test()),
            f"{self.id} has no samples to test on, its element 'dataset_test' is "
            "empty: give it a larger share",
        )
        with self.lock:
            model = self.model()
            self.require(
                hasattr(model, "test"),
                f"the model of {self.id}, a {type(model).__name__}, has no test()",
            )
            metrics = self._call_model("test", model.test, self.dataset_test())
        self.test_completed.emit(args=metrics)
        return metrics

    def _call_model(self, what: str, method: Any, *args: Any, **options: Any) -> Any:
        """Call a method of the model, with torch's generator being this role's own, unless it has
        never drawn anything.
        """
        if what in self._quiet or getattr(method, "takes_turns", False):
            return method(*args, **options)
        with own_torch_generator() as turn:
            result = method(*args, **options)
        if not turn.drew:
            self._quiet.add(what)
        return result

    def _set_params(self, update: Any) -> None:
        model = self.model()
        if self.local:
            self.require(
                isinstance(update, Mapping),
                f"update must be a state dict, since this role has local entries, "
                f"got {short(update)}",
            )
            own, kept = model.get_params(), local_entries(model, self.local)
            update = {
                **{name: entry for name, entry in update.items() if name not in kept},
                **{name: own[name] for name in kept},
            }
        with as_caller_error("update"):
            model.set_params(update)

    def _shared_params(self) -> Any:
        model = self.model()
        params = describe(model.get_params(), model)
        if not self.local:
            return params
        kept = local_entries(model, self.local)
        return like({name: entry for name, entry in params.items() if name not in kept}, params)


BaseModelMaintainer = ModelMaintainer
"""RoleML's name for it."""


class EpochTrainer(ModelMaintainer):
    """Trains its model on its data set, epoch by epoch.

    Elements: those of `ModelMaintainer`; `dataset`; `planner` (a `TrainingPlanner`), which gives
    every epoch the options of the call unless another one is given. After each epoch,
    ``epoch-completed`` carries the metrics and "epoch", counted from 0 over the whole life of the
    role. Other calls that need the model wait until a training is done. A training that fails, is
    cancelled, which it notices before each epoch, or ends with a model that is not finite, which is
    an error, leaves the model as it was. To train differently, override `train_impl`.

    Parameters
    ----------
    local : str or sequence of str
        As for `ModelMaintainer`.
    optimizer : {"kept", "fresh"}
        Whether the model's optimizer goes on with its state, such as momentum, from one training to
        the next, or begins each training anew, as in most papers. "kept" by default.
    """

    dataset: Any = Element(IterableDataset)
    planner: Any = Element(TrainingPlanner, default_constructor=FixedTrainingPlanner)
    epoch_completed = Event()

    def __init__(self, local: str | Sequence[str] = (), optimizer: str = KEPT) -> None:
        super().__init__(local)
        if optimizer not in OPTIMIZERS:
            raise ArgumentError(
                f"optimizer must be {' or '.join(map(repr, OPTIMIZERS))}, got {optimizer!r}"
            )
        self.optimizer = optimizer
        self.current_epoch = -1
        self.control: dict[str, Any] = {}
        """SCAFFOLD's control variate of this client, cᵢ; zero at first."""
        self._steps: LocalSteps | None = None
        self._begun: tuple[Snapshot, dict[str, Any]] | None = None
        self._saved: tuple[Snapshot, dict[str, Any]] | None = None

    @Service(expand=True)
    def apply_update(self, caller: RoleInstanceID, update: Any) -> int:
        """As in the base class; returns the number of training samples, so that nobody has to
        remember it.

        This is also what `take_back` goes back to.
        """
        with self.lock:
            super().apply_update(caller, update)
            kept = local_entries(self.model(), self.local) if self.local else ()
            self._begun = Snapshot(self.model(), kept), self.control
            return data_size(self.dataset())

    @Service(expand=True)
    def take_back(self, caller: RoleInstanceID) -> None:
        """Undo what trainings have changed since `apply_update`, except for what the next `update`
        renews anyway: what is `local`, the optimizer's state and the control variate. Nothing came
        of them.
        """
        self._restore_snapshot(self._begun)

    @Service(expand=True)
    def save(self, caller: RoleInstanceID) -> None:
        """Keep the model, the optimizer's state and the control variate, for `restore`.

        This takes as much memory again.
        """
        with self.lock:
            self.base.host.check_cancelled()
            self._saved = Snapshot(self.model()), self.control

    @Service(expand=True)
    def restore(self, caller: RoleInstanceID) -> None:
        """Go back to what was saved."""
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
        """Number of training samples."""
        return data_size(self.dataset())

    @Task(expand=True)
    def evaluate(self, caller: RoleInstanceID, update: Any = None) -> dict[str, Any]:
        """Return the metrics of the model, or of `update` in its place, on the training data; the
        model stays as it is.
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
        num_epochs, proximal = (
            count_of("num_epochs", num_epochs, 1),
            number_of("proximal", proximal, 0),
        )
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
        """As `train`, but returns more of what happened.

        Parameters
        ----------
        control : mapping of name to array, optional
            SCAFFOLD's control variate of the server, c; what is not in it is zero.
        stepwise : bool
            Count the steps.
        test_first : bool
            Evaluate the model on the training data before the training.
        normalise : float, optional
            FedNova's momentum ρ. What it is not right for is refused before any step: another
            optimizer than SGD with this momentum, or one that is kept from round to round.

        Returns
        -------
        dict
            "update" (the parameters), "data_size", "metrics" (what `train_impl` returned) and
            "buffers" (names of entries that are not trained); "steps" when stepwise; "normaliser"
            and "rated" (of `LocalSteps`) when normalised; "initial_loss" when tested first;
            "control" (the change of this client's control variate, cᵢ⁺ − cᵢ) when `control` was
            given.
        """
        num_epochs, proximal = (
            count_of("num_epochs", num_epochs, 1),
            number_of("proximal", proximal, 0),
        )
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
                renewed = steps.new_control()
                result["control"] = {
                    name: value - self.control.get(name, 0.0) for name, value in renewed.items()
                }
                self.control = renewed
            return {
                **result,
                "update": self._shared_params(),
                "data_size": data_size(self.dataset()),
                "buffers": buffers_of(self.model()),
            }

    def _check_control(self, control: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """SCAFFOLD's control variate as arrays, which have the shapes of the model's entries."""
        own = self.model().get_params()
        arrays = {
            name: entry if isinstance(entry, np.ndarray) else as_float64(name, entry)
            for name, entry in control.items()
        }
        for name in arrays.keys() & own.keys():
            given, wanted = arrays[name].shape, np.shape(own[name])
            self.require(
                given == wanted,
                f"control must have the shapes of the model: {name} has {wanted}, got {given}",
            )
        return arrays

    def train_impl(self, num_epochs: int, **options: Any) -> dict[str, Any]:
        """Train the model; the hook for subclasses. Runs on a worker thread, with `lock` held.

        `options` are those of the call; an override need not use the `planner`. The parameters are
        taken from `model` afterwards.

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
        """Train the model for one epoch, step by step where the call asks for that; `options` are
        those of the model.
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
