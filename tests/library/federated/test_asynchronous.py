"""Asynchronous federated learning: the rules in closed form, and the server at work on one process
and on engines.
"""

import os
import signal
from concurrent.futures import Future

import numpy as np
import pytest

from roleml_nb import CallerError, Each, HandlerError, RoleInstanceID, impl
from roleml_nb.library import AsynchronousCoordinator, EpochTrainer, FedAsync, FedBuff
from roleml_nb.workload import ArrayDataset
from tests.library.federated.test_quorum import Gated
from tests.science.federated.problems import LeastSquares, arrays, data
from tests.waiting import until


@pytest.mark.parametrize(
    "strategy, weights",
    [
        (FedAsync(staleness="constant"), [1, 1, 1, 1, 1]),
        (FedAsync(staleness="polynomial", a=0.5), [1, 2**-0.5, 3**-0.5, 0.5, 5**-0.5]),
        (FedAsync(staleness="hinge", a=10, b=2), [1, 1, 1, 1 / 11, 1 / 21]),
        (FedBuff(), [1, 2**-0.5, 3**-0.5, 0.5, 5**-0.5]),
    ],
    ids=["constant", "polynomial", "hinge", "FedBuff"],
)
def test_staleness_weights_are_those_of_the_papers(strategy, weights):
    assert [strategy.weight(staleness) for staleness in range(5)] == pytest.approx(weights)


def test_fedasync_mixes_as_its_algorithm():
    strategy = FedAsync(mixing=0.6, staleness="polynomial", a=0.5)
    found = strategy.receive(
        {"w": np.array([1.0])}, {"update": {"w": np.array([5.0])}}, {"w": np.array([9.0])}, 3
    )
    assert found["w"] == pytest.approx((1 - 0.3) * 1 + 0.3 * 5)


def test_fedbuff_steps_once_in_k_results():
    strategy = FedBuff(size=2, lr=0.5)
    model = {"w": np.array([1.0]), "mean": np.array([0.0]), "count": np.array(3)}

    def result(w, mean, count):
        return {
            "update": {"w": np.array([w]), "mean": np.array([mean]), "count": np.array(count)},
            "buffers": ["mean", "count"],
        }

    assert (
        strategy.receive(
            model, result(4.0, 1.0, 9), {"w": np.array([2.0]), "mean": np.array([0.0])}, 3
        )
        is None
    )
    found = strategy.receive(model, result(8.0, 1.0, 4), model, 0)
    # 1 + η_g / K · ((4 − 2) / √(1 + 3) + (8 − 1)), with η_g = 1/2 and K = 2
    assert found["w"] == pytest.approx(3)
    # the server's learning rate is for what is trained
    assert found["mean"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["count"] == 9
    # the buffer is empty again
    assert strategy.receive(found, result(1.0, 0.0, 1), found, 0) is None


def server(bed, name, count, strategy, samples=data, **options):
    bed.spawn(f"{name}-client{{1..{count}}}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(LeastSquares, 0.05), "dataset": impl(samples, Each(range(count)))},
    )
    bed.spawn(f"{name}-server")
    bed.assign(
        f"{name}-server",
        "coordinator",
        AsynchronousCoordinator,
        options=options,
        elements={"strategy": strategy},
    )
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")


def contributions(bed, name):
    table = bed.trace.contributions.to_pandas()
    return table[table.target == f"{name}-server/coordinator"]


def told(bed, name, metric):
    table = bed.trace.metrics.to_pandas().query("channel == 'round-completed'")
    return list(table[(table.node == f"{name}-server") & (table.metric == metric)].value)


def test_one_client_is_never_stale(bed):
    server(bed, "single", 1, impl(FedAsync, mixing=1.0))
    bed.call("single-server/coordinator", "run", {"num_rounds": 5, "num_epochs": 2})
    model, samples = LeastSquares(0.05), data(0)
    for _ in range(10):
        model.train(samples)
    np.testing.assert_allclose(
        bed.call("single-server/coordinator", "get-model")["w"], model.w, rtol=1e-12
    )
    assert told(bed, "single", "staleness") == [0] * 5


def of_one_truth(part):
    x, _ = arrays(part, 20)
    return ArrayDataset(x, x @ np.ones(4), batch_size=100)


@pytest.mark.parametrize(
    "name, strategy", [("buff", impl(FedBuff, size=3)), ("async", impl(FedAsync))]
)
def test_it_finds_what_is_right_for_all_whoever_is_first(bed, name, strategy):
    server(bed, f"near-{name}", 3, strategy, of_one_truth)
    bed.call(f"near-{name}-server/coordinator", "run", {"num_rounds": 300, "distribute": True})
    found = bed.call(f"near-{name}-server/coordinator", "get-model")["w"]
    assert np.linalg.norm(found - 1) < 0.2 * np.linalg.norm(np.ones(4))
    for update in bed.call(f"near-{name}-client*/trainer", "get-model").values():
        assert np.array_equal(update["w"], found)


def test_fedbuff_tells_of_each_renewal(bed):
    server(bed, "buffer", 4, impl(FedBuff, size=2, lr=0.7), concurrency=3)
    assert bed.call("buffer-server/coordinator", "run", {"num_rounds": 6})["results"] == 12
    assert told(bed, "buffer", "round") == [1, 2, 3, 4, 5, 6]
    assert told(bed, "buffer", "arrived") == [2] * 6
    table = contributions(bed, "buffer")
    # of two results, from two clients or from one
    for _, step in table[table.weight.notna()].groupby("step"):
        ages = step.age.fillna(0)
        assert len(step) < 2 or list(step.weight) == pytest.approx(
            list(0.7 / 2 / (1 + ages) ** 0.5)
        )
    # what is under way at the end comes to nothing
    assert set(table[table.weight.isna()].step) <= {6}
    assert max(told(bed, "buffer", "max_staleness")) <= 6


class Opening(Gated):
    """In its fifth training it opens the gate of client 2, and waits at its own."""

    def train_impl(self, num_epochs, **options):
        if self.current_epoch == 3:
            self.gate = Future()
            self.call(RoleInstanceID("held-client2", "trainer"), "open")
        return super().train_impl(num_epochs, **options)


def test_a_result_that_is_long_under_way_is_stale_by_the_versions_that_it_missed(bed):
    bed.spawn("held-client{1..2}", "held-server")
    for number, role in ((1, Opening), (2, Gated)):
        bed.assign(
            f"held-client{number}",
            "trainer",
            role,
            options={"closed": number == 2},
            elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, number)},
        )
    bed.assign(
        "held-server", "coordinator", AsynchronousCoordinator, elements={"strategy": impl(FedAsync)}
    )
    bed.relate("held-server", "trainer", "held-client*/trainer")
    bed.call("held-server/coordinator", "run", {"num_rounds": 5})
    assert told(bed, "held", "staleness") == [0, 0, 0, 0, 4]
    table = contributions(bed, "held")
    taken = table[table.weight.notna()]
    assert list(taken.source) == ["held-client1/trainer"] * 4 + ["held-client2/trainer"]
    assert list(taken.outcome) == ["arrived"] * 4 + ["stale"] and taken.age.iloc[-1] == 4
    assert list(taken.weight) == pytest.approx([0.6] * 4 + [0.6 / 5**0.5])
    left = table[table.weight.isna()]
    assert list(zip(left.step, left.source, left.outcome, strict=True)) == [
        (5, "held-client1/trainer", "dropped")
    ]
    bed.call("held-client1/trainer", "open")


def test_a_client_that_dies_is_left_out(own_bed):
    bed = own_bed
    bed.spawn("here", "server", on=0)
    bed.spawn("there", on=1)
    bed.assign(
        ["here", "there"],
        "trainer",
        Gated,
        elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, Each(range(2)))},
    )
    bed.assign(
        "server", "coordinator", AsynchronousCoordinator, elements={"strategy": impl(FedAsync)}
    )
    bed.relate("server", "trainer", ["here/trainer", "there/trainer"])
    os.kill(bed.call("there/trainer", "process"), signal.SIGKILL)
    until(lambda: bed.lost, "the engine is missed", 60)
    bed.call("server/coordinator", "run", {"num_rounds": 3})
    table = bed.trace.metrics.to_pandas().query("node == 'server' and channel == 'round-completed'")
    assert list(table[table.metric == "failed"].value) == [1, 1, 1]


def test_misuse_is_named(bed):
    bed.spawn("idle")
    bed.assign("idle", "coordinator", AsynchronousCoordinator)
    with pytest.raises(CallerError, match="relationship 'trainer' of idle is empty"):
        bed.call("idle/coordinator", "run", {"num_rounds": 1})
    with pytest.raises(ValueError, match="concurrency must be 1 or more, got 0"):
        AsynchronousCoordinator(concurrency=0)
    bed.spawn("faulty")
    bed.assign(
        "faulty",
        "trainer",
        Gated,
        options={"broken": True},
        elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, 0)},
    )
    bed.relate("idle", "trainer", "faulty/trainer")
    with pytest.raises(
        HandlerError,
        match="no client is left: faulty/trainer failed; the first error: .*broken on purpose",
    ):
        bed.call("idle/coordinator", "run", {"num_rounds": 1})
