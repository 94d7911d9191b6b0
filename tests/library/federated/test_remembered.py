"""What roles remember of others is true when it counts: sizes of data, the model of an earlier run,
a client that diverged.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from roleml_nb import Each, RoleMLError, impl
from roleml_nb.library import (
    AsynchronousCoordinator,
    EpochTrainer,
    FedAdam,
    FedAvg,
    FedAvgAggregator,
    FedBuff,
    FederatedCoordinator,
    ModelMaintainer,
    TreeAggregator,
)
from roleml_nb.library.training.data_sizes import data_size
from roleml_nb.library.training.finite import finiteness_problem
from roleml_nb.workload import ArrayDataset, TorchClassifier, digits, from_frame, mlp


class Stepping:
    """One number, which moves half of the way to where its data are."""

    def __init__(self, start=0.0):
        self.value = start

    def train(self, data, **_):
        for batch in data:
            self.value += 0.5 * (float(np.mean(batch)) - self.value)
        return {"loss": 0.0}

    def test(self, data):
        return {"loss": self.value}

    def get_params(self):
        return {"x": np.array([self.value])}

    def set_params(self, params):
        self.value = float(params["x"][0])


class Points:
    def __init__(self, target, size):
        self.target, self.size = target, size

    def __len__(self):
        return self.size

    def __iter__(self):
        yield np.full(self.size, self.target)


def assign(nodes, targets, sizes, start=0.0):
    nodes.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(Stepping, start),
            "dataset": impl(Points, Each(targets), Each(sizes)),
        },
    )


def server(bed, name, clients, strategy=None, coordinator=FederatedCoordinator):
    bed.spawn(name)
    bed.assign(
        name,
        "aggregator",
        FedAvgAggregator,
        elements={} if strategy is None else {"strategy": strategy},
    )
    bed.assign(name, "coordinator", coordinator)
    bed.relate(name, "trainer", clients.role("trainer"))


def model(bed, name):
    return float(bed.call(f"{name}/coordinator", "get-model")["x"][0])


def run(bed, name, rounds=1, **args):
    return bed.call(f"{name}/coordinator", "run", {"num_rounds": rounds, **args})


@pytest.mark.parametrize(
    ("args", "strategy"),
    [({}, None), ({"min_results": 2}, None), ({}, impl(FedAvg, metrics=True))],
    ids=["mean", "quorum", "train2"],
)
def test_weights_are_of_the_data_that_trainers_have_now(bed, args, strategy):
    mark = f"now{len(args)}{strategy is None}"
    clients = bed.spawn(mark + "-{1..2}")
    assign(clients, (1.0, 0.0), (9, 1))
    server(bed, f"{mark}-server", clients, strategy)
    run(bed, f"{mark}-server", **args)
    assert model(bed, f"{mark}-server") == pytest.approx(0.45)
    assign(clients, (1.0, 0.0), (1, 9))
    run(bed, f"{mark}-server", fresh=True, **args)
    assert model(bed, f"{mark}-server") == pytest.approx(0.05)


def test_weights_above_a_tree_are_of_the_data_that_leaves_have_now(bed):
    leaves = bed.spawn("above-{1..2}")
    assign(leaves, (1.0, 0.0), (9, 1))
    inner = bed.spawn("above-inner{1..2}")
    inner.assign("trainer", TreeAggregator)
    for number in (1, 2):
        bed.relate(f"above-inner{number}", "trainer", f"above-{number}/trainer")
    server(bed, "above-server", inner)
    run(bed, "above-server")
    assert model(bed, "above-server") == pytest.approx(0.45)
    assign(leaves, (1.0, 0.0), (1, 9))
    run(bed, "above-server", fresh=True)
    assert model(bed, "above-server") == pytest.approx(0.05)


def test_going_on_from_an_earlier_run_is_said_and_a_choice(bed):
    clients = bed.spawn("again-{1..2}")
    assign(clients, (1.0, 1.0), (1, 1))
    server(bed, "again-server", clients, impl(FedAdam, lr=0.1, tau=1.0))
    assert run(bed, "again-server", 3) == {"rounds": 3, "accuracy": None, "loss": None}
    first = model(bed, "again-server")
    assign(clients, (1.0, 1.0), (1, 1))
    assert run(bed, "again-server", 2) == {
        "rounds": 2,
        "accuracy": None,
        "loss": None,
        "went_on_after": 3,
    }
    assert "goes on from the model that has seen 3 rounds here" in str(bed.logs("again-server"))
    assert model(bed, "again-server") > first
    assign(clients, (1.0, 1.0), (1, 1))
    assert "went_on_after" not in run(bed, "again-server", 3, fresh=True)
    assert model(bed, "again-server") == first  # strategy and all


def test_a_run_that_begins_with_another_model_of_the_evaluator_is_a_first_one(bed):
    clients = bed.spawn("given-{1..2}")
    assign(clients, (1.0, 1.0), (1, 1))
    server(bed, "given-server", clients)
    evaluator = {"model": impl(Stepping), "dataset_test": Points(0.0, 1)}
    bed.assign("given-server", "evaluator", ModelMaintainer, elements=evaluator)
    assert run(bed, "given-server", 2)["loss"] == 0.75
    assert run(bed, "given-server", 1) == {
        "rounds": 1,
        "accuracy": None,
        "loss": 0.875,
        "went_on_after": 2,
    }
    bed.assign("given-server", "evaluator", ModelMaintainer, elements=evaluator)
    assert run(bed, "given-server", 1) == {"rounds": 1, "accuracy": None, "loss": 0.5}


@pytest.mark.parametrize(
    "strategy", [None, impl(FedAdam), impl(FedAvg, metrics=True)], ids=["mean", "adam", "train2"]
)
def test_a_client_that_diverges_is_named_and_poisons_nobody(bed, strategy):
    mark = f"nan{strategy!r}".replace("(", "-").replace(")", "").replace("=", "").lower()
    clients = bed.spawn(mark + "-{1..2}")
    assign(clients, (1.0, float("nan")), (1, 1))
    server(bed, f"{mark}-server", clients, strategy)
    for args in ({}, {"min_results": 2}):
        with pytest.raises(
            RoleMLError,
            match=(
                rf"{mark}-2/trainer returned a model that has diverged: 1 of 1 numbers of 'x' are "
                r"not finite \(NaN\)"
            ),
        ):
            run(bed, f"{mark}-server", **args)
    assign(clients, (1.0, float("nan")), (1, 1))
    run(bed, f"{mark}-server", 2, min_results=1, fresh=True)
    left_out = model(bed, f"{mark}-server")
    alone = bed.spawn(mark + "-alone")
    assign(alone, (1.0,), (1,))
    server(bed, f"{mark}-other", alone, strategy)
    run(bed, f"{mark}-other", 2)
    assert 0 < left_out == model(bed, f"{mark}-other")


def test_an_asynchronous_server_leaves_a_client_out_that_diverges(bed):
    clients = bed.spawn("async-{1..2}")
    assign(clients, (1.0, float("inf")), (1, 1))
    bed.spawn("async-server")
    # one after the other
    bed.assign(
        "async-server",
        "coordinator",
        AsynchronousCoordinator,
        options={"concurrency": 1},
        elements={"strategy": impl(FedBuff, size=1)},
    )
    bed.relate("async-server", "trainer", clients.role("trainer"))
    run(bed, "async-server", 8)
    assert model(bed, "async-server") == 1 - 0.5**8
    assert "async-2/trainer is left out: " in str(bed.logs("async-server"))


def test_what_was_infinite_before_may_stay_so():
    mask = {"mask": torch.tensor([0.0, -torch.inf]), "n": torch.tensor(3)}
    assert finiteness_problem(mask, mask) is None
    assert finiteness_problem({"mask": np.array([0.0, -np.inf])}, mask) is None
    assert finiteness_problem(mask) == "1 of 2 numbers of 'mask' are not finite (infinite)"
    assert (
        finiteness_problem({"mask": torch.tensor([torch.nan, -torch.inf])}, mask)
        == "1 of 2 numbers of 'mask' are not finite (NaN)"
    )
    assert (
        finiteness_problem(
            {"w": torch.tensor([1.0, torch.inf], dtype=torch.bfloat16)}, {"w": torch.zeros(2)}
        )
        is not None
    )
    assert finiteness_problem({"w": torch.tensor([complex(0, np.nan)])}) is not None


class Unsized(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from ((torch.zeros(64), torch.tensor(0)) for _ in range(3))


class Shown(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.zeros(64), index % 10


def test_a_loader_counts_samples_not_batches(bed):
    pairs = TensorDataset(torch.zeros(10, 64), torch.zeros(10, dtype=torch.int64))
    batches = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(pairs), 4, False)
    assert data_size(DataLoader(pairs, batch_size=4)) == 10
    assert data_size(DataLoader(pairs, batch_size=4, shuffle=True, drop_last=True)) == 8
    assert data_size(DataLoader(pairs, batch_sampler=batches)) == 10
    assert data_size(DataLoader(pairs, batch_size=None)) == 10
    assert (
        data_size(
            DataLoader(pairs, batch_size=4, sampler=torch.utils.data.SubsetRandomSampler(range(6)))
        )
        == 6
    )
    assert (
        data_size(ArrayDataset(np.zeros((10, 2)), np.zeros(10), batch_size=4))
        == data_size(pairs)
        == 10
    )
    with pytest.raises(
        RoleMLError, match="the data set, a DataLoader, does not say how many samples it has"
    ):
        data_size(DataLoader(Unsized(), batch_size=2))
    node = bed.spawn("loaded")
    bed.assign(
        "loaded",
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 64, 10), "dataset": impl(DataLoader, Shown(), batch_size=4)},
    )
    assert node.names == ["loaded"] and bed.call("loaded/trainer", "get-data-size") == 10
    assert bed.call("loaded/trainer", "train2")["data_size"] == 10


def test_classes_are_the_same_on_each_node_where_they_are_declared():
    whole = pd.DataFrame({"a": [0.0, 1.0, 2.0], "kind": ["no", "yes", "maybe"]})
    kinds = pd.CategoricalDtype(["yes", "no", "maybe"])
    for frame in (whole.assign(kind=whole["kind"].astype(kinds)), whole):
        how = {} if frame is not whole else {"classes": ["yes", "no", "maybe"]}
        assert from_frame(frame, "kind", **how).y.tolist() == [1, 0, 2]
        assert [from_frame(frame.iloc[[row]], "kind", **how).y.tolist() for row in range(3)] == [
            [1],
            [0],
            [2],
        ]
    assert from_frame(whole, "kind").y.tolist() == [1, 2, 0]
    assert from_frame(whole, "a", features=["a"], classes=[2.0, 1.0, 0.0]).y.tolist() == [2, 1, 0]
    with pytest.raises(
        RoleMLError, match="column 'kind' has 'maybe', which is none of the classes 'yes', 'no'"
    ):
        from_frame(whole, "kind", classes=["yes", "no"])


class Caching(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.kept = nn.Linear(64, 10), None

    def forward(self, x):
        if self.kept is None:
            self.kept = torch.ones(64)
        return self.layer(x * self.kept)


def lazy():
    return nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.Linear(16, 10))


def test_a_test_leaves_nothing_that_cannot_be_trained():
    data = digits(0, 20)
    caching = TorchClassifier(Caching)
    before = caching.test(data)["loss"]
    caching.train(data, epochs=3)
    assert caching.test(data)["loss"] < before
    learning = TorchClassifier(lazy)
    with pytest.raises(
        RoleMLError,
        match=(
            r"parameter 0.weight belongs to a lazy layer, which has no weights before it has seen"
        ),
    ):
        learning.get_params()
    learning.test(data)
    start = learning.get_params()
    learning.train(data)
    assert all(not torch.equal(start[name], value) for name, value in learning.get_params().items())
