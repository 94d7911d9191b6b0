"""Who contributed to which model: what aggregators say, as a table."""

import pytest

from roleml_nb import Each, Recording, Testbed, impl
from roleml_nb.library import (
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
)
from roleml_nb.workload import digits, mlp


@pytest.fixture(scope="module")
def learning():
    with Testbed(engines=0) as bed:
        nodes = bed.spawn("node{1..3}")
        nodes.assign(
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10),
                "dataset": impl(digits, part=Each(range(3)), parts=12),
            },
        )
        bed.spawn("server")
        bed.assign("server", "aggregator", FedAvgAggregator)
        bed.assign("server", "coordinator", FederatedCoordinator)
        bed.relate("server", "trainer", nodes.role("trainer"))
        nodes.assign("aggregator", GossipAggregator)
        nodes.assign("coordinator", GossipCoordinator)
        bed.wire("full", nodes="node*")
        yield bed


def test_each_round_says_whose_models_with_what_weight(learning, tmp_path):
    learning.call("server/coordinator", "run", {"num_rounds": 2})
    table = learning.trace.contributions.to_pandas()
    rounds = table[table.target == "server/aggregator"]
    assert list(rounds.step) == [1, 1, 1, 2, 2, 2] and set(rounds.outcome) == {"arrived"}
    assert sorted(set(rounds.source)) == ["node1/trainer", "node2/trainer", "node3/trainer"]
    assert rounds.groupby("step").weight.sum().tolist() == pytest.approx([1, 1])
    assert "weight.node1/trainer" not in learning.trace.metrics.names()
    learning.record(tmp_path / "run")
    assert (
        Recording.open(tmp_path / "run")
        .contributions.to_pandas()
        .equals(learning.trace.contributions.to_pandas())
    )


def test_a_late_client_is_named(learning):
    learning.call("server/coordinator", "run", {"num_rounds": 1, "enough": 1})
    table = learning.trace.contributions.to_pandas()
    last = table[table.step == table[table.target == "server/aggregator"].step.max()]
    assert (last.outcome == "arrived").sum() >= 1 and set(last.outcome) <= {"arrived", "late"}
    assert len(last) == 3 and last[last.outcome == "late"].weight.isna().all()


@pytest.mark.parametrize("mode", ["push", "pull"])
def test_gossip_says_whose_models_of_what_age(learning, mode):
    learning.assign("node*", "coordinator", GossipCoordinator, options={"mode": mode})
    for _ in range(3):
        learning.call("node*/coordinator", "run", {"num_rounds": 2})
    table = learning.trace.contributions.to_pandas()
    merges = table[table.target.str.startswith("node")]
    assert len(merges) and (merges.age >= 0).all()
    assert merges.groupby(["time", "target"]).weight.sum().to_numpy() == pytest.approx(1)
    others = merges[merges.source.str.partition("/")[0] != merges.target.str.partition("/")[0]]
    assert len(others)
