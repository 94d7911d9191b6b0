"""IFCA on clients of two kinds, which are known, on one process and on engines."""

import numpy as np
import pytest

from roleml_nb import CallerError, Each, HandlerError, impl
from roleml_nb.library import ClusteredCoordinator, EpochTrainer, FedAvgAggregator
from roleml_nb.workload import ArrayDataset
from tests.science.federated.problems import LeastSquares

TRUTH = [np.array([3.0, 1.0, 0.0, -2.0]), np.array([-3.0, 0.0, 2.0, 1.0])]
STARTS = [{"w": np.array([0.5, 0.0, 0.0, 0.0])}, {"w": np.array([-0.5, 0.0, 0.0, 0.0])}]


def of_kind(part, kind):
    x = np.random.default_rng(part).normal(size=(30, 4))
    return ArrayDataset(x, x @ TRUTH[kind], batch_size=100)


def federation(bed, name, kinds, starts):
    count = len(kinds)
    bed.spawn(f"{name}-client{{1..{count}}}").assign("trainer", EpochTrainer, elements={
        "model": impl(LeastSquares, 0.2), "dataset": impl(of_kind, Each(range(count)), Each(kinds))})
    bed.spawn(f"{name}-server")
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator)
    bed.assign(f"{name}-server", "coordinator", ClusteredCoordinator, elements={"models": starts})
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")


def test_two_kinds_are_found_and_each_gets_its_model(bed):
    kinds = [0, 1, 1, 0, 1, 0]
    federation(bed, "kinds", kinds, STARTS)
    result = bed.call("kinds-server/coordinator", "run", {"num_rounds": 40, "num_epochs": 2, "distribute": True})
    assert result["sizes"] == [3, 3] and result["loss"] < 1e-9
    found = bed.call("kinds-server/coordinator", "get-clusters")
    assert [found["kinds-client" + str(number), "trainer"] for number in range(1, 7)] == kinds
    for kind in (0, 1):
        model = bed.call("kinds-server/coordinator", "get-model", {"cluster": kind})
        np.testing.assert_allclose(model["w"], TRUTH[kind], atol=1e-5)
    for number, kind in enumerate(kinds, 1):
        np.testing.assert_allclose(bed.call(f"kinds-client{number}/trainer", "get-model")["w"], TRUTH[kind], atol=1e-5)
    table = bed.trace.metrics.to_pandas().query("node == 'kinds-server' and channel == 'round-completed'")
    assert set(table[table.metric == "clusters"].value) == {2} and table[table.metric == "moved"].value.iloc[-1] == 0


def test_one_kind_ends_in_one_cluster(bed):
    federation(bed, "one", [0, 0, 0], STARTS)
    assert bed.call("one-server/coordinator", "run", {"num_rounds": 3})["sizes"] == [3, 0]


def test_misuse_is_named(bed):
    federation(bed, "wrong", [0, 1], STARTS[:1])
    with pytest.raises(CallerError, match="element 'models' of wrong-server/coordinator must have two models or more, got 1"):
        bed.call("wrong-server/coordinator", "run", {"num_rounds": 1})
    federation(bed, "right", [0, 1], STARTS)
    with pytest.raises(CallerError, match="right-server/coordinator has no model yet"):
        bed.call("right-server/coordinator", "get-model")
    bed.call("right-server/coordinator", "run", {"num_rounds": 1})
    with pytest.raises((CallerError, HandlerError), match="cluster must be from 0 to 1, got 2"):
        bed.call("right-server/coordinator", "get-model", {"cluster": 2})
