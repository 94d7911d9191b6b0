"""Federated averaging and gossip with real training, on one process and on engines."""

import pytest

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
from roleml_nb.workload import digits, digits_test, mlp


def trainers(bed, pattern, count):
    nodes = bed.spawn(pattern)
    return nodes.assign("trainer", EpochTrainer, elements={
        "model": impl(mlp, 64, 10), "dataset": impl(digits, part=Each(range(count)), parts=count),
        "dataset_test": impl(digits_test)})


def server(bed, name, clients, **selector):
    bed.spawn(name)
    bed.assign(name, "evaluator", ModelMaintainer, elements={"model": impl(mlp, 64, 10), "dataset_test": impl(digits_test)})
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
    models, parts = [mlp(64, 10) for _ in range(3)], [digits(part=part, parts=3) for part in range(3)]
    for _ in range(2):
        for model, part in zip(models, parts, strict=True):
            model.set_params(update)
            model.train(part)
        update = average([model.get_params() for model in models], [len(part) for part in parts])
    assert all((found[name] - update[name]).abs().max() < 1e-6 for name in update)


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
