"""Models. torch is imported when the first one is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from roleml_nb.role import ArgumentError, node_seed
from roleml_nb.role.checks.numbers import as_number, check_count, check_size
from roleml_nb.role.randomness.torch_generator import own_torch_generator, takes_turns

from .parameters import StateDict, seeded
from .perceptrons import make_descent
from .steps import (
    Outputs,
    as_tensor,
    classification_metrics,
    fit_gradients,
    optimizer_step,
    run_test,
    run_train,
)

if TYPE_CHECKING:
    import torch

__all__ = ["TorchClassifier", "cnn1d", "logistic_regression", "mlp"]


class TorchClassifier(StateDict):
    """A torch module that learns to classify, by cross entropy.

    Parameters
    ----------
    build : callable
        ``build() -> torch.nn.Module``, which maps inputs (batch, …) to logits (batch, classes).
    optimizer : callable, optional
        ``optimizer(parameters, lr=lr) -> torch.optim.Optimizer``, e.g. ``torch.optim.Adam``; the
        first `train` builds it, and it keeps its state from then on, or until `reset_optimizer`.
        Plain SGD when not given, without importing torch's optimizers (and torch._dynamo with them,
        which takes seconds).
    lr : float
        Learning rate, more than 0.
    seed : int, optional
        Seed of the initial weights. By default that of the node whose role the model is built for,
        which is the testbed's unless the node has its own; 0 outside of roles. torch's global
        generator is left as it was.

    Notes
    -----
    Not thread-safe; a role guards its model. Random layers such as dropout draw from torch's global
    generator, which is the role's own while it trains: see
    `roleml_nb.role.randomness.torch_generator`.
    """

    def __init__(
        self,
        build: Callable[[], torch.nn.Module],
        *,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        lr: float = 0.1,
        seed: int | None = None,
    ):
        self.lr = _check_lr(lr)
        self._make_optimizer = optimizer
        self._optimizer: torch.optim.Optimizer | None = None
        with seeded(node_seed(seed)):
            self.module = build()

    @takes_turns
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
            "loss" (mean over all samples, each before the step it led to) and "accuracy" (from 0 to
            1, likewise).

        Raises
        ------
        ValueError
            When `data` is empty, or an argument is out of range.
        """
        from torch.nn.functional import cross_entropy

        epochs = check_count("epochs", epochs, 1)
        rate = self.lr if lr is None else _check_lr(lr)
        step = self._step(rate)
        fused_step = make_descent(self.module, rate) if self._make_optimizer is None else None
        outputs: Outputs = []
        for _ in range(epochs):
            outputs += run_train(self.module, step, cross_entropy, data, fused_step=fused_step)
        return classification_metrics(outputs, cross_entropy)

    @takes_turns
    def test(self, data: Iterable) -> dict[str, float]:
        """Classify `data` (as for `train`) in evaluation mode.

        Returns
        -------
        dict
            "loss" (mean over all samples) and "accuracy" (from 0 to 1).
        """
        from torch.nn.functional import cross_entropy

        return classification_metrics(run_test(self.module, data), cross_entropy)

    def optimizer_state(self) -> dict[str, Any] | None:
        """Return a copy of the optimizer's state; None before there is an optimizer."""
        return None if self._optimizer is None else deepcopy(self._optimizer.state_dict())

    def set_optimizer_state(self, state: dict[str, Any] | None) -> None:
        """Restore a state that `optimizer_state` returned."""
        if state is None or self._optimizer is None:
            self._optimizer = None
        else:
            self._optimizer.load_state_dict(state)

    def compute_gradients(
        self, data: tuple[Any, Any]
    ) -> tuple[dict[str, float], list[torch.Tensor]]:
        """Return metrics and gradients of one batch ``(x, y)``.

        There is a gradient for each trained parameter, in the parameter's shape.
        """
        import torch
        from torch.nn.functional import cross_entropy

        self.module.train()
        with own_torch_generator():
            outputs = self.module(as_tensor(data[0]))
            targets = as_tensor(data[1])
        weights = self._weights()
        gradients = torch.autograd.grad(cross_entropy(outputs, targets), weights, allow_unused=True)
        filled = [
            torch.zeros_like(weight) if gradient is None else gradient
            for weight, gradient in zip(weights, gradients, strict=True)
        ]
        return classification_metrics([(outputs.detach(), targets)], cross_entropy), filled

    def apply_gradients(self, gradients: Sequence[Any], lr: float | None = None) -> None:
        """Make one step of the optimizer with the gradients of `compute_gradients` of a like model.

        Raises
        ------
        ValueError
            When the gradients do not fit the parameters; the model is then as it was.
        """
        import torch

        rate = self.lr if lr is None else _check_lr(lr)
        weights = self._weights()
        given = fit_gradients(gradients, weights)
        if self._make_optimizer is None:
            with torch.no_grad():
                for weight, gradient in zip(weights, given, strict=True):
                    weight.sub_(gradient, alpha=rate)
            return
        for weight, gradient in zip(weights, given, strict=True):
            weight.grad = gradient
        self._optimizer_at(self._make_optimizer, rate).step()

    def current_optimizer(self) -> torch.optim.Optimizer | None:
        """Return the optimizer, and build it if need be; None for plain SGD."""
        if self._make_optimizer is None:
            return None
        return self._optimizer_at(self._make_optimizer, self.lr)

    def reset_optimizer(self) -> None:
        """Let the next `train` begin with a new optimizer."""
        self._optimizer = None

    def _weights(self) -> list[torch.nn.Parameter]:
        return [weight for weight in self.module.parameters() if weight.requires_grad]

    def _step(self, lr: float) -> Callable[[torch.Tensor], None]:
        import torch

        if self._make_optimizer is not None:
            return optimizer_step(self._optimizer_at(self._make_optimizer, lr))
        weights = self._weights()

        def descend(loss: torch.Tensor) -> None:
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            used_weights: list[torch.Tensor] = []
            used_gradients: list[torch.Tensor] = []
            for weight, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    used_weights.append(weight)
                    used_gradients.append(gradient)
            with torch.no_grad():
                torch._foreach_sub_(used_weights, used_gradients, alpha=lr)

        return descend

    def _optimizer_at(
        self, make: Callable[..., torch.optim.Optimizer], lr: float
    ) -> torch.optim.Optimizer:
        if self._optimizer is None:
            self._optimizer = make(self._weights(), lr=lr)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        return self._optimizer


def mlp(
    inputs: int = 64, classes: int = 10, *, hidden: int | Sequence[int] = 64, **training: Any
) -> TorchClassifier:
    """Return a perceptron with hidden layers of rectified linear units, trained by SGD.

    It takes inputs of shape (batch, inputs), float32. `hidden` is the width of the one hidden
    layer, or the widths of several. `training` is the optimizer, lr and seed of `TorchClassifier`.
    """
    given: list[Any] = [hidden]
    if isinstance(hidden, Sequence) and not isinstance(hidden, str):
        given = list(hidden)
    inputs = check_count("inputs", inputs, 1)
    widths = [check_count("hidden", width, 1) for width in given]
    classes = check_count("classes", classes, 1)
    check_size(
        "a model of these inputs, hidden and classes",
        sum(before * after for before, after in pairwise([inputs, *widths, classes])),
    )
    return TorchClassifier(partial(_perceptron, inputs, widths, classes), **training)


def logistic_regression(inputs: int = 64, classes: int = 10, **training: Any) -> TorchClassifier:
    """Return multinomial logistic regression, trained by SGD.

    Its loss is convex in its parameters, which start at 0. It takes inputs of shape (batch,
    inputs), float32. `training` is the optimizer, lr and seed of `TorchClassifier`.
    """
    inputs = check_count("inputs", inputs, 1)
    classes = check_count("classes", classes, 1)
    check_size("a model of these inputs and classes", inputs * classes)
    return TorchClassifier(partial(_linear, inputs, classes), **training)


def cnn1d(
    inputs: int = 40, classes: int = 10, *, channels: int = 25, **training: Any
) -> TorchClassifier:
    """Return a network of three convolutions over signals, each halving the length, and a linear
    layer.

    It is the network in MNIST-1D's table, and takes inputs of shape (batch, inputs), float32.
    `training` is the optimizer, lr and seed of `TorchClassifier`. Greydanus and Kobak, "Scaling
    Down Deep Learning with MNIST-1D", ICML 2024.
    """
    inputs = check_count("inputs", inputs, 1)
    classes = check_count("classes", classes, 1)
    channels = check_count("channels", channels, 1)
    check_size(
        "a model of these inputs, channels and classes",
        channels * (6 * channels + inputs * classes // 8),
    )
    return TorchClassifier(partial(_convolutions, inputs, channels, classes), **training)


def _perceptron(inputs: int, hidden: Sequence[int], classes: int) -> torch.nn.Module:
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *hidden]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear([inputs, *hidden][-1], classes))


def _linear(inputs: int, classes: int) -> torch.nn.Module:
    from torch import nn

    layer = nn.Linear(inputs, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _convolutions(inputs: int, channels: int, classes: int) -> torch.nn.Module:
    from torch import nn

    length = inputs
    for kernel in (5, 3, 3):
        length = (length + 2 - kernel) // 2 + 1
    if length < 1:
        raise ArgumentError(f"inputs must be 8 or more for three convolutions, got {inputs!r}")
    return nn.Sequential(
        nn.Unflatten(1, (1, inputs)),
        nn.Conv1d(1, channels, 5, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(channels, channels, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(channels, channels, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * length, classes),
    )


def _check_lr(lr: float) -> float:
    lr = as_number("lr", lr)
    if not 0 < lr < 1e38:  # the largest float32 is a little more
        raise ArgumentError(
            f"lr must be more than 0{', and less than 1e38' if lr > 1 else ''}, got {lr!r}"
        )
    return lr
