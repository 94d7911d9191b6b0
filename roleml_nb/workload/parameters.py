"""The parameters of a torch module, handed out and taken in by value."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from roleml_nb.role import ArgumentError, ArgumentTypeError
from roleml_nb.role.checks.entry_names import difference_of_names
from roleml_nb.role.checks.numbers import short

from ..role.forks import at_fork
from ..role.parameters import describe
from .steps import as_tensor

if TYPE_CHECKING:
    import torch

__all__ = ["StateDict", "seeded"]

# torch initialises from one generator per process; models are built one at a time
_seeding_lock = Lock()


def forked() -> None:
    """Renew the lock in a fork, where nobody would release it."""
    global _seeding_lock
    _seeding_lock = Lock()


at_fork(sys.modules[__name__])


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Build a module in this block, with initial weights of this seed.

    With None, they are those that torch's global generator has in store. In either case the
    generator is left as it was.
    """
    import torch

    with _seeding_lock, torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        yield


class StateDict:
    """A model whose parameters are the state dict of its `module`."""

    module: torch.nn.Module

    def get_params(self) -> OrderedDict[str, torch.Tensor]:
        """Return a copy of the whole state dict, buffers such as BatchNorm's statistics included.

        All names of a shared weight lead to the same tensor.
        """
        copies: dict[int, torch.Tensor] = {}
        params: OrderedDict[str, torch.Tensor] = OrderedDict()
        trained = True
        for name, value in self._state(keep_vars=True).items():
            if id(value) not in copies:
                copies[id(value)] = value.detach().clone()
            params[name] = copies[id(value)]
            trained = trained and value.requires_grad
        if trained and len(copies) == len(params):
            return params
        return describe(params, self)  # type: ignore[return-value]

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Copy a state dict in.

        Parameters
        ----------
        params : mapping of name to tensor or array
            Exactly the names and shapes of `get_params`.

        Raises
        ------
        ValueError
            When names are missing or unexpected, or shapes differ; the model is then as it was.
        """
        import torch

        own = self._state()
        if not isinstance(params, Mapping):
            raise ArgumentTypeError(
                f"parameters must be a mapping of names to tensors or arrays, got {short(params)}"
            )
        problem = difference_of_names(params, own)
        if problem is not None:
            raise ArgumentError(f"these are not parameters of this model: {problem}")
        given = {name: as_tensor(params[name], f"parameter {name}") for name in own}
        for name, value in own.items():
            if value.shape != given[name].shape:
                raise ArgumentError(
                    f"parameter {name} must have shape {tuple(value.shape)}, "
                    f"got {tuple(given[name].shape)}"
                )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(given[name])

    def _state(self, keep_vars: bool = False) -> Mapping[str, torch.Tensor]:
        from torch.nn.parameter import is_lazy

        own = self.module.state_dict(keep_vars=keep_vars)
        for name, value in own.items():
            if is_lazy(value):
                raise ArgumentError(
                    f"parameter {name} belongs to a lazy layer, which has no weights before it has"
                    " seen data: have a batch go through the module where it is built, e.g."
                    " module(torch.zeros(1, 64))"
                )
        return own
