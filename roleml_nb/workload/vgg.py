"""VGG.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR
2015, table 1 (configurations A, D and E).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.numbers import check_count, check_size

from .templates import SimpleTorchXYModel

if TYPE_CHECKING:
    import torch

__all__ = ["VGGArchType", "VGGLiteModel", "VGGModel", "vgg", "vgg_arch", "vgg_block", "vgg_lite"]

VGGArchType = Literal["VGG11", "VGG16", "VGG19"]

vgg_arch: dict[VGGArchType, Sequence[tuple[int, int]]] = {
    "VGG11": ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)),
    "VGG16": ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
    "VGG19": ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)),
}
"""The blocks of each network: the number of convolutions, and of channels that come out."""


def vgg_block(num_convs: int, in_channels: int, out_channels: int) -> torch.nn.Sequential:
    """Build `num_convs` 3x3 convolutions with rectifiers, then pooling that halves an image."""
    from torch import nn

    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def vgg(
    *,
    in_channels: int = 1,
    conv_arch: Sequence[tuple[int, int]] = vgg_arch["VGG11"],
    image_size: int = 224,
    classes: int = 10,
) -> torch.nn.Sequential:
    """Build the network of the paper: five blocks, and three linear layers with dropout.

    Parameters
    ----------
    in_channels : int
        Channels of an image.
    conv_arch : sequence of (convolutions, channels)
        The blocks; see `vgg_arch`.
    image_size : int
        Height and width of an image: inputs are (batch, in_channels, image_size, image_size). At
        least 2 to the number of blocks, so 32 for five.
    classes : int
        Logits are (batch, classes).
    """
    from torch import nn

    side = _side(image_size, conv_arch)
    in_channels, classes = _check_sizes(in_channels, conv_arch, side, classes, 4096)
    return nn.Sequential(
        *_blocks(in_channels, conv_arch),
        nn.Flatten(),
        nn.Linear(conv_arch[-1][1] * side * side, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, classes),
    )


def vgg_lite(
    *,
    in_channels: int = 1,
    conv_arch: Sequence[tuple[int, int]] = vgg_arch["VGG11"],
    image_size: int = 32,
    classes: int = 10,
) -> torch.nn.Sequential:
    """Build the blocks of `vgg`, then one linear layer, for small images; options as for `vgg`."""
    from torch import nn

    side = _side(image_size, conv_arch)
    in_channels, classes = _check_sizes(in_channels, conv_arch, side, classes, 0)
    return nn.Sequential(
        *_blocks(in_channels, conv_arch),
        nn.Flatten(),
        nn.Linear(conv_arch[-1][1] * side * side, classes),
    )


def _check_sizes(
    in_channels: int, conv_arch: Sequence[tuple[int, int]], side: int, classes: int, hidden: int
) -> tuple[int, int]:
    channels = check_count("in_channels", in_channels, 1)
    outputs = check_count("classes", classes, 1)
    flat = conv_arch[-1][1] * side * side
    check_size(
        "a model of these in_channels, image_size and classes",
        9 * channels * conv_arch[0][1] + flat * (hidden or outputs) + hidden * outputs,
    )
    return channels, outputs


def _side(image_size: int, conv_arch: Sequence[tuple[int, int]]) -> int:
    """Return height and width of the images that come out of the blocks."""
    image_size = check_count("image_size", image_size, 1, 2**16)
    least = 2 ** len(conv_arch)
    if image_size < least:
        raise ArgumentError(
            f"image_size must be {least} or more for {len(conv_arch)} blocks, got {image_size!r}"
        )
    return image_size // least


def _blocks(in_channels: int, conv_arch: Sequence[tuple[int, int]]) -> list[torch.nn.Module]:
    blocks: list[torch.nn.Module] = []
    for num_convs, out_channels in conv_arch:
        blocks.append(vgg_block(num_convs, in_channels, out_channels))
        in_channels = out_channels
    return blocks


class VGGModel(SimpleTorchXYModel):
    """`vgg` with cross entropy and Adam.

    Options: `type`, `in_channels`, `lr`, and all options of `vgg`.
    """

    vgg_maker: ClassVar[Callable[..., torch.nn.Sequential]] = staticmethod(vgg)

    def build_model(
        self, type: VGGArchType = "VGG11", in_channels: int = 1, lr: float = 0.01, **options: Any
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer, torch.nn.Module]:
        from torch import nn, optim

        if type not in vgg_arch:
            raise ArgumentError(f"type must be one of {', '.join(vgg_arch)}, got {type!r}")
        sizes = {name: options[name] for name in ("image_size", "classes") if name in options}
        module = self.__class__.vgg_maker(
            in_channels=in_channels, conv_arch=vgg_arch[type], **sizes
        )
        return module, optim.Adam(module.parameters(), lr=lr), nn.CrossEntropyLoss()


class VGGLiteModel(VGGModel):
    """`vgg_lite` with cross entropy and Adam. Options as for `VGGModel`."""

    vgg_maker = staticmethod(vgg_lite)
