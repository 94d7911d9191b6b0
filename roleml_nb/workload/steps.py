"""The loops that train and test a torch module, and their parts. torch is imported when the first
one is called.
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
    """Return the metrics of `default_xy_train` on `data`, in evaluation mode; the module does not
    change.
    """
    return classification_metrics(run_test(module, data, device), criterion)


def default_xy_compute_gradients(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: torch.nn.Module,
    x: Any,
    y: Any,
    device: torch.device,
) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """Metrics ("loss") and `retrieve_gradients` of one batch; the parameters do not change."""
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
    """Leave the gradients of one batch in the parameters' ``grad``, and return the "loss"."""
    module.train()
    optimizer.zero_grad()
    with own_torch_generator():
        loss = criterion(module(as_tensor(x).to(device)), as_tensor(y).to(device))
    loss.backward()
    return {"loss": loss.item()}


def retrieve_gradients(module: torch.nn.Module) -> list[torch.Tensor]:
    """Copies of the gradients, flat, one per parameter; zeros for a parameter that has none."""
    import torch

    return [
        (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone())
        .detach()
        .flatten()
        for parameter in module.parameters()
    ]


def default_xy_apply_gradients(
    module: torch.nn.Module, optimizer: torch.optim.Optimizer, gradients: Sequence[Any]
) -> None:
    """Make one step of `optimizer` with `gradients`, one per parameter, flat or in the parameter's
    shape.

    Raises
    ------
    ValueError
        When there are more or fewer gradients than parameters, or one has the wrong size; nothing
        is changed then.
    """
    parameters = list(module.parameters())
    for parameter, gradient in zip(parameters, fit_gradients(gradients, parameters), strict=True):
        # an optimizer with weight decay or momentum moves what has a gradient, be it zero
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
    """Go through `data` once, with a `step` on each batch's loss; what the module said, and what
    was right.

    ``fused_step(x, y)``, if given, does all of it for a batch and returns what the module said, or
    does nothing: None.
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
        return outputs, targets  # reduced once, at the end: no waiting for numbers per step

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
    """Go through `data` once, in evaluation mode; what the module said, and what was right."""
    import torch

    def test(batch: tuple[Any, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = map(as_tensor, batch)
        return (
            (module(inputs), targets)
            if device is None
            else (module(inputs.to(device)), targets.to(device))
        )

    module.eval()
    with torch.no_grad():  # in inference mode, what a module keeps of it could not be trained with
        return each_in_turn(data, test)


def fit_gradients(
    gradients: Sequence[Any], parameters: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Copies of `gradients` in the shapes of `parameters`; ValueError when they do not fit."""
    if isinstance(gradients, str | Mapping) or not hasattr(gradients, "__len__"):
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
    for number, (parameter, gradient) in enumerate(zip(parameters, given, strict=True)):
        if gradient.numel() != parameter.numel():
            raise ArgumentError(
                f"gradient {number} must have {parameter.numel()} entries, as the parameter has, "
                f"got {gradient.numel()}"
            )
    return [
        gradient.to(parameter.device, parameter.dtype, copy=True).view_as(parameter)
        for parameter, gradient in zip(parameters, given, strict=True)
    ]


def optimizer_step(optimizer: torch.optim.Optimizer) -> Step:
    """Return a function that makes a step of `optimizer`, given the loss."""

    def step(loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def classification_metrics(
    seen: Outputs, criterion: Callable[..., torch.Tensor]
) -> dict[str, float]:
    """Return the "loss" over all samples, and the "accuracy" where outputs are (n, classes) and
    targets are classes.
    """
    import torch

    if not seen:
        raise ArgumentError("the data set is empty: there are no batches in it")
    with torch.no_grad():
        outputs, targets = seen[0] if len(seen) == 1 else map(torch.cat, zip(*seen, strict=True))
        metrics = {"loss": criterion(outputs, targets).item()}
        if outputs.ndim == 2 and targets.ndim == 1 and not targets.is_floating_point():
            right = torch.count_nonzero(outputs.argmax(1) == targets).item()
            metrics["accuracy"] = float(np.float32(right) / np.float32(len(targets)))
    return metrics


def as_tensor(value: Any, what: str = "what is given") -> torch.Tensor:
    """`value` as a tensor, shared where that is allowed; ArgumentTypeError, which names `what`, for
    what is none.
    """
    import torch

    try:
        if isinstance(value, np.ndarray):
            return torch.from_numpy(
                value if value.flags.carray else np.require(value, requirements=["C", "W"])
            )
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentTypeError(
            f"{what} must be a tensor, an array or numbers, got {short(value)} ({error})"
        ) from error
