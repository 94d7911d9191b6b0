"""Templates of torch models, and the helpers they are made of."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from roleml_nb import RoleMLError, Testbed, impl, role
from roleml_nb.library import EpochTrainer
from roleml_nb.role import ArgumentError
from roleml_nb.workload import ArrayDataset, TorchClassifier
from roleml_nb.workload.steps import (
    default_xy_apply_gradients,
    default_xy_compute_gradients,
    default_xy_train,
)
from roleml_nb.workload.templates import (
    SimpleTorchModel,
    SimpleTorchXYModel,
    SimpleTorchXYTestableModel,
)

X = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
Y = np.arange(30) % 3


class Linear(SimpleTorchXYModel):
    def build_model(self, lr=0.1, **options):
        module = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 3))
        return (
            module,
            torch.optim.SGD(module.parameters(), lr=lr, momentum=0.9),
            nn.CrossEntropyLoss(),
        )


def data(size=7):
    return ArrayDataset(X, Y, batch_size=size)


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("copies", [True, False])
def test_params_are_a_snapshot_whatever_is_asked(copies):
    model = Linear(copy_on_get_params=copies)
    snapshot = model.get_params()
    kept = copy.deepcopy(snapshot)
    model.train(data())
    assert same(snapshot, kept) and not same(model.get_params(), kept)
    snapshot["0.weight"] += 100
    assert model.get_params()["0.weight"].abs().max() < 100


def test_it_fits_the_protocols():
    model = Linear()
    assert isinstance(model, role.TrainableModel) and isinstance(model, role.TestableModel)
    assert isinstance(model, role.GradientsOperableModel)


def test_training_equals_the_loop_written_out():
    model = Linear(seed=3)
    module = copy.deepcopy(model.module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    torch.manual_seed(5)
    losses = []
    module.train()
    for x, y in data():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(torch.as_tensor(x)), torch.as_tensor(y))
        loss.backward()
        optimizer.step()
        losses += [loss.item()] * len(x)
    torch.manual_seed(5)  # dropout draws from the global generator
    metrics = model.train(data())
    assert same(model.get_params(), module.state_dict())
    assert metrics["loss"] == pytest.approx(np.mean(losses)) and 0 <= metrics["accuracy"] <= 1


def test_testing_changes_nothing_and_counts_samples():
    model = Linear()
    before = model.get_params()
    one, other = model.test(data(7)), model.test(data(30))
    assert one == pytest.approx(other) and same(model.get_params(), before)
    model.module.eval()
    with torch.no_grad():
        hits = (model.module(torch.as_tensor(X)).argmax(1).numpy() == Y).mean()
    assert one["accuracy"] == pytest.approx(hits)


def test_the_global_generators_stay_and_decide_the_weights_unless_a_seed_does():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, seeded = Linear(), Linear(seed=9)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    two = Linear()
    assert not same(one.get_params(), two.get_params())
    assert same(seeded.get_params(), Linear(seed=9).get_params())
    torch.manual_seed(1)
    assert same(one.get_params(), Linear().get_params())


@pytest.mark.parametrize(
    "make",
    [
        Linear,
        lambda: TorchClassifier(lambda: nn.Linear(6, 3), optimizer=torch.optim.SGD),
        lambda: TorchClassifier(lambda: nn.Linear(6, 3)),
    ],
)
def test_gradients_computed_and_applied_are_a_step_of_training(make):
    torch.manual_seed(0)
    stepped = make()
    torch.manual_seed(0)
    trained = make()
    torch.manual_seed(7)
    metrics, gradients = stepped.compute_gradients((X, Y))
    kept = [gradient.clone() for gradient in gradients]
    stepped.apply_gradients(gradients)
    stepped.compute_gradients((X, Y))
    # they are no live buffers
    assert all(torch.equal(one, two) for one, two in zip(gradients, kept, strict=True))
    torch.manual_seed(7)
    expected = trained.train([(X, Y)])
    assert metrics["loss"] == pytest.approx(expected["loss"])
    for name, value in trained.get_params().items():
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(stepped.get_params()[name], value)


def test_gradients_of_one_model_apply_to_another_that_has_computed_none():
    source, target = Linear(seed=1), Linear(seed=1)
    _, gradients = source.compute_gradients((X, Y))
    source.apply_gradients(gradients)
    target.apply_gradients([gradient.numpy() for gradient in gradients])
    assert torch.equal(source.get_params()["0.weight"], target.get_params()["0.weight"])


@pytest.mark.parametrize("model", [Linear(), TorchClassifier(lambda: nn.Linear(6, 3))])
def test_gradients_that_do_not_fit_are_refused_and_change_nothing(model):
    before = model.get_params()
    _, gradients = model.compute_gradients((X, Y))
    with pytest.raises(
        ValueError, match=r"one gradient per parameter: \d parameters, but 1 gradients"
    ):
        model.apply_gradients(gradients[:1])
    with pytest.raises(
        ValueError, match=r"gradient 1 must have \d entries, as the parameter has, got (24|18)"
    ):
        model.apply_gradients([gradients[0], gradients[0], *gradients[2:]])
    with pytest.raises(TypeError, match="gradients must be a list of tensors or arrays, one per"):
        model.apply_gradients(torch.tensor(1.0))
    assert torch.equal(model.get_params()[next(iter(before))], before[next(iter(before))])


def test_a_parameter_without_a_gradient_gets_zeros():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(6, 3), nn.Linear(2, 2)

        def forward(self, x):
            return self.used(x)

    module = Half()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    _, gradients = default_xy_compute_gradients(
        module, optimizer, nn.CrossEntropyLoss(), X, Y, torch.device("cpu")
    )
    assert gradients[2].tolist() == [0] * 4
    before = module.idle.weight.clone()
    default_xy_apply_gradients(module, optimizer, gradients)
    assert torch.equal(module.idle.weight, before)


def test_regression_has_a_loss_and_no_accuracy():
    module = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    pairs = [(X, X[:, :1])]
    metrics = default_xy_train(module, optimizer, nn.MSELoss(), pairs, torch.device("cpu"))
    assert set(metrics) == {"loss"}


def test_no_batches_is_an_error():
    with pytest.raises(ValueError, match="the data set is empty: there are no batches in it"):
        Linear().train([])


def test_a_model_must_say_how_it_is_built():
    with pytest.raises(TypeError, match="build_model"):
        SimpleTorchXYTestableModel()
    assert issubclass(Linear, SimpleTorchModel)


def test_the_cpu_is_taken_where_there_is_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Linear(device="cuda").device == torch.device("cpu") == Linear(device="CUDA:1").device
    model = Linear()
    assert model.get_device("meta") == torch.device("meta")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert model.get_device("cuda") == torch.device("cuda")
    for name in ("", "gpu"):
        with pytest.raises(
            ArgumentError, match=f"device must be 'cpu', 'cuda', 'cuda:1' or the like, got '{name}'"
        ):
            Linear(device=name)


class Decayed(SimpleTorchXYModel):
    def build_model(self):
        module = torch.nn.Sequential(
            torch.nn.Linear(3, 4).requires_grad_(False), torch.nn.Linear(4, 2)
        )
        return (
            module,
            torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5),
            torch.nn.CrossEntropyLoss(),
        )


def test_gradients_do_not_move_what_is_frozen():
    model = Decayed(seed=1)
    before = model.get_params()
    _, gradients = model.compute_gradients((torch.ones(2, 3), torch.tensor([0, 1])))
    assert [gradient.numel() for gradient in gradients] == [12, 4, 8, 2] and not gradients[0].any()
    model.apply_gradients(gradients)
    after = model.get_params()
    assert torch.equal(after["0.weight"], before["0.weight"]) and not torch.equal(
        after["1.weight"], before["1.weight"]
    )


class Descent:
    """An optimizer of one's own, which is no class of torch's."""

    def __init__(self, parameters):
        self.parameters = list(parameters)

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        with torch.no_grad():
            for parameter in self.parameters:
                parameter -= 0.1 * parameter.grad


class Own(SimpleTorchXYModel):
    def build_model(self, **options):
        module = nn.Linear(6, 3)
        return module, Descent(module.parameters()), nn.CrossEntropyLoss()


def test_an_optimizer_of_ones_own_needs_no_state(bed):
    assert Own().optimizer_state() is None
    Own().set_optimizer_state(None)
    with pytest.raises(
        role.ArgumentError,
        match=r"Descent, the optimizer of Own, has no 'state' that could be cleared: give",
    ):
        Own().reset_optimizer()
    bed.spawn("own")
    bed.assign(
        "own",
        "trainer",
        EpochTrainer,
        elements={"model": impl(Own, seed=0), "dataset": impl(ArrayDataset, X, Y)},
    )
    before = bed.call("own/trainer", "get-model")
    bed.call("own/trainer", "apply-update", payloads={"update": before})
    assert not same(bed.call("own/trainer", "train", {"num_epochs": 1}), before)


def test_more_threads_than_a_process_can_have_are_refused():
    threads = torch.get_num_threads()
    with pytest.raises(RoleMLError, match="num_threads must be from 0 to 512, got 513"):
        Linear(num_threads=513)
    with pytest.raises(RoleMLError, match="threads must be from 1 to 512, got 10000"):
        Testbed(engines=0, threads=10_000)
    assert torch.get_num_threads() == threads
