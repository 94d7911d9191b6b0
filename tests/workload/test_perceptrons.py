"""Training in closed form: to the last bit what automatic differentiation gives, and left to that
wherever it is more.
"""

import pytest
import torch
from torch import nn

from roleml_nb.workload import ArrayDataset, TorchClassifier, digits, logistic_regression, mlp
from roleml_nb.workload.perceptrons import make_descent


def recorded(model):
    """The same model, trained by torch."""
    return TorchClassifier(lambda: model.module, optimizer=torch.optim.SGD, lr=model.lr)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mlp(64, 10),
        lambda: mlp(64, 10, hidden=(30, 20)),
        lambda: logistic_regression(64, 10),
        lambda: TorchClassifier(lambda: nn.Linear(64, 10)),
    ],
)
def test_it_is_what_automatic_differentiation_gives(make):
    ours, theirs = make(), recorded(make())
    assert make_descent(ours.module, 0.1) is not None
    for _ in range(3):
        assert ours.train(digits(part=0, parts=10)) == theirs.train(digits(part=0, parts=10))
    for name, value in theirs.get_params().items():
        assert torch.equal(value, ours.get_params()[name])


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10)),
        lambda: nn.Sequential(nn.Linear(64, 8), nn.ReLU()),
        lambda: nn.Linear(64, 10).requires_grad_(False),
        lambda: nn.Sequential(nn.Linear(64, 2000), nn.ReLU(), nn.Linear(2000, 600)),
    ],
)
def test_everything_else_is_left_to_torch(build):
    assert make_descent(build(), 0.1) is None


def test_who_listens_to_the_module_is_called():
    model, heard = mlp(64, 10), []
    model.module[0].register_forward_hook(lambda *_: heard.append(1))
    model.train(digits(part=0, parts=100))
    assert heard


def test_unusual_batches_are_torchs_to_judge():
    x, y = digits(part=0, parts=50).x, digits(part=0, parts=50).y.copy()
    with pytest.raises(RuntimeError, match="dtype"):
        mlp(64, 10).train(ArrayDataset(x.astype("f8"), y))
    y[::2] = -100  # which cross entropy leaves out
    ours, theirs = mlp(64, 10), recorded(mlp(64, 10))
    ours.train([(x, y)])
    theirs.train([(x, y)])
    assert all(
        torch.equal(value, ours.get_params()[name]) for name, value in theirs.get_params().items()
    )
    with pytest.raises(IndexError, match="Target 10 is out of bounds"):
        mlp(64, 10).train([(x, y * 0 + 10)])
