"""AD-PSGD, on one process and on engines."""

import os
import signal

import numpy as np
import pytest
import torch

from roleml_nb import CallerError, Each, HandlerError, Role, Service, impl
from roleml_nb.library import AdPsgdWorker, EpochTrainer, average, consensus_distance
from roleml_nb.workload import digits, digits_test, mlp
from tests.waiting import until


def workers(bed, name, active, passive, seed=0):
    nodes = bed.spawn(f"{name}-a{{1..{active}}}", f"{name}-p{{1..{passive}}}")
    size = active + passive
    nodes.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10, seed=Each(range(seed, seed + size)) if seed else 0),
            "dataset": impl(digits, part=Each(range(size)), parts=size),
            "dataset_test": impl(digits_test),
        },
    )
    nodes.assign("worker", AdPsgdWorker)
    bed.relate(f"{name}-a*", "peer", [f"{node}/worker" for node in nodes if "-p" in node])
    return nodes


def models(bed, name):
    return list(bed.call(f"{name}-*/trainer", "get-model").values())


def test_averaging_alone_keeps_the_mean_and_brings_the_models_together(bed):
    workers(bed, "pure", 3, 2, seed=1)
    before = models(bed, "pure")
    bed.call("pure-*/worker", "run", {"num_rounds": 60, "num_epochs": 0}, timeout=30)
    after = models(bed, "pure")
    assert consensus_distance(after) < 0.2 * consensus_distance(before)
    mean, kept = average(after), average(before)
    assert all((mean[name] - kept[name]).abs().max() < 1e-6 for name in mean)


def test_a_pair_has_the_mean_of_both_afterwards(bed):
    workers(bed, "pair", 1, 1, seed=5)
    one, two = models(bed, "pair")
    bed.call("pair-a1/worker", "run", {"num_rounds": 1, "num_epochs": 0})
    mean = average([one, two])
    for found in models(bed, "pair"):
        assert all(torch.equal(found[name], mean[name]) for name in mean)


def test_a_paused_worker_waits_before_its_next_round_and_answers(bed):
    workers(bed, "rests", 1, 1, seed=9)
    bed.call("rests-*/worker", "pause")
    passive = bed.run("rests-p1/worker", "run", {"num_rounds": 1, "num_epochs": 0})
    active = bed.run("rests-a1/worker", "run", {"num_rounds": 3, "num_epochs": 0})
    bed.call("rests-a1/worker", "step")
    until(lambda: active.progress.done == 1, "one round", 30)
    one, two = models(bed, "rests")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not active.done() and not passive.done()
    bed.call("rests-*/worker", "resume")
    assert active.result(30)["rounds"] == 3
    assert passive.result(30)["rounds"] == 1


def test_it_learns_and_ends_by_itself_with_all_workers_at_once(bed):
    workers(bed, "at-once", 3, 3)
    bed.call("at-once-*/worker", "run", {"num_rounds": 8, "num_epochs": 2}, timeout=30)
    accuracy = [result["accuracy"] for result in bed.call("at-once-*/trainer", "test").values()]
    assert np.mean(accuracy) >= 0.85


def test_no_training_is_lost_to_an_average_that_comes_in_between(bed):
    """Half of what each worker learnt alone must be in both models: compare with the same computed
    in turn.
    """
    workers(bed, "turn", 1, 1)
    bed.call("turn-p1/worker", "run", {"num_rounds": 3})
    bed.call("turn-a1/worker", "run", {"num_rounds": 1})
    active, passive = mlp(64, 10), mlp(64, 10)
    mine, theirs = digits(part=0, parts=2), digits(part=1, parts=2)
    for _ in range(3):
        passive.train(theirs)
    active.train(mine)
    mean = average([active.get_params(), passive.get_params()])
    for found in models(bed, "turn"):
        assert all((found[name] - mean[name]).abs().max() < 1e-5 for name in mean)


class Pid(Role):
    @Service(expand=True)
    def get_pid(self, caller):
        return os.getpid()


def test_a_passive_worker_that_is_lost_stops_nobody(own_bed):
    own_bed.spawn("loss-p1", on=1)
    own_bed.spawn("loss-p2", "loss-a1", on=0)
    for number, node in enumerate(("loss-a1", "loss-p1", "loss-p2")):
        own_bed.assign(
            node,
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10),
                "dataset": impl(digits, number, 3),
                "dataset_test": impl(digits_test),
            },
        )
        own_bed.assign(node, "worker", AdPsgdWorker)
    own_bed.relate("loss-a1", "peer", "loss-p*/worker")
    own_bed.assign("loss-p1", "pid", Pid)
    os.kill(own_bed.call("loss-p1/pid", "get-pid"), signal.SIGKILL)
    assert own_bed.call("loss-a1/worker", "run", {"num_rounds": 8}, timeout=20) == {
        "rounds": 8,
        "accuracy": None,
        "reproducible": False,
    }


def test_active_workers_are_not_averaged_with(bed):
    workers(bed, "wrong", 2, 1)
    bed.relate("wrong-a1", "peer", "wrong-a2/worker")
    bed.relate("wrong-a1", "peer", "wrong-p1/worker", remove=True)
    with pytest.raises(
        HandlerError,
        match=(
            "wrong-a2/worker has peers, so it is active and cannot be averaged with: relate active"
        ),
    ):
        bed.call("wrong-a1/worker", "run", {"num_rounds": 1, "num_epochs": 0})


def test_tests_come_when_asked_for(bed):
    workers(bed, "tested", 1, 1)
    result = bed.call("tested-a1/worker", "run", {"num_rounds": 4, "test_every": 2})
    metrics = bed.trace.metrics.to_pandas()
    found = metrics[
        (metrics.node == "tested-a1")
        & (metrics.channel == "round-completed")
        & (metrics.metric == "accuracy")
    ]
    assert len(found) == 2 and found.value.iloc[-1] == result["accuracy"]
    with pytest.raises(CallerError, match="num_epochs must be 0 or more, got -1"):
        bed.call("tested-a1/worker", "run", {"num_rounds": 1, "num_epochs": -1})


def test_the_consensus_distance():
    assert consensus_distance([{"w": np.ones(4)}] * 3) == 0
    assert consensus_distance(
        [{"w": np.array([0.0, 0.0])}, {"w": np.array([6.0, 8.0])}]
    ) == pytest.approx(5)
    # √((1 + 1 + 4) / 3)
    assert consensus_distance(
        [{"w": np.zeros(1)}, {"w": np.zeros(1)}, {"w": np.full(1, 3.0)}]
    ) == pytest.approx(2**0.5)
    two = [
        {"w": torch.tensor([0.0]), "n": torch.tensor(1)},
        {"w": torch.tensor([2.0]), "n": torch.tensor(9)},
    ]
    assert consensus_distance(two) == pytest.approx(1)
