"""FedBN and other entries of a model that stay on their node, and training step by step, with
torch.
"""

import numpy as np
import pytest
import torch

from roleml_nb import CallerError, Each, HandlerError, impl
from roleml_nb.library import EpochTrainer, FedAvg, FedAvgAggregator, FederatedCoordinator
from roleml_nb.workload import ArrayDataset, TorchClassifier, digits, mlp


def build():
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
    )


def samples(part):
    x = np.random.default_rng(part).normal(part, 1 + part, size=(20, 3)).astype(np.float32)
    return ArrayDataset(x, (x.sum(1) > 3 * part).astype(np.int64))


def federation(bed, name, local):
    bed.spawn(f"{name}-client{{1..2}}").assign(
        "trainer",
        EpochTrainer,
        options={"local": local},
        elements={
            "model": impl(TorchClassifier, build, lr=0.1),
            "dataset": impl(samples, Each(range(2))),
        },
    )
    bed.spawn(f"{name}-server")
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator)
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")
    bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 3, "distribute": True})
    shared = bed.call(f"{name}-server/coordinator", "get-model")
    return shared, list(bed.call(f"{name}-client*/trainer", "get-model", {"whole": True}).values())


BUFFERS = ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


@pytest.mark.parametrize(
    "local, names",
    [
        ("batch-norm", {"1.weight", "1.bias", *BUFFERS}),
        ("buffers", set(BUFFERS)),
        (["2.*"], {"2.weight", "2.bias"}),
        (["2.bias", "buffers"], {"2.bias", *BUFFERS}),
        ((), set()),
    ],
)
def test_local_entries_are_neither_sent_nor_averaged(bed, request, local, names):
    shared, models = federation(bed, f"local{request.node.callspec.indices['local']}", local)
    assert set(shared) == set(models[0]) - names
    for name in shared:
        assert torch.equal(models[0][name], models[1][name]) and torch.equal(
            models[0][name], shared[name]
        )
    for name in names - {"1.num_batches_tracked"}:
        assert not torch.equal(models[0][name], models[1][name])


def test_fedbn_equals_the_same_computation_without_nodes(bed):
    shared, models = federation(bed, "fedbn", "batch-norm")
    alone, parts = (
        [TorchClassifier(build, lr=0.1) for _ in range(2)],
        [samples(part) for part in range(2)],
    )
    for _ in range(3):
        for model, part in zip(alone, parts, strict=True):
            model.train(part)
        params = [model.get_params() for model in alone]
        for model, own in zip(alone, params, strict=True):
            model.set_params(
                {
                    name: (params[0][name] + params[1][name]) / 2 if name in shared else own[name]
                    for name in own
                }
            )
    for model, found in zip(alone, models, strict=True):
        for name, value in model.get_params().items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def test_what_is_not_there_cannot_be_local(bed):
    bed.spawn("nowhere")
    bed.assign(
        "nowhere",
        "trainer",
        EpochTrainer,
        options={"local": "head.*"},
        elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, 0, 20)},
    )
    with pytest.raises(
        HandlerError,
        match=r"no entry of the model is local='head.\*': allowed are 'buffers', 'batch-norm' and "
        "patterns of its names, 0.weight, 0.bias, 2.weight, 2.bias",
    ):
        bed.call("nowhere/trainer", "get-model")


def client(bed, node, cls=EpochTrainer):
    bed.spawn(node)
    bed.assign(
        node, "trainer", cls, elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, 0, 20)}
    )


def test_steps_are_counted_and_are_those_of_an_epoch(bed):
    client(bed, "counted")
    done = bed.call(
        "counted/trainer",
        "train2",
        {"num_epochs": 2, "stepwise": True, "test_first": True, "lr": 0.05},
    )
    model, data = mlp(64, 10), digits(0, 20)
    initial = model.test(data)["loss"]
    assert done["initial_loss"] == pytest.approx(initial, rel=1e-5)
    for _ in range(2):
        metrics = model.train(data, lr=0.05)
    assert done["steps"] == 2 * -(-len(data) // 32)
    assert done["metrics"] == pytest.approx(metrics, rel=1e-5)
    for name, value in model.get_params().items():
        torch.testing.assert_close(done["update"][name], value, rtol=1e-4, atol=1e-6)


def test_a_proximal_term_keeps_the_model_near_where_it_began(bed):
    client(bed, "near")
    start = bed.call("near/trainer", "get-model")
    ways = []
    for proximal in (0.0, 1.0, 9.0):
        bed.call("near/trainer", "apply-update", {"update": start})
        end = bed.call("near/trainer", "train", {"num_epochs": 10, "proximal": proximal})
        ways.append(sum(float(((end[name] - start[name]) ** 2).sum()) for name in start))
    assert ways[0] > 2 * ways[1] > 4 * ways[2] > 0


def test_evaluate_leaves_the_model_as_it_is(bed):
    client(bed, "judge")
    before = bed.call("judge/trainer", "get-model")
    other = mlp(64, 10, seed=5)
    found = bed.call("judge/trainer", "evaluate", {"update": other.get_params()})
    assert found == pytest.approx(other.test(digits(0, 20)), rel=1e-5)
    after = bed.call("judge/trainer", "get-model")
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert bed.call("judge/trainer", "evaluate") == pytest.approx(
        mlp(64, 10).test(digits(0, 20)), rel=1e-5
    )


class Own(EpochTrainer):
    def train_impl(self, num_epochs, **options):
        return self.model().train(self.dataset())


def test_a_training_that_cannot_be_corrected_is_refused(bed):
    client(bed, "own", Own)
    bed.call("own/trainer", "train")
    with pytest.raises(
        CallerError,
        match="Own.train_impl made no step that could be counted or corrected: have it train with",
    ):
        bed.call("own/trainer", "train", {"proximal": 0.1})
    with pytest.raises(CallerError, match="proximal must be 0 or more, got -1"):
        bed.call("own/trainer", "train", {"proximal": -1})


def test_metrics_of_the_clients_are_had_when_asked_for(bed):
    client(bed, "metric")
    bed.spawn("metric-server")
    bed.assign(
        "metric-server",
        "aggregator",
        FedAvgAggregator,
        elements={"strategy": impl(FedAvg, metrics=True)},
    )
    done = bed.call(
        "metric-server/aggregator",
        "aggregate",
        {"clients": ["metric/trainer"], "update": mlp(64, 10).get_params()},
    )
    assert set(done["results"]["metric", "trainer"]) == {"loss", "accuracy", "data_size", "seconds"}
