"""The loops that train and test a torch module, and their parts.

The first call imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from roleml_nb.role import ArgumentError, ArgumentTypeError
from roleml_nb.role.checks.numbers import short
from roleml_nb.role.randomness.torch_generator import each_in_turn, own_torch_generator

if TYPE_CHECKING:
    import torch

__all__ = [
    "Outputs",
    "RetrieveGradientsFunction",
    "XYApplyGradientsFunction",
    "XYComputeGradientsFunction",
    "XYComputeGradientsImplFunction",
    "XYTestFunction",
    "XYTrainFunction",
    "as_tensor",
    "classification_metrics",
    "default_xy_apply_gradients",
    "default_xy_compute_gradients",
    "default_xy_compute_gradients_impl",
    "default_xy_test",
    "default_xy_train",
    "fit_gradients",
    "optimizer_step",
    "retrieve_gradients",
    "run_test",
    "run_train",
]

Outputs = list[tuple["torch.Tensor", "torch.Tensor"]]
Step = Callable[["torch.Tensor"], None]


class XYTrainFunction(Protocol):
    def __call__(
        self,
        module: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        criterion: torch.nn.Module,
        data: Iterable[tuple[torch.Tensor, torch.Tensor]],
        device: torch.device,
    ) -> dict[str, Any]: ...


class XYTestFunction(Protocol):
    def __call__(
        self,
        module: torch.nn.Module,
        criterion: torch.nn.Module,
        data: Iterable[tuple[torch.Tensor, torch.Tensor]],
        device: torch.device,
    ) -> dict[str, Any]: ...


class XYComputeGradientsFunction(Protocol):
    def __call__(
        self,
        module: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        criterion: torch.nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        device: torch.device,
    ) -> tuple[dict[str, Any], Any]: ...


class XYComputeGradientsImplFunction(Protocol):
    def __call__(
        self,
        module: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        criterion: torch.nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        device: torch.device,
    ) -> dict[str, Any]: ...


class RetrieveGradientsFunction(Protocol):
    def __call__(self, module: torch.nn.Module) -> Any: ...


class XYApplyGradientsFunction(Protocol):
    def __call__(
        self, module: torch.nn.Module, optimizer: torch.optim.Optimizer, gradients: Any
    ) -> None: ...


def default_xy_train(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: torch.nn.Module,
    data: Iterable[tuple[Any, Any]],
    device: torch.device,
) -> dict[str, Any]:
    """Go through `data`, batches ``(x, y)``, once, one step of `optimizer` per batch.

    Returns
    -------
    dict
        "loss" (mean over all samples, each before the step it led to), and for a classifier,
        "accuracy" (from 0 to 1, likewise).

    Raises
    ------
    ValueError
        When there are no batches.
    """
    return classification_metrics(
        run_train(module, optimizer_step(optimizer), criterion, data, device), criterion
    )


def default_xy_test(
    module: torch.nn.Module,
    criterion: torch.nn.Module,
    data: Iterable[tuple[Any, Any]],
    device: torch.device,
) -> dict[str, Any]:
    """Return the metrics of `default_xy_train` on `data`, without changing the module."""
    return classification_metrics(run_test(module, data, device), criterion)


def default_xy_compute_gradients(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: torch.nn.Module,
    x: Any,
    y: Any,
    device: torch.device,
) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """Return metrics ("loss") and gradients of one batch; the parameters do not change."""
    metrics = default_xy_compute_gradients_impl(module, optimizer, criterion, x, y, device)
    return metrics, retrieve_gradients(module)


def default_xy_compute_gradients_impl(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: torch.nn.Module,
    x: Any,
    y: Any,
    device: torch.device,
) -> dict[str, Any]:
    """Put the gradients of one batch into the parameters' ``grad``, and return the "loss"."""
    module.train()
    optimizer.zero_grad()
    with own_torch_generator():
        loss = criterion(module(as_tensor(x).to(device)), as_tensor(y).to(device))
    loss.backward()
    return {"loss": loss.item()}


def retrieve_gradients(module: torch.nn.Module) -> list[torch.Tensor]:
    """Return copies of the gradients, flat, one per parameter; zeros where there is none."""
    import torch

    gradients = []
    for parameter in module.parameters():
        if parameter.grad is None:
            gradient = torch.zeros_like(parameter)
        else:
            gradient = parameter.grad.clone()
        gradients.append(gradient.detach().flatten())
    return gradients


def default_xy_apply_gradients(
    module: torch.nn.Module, optimizer: torch.optim.Optimizer, gradients: Sequence[Any]
) -> None:
    """Make one step of `optimizer` with `gradients`, one per parameter, flat or in its shape.

    Raises
    ------
    ValueError
        When there are more or fewer gradients than parameters, or one has the wrong size; nothing
        is changed then.
    """
    parameters = list(module.parameters())
    for parameter, gradient in zip(parameters, fit_gradients(gradients, parameters), strict=True):
        # weight decay and momentum move parameters that have a gradient, even one of zeros
        parameter.grad = gradient if parameter.requires_grad else None
    optimizer.step()


# the parts


def run_train(
    module: torch.nn.Module,
    step: Step,
    criterion: Callable[..., torch.Tensor],
    data: Iterable[tuple[Any, Any]],
    device: torch.device | None = None,
    fused_step: Callable[..., torch.Tensor | None] | None = None,
) -> Outputs:
    """Go through `data` once, with a `step` on each batch's loss; return outputs and targets.

    ``fused_step(x, y)``, if given, makes a whole step on a batch and returns the outputs before it,
    or does nothing and returns None.
    """
    module.train()

    def train(batch: tuple[Any, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = map(as_tensor, batch)
        if device is not None:
            inputs, targets = inputs.to(device), targets.to(device)
        outputs = None if fused_step is None else fused_step(inputs, targets)
        if outputs is None:
            outputs = _output(module, inputs)
            step(criterion(outputs, targets))
            outputs = outputs.detach()
        return outputs, targets  # metrics are computed once, at the end, and not in each step

    return each_in_turn(data, train)


def _output(module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    try:
        return module(inputs)
    except ValueError as error:
        if len(inputs) == 1 and "more than 1 value per channel" in str(error):
            raise ValueError(
                "a batch of one sample cannot be trained on where a layer is BatchNorm, which knows"
                " no variance of it: choose a batch_size that leaves no last batch of one, or leave"
                " that out with drop_last=True"
            ) from error
        raise


def run_test(
    module: torch.nn.Module, data: Iterable[tuple[Any, Any]], device: torch.device | None = None
) -> Outputs:
    """Go through `data` once, in evaluation mode; return outputs and targets of each batch."""
    import torch

    def test(batch: tuple[Any, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = map(as_tensor, batch)
        if device is not None:
            inputs, targets = inputs.to(device), targets.to(device)
        return module(inputs), targets

    module.eval()
    with torch.no_grad():  # a module may keep tensors; tensors of inference mode cannot be trained
        return each_in_turn(data, test)


def fit_gradients(
    gradients: Sequence[Any], parameters: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Return copies of `gradients` in the shapes of `parameters`; ValueError if they do not fit."""
    listed = hasattr(gradients, "__len__") and getattr(gradients, "ndim", 1) > 0
    if isinstance(gradients, str | Mapping) or not listed:
        raise ArgumentTypeError(
            "gradients must be a list of tensors or arrays, one per parameter, got"
            f" {short(gradients)}"
        )
    if len(gradients) != len(parameters):
        raise ArgumentError(
            f"there must be one gradient per parameter: {len(parameters)} parameters, "
            f"but {len(gradients)} gradients"
        )
    given = [
        as_tensor(gradient, f"gradient {number}").detach()
        for number, gradient in enumerate(gradients)
    ]
    copies = []
    for number, (parameter, gradient) in enumerate(zip(parameters, given, strict=True)):
        if gradient.numel() != parameter.numel():
            raise ArgumentError(
                f"gradient {number} must have {parameter.numel()} entries, as the parameter has, "
                f"got {gradient.numel()}"
            )
        moved = gradient.to(parameter.device, parameter.dtype, copy=True)
        copies.append(moved.view_as(parameter))
    return copies


def optimizer_step(optimizer: torch.optim.Optimizer) -> Step:
    """Return a function of the loss that makes a step of `optimizer`."""

    def step(loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def classification_metrics(
    batches: Outputs, criterion: Callable[..., torch.Tensor]
) -> dict[str, float]:
    """Return the "loss" over all samples, and the "accuracy" where targets are classes.

    Outputs and targets of each batch are given; a classifier's are (n, classes) and (n,).
    """
    import torch

    if not batches:
        raise ArgumentError("the data set is empty: there are no batches in it")
    with torch.no_grad():
        if len(batches) == 1:
            outputs, targets = batches[0]
        else:
            outputs, targets = map(torch.cat, zip(*batches, strict=True))
        metrics = {"loss": criterion(outputs, targets).item()}
        if outputs.ndim == 2 and targets.ndim == 1 and not targets.is_floating_point():
            right = torch.count_nonzero(outputs.argmax(1) == targets).item()
            metrics["accuracy"] = float(np.float32(right) / np.float32(len(targets)))
    return metrics


def as_tensor(value: Any, what: str = "what is given") -> torch.Tensor:
    """Return `value` as a tensor, which shares its memory where that is allowed.

    ArgumentTypeError, which names `what`, for a value that is no tensor, array or numbers.
    """
    import torch

    try:
        if isinstance(value, np.ndarray):
            if not value.flags.carray:
                value = np.require(value, requirements=["C", "W"])
            return torch.from_numpy(value)
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentTypeError(
            f"{what} must be a tensor, an array or numbers, got {short(value)} ({error})"
        ) from error
