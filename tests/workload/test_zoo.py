"""LeNet-5 and VGG: shapes, and the parameter counts that their papers and textbooks give."""

import pytest
import torch

from roleml_nb import role
from roleml_nb.workload.lenet import LeNet5Model, LeNet5RGBModel, lenet5, lenet5_rgb
from roleml_nb.workload.vgg import VGGLiteModel, VGGModel, vgg, vgg_arch, vgg_block, vgg_lite


def size(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(
    ("build", "shape", "count"),
    [(lenet5, (2, 1, 28, 28), 61_706), (lenet5_rgb, (2, 3, 32, 32), 62_006)],
)
def test_lenet(build, shape, count):
    assert build()(torch.zeros(shape)).shape == (2, 10)
    assert size(build()) == count


@pytest.mark.parametrize(
    ("arch", "count", "layers"),
    [("VGG11", 132_863_336, 11), ("VGG16", 138_357_544, 16), ("VGG19", 143_667_240, 19)],
)
def test_vgg_has_the_published_number_of_parameters_and_layers(arch, count, layers):
    with torch.device("meta"):  # shapes only, no memory
        module = vgg(in_channels=3, conv_arch=vgg_arch[arch], classes=1000)
        assert module(torch.empty(1, 3, 224, 224)).shape == (1, 1000)
    assert size(module) == count
    assert (
        sum(isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) for layer in module.modules())
        == layers
    )


@pytest.mark.parametrize("image_size", [32, 64, 112, 224])
def test_vgg_takes_images_of_other_sizes(image_size):
    with torch.device("meta"):
        images = torch.empty(2, 1, image_size, image_size)
        assert vgg(image_size=image_size)(images).shape == (2, 10)
        assert vgg_lite(image_size=image_size)(images).shape == (2, 10)


def test_vgg_lite_is_the_blocks_and_one_linear_layer():
    with torch.device("meta"):
        module = vgg_lite(in_channels=3)
        blocks = sum(
            size(vgg_block(count, before, after))
            for (count, after), before in zip(
                vgg_arch["VGG11"], (3, 64, 128, 256, 512), strict=True
            )
        )
    assert size(module) == blocks + 512 * 10 + 10


def learn(model, x, steps):
    y = torch.arange(len(x)) % 10
    losses = [model.train([(x, y)])["loss"] for _ in range(steps)]
    assert isinstance(model, role.TrainableModel) and isinstance(model, role.GradientsOperableModel)
    return losses


def test_the_models_learn():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(10, 3, 32, 32, generator=generator)
    small = torch.randn(10, 1, 28, 28, generator=generator)
    for model, x, steps in [
        (LeNet5RGBModel(seed=0, lr=0.1), images, 12),
        (LeNet5Model(seed=0, optimizer="adam", lr=0.01, weight_decay=0.0), small, 12),
        (VGGLiteModel(seed=0, in_channels=3, lr=0.001), images, 4),
    ]:
        losses = learn(model, x, steps)
        assert losses[-1] < losses[0], type(model).__name__


def test_a_network_of_ones_own_makes_a_vgg_model():
    class Tiny(VGGModel):
        vgg_maker = lambda *, in_channels, conv_arch: torch.nn.Sequential(  # noqa: E731
            torch.nn.Flatten(), torch.nn.Linear(in_channels * len(conv_arch), 2)
        )

    assert size(Tiny(in_channels=3).module) == 3 * 5 * 2 + 2


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: VGGLiteModel(type="VGG13"),
            "type must be one of VGG11, VGG16, VGG19, got 'VGG13'",
        ),
        (lambda: vgg(image_size=16), "image_size must be 32 or more for 5 blocks, got 16"),
        (lambda: LeNet5Model(optimizer="lbfgs"), "optimizer must be 'sgd' or 'adam', got 'lbfgs'"),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(make, text):
    with pytest.raises(ValueError, match=text):
        make()
