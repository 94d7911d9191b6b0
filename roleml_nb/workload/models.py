"""Models. torch is imported when the first one is built."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["TorchClassifier", "mlp"]

_seeding = Lock()  # torch initialises from one generator per process; models are built one at a time


class TorchClassifier:
    """A torch module that learns to classify, by cross entropy.

    Parameters
    ----------
    build : callable
        ``build() -> torch.nn.Module``, which maps inputs (batch, …) to logits (batch, classes).
    optimizer : callable, optional
        ``optimizer(parameters, lr=lr) -> torch.optim.Optimizer``, e.g. ``torch.optim.Adam``; it is built at the first
        `train` and keeps its state from then on. Plain SGD when not given, without importing torch's optimizers
        (and torch._dynamo with them, which takes seconds).
    lr : float
        Learning rate, more than 0.
    seed : int
        Of the initial weights. torch's global generator is left as it was.

    Notes
    -----
    Not thread-safe; a role guards its model. Random layers such as dropout draw from torch's global generator.
    """

    def __init__(
        self, build: Callable[[], torch.nn.Module], *, optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        lr: float = 0.1, seed: int = 0,
    ):
        import torch

        self.lr = _positive(lr)
        self._make_optimizer = optimizer
        self._optimizer: torch.optim.Optimizer | None = None
        with _seeding, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.module = build()

    def train(self, data: Iterable, lr: float | None = None, epochs: int = 1) -> dict[str, float]:
        """Go through `data` `epochs` times, one step of the optimizer per batch.

        Parameters
        ----------
        data : iterable of (x, y)
            Batches: x of shape (batch, …), y of shape (batch,), integers. Arrays or tensors.
        lr : float, optional
            Learning rate of this call only.
        epochs : int
            1 or more.

        Returns
        -------
        dict
            "loss" (mean over all samples, each before the step it led to) and "accuracy" (from 0 to 1, likewise).

        Raises
        ------
        ValueError
            When `data` is empty, or an argument is out of range.
        """
        from torch.nn.functional import cross_entropy

        if epochs < 1:
            raise ValueError(f"epochs must be 1 or more, got {epochs!r}")
        step = self._step(self.lr if lr is None else _positive(lr))
        seen = []
        self.module.train()
        for _ in range(epochs):
            for x, y in data:
                targets = _tensor(y)
                logits = self.module(_tensor(x))
                step(cross_entropy(logits, targets))
                seen.append((logits.detach(), targets))  # reduced once, at the end: no waiting for numbers per step
        return _metrics(seen)

    def test(self, data: Iterable) -> dict[str, float]:
        """Classify `data` (as for `train`) in evaluation mode.

        Returns
        -------
        dict
            "loss" (mean over all samples) and "accuracy" (from 0 to 1).
        """
        import torch

        self.module.eval()
        with torch.inference_mode():
            return _metrics([(self.module(_tensor(x)), _tensor(y)) for x, y in data])

    def get_params(self) -> OrderedDict[str, torch.Tensor]:
        """A copy of the whole state dict, buffers such as BatchNorm's statistics included."""
        return OrderedDict((name, value.detach().clone()) for name, value in self.module.state_dict().items())

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

        own = self.module.state_dict()
        missing, unexpected = sorted(own.keys() - params.keys()), sorted(params.keys() - own.keys())
        if missing or unexpected:
            said = [f"{what} {', '.join(names)}" for what, names in (("missing", missing), ("unexpected", unexpected))
                    if names]
            raise ValueError(f"these are not parameters of this model: {'; '.join(said)}")
        given = {name: _tensor(params[name]) for name in own}
        for name, value in own.items():
            if value.shape != given[name].shape:
                raise ValueError(f"parameter {name} must have shape {tuple(value.shape)}, "
                                 f"got {tuple(given[name].shape)}")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(given[name])

    def _step(self, lr: float) -> Callable[[torch.Tensor], None]:
        import torch

        weights = [weight for weight in self.module.parameters() if weight.requires_grad]
        if self._make_optimizer is None:
            def descend(loss: torch.Tensor) -> None:
                gradients = torch.autograd.grad(loss, weights, allow_unused=True)
                with torch.no_grad():
                    for weight, gradient in zip(weights, gradients, strict=True):
                        if gradient is not None:
                            weight.sub_(gradient, alpha=lr)

            return descend
        if self._optimizer is None:
            self._optimizer = self._make_optimizer(weights, lr=lr)
        optimizer = self._optimizer
        for group in optimizer.param_groups:
            group["lr"] = lr

        def optimize(loss: torch.Tensor) -> None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return optimize


def mlp(inputs: int = 64, classes: int = 10, *, hidden: int = 64, lr: float = 0.1, seed: int = 0) -> TorchClassifier:
    """A perceptron with one hidden layer of rectified linear units, `inputs`-`hidden`-`classes`, trained by SGD.

    Takes inputs of shape (batch, inputs), float32. The other parameters are those of `TorchClassifier`.
    """
    return TorchClassifier(partial(_perceptron, inputs, hidden, classes), lr=lr, seed=seed)


def _perceptron(inputs: int, hidden: int, classes: int) -> torch.nn.Module:
    from torch import nn

    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def _tensor(value: Any) -> torch.Tensor:
    """`value` as a tensor, shared where that is allowed."""
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(value if value.flags.carray else np.require(value, requirements=["C", "W"]))
    return torch.as_tensor(value)


def _metrics(seen: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    import torch

    if not seen:
        raise ValueError("the data set is empty: there are no batches in it")
    logits, targets = torch.cat([pair[0] for pair in seen]), torch.cat([pair[1] for pair in seen])
    loss = torch.nn.functional.cross_entropy(logits, targets)
    return {"loss": loss.item(), "accuracy": (logits.argmax(1) == targets).float().mean().item()}


def _positive(lr: float) -> float:
    if not lr > 0:
        raise ValueError(f"lr must be more than 0, got {lr!r}")
    return lr
