"""LeNet-5.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, in the form of Zhang, Lipton, Li and Smola, "Dive into Deep
Learning", section 7.6: dense second convolution, plain average pooling, linear output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from roleml_nb.role.checks.names import check_choice

from .templates import SimpleTorchXYModel

if TYPE_CHECKING:
    import torch

__all__ = ["LeNet5Model", "LeNet5RGBModel", "lenet5", "lenet5_rgb"]


def lenet5() -> torch.nn.Sequential:
    """Build LeNet-5 for images of one channel, with 61,706 parameters.

    Inputs are (batch, 1, 28, 28), logits (batch, 10).
    """
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        nn.Sigmoid(),
        nn.Linear(84, 10),
    )


def lenet5_rgb() -> torch.nn.Sequential:
    """Build LeNet-5 for images of three channels, with 62,006 parameters.

    Inputs are (batch, 3, 32, 32), logits (batch, 10). It has max pooling, and one rectifier, after
    the first convolution, as RoleML's has.
    """
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 6, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.Linear(120, 84),
        nn.Linear(84, 10),
    )


class LeNet5Model(SimpleTorchXYModel):
    """`lenet5` with cross entropy.

    Options: `optimizer`, `lr` (more than 0), and for Adam, `weight_decay`.
    """

    def build_model(
        self, optimizer: Literal["sgd", "adam"] = "sgd", lr: float = 0.01, **options: Any
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.nn.Module]:
        return _with_optimizer(lenet5(), optimizer, lr, **options)


class LeNet5RGBModel(SimpleTorchXYModel):
    """`lenet5_rgb` with cross entropy. Options as for `LeNet5Model`."""

    def build_model(
        self, optimizer: Literal["sgd", "adam"] = "sgd", lr: float = 0.01, **options: Any
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.nn.Module]:
        return _with_optimizer(lenet5_rgb(), optimizer, lr, **options)


def _with_optimizer(
    module: torch.nn.Module, optimizer: str, lr: float, weight_decay: float = 0.0, **_: Any
) -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.nn.Module]:
    from torch import nn, optim

    check_choice("optimizer", optimizer, ("sgd", "adam"))
    made: torch.optim.Optimizer
    if optimizer == "sgd":
        made = optim.SGD(module.parameters(), lr=lr)
    else:
        made = optim.Adam(module.parameters(), lr=lr, weight_decay=weight_decay, amsgrad=True)
    return module, made, nn.CrossEntropyLoss()
