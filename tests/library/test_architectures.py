"""Federated averaging and gossip with real training, on one process and on engines."""

import numpy as np
import pytest
import torch

from roleml_nb import Each, RoleMLError, impl
from roleml_nb.library import (
    ClientSelector,
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
    ModelMaintainer,
    average,
)
from roleml_nb.workload import (
    CiFar10SlicedDataset,
    DatasetViewFactory,
    LeNet5RGBModel,
    combine,
    digits,
    digits_test,
    mlp,
    transform_torch,
)


def trainers(bed, pattern, count):
    nodes = bed.spawn(pattern)
    return nodes.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(digits, part=Each(range(count)), parts=count),
            "dataset_test": impl(digits_test),
        },
    )


def server(bed, name, clients, **selector):
    bed.spawn(name)
    bed.assign(
        name,
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(mlp, 64, 10), "dataset_test": impl(digits_test)},
    )
    bed.assign(name, "aggregator", FedAvgAggregator)
    bed.assign(name, "coordinator", FederatedCoordinator)
    if selector:
        bed.assign(name, "client-selector", ClientSelector, options=selector)
    bed.relate(name, "trainer", clients.role("trainer"))


def test_federated_averaging_equals_the_same_computation_without_nodes(bed):
    clients = trainers(bed, "exact{1..3}", 3)
    server(bed, "exact-server", clients)
    bed.call("exact-server/coordinator", "run", {"num_rounds": 2})
    found = bed.call("exact-server/evaluator", "get-model")
    update = mlp(64, 10).get_params()
    models, parts = (
        [mlp(64, 10) for _ in range(3)],
        [digits(part=part, parts=3) for part in range(3)],
    )
    for _ in range(2):
        for model, part in zip(models, parts, strict=True):
            model.set_params(update)
            model.train(part)
        update = average([model.get_params() for model in models], [len(part) for part in parts])
    assert all((found[name] - update[name]).abs().max() < 1e-6 for name in update)


def slices(root, part):
    return DatasetViewFactory(
        CiFar10SlicedDataset(root, part),
        converters=[transform_torch],
        combiner=combine,
        sampler={"type": "random-oneoff", "options": {"seed": part}},
        batch_size=4,
    )


class OneByOne(FedAvgAggregator):
    """What an aggregator does with models that are too large for several of them to be on their
    way.
    """

    def _at_once(self, group, update):
        return 1


def test_the_mean_does_not_depend_on_how_many_train_at_once(bed):
    models = []
    for name, aggregator in (("all", FedAvgAggregator), ("one", OneByOne)):
        clients = trainers(bed, f"mean-{name}{{1..3}}", 3)
        server(bed, f"mean-{name}-server", clients)
        bed.assign(f"mean-{name}-server", "narrow", aggregator)
        bed.relate(f"mean-{name}-server", "aggregator", f"mean-{name}-server/narrow")
        bed.call(f"mean-{name}-server/coordinator", "run", {"num_rounds": 2})
        models.append(bed.call(f"mean-{name}-server/coordinator", "get-model"))
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_a_convolutional_network_on_views_of_image_files(bed, tmp_path):
    for part in range(2):
        images = np.random.default_rng(part).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
        np.save(tmp_path / f"data_{part}.npy", images)
        np.save(tmp_path / f"labels_{part}.npy", np.arange(10))
    bed.spawn("image{1..2}", "image-server")
    for part in range(2):
        bed.assign(
            f"image{part + 1}",
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(LeNet5RGBModel, lr=0.05, seed=0),
                "dataset": impl(slices, str(tmp_path), part),
            },
        )
    bed.assign("image-server", "aggregator", FedAvgAggregator)
    bed.assign("image-server", "coordinator", FederatedCoordinator)
    bed.relate("image-server", "trainer", "image[12]/trainer")
    bed.call("image-server/coordinator", "run", {"num_rounds": 2, "distribute": True})
    found = bed.call("image-server/coordinator", "get-model")
    update = LeNet5RGBModel(seed=0).get_params()
    models, parts = (
        [LeNet5RGBModel(lr=0.05) for _ in range(2)],
        [slices(tmp_path, part) for part in range(2)],
    )
    for _ in range(2):
        for model, part in zip(models, parts, strict=True):
            model.set_params(update)
            model.train(part)
        update = average([model.get_params() for model in models])
    begun = LeNet5RGBModel(seed=0).get_params()
    # threads differ, and so the rounding, which a rectifier may amplify
    for name, value in update.items():
        assert (found[name] - value).abs().max() < 0.1 * (value - begun[name]).abs().max()
    for shared in bed.call("image[12]/trainer", "get-model").values():
        assert all(torch.equal(shared[name], found[name]) for name in found)


def test_federated_averaging_learns_with_a_fraction_of_the_clients(bed):
    clients = trainers(bed, "learn{1..4}", 4)
    server(bed, "learn-server", clients, fraction=0.5)
    result = bed.call("learn-server/coordinator", "run", {"num_rounds": 10, "num_epochs": 2})
    assert result["accuracy"] >= 0.85
    metrics = bed.trace.metrics.to_pandas()
    rounds = metrics[(metrics.node == "learn-server") & (metrics.channel == "round-completed")]
    assert set(rounds[rounds.metric == "clients"].value) == {2.0}
    assert len(rounds[rounds.metric == "accuracy"]) == 10


def test_gossip_learns_without_a_server(bed):
    peers = trainers(bed, "gossip{1..4}", 4)
    peers.assign("aggregator", GossipAggregator).assign("coordinator", GossipCoordinator)
    for node in range(4):
        bed.relate(f"gossip{node + 1}", "peer", f"gossip{(node + 1) % 4 + 1}/aggregator")
    bed.call("gossip*/coordinator", "run", {"num_rounds": 15, "num_epochs": 2})
    results = bed.call("gossip*/trainer", "test")
    assert sum(result["accuracy"] for result in results.values()) / 4 >= 0.85


def test_a_coordinator_without_trainers_says_what_to_do(bed):
    bed.spawn("lonely")
    bed.assign("lonely", "coordinator", FederatedCoordinator)
    with pytest.raises(RoleMLError, match="trainer"):
        bed.call("lonely/coordinator", "run", {"num_rounds": 1})
