"""Templates of models: a subclass builds a torch module, and its instances train, test and exchange
gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from roleml_nb.role import ArgumentError, node_seed
from roleml_nb.role.checks.numbers import MAX_THREADS, check_count, short
from roleml_nb.role.randomness.torch_generator import takes_turns
from roleml_nb.role.running import running_role

from .parameters import StateDict, seeded
from .steps import (
    default_xy_apply_gradients,
    default_xy_compute_gradients,
    default_xy_test,
    default_xy_train,
)

if TYPE_CHECKING:
    import torch

__all__ = [
    "SimpleTorchGradientsOperableModel",
    "SimpleTorchModel",
    "SimpleTorchXYModel",
    "SimpleTorchXYTestableModel",
    "SimpleTorchXYTrainableModel",
]


class SimpleTorchModel(StateDict, ABC):
    """A torch module with its optimizer and its criterion (the loss), made by `build_model`.

    Parameters
    ----------
    device : str
        Device that computes: "cpu", "cuda" or any other name that torch knows. Without CUDA it is
        "cpu".
    num_threads : int, optional
        Threads of a torch operation, 512 at most. torch keeps this number per process: the last
        model that sets it decides.
    copy_on_get_params : bool
        Accepted for RoleML's sake: `get_params` always hands out a copy.
    seed : int, optional
        Seed of the initial weights. By default that of the node whose role the model is built for;
        outside of roles, the weights are those that torch's global generator has in store. In
        either case that generator is left as it was, so two models built in a row are equal.
    **options
        Options of `build_model`.

    Notes
    -----
    Not thread-safe; a role guards its model. Random layers such as dropout draw from torch's global
    generator, which is the role's own while it trains: see
    `roleml_nb.role.randomness.torch_generator`.
    """

    def __init__(
        self,
        device: str = "cpu",
        num_threads: int | None = None,
        copy_on_get_params: bool = False,
        *,
        seed: int | None = None,
        **options: Any,
    ):
        import torch

        if num_threads is not None and check_count("num_threads", num_threads, 0, MAX_THREADS):
            torch.set_num_threads(check_count("num_threads", num_threads))
        self.copy_on_get_params = copy_on_get_params
        with seeded(None if seed is None and running_role() is None else node_seed(seed)):
            self.module, self.optimizer, self.criterion = self.build_model(**options)
        self.device = self.get_device(device)
        self.module.to(self.device)
        self.criterion.to(self.device)

    def reset_optimizer(self) -> None:
        """Clear the optimizer's state, such as momentum; its options stay."""
        if not hasattr(self.optimizer, "state"):
            raise ArgumentError(
                f"{type(self.optimizer).__name__}, the optimizer of {type(self).__name__}, has no"
                " 'state' that could be cleared: give the model a method reset_optimizer() that"
                " renews it"
            )
        self.optimizer.state.clear()

    def optimizer_state(self) -> dict[str, Any] | None:
        """Return a copy of the optimizer's state; None if it has no ``state_dict``."""
        if not hasattr(self.optimizer, "state_dict"):
            return None
        return deepcopy(self.optimizer.state_dict())

    def set_optimizer_state(self, state: dict[str, Any] | None) -> None:
        """Restore a state that `optimizer_state` returned."""
        if state is not None:
            self.optimizer.load_state_dict(state)

    @abstractmethod
    def build_model(
        self, **options: Any
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.nn.Module]:
        """Build the module, its optimizer and its criterion, on the CPU."""

    def get_device(self, device_name: str) -> torch.device:
        """Return the device of that name, or the CPU where there is no CUDA."""
        import torch

        name = device_name.lower()
        if name.startswith("cuda") and not torch.cuda.is_available():
            name = "cpu"
        try:
            return torch.device(name)
        except RuntimeError:
            raise ArgumentError(
                f"device must be 'cpu', 'cuda', 'cuda:1' or the like, got {short(device_name)}"
            ) from None


class SimpleTorchXYTestableModel(SimpleTorchModel):
    """Is tested on batches ``(x, y)``, arrays or tensors."""

    @takes_turns
    def test(self, data: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        """Test the model on `data`; see `default_xy_test`."""
        return default_xy_test(self.module, self.criterion, data, self.device)


class SimpleTorchXYTrainableModel(SimpleTorchXYTestableModel):
    """A torch module that is trained and tested on batches ``(x, y)``."""

    @takes_turns
    def train(self, data: Iterable[tuple[Any, Any]], **_: Any) -> dict[str, Any]:
        """Train for one epoch; see `default_xy_train`. Override the method to heed options."""
        return default_xy_train(self.module, self.optimizer, self.criterion, data, self.device)


class SimpleTorchGradientsOperableModel(SimpleTorchXYTestableModel):
    """A torch module that computes and applies gradients of batches ``(x, y)``."""

    def compute_gradients(
        self, data: tuple[Any, Any], **options: Any
    ) -> tuple[dict[str, Any], Any]:
        """Return metrics and gradients of one batch; see `default_xy_compute_gradients`."""
        x, y = data
        return default_xy_compute_gradients(
            self.module, self.optimizer, self.criterion, x, y, self.device
        )

    def apply_gradients(self, gradients: Any) -> None:
        """Make one step with `gradients`; see `default_xy_apply_gradients`."""
        default_xy_apply_gradients(self.module, self.optimizer, gradients)


class SimpleTorchXYModel(SimpleTorchXYTrainableModel, SimpleTorchGradientsOperableModel):
    """Trains, tests, computes and applies gradients. Subclasses define `build_model` only."""
