"""A role that keeps a model, hands it out, and tests it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roleml_nb.library.aggregation.state_dicts import local_entries
from roleml_nb.library.channel_numbers import as_caller_error
from roleml_nb.library.locking import GuardedRole
from roleml_nb.role import (
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

from .data_sizes import is_empty

__all__ = ["BaseModelMaintainer", "ModelMaintainer"]


class ModelMaintainer(GuardedRole):
    """Keeps a model, hands it out, replaces it, and tests it.

    Elements: `model`; `dataset_test`, optional. Calls that need the model wait for one another.

    Parameters
    ----------
    local : str or sequence of str
        Entries of the model that stay here, neither handed out nor replaced: "buffers",
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
        """Set the model's parameters to `update`, which `get_model` of a similar role returned."""
        with self.lock:
            self.base.host.check_cancelled()
            self._set_params(update)

    @Service(expand=True)
    def get_model(self, caller: RoleInstanceID, whole: bool = False) -> Any:
        """Return the model's parameters; with `whole`, the local ones too."""
        with self.lock:
            model = self.model()
            return describe(model.get_params(), model) if whole else self._shared_params()

    @Task(expand=True)
    def test(self, caller: RoleInstanceID) -> dict[str, Any]:
        """Test the model on `dataset_test`; return and emit (``test-completed``) the metrics."""
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

    def _call_model(self, name: str, method: Any, *args: Any, **options: Any) -> Any:
        """Call a method of the model with the role's own torch generator.

        A method that drew nothing in its first call is called without it from then on.
        """
        if name in self._quiet or getattr(method, "takes_turns", False):
            return method(*args, **options)
        with own_torch_generator() as turn:
            result = method(*args, **options)
        if not turn.drew:
            self._quiet.add(name)
        return result

    def _set_params(self, update: Any) -> None:
        model = self.model()
        if self.local:
            self.require(
                isinstance(update, Mapping),
                f"update must be a state dict, since this role has local entries, "
                f"got {short(update)}",
            )
            own = model.get_params()
            kept = local_entries(model, self.local)
            merged = {name: entry for name, entry in update.items() if name not in kept}
            merged.update((name, own[name]) for name in kept)
            update = merged
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
"""RoleML's name of `ModelMaintainer`."""
