"""Models, data and graphs that do not fit are refused in words that help."""

import os
import signal

import numpy as np
import pytest
import torch

from roleml_nb import CallerError, Each, HandlerError, RoleMLError, Service, impl
from roleml_nb.library import (
    AsynchronousCoordinator,
    DecentralisedCoordinator,
    DPsgdMixer,
    EpidemicMixer,
    EpochTrainer,
    FedAdam,
    FedAvg,
    FedAvgAggregator,
    FedAvgM,
    FedBuff,
    FederatedCoordinator,
    ModelMaintainer,
    RingAggregator,
    RingCoordinator,
)
from roleml_nb.role.checks.entry_names import difference_of_names
from roleml_nb.workload import ArrayDataset, SimpleTorchXYModel, digits, mlp
from tests.waiting import until

NAMES = [f"layers.{number}.{kind}" for number in range(60) for kind in ("weight", "bias")]


@pytest.mark.parametrize(
    "given, expected, text",
    [
        (NAMES, NAMES, None),
        (
            ["module." + name for name in NAMES],
            NAMES,
            (
                "all its names begin with 'module.', which is the mark of a wrapped module: hand "
                "over the state dict of the module inside, or take the prefix off"
            ),
        ),
        (
            ["_orig_mod." + name for name in reversed(NAMES)],
            NAMES,
            (
                "all its names begin with '_orig_mod.', which is the mark of a wrapped module: hand"
                " over the state dict of the module inside, or take the prefix off"
            ),
        ),
        (
            NAMES,
            ["module." + name for name in NAMES],
            (
                "none of its names begins with 'module.', as they must here, where a module is "
                "wrapped: wrap none, or all alike"
            ),
        ),
        (
            [],
            NAMES,
            "missing layers.0.bias, layers.0.weight, layers.1.bias, layers.1.weight and 116 more",
        ),
        (["a", "c"], ["a", "b"], "missing b; unexpected c"),
    ],
)
def test_how_names_differ_is_a_short_line(given, expected, text):
    assert difference_of_names(given, expected) == text


def test_a_wrapped_module_is_told_as_such():
    wrapped = {"module." + name: entry for name, entry in mlp(64, 10).get_params().items()}
    with pytest.raises(
        ValueError,
        match="^these are not parameters of this model: all its names begin with 'module.', which",
    ):
        mlp(64, 10).set_params(wrapped)


class Named:
    """A model of NumPy, with the entries that it is told to have."""

    def __init__(self, names):
        self.params = {name: np.zeros(2) for name in names}

    def get_params(self):
        return {name: entry.copy() for name, entry in self.params.items()}

    def set_params(self, params):
        self.params = {name: params.get(name, entry) for name, entry in self.params.items()}

    def train(self, data, **options):
        return {"loss": 0.0}


class Located(EpochTrainer):
    @Service(expand=True)
    def process(self, caller):
        return os.getpid()


def samples(count):
    return ArrayDataset(np.zeros((count, 64), np.float32), np.zeros(count, np.int64), batch_size=4)


def clients(bed, name, models, **options):
    nodes = bed.spawn(f"{name}-client{{1..{len(models)}}}").assign(
        "trainer",
        EpochTrainer,
        options=options,
        elements={"model": Each(models), "dataset": impl(samples, 8)},
    )
    bed.spawn(f"{name}-server")
    bed.relate(f"{name}-server", "trainer", nodes.role("trainer"))
    return nodes


@pytest.mark.parametrize("quorum", [{}, {"min_results": 2}], ids=["all", "quorum"])
@pytest.mark.parametrize("strategy", [FedAvg, FedAdam, FedAvgM])
@pytest.mark.parametrize("other, text", [("a", "missing b"), ("abc", "unexpected c")])
def test_a_client_whose_model_is_unlike_the_others_is_named(bed, strategy, other, text, quorum):
    name = f"{strategy.__name__}-{other}-{len(quorum)}".lower()
    clients(bed, name, [impl(Named, "ab"), impl(Named, other)])
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator, elements={"strategy": strategy()})
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    with pytest.raises(
        HandlerError,
        match=(
            f"{name}-client2/trainer returned a model whose entries are not those of "
            f"[^:]*: {text}; give all the same model"
        ),
    ):
        bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 1, **quorum})


def test_an_asynchronous_server_leaves_it_out(bed):
    clients(bed, "unlike-async", [impl(Named, "ab"), impl(Named, "a")])
    bed.assign(
        "unlike-async-server",
        "coordinator",
        AsynchronousCoordinator,
        elements={"strategy": FedBuff(2)},
    )
    done = bed.call("unlike-async-server/coordinator", "run", {"num_rounds": 2})
    assert done["rounds"] == 2
    failed = bed.trace.contributions.to_pandas().query(
        "target == 'unlike-async-server/coordinator' and outcome == 'failed'"
    )
    assert set(failed.source) <= {"unlike-async-client2/trainer"}


class Normalised(SimpleTorchXYModel):
    def build_model(self):
        module = torch.nn.Sequential(
            torch.nn.Linear(64, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 10)
        )
        return module, torch.optim.SGD(module.parameters(), lr=0.1), torch.nn.CrossEntropyLoss()


def test_an_evaluator_that_shares_what_clients_keep_is_told(bed):
    clients(bed, "unlike-fedbn", [impl(Normalised)] * 2, local="batch-norm")
    bed.assign(
        "unlike-fedbn-server",
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(Normalised), "dataset_test": impl(samples, 8)},
    )
    bed.assign("unlike-fedbn-server", "aggregator", FedAvgAggregator)
    bed.assign("unlike-fedbn-server", "coordinator", FederatedCoordinator)
    with pytest.raises(
        CallerError,
        match=(
            "the clients of unlike-fedbn-server/coordinator return models whose entries are not"
            " those of its evaluator's: missing 1.bias, .* and 1 more; give it the same model, and"
            " the option 'local'"
        ),
    ):
        bed.call("unlike-fedbn-server/coordinator", "run", {"num_rounds": 1})
    bed.assign(
        "unlike-fedbn-server",
        "evaluator",
        ModelMaintainer,
        options={"local": "batch-norm"},
        elements={"model": impl(Normalised), "dataset_test": impl(samples, 8)},
    )
    assert (
        bed.call("unlike-fedbn-server/coordinator", "run", {"num_rounds": 1, "fresh": True})[
            "rounds"
        ]
        == 1
    )


def test_no_samples_are_told(bed):
    bed.spawn("empty-node")
    bed.assign(
        "empty-node",
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(samples, 0),
            "dataset_test": impl(samples, 0),
        },
    )
    with pytest.raises(
        CallerError, match="empty-node/trainer has no samples to train on: leave it out"
    ):
        bed.call("empty-node/trainer", "train")
    with pytest.raises(
        CallerError,
        match="empty-node/trainer has no samples to test on, its element 'dataset_test' is empty",
    ):
        bed.call("empty-node/trainer", "test")


def test_a_last_batch_of_one_is_told_and_can_be_left_out():
    x, y = np.random.default_rng(0).normal(size=(9, 64)).astype(np.float32), np.arange(9)
    with pytest.raises(
        ValueError,
        match=(
            "a batch of one sample cannot be trained on where a layer is BatchNorm.*drop_last=True"
        ),
    ):
        Normalised().train(ArrayDataset(x, y, batch_size=4))
    data = ArrayDataset(x, y, batch_size=4, drop_last=True)
    assert [len(batch) for _, batch in data] == [4, 4] and len(data) == 9
    assert Normalised().train(data)["loss"] > 0
    assert [
        len(batch) for _, batch in digits(0, 500, batch_size=2, drop_last=True, shuffle=False)
    ] == [2]


def test_edges_one_way_are_refused_with_a_method_that_takes_them(bed):
    nodes = bed.spawn("way{1..3}").assign("mixer", DPsgdMixer)
    for number in (1, 2, 3):
        bed.relate(f"way{number}", "peer", f"way{number % 3 + 1}/mixer")
    bed.spawn("way-leader")
    bed.assign("way-leader", "coordinator", DecentralisedCoordinator)
    bed.relate("way-leader", "mixer", nodes.role("mixer"))
    with pytest.raises(
        CallerError,
        match="or use StochasticGradientPush, which keeps the mean on directed graphs, too$",
    ):
        bed.call("way-leader/coordinator", "run", {"num_rounds": 1})


@pytest.mark.parametrize(
    "coordinator, role, relationship, name",
    [
        (DecentralisedCoordinator, EpidemicMixer, "mixer", "mixing"),
        (RingCoordinator, RingAggregator, "ring", "round"),
    ],
)
def test_that_all_are_lost_is_no_empty_relationship(own_bed, coordinator, role, relationship, name):
    bed = own_bed
    bed.spawn(f"{name}1", f"{name}2", on=1)
    bed.spawn("leader", on=0)
    bed.assign([f"{name}1", f"{name}2"], "role", role)
    bed.assign(
        [f"{name}1", f"{name}2"],
        "trainer",
        Located,
        elements={"model": impl(Named, "a"), "dataset": impl(samples, 4)},
    )
    for one, other in ((1, 2), (2, 1)):
        bed.relate(f"{name}{one}", "peer", f"{name}{other}/role")
    bed.assign("leader", "coordinator", coordinator)
    bed.relate("leader", relationship, [f"{name}1/role", f"{name}2/role"])
    bed.call("leader/coordinator", "run", {"num_rounds": 1})
    os.kill(bed.call(f"{name}1/trainer", "process"), signal.SIGKILL)
    until(lambda: bed.lost, "the engine is missed", 90)
    with pytest.raises(RoleMLError, match=f"all nodes of .*are lost: {name}1/role, {name}2/role"):
        bed.call("leader/coordinator", "run", {"num_rounds": 1})
