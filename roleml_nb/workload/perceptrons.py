"""Training of perceptrons by plain gradient descent, with gradients in closed form: a third of the
time of a recorded one.

It computes what torch's automatic differentiation does, operation by operation. For small models on
small batches, as on a hundred nodes of one machine, keeping the record takes longer than the
arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["make_descent"]

MAX_PARAMETERS = 1 << 20
"""Parameters from which on the arithmetic takes so much longer that there is nothing to win."""

Descent = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor | None"]


def make_descent(module: Any, lr: float) -> Descent | None:
    """Return a function that makes one step on a batch, inputs and classes, and returns the outputs
    before the step.

    None when `module` is anything else than linear layers with rectified linear units between them,
    on the processor, all of them trained, and nobody listening to them; and for large ones. The
    function returns None, and does nothing, when a batch is not what such a module takes, or has
    classes that it does not know.
    """
    import torch
    from torch import nn

    layers: list[Any] = list(module) if type(module) is nn.Sequential else [module]
    linear = layers[::2]
    if (
        len(layers) % 2 == 0
        or _is_watched([module, *layers])
        or not (
            all(type(layer) is nn.Linear for layer in linear)
            and all(type(layer) is nn.ReLU for layer in layers[1::2])
        )
    ):
        return None
    trained = [parameter for layer in linear for parameter in (layer.weight, layer.bias)]
    if not all(type(one) is nn.Parameter and one.requires_grad and one.is_cpu for one in trained):
        return None
    shared = len({id(one) for one in trained}) < len(trained)
    if (
        shared
        or len({one.dtype for one in trained}) > 1
        or sum(one.numel() for one in trained) > MAX_PARAMETERS
    ):
        return None
    values = [parameter.detach() for parameter in trained]
    return partial(_descend, torch, values, lr)


def _is_watched(modules: list[Any]) -> bool:
    from torch.nn.modules import module as everyone

    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    everywhere = any(getattr(everyone, f"_global{kind}", None) for kind in kinds)
    return everywhere or any(module.__dict__.get(kind) for module in modules for kind in kinds)


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
    """`values`: weight (outputs, inputs) and bias (outputs,) of each layer in turn."""
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
