"""A model with all that a state dict may have, and the same one as a plain vector of what is
trained.
"""

import numpy as np
import torch

from roleml_nb.workload import ArrayDataset, TorchClassifier

INPUTS, WIDTH = 3, 4
SAMPLES = (24, 8, 16)
FROZEN, BUFFERS = ("frozen.weight", "frozen.bias"), ("norm.running_mean", "norm.running_var")
TRAINED = (
    "scale",
    "norm.weight",
    "norm.bias",
    "into.weight",
    "square.weight",
    "out.weight",
    "out.bias",
)


class Odd(torch.nn.Module):
    """BatchNorm of the inputs, whose statistics are of the data alone; a tied, a frozen and a 0-d
    weight; counter and mask.
    """

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(INPUTS)
        self.into = torch.nn.Linear(INPUTS, WIDTH, bias=False)
        self.frozen = torch.nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.square = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.again = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.again.weight = self.square.weight
        self.scale = torch.nn.Parameter(torch.tensor(1.5))
        self.out = torch.nn.Linear(WIDTH, 2)
        self.register_buffer("mask", torch.tensor([True, False, True, True]))

    def forward(self, x):
        inner = torch.tanh(self.frozen(self.into(self.norm(x))))
        return self.out(self.scale * self.again(torch.tanh(self.square(inner))) * self.mask)


def samples(part):
    x = (
        np.random.default_rng(part)
        .normal(part, 1 + part, size=(SAMPLES[part], INPUTS))
        .astype(np.float32)
    )
    return ArrayDataset(x, (x.sum(1) > 3 * part).astype(np.int64), batch_size=100)


def odd(lr=0.1):
    return TorchClassifier(Odd, lr=lr, seed=0)


def thawed(lr=0.1):
    """The same, with nothing frozen."""
    model = odd(lr)
    model.module.requires_grad_(True)
    return model


def flat(params):
    """What is trained, each weight once, as a vector."""
    return np.concatenate([np.asarray(params[name]).ravel() for name in TRAINED])


class Flat:
    """The same model; its parameters are one plain vector of what is trained."""

    def __init__(self, lr=0.1):
        self.lr, self.inner = lr, odd(lr)

    def get_params(self):
        return {"w": flat(self.inner.get_params())}

    def set_params(self, params):
        own, start = self.inner.get_params(), 0
        for name in TRAINED:
            size = own[name].numel()
            own[name] = torch.as_tensor(np.asarray(params["w"])[start : start + size]).reshape(
                own[name].shape
            )
            start += size
        own["again.weight"] = own["square.weight"]
        self.inner.set_params(own)

    def train(self, data, **options):
        return self.inner.train(data, **options)

    def test(self, data):
        return self.inner.test(data)


def statistics(part):
    """Mean and (unbiased) variance of the one batch of a node."""
    x = samples(part).x.astype(np.float64)
    return np.stack([x.mean(0), x.var(0, ddof=1)])


def renewed(running, part):
    """The statistics after one more training of a node: BatchNorm's momentum is 0.1."""
    return 0.9 * running + 0.1 * statistics(part)


START = np.stack([np.zeros(INPUTS), np.ones(INPUTS)])


def check(params, weights, running, batches):
    """The model has these trained weights and statistics; its counter has seen so many batches;
    what is frozen is as before.
    """
    first = odd().get_params()
    assert list(params) == list(first)
    np.testing.assert_allclose(flat(params), weights, rtol=2e-4, atol=2e-6)
    np.testing.assert_allclose(
        np.stack([np.asarray(params[name]) for name in BUFFERS]), running, rtol=1e-5, atol=1e-6
    )
    for name in (*FROZEN, "mask"):
        assert torch.equal(torch.as_tensor(params[name]), first[name]), name
    assert torch.equal(params["again.weight"], params["square.weight"])
    assert int(params["norm.num_batches_tracked"]) == batches
    for name, entry in first.items():
        assert params[name].dtype == entry.dtype and params[name].shape == entry.shape, name
