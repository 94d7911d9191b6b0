import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from roleml_nb import role
from roleml_nb.workload import ArrayDataset, TorchClassifier, digits, digits_test, mlp


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_it_fits_the_protocols():
    assert isinstance(mlp(), role.TrainableModel) and isinstance(mlp(), role.TestableModel)


def test_it_learns_digits():
    model, train = mlp(), digits()
    for _ in range(20):
        metrics = model.train(train)
    assert metrics["accuracy"] > 0.95
    tested = model.test(digits_test())
    assert tested["accuracy"] > 0.9 and tested["loss"] < 0.4
    assert type(tested["loss"]) is float


def test_plain_sgd_equals_torch_sgd():
    def train(**options):
        model = TorchClassifier(partial(torch.nn.Linear, 64, 10), lr=0.05, **options)
        first = model.train(digits(batch_size=64), epochs=2)
        model.train(digits(batch_size=64), lr=0.2)
        return first, model.get_params()

    ours, torchs = train(), train(optimizer=torch.optim.SGD)
    assert ours[0] == pytest.approx(torchs[0])
    for name, value in ours[1].items():
        torch.testing.assert_close(value, torchs[1][name])


def test_the_seed_decides_the_weights_and_the_global_state_stays():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, two, other = mlp(seed=1), mlp(seed=1), mlp(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(one.get_params(), two.get_params()) and not same(
        one.get_params(), other.get_params()
    )


def test_params_are_snapshots_both_ways():
    model = mlp()
    snapshot = model.get_params()
    kept = {name: value.clone() for name, value in snapshot.items()}
    model.train(digits())
    assert same(snapshot, kept) and not same(model.get_params(), kept)
    model.set_params(snapshot)
    assert same(model.get_params(), kept)
    model.train(digits())
    assert same(snapshot, kept)


def test_arrays_are_taken_as_params_even_when_read_only():
    source, model = mlp(seed=1), mlp(seed=2)
    arrays = {name: value.numpy() for name, value in source.get_params().items()}
    for array in arrays.values():
        array.flags.writeable = False
    model.set_params(arrays)
    assert same(model.get_params(), source.get_params())


def test_set_params_names_what_does_not_fit_and_changes_nothing():
    model = mlp()
    before = model.get_params()
    params = model.get_params()
    params["head"] = params.pop("2.bias")
    with pytest.raises(ValueError, match="missing 2.bias; unexpected head"):
        model.set_params(params)
    with pytest.raises(ValueError, match=r"0.weight must have shape \(64, 64\), got \(8, 64\)"):
        model.set_params(mlp(hidden=8).get_params())
    assert same(model.get_params(), before)


def test_loss_is_the_mean_over_samples_whatever_the_batches():
    x, y = digits().x[:50].copy(), digits().y[:50].copy()
    losses = [mlp().test(ArrayDataset(x, y, batch_size=size))["loss"] for size in (7, 50)]
    assert losses[0] == pytest.approx(losses[1])


def test_a_trained_model_can_be_pickled():
    model = TorchClassifier(partial(torch.nn.Linear, 64, 10), optimizer=torch.optim.Adam, lr=0.01)
    model.train(digits())
    copy = pickle.loads(pickle.dumps(model))
    assert model.train(digits()) == copy.train(digits()) and same(
        model.get_params(), copy.get_params()
    )


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: mlp(lr=0), "lr must be more than 0, got 0"),
        (lambda: mlp().train(digits(), lr=-1), "lr must be more than 0, got -1"),
        (lambda: mlp().train(digits(), epochs=0), "epochs must be 1 or more, got 0"),
        (lambda: mlp().test(ArrayDataset(np.zeros((0, 64)), np.zeros(0))), "the data set is empty"),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(act, text):
    with pytest.raises(ValueError, match=text):
        act()


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import roleml_nb.workload, roleml_nb.library", "torch"),
        ("from roleml_nb.workload import digits, mlp; mlp().train(digits())", "torch._dynamo"),
        ("from roleml_nb.workload import digits; digits()", "sklearn"),
    ],
)
def test_slow_imports_are_avoided(code, module):
    check = f"{code}; import sys; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=120).returncode == 0
