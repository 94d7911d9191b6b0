"""Repetitions: the same seed gives the same numbers, another one others, on one process and on
engines.
"""

import hashlib
import logging
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from roleml_nb import Each, Role, Service, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.role import generator
from roleml_nb.role.randomness import torch_generator
from roleml_nb.workload import ArrayDataset, SimpleTorchXYModel, TorchClassifier, digits, mlp


@pytest.fixture(autouse=True)
def one_thread():
    """torch adds up in another order with another number of threads; engines get ``threads=1``."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dropping():
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 10))


class Template(SimpleTorchXYModel):
    def build_model(self, **options):
        module = dropping()
        return module, torch.optim.SGD(module.parameters(), lr=0.1), nn.CrossEntropyLoss()


class Own:
    """A model as people write one: random weights, random layers, no seed anywhere."""

    def __init__(self):
        self.module = dropping()

    def train(self, data, **_):
        self.module.train()
        optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1)
        for x, y in data:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.module(torch.as_tensor(x)), torch.as_tensor(y))
            loss.backward()
            optimizer.step()
        return {"loss": loss.item()}

    def get_params(self):
        return {name: value.clone() for name, value in self.module.state_dict().items()}

    def set_params(self, params):
        self.module.load_state_dict(
            {name: torch.as_tensor(value) for name, value in params.items()}
        )


def loader(part):
    data = digits(part, 3)
    return DataLoader(
        TensorDataset(torch.as_tensor(data.x), torch.as_tensor(data.y)), batch_size=32, shuffle=True
    )


def fedavg(engines=0, seed=0, *, model=None, data=None, rounds=2, options=None, **testbed):
    """The bytes of the global model, and of the first client's, after some rounds with three
    clients.
    """
    model, data = model or impl(mlp, 64, 10), data or impl(digits, part=Each(range(3)), parts=3)
    with Testbed(engines, seed=seed, threads=1, preload=(), timeout=60.0, **testbed) as bed:
        bed.spawn("server")
        clients = bed.spawn("client{1..3}")
        clients.assign("trainer", EpochTrainer, elements={"model": model, "dataset": data})
        bed.assign("server", "aggregator", FedAvgAggregator)
        bed.assign("server", "coordinator", FederatedCoordinator)
        bed.relate("server", "trainer", clients.role("trainer"))
        bed.call("server/coordinator", "run", {"num_rounds": rounds, "options": options})
        return [
            digest(bed.call(role, "get-model"))
            for role in ("server/coordinator", "client1/trainer")
        ]


def digest(model):
    return hashlib.sha256(
        b"".join(np.asarray(value).tobytes() for value in model.values())
    ).hexdigest()


def test_another_seed_of_the_testbed_gives_another_model_and_the_same_one_the_same():
    models = [fedavg(seed=seed)[0] for seed in (0, 1, 2)]
    assert len(set(models)) == 3
    assert fedavg(seed=1)[0] == models[1]
    explicit = {
        "model": impl(mlp, 64, 10, seed=0),
        "data": impl(digits, part=Each(range(3)), parts=3, seed=0),
    }
    assert fedavg(**explicit)[0] == models[0]  # what is given counts, and 0 is what it was before
    assert fedavg(seed=2, **explicit)[0] == models[0]


@pytest.mark.parametrize(
    "how",
    [
        {"model": impl(TorchClassifier, dropping)},
        {"model": impl(TorchClassifier, dropping), "options": {"proximal": 0.1}},
        {"model": impl(Template)},
        {"model": impl(Own)},
        {"data": impl(loader, Each(range(3)))},
    ],
    ids=["classifier", "proximal", "template", "own", "loader"],
)
def test_what_draws_from_torchs_generator_repeats(how):
    first = fedavg(workers=4, **how)
    assert fedavg(workers=4, **how) == first
    assert fedavg(seed=1, **how)[0] != first[0]


@pytest.mark.parametrize("engines", [1, 2])
def test_what_draws_from_torchs_generator_repeats_on_any_number_of_engines(engines):
    how = {"model": impl(Own), "data": impl(loader, Each(range(3)))}
    assert fedavg(engines, **how) == fedavg(workers=4, **how)


def test_nodes_with_a_seed_of_their_own_still_share_out_the_data():
    with Testbed(0, seed=5, timeout=30.0) as bed:
        bed.spawn("a")
        bed.spawn("b", seed=9)
        bed.assign(
            ["a", "b"],
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10),
                "dataset": impl(digits, part=Each(range(2)), parts=2),
            },
        )
        rows = [bed.fleet.home.actors[node].roles["trainer"].dataset().x for node in ("a", "b")]
        models = [bed.call(f"{node}/trainer", "get-model") for node in ("a", "b")]
    assert len(np.unique(np.concatenate(rows), axis=0)) == len(
        np.unique(np.concatenate([digits(part, 2, seed=5).x for part in range(2)]), axis=0)
    )
    assert digest(models[0]) == digest(mlp(64, 10, seed=5).get_params())
    assert digest(models[1]) == digest(mlp(64, 10, seed=9).get_params())


def test_outside_of_roles_seeds_are_0_and_torchs_generator_is_as_it_stands():
    assert digest(mlp(64, 10).get_params()) == digest(mlp(64, 10, seed=0).get_params())
    assert np.array_equal(digits(0, 4).x, digits(0, 4, seed=0).x)
    assert np.array_equal(
        next(iter(ArrayDataset(np.arange(9), np.arange(9), shuffle=True)))[0],
        next(iter(ArrayDataset(np.arange(9), np.arange(9), shuffle=True, seed=0)))[0],
    )
    found = []
    for _ in range(2):
        model = TorchClassifier(dropping)
        torch.manual_seed(3)
        model.train(digits(0, 20))
        found.append((digest(model.get_params()), torch.rand(1).item()))
    assert found[0] == found[1]


class Drawing(Role):
    @Service(expand=True)
    def draw(self, caller, hold=False):
        with torch_generator.own_torch_generator() as turn:
            drawn = torch.rand(2).tolist()
            if hold:
                inside.set()
                go_on.wait(20)
        return drawn, turn.drew


inside, go_on = threading.Event(), threading.Event()


def test_a_role_has_a_generator_of_its_own_which_goes_on_and_travels():
    torch.manual_seed(7)
    before = torch.default_generator.get_state()
    with Testbed(0, seed=4, timeout=30.0) as bed:
        bed.spawn("one", "two", "three")
        bed.assign(["one", "two"], "drawing", Drawing)
        first, drew = bed.call("one/drawing", "draw")
        other, _ = bed.call("two/drawing", "draw")
        bed.migrate("one/drawing", "three")
        second, _ = bed.call("three/drawing", "draw")
    assert drew
    expected = torch.Generator().manual_seed(
        int(generator(4, "one", "drawing", "torch").integers(2**63))
    )
    assert [*first, *second] == torch.cat(
        [torch.rand(2, generator=expected), torch.rand(2, generator=expected)]
    ).tolist()
    assert other != first
    assert torch.equal(torch.default_generator.get_state(), before)


def test_a_turn_that_does_not_end_is_waited_for_once_and_it_is_said(monkeypatch, caplog):
    monkeypatch.setattr(torch_generator, "TURN_TIMEOUT_S", 0.2)
    inside.clear()
    go_on.clear()
    with Testbed(0, timeout=30.0) as bed, caplog.at_level(logging.WARNING):
        bed.spawn("one", "two")
        bed.assign(["one", "two"], "drawing", Drawing)
        held = threading.Thread(target=bed.call, args=("one/drawing", "draw", {"hold": True}))
        held.start()
        assert inside.wait(20)
        assert all(drew for _, drew in [bed.call("two/drawing", "draw") for _ in range(3)])
        go_on.set()
        held.join(20)
        said = str(bed.logs("two"))
    assert (
        said.count("two/drawing shares it now, and what it draws from it cannot be repeated") == 1
    )
