"""Rounds that do not wait for everyone, on one process and on engines."""

import os
import signal
from concurrent.futures import Future

import numpy as np
import pytest

from roleml_nb import CallerError, Each, HandlerError, Service, Testbed, impl
from roleml_nb.library import ClientSelector, EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.role.running import wait
from tests.science.federated.problems import LeastSquares, data
from tests.waiting import until


class Gated(EpochTrainer):
    """Does not return from a training before its gate is opened, or at once with an error."""

    def __init__(self, closed=False, broken=False):
        super().__init__()
        self.gate, self.broken = Future(), broken
        if not closed:
            self.gate.set_result(None)

    @Service(expand=True)
    def open(self, caller):
        self.gate.set_result(None)

    @Service(expand=True)
    def process(self, caller):
        return os.getpid()

    def train_impl(self, num_epochs, **options):
        metrics = super().train_impl(num_epochs, **options)
        if self.broken:
            raise ZeroDivisionError("broken on purpose")
        wait(self.gate, 60)
        return metrics


class SlowToTake(Gated):
    """Does not take a model before its gate is opened."""

    @Service(expand=True)
    def apply_update(self, caller, update):
        wait(self.gate, 60)
        return super().apply_update(caller, update)

    def train_impl(self, num_epochs, **options):
        return EpochTrainer.train_impl(self, num_epochs, **options)


def federation(bed, name, selector=None, **odd):
    """Three clients, of which the third has the options `odd`."""
    for part in range(3):
        bed.spawn(f"{name}-client{part + 1}")
        bed.assign(
            f"{name}-client{part + 1}",
            "trainer",
            Gated,
            options=odd if part == 2 else {},
            elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, part)},
        )
    bed.spawn(f"{name}-server")
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator)
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    if selector is not None:
        bed.assign(f"{name}-server", "client-selector", ClientSelector, options=selector)
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")


def aggregate(bed, name, update, clients=(1, 2, 3), limit=None, **quorum):
    group = [f"{name}-client{number}/trainer" for number in clients]
    return bed.call(
        f"{name}-server/aggregator",
        "aggregate",
        {"clients": group, "update": update, "quorum": quorum},
        timeout=limit,
    )


def step(w, part):
    x, y = next(iter(data(part)))
    return w - 0.05 * x.T @ (x @ w - y) / len(y)


def counts(**others):
    return (
        dict.fromkeys(("selected", "arrived", "late", "stale", "dropped", "failed", "busy"), 0)
        | others
    )


def start():
    return {"w": np.zeros(4)}


SIZES = [len(data(part)) for part in range(3)]


def test_a_round_is_over_at_its_deadline(bed):
    federation(bed, "dead", closed=True)
    done = aggregate(bed, "dead", start(), deadline=0.3, min_results=2)
    assert done["counts"] == counts(selected=3, arrived=2, late=1)
    assert done["busy"] == [("dead-client3", "trainer")]
    expected = np.average([step(np.zeros(4), part) for part in range(2)], axis=0, weights=SIZES[:2])
    np.testing.assert_allclose(done["update"]["w"], expected, rtol=1e-12)
    bed.call("dead-client3/trainer", "open")


def test_a_round_waits_for_its_least_results_beyond_the_deadline(bed):
    federation(bed, "beyond", closed=True)
    group = [f"beyond-client{number}/trainer" for number in (1, 2, 3)]
    quorum = {"deadline": 0.05, "min_results": 3}
    call = bed.call_task(
        "beyond-server/aggregator",
        "aggregate",
        {"clients": group, "update": start(), "quorum": quorum},
    )
    until(lambda: "beyond-client3" in set(bed.trace.metrics.to_pandas().node), "it trains")
    with pytest.raises(TimeoutError):
        call.result(0.3)
    bed.call("beyond-client3/trainer", "open")
    assert call.result(30)["counts"] == counts(selected=3, arrived=3)


def test_over_selection_takes_the_first_and_a_late_result_is_dropped(bed):
    federation(bed, "over", closed=True)
    done = aggregate(bed, "over", start(), enough=2)
    assert done["counts"] == counts(selected=3, arrived=2, late=1)
    done = aggregate(bed, "over", done["update"], clients=(1, 3), enough=1)
    assert done["counts"] == counts(selected=2, arrived=1, busy=1)
    bed.call("over-client3/trainer", "open")
    done = aggregate(bed, "over", start(), min_results=3)
    assert done["counts"] == counts(selected=3, arrived=3, dropped=1)


def test_a_late_result_can_be_taken_in_stale(bed):
    """As the step that it is, onto where the model is by now, with a weight that is smaller by 1 /
    √2.
    """
    federation(bed, "form", closed=True)
    first = aggregate(bed, "form", start(), enough=2, late="stale")["update"]["w"]
    bed.call("form-client3/trainer", "open")
    # waits until client 3 is free, asks it again
    done = aggregate(bed, "form", {"w": first}, min_results=3, late="stale")
    assert done["counts"] == counts(selected=3, arrived=3, stale=1)
    late = first + step(np.zeros(4), 2)
    results = [*(step(first, part) for part in range(3)), late]
    weights = [*SIZES, SIZES[2] / np.sqrt(2)]
    np.testing.assert_allclose(
        done["update"]["w"], np.average(results, axis=0, weights=weights), rtol=1e-12
    )


@pytest.mark.parametrize("late", ["stale", "drop"])
def test_who_takes_the_model_when_its_round_is_over_has_not_trained(bed, late):
    """So there is nothing of it that is stale, or dropped."""
    name = f"taken-{late}"
    federation(bed, name)
    bed.assign(
        f"{name}-client3",
        "trainer",
        SlowToTake,
        options={"closed": True},
        elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, 2)},
    )
    done = aggregate(bed, name, start(), enough=2, late=late)
    assert done["counts"] == counts(selected=3, arrived=2, late=1)
    bed.call(f"{name}-client3/trainer", "open")
    rounds = []

    def taken():
        rounds.append(aggregate(bed, name, start(), clients=(1, 2), min_results=2, late=late))
        return not rounds[-1]["busy"]

    until(taken, "client 3 takes the model of round 1")
    assert all(done["counts"] == counts(selected=2, arrived=2) for done in rounds)
    done = aggregate(bed, name, start(), min_results=3, late=late)
    assert done["counts"] == counts(selected=3, arrived=3)


def test_a_client_that_fails_is_left_out_if_that_is_allowed(bed):
    federation(bed, "broken", broken=True)
    done = aggregate(bed, "broken", start(), min_results=2)
    assert done["counts"] == counts(selected=3, arrived=2, failed=1)
    with pytest.raises(HandlerError, match="broken on purpose"):
        bed.call("broken-server/coordinator", "run", {"num_rounds": 1})
    with pytest.raises(
        HandlerError,
        match=(
            "round 2 has 2 of the 3 results that it needs, broken-client3/trainer failed; "
            "the first error: .*broken on purpose"
        ),
    ):
        aggregate(bed, "broken", start(), min_results=3)


def test_a_round_that_nothing_comes_of_ends_with_a_timeout():
    with Testbed(engines=0, timeout=3, preload=()) as bed:
        federation(bed, "never", closed=True)
        with pytest.raises(
            HandlerError,
            match=(
                "CallTimeout: round 1 has 2 of the 3 results that it needs, and none came for 3.0 s"
            ),
        ):
            aggregate(bed, "never", start(), limit=60, deadline=0.1, min_results=3)
        with pytest.raises(
            HandlerError,
            match=(
                "CallTimeout: round 2 needs 3 clients, and never-client3/trainer did not end an"
                " earlier training"
            ),
        ):
            aggregate(bed, "never", start(), limit=60, min_results=3)
        bed.call("never-client3/trainer", "open")
        assert aggregate(bed, "never", start(), min_results=3)["counts"] == counts(
            selected=3, arrived=3, dropped=1
        )


def test_each_round_tells_what_became_of_it(bed):
    federation(bed, "told", closed=True)
    bed.call(
        "told-server/coordinator",
        "run",
        {"num_rounds": 3, "enough": 2, "deadline": 30, "distribute": False},
    )
    table = bed.trace.metrics.to_pandas().query(
        "node == 'told-server' and channel == 'round-completed'"
    )
    found = {
        name: list(table[table.metric == name].value)
        for name in ("selected", "arrived", "late", "clients")
    }
    assert found == {
        "selected": [3, 2, 2],
        "arrived": [2, 2, 2],
        "late": [1, 0, 0],
        "clients": [3, 2, 2],
    }
    bed.call("told-client3/trainer", "open")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"min_results": 4},
            "min_results is 4, but {name}-server has 3 clients: it must be from 1 to 3",
        ),
        ({"enough": 7}, "enough is 7, but {name}-server has 3 clients: it must be from 1 to 3"),
        ({"min_results": 0}, "min_results is 0, but {name}-server has 3 clients"),
        ({"min_results": 3, "enough": 2}, "enough=2 is less than min_results=3"),
        ({"deadline": 0}, "deadline must be more than 0 seconds, got 0"),
        ({"deadline": 1, "late": "later"}, "late must be 'drop' or 'stale', got 'later'"),
        (
            {"min_results": 3},
            (
                "the client-selector chose 2 of 3 clients for round 1, and min_results or enough"
                " ask for 3"
            ),
        ),
    ],
)
def test_a_quorum_that_cannot_be_met_is_refused_before_the_start(bed, request, arguments, message):
    name = f"refused{request.node.callspec.indices['arguments']}"
    federation(bed, name, selector={"fraction": 0.67})
    with pytest.raises(CallerError, match=message.format(name=name)):
        bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 1, **arguments})
    table = bed.trace.metrics.to_pandas()
    assert table[table.node.str.startswith(name)].empty


def test_a_dead_node_does_not_stop_the_rounds(own_bed):
    bed = own_bed
    bed.spawn("here", "server", on=0)
    bed.spawn("there", on=1)
    bed.assign(
        ["here", "there"],
        "trainer",
        Gated,
        elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, Each(range(2)))},
    )
    bed.assign("server", "aggregator", FedAvgAggregator)
    bed.assign("server", "coordinator", FederatedCoordinator)
    bed.relate("server", "trainer", ["there/trainer", "here/trainer"])
    bed.call("server/coordinator", "run", {"num_rounds": 1})
    os.kill(bed.call("there/trainer", "process"), signal.SIGKILL)
    until(lambda: bed.lost, "the engine is missed", 60)
    bed.call("server/coordinator", "run", {"num_rounds": 3, "min_results": 1, "distribute": True})
    table = bed.trace.metrics.to_pandas().query("node == 'server' and channel == 'round-completed'")
    assert list(table[table.metric == "failed"].value) == [0, 1, 1, 1]
    with pytest.raises(HandlerError, match="engine1 is lost"):
        bed.call("server/coordinator", "run", {"num_rounds": 1})


def test_a_node_that_dies_while_it_trains_does_not_stop_the_round(own_bed):
    bed = own_bed
    bed.spawn("here", "server", on=0)
    bed.spawn("there", on=1)
    bed.assign(
        "here",
        "trainer",
        Gated,
        elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, 0)},
    )
    bed.assign(
        "there",
        "trainer",
        Gated,
        options={"closed": True},
        elements={"model": impl(LeastSquares, 0.05), "dataset": impl(data, 1)},
    )
    bed.assign("server", "aggregator", FedAvgAggregator)
    process = bed.call("there/trainer", "process")
    call = bed.call_task(
        "server/aggregator",
        "aggregate",
        {
            "clients": ["here/trainer", "there/trainer"],
            "update": start(),
            "quorum": {"min_results": 1},
        },
    )
    until(
        lambda: (
            "there" in set(bed.trace.metrics.to_pandas().query("channel == 'epoch-completed'").node)
        ),
        "it trains",
        30,
    )
    os.kill(process, signal.SIGKILL)
    assert call.result(60)["counts"] == counts(selected=2, arrived=1, failed=1)
