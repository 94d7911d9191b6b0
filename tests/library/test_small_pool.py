"""All architectures end by themselves on a pool of one worker, where everything that waits might
wait for ever.
"""

import pytest

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import (
    AdPsgdWorker,
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
    RingAggregator,
    RingCoordinator,
    TreeAggregator,
)
from roleml_nb.workload import digits, mlp


@pytest.fixture
def nodes():
    with Testbed(engines=0, workers=1, timeout=30, preload=()) as bed:
        given = {"model": impl(mlp, 64, 10), "dataset": impl(digits, part=Each(range(6)), parts=6)}
        nodes = bed.spawn("node{1..6}").assign("trainer", EpochTrainer, elements=given)
        bed.spawn("leader")
        yield bed, nodes
        assert bed.errors == []


def test_federated_and_tree(nodes):
    bed, clients = nodes
    bed.assign("leader", "aggregator", FedAvgAggregator)
    bed.assign("leader", "coordinator", FederatedCoordinator)
    for number in range(3):
        bed.spawn(f"inner{number}")
        bed.assign(f"inner{number}", "aggregator", TreeAggregator)
        bed.relate(
            f"inner{number}", "trainer", clients[2 * number : 2 * number + 2].role("trainer")
        )
    bed.relate("leader", "trainer", "inner*/aggregator")
    assert bed.call("leader/coordinator", "run", {"num_rounds": 3}, timeout=30)["rounds"] == 3


def test_gossip(nodes):
    bed, peers = nodes
    peers.assign("aggregator", GossipAggregator).assign("coordinator", GossipCoordinator).relate(
        "peer", "node*/aggregator"
    )
    assert len(bed.call("node*/coordinator", "run", {"num_rounds": 3}, timeout=30)) == 6


def test_ad_psgd(nodes):
    bed, workers = nodes
    workers.assign("worker", AdPsgdWorker)
    workers[:3].relate("peer", workers[3:].role("worker"))
    assert len(bed.call("node*/worker", "run", {"num_rounds": 5}, timeout=30)) == 6


def test_ring(nodes):
    bed, ring = nodes
    ring.assign("aggregator", RingAggregator)
    bed.assign("leader", "coordinator", RingCoordinator)
    bed.relate("leader", "ring", ring.role("aggregator"))
    assert bed.call("leader/coordinator", "run", {"num_rounds": 3}, timeout=30)["rounds"] == 3
