"""Nodes that join late, leave early, or die, stall nobody."""

import os
import signal
import threading

import numpy as np
import pytest

from roleml_nb import Role, Service, impl, topology
from roleml_nb.library import DPsgdMixer, EpochTrainer
from tests.science.decentralised import tiny
from tests.waiting import until

LIMIT = 60


class Gate:
    """Opened from the test; the trainings of nodes in this process wait at it when they have done
    two epochs.
    """

    reached, opened = threading.Event(), threading.Event()


class Gated(tiny.Numbers):
    epochs = 0

    def train(self, data, **options):
        self.epochs += 1
        if self.epochs == 3:
            Gate.reached.set()
            Gate.opened.wait(LIMIT)
        return super().train(data, **options)


@pytest.fixture
def halfway(lab, request):
    """A run of six rounds that stands in its third, and what lets it go on."""

    def begin(name, prepare, target, pattern=None):
        Gate.reached.clear()
        Gate.opened.clear()
        nodes = tiny.trainers(lab, f"{name}{{1..4}}", 4)
        lab.assign(
            f"{name}1",
            "trainer",
            EpochTrainer,
            elements={"model": impl(Gated), "dataset": impl(tiny.Points)},
        )
        prepare(nodes)
        running = lab.call_task(target, "run", {"num_rounds": 6})
        until(Gate.reached.is_set, "the third round has begun", LIMIT)
        return nodes, running

    yield begin
    Gate.opened.set()


def epochs(bed, node):
    metrics = bed.trace.metrics.to_pandas()
    return int(
        (
            metrics.node.eq(node)
            & metrics.channel.eq("epoch-completed")
            & metrics.metric.eq("loss")
        ).sum()
    )


@pytest.mark.parametrize("kind", tiny.MIXERS)
def test_a_late_joiner_takes_part_and_a_leaver_does_not(lab, halfway, kind):
    name = f"late-{kind.replace(' ', '-')}-"
    leader = f"{name}leader"
    nodes, running = halfway(
        name, lambda nodes: tiny.mixers(lab, nodes, leader, kind, "full"), f"{leader}/coordinator"
    )
    late = tiny.trainers(lab, f"{name}5", 1)
    cls, options, elements = tiny.MIXERS[kind]
    late.assign("mixer", cls, options=options, elements=elements)
    began = tiny.models(lab, late)
    lab.wire("full", nodes=[*nodes.names, f"{name}5"], role="mixer")
    lab.relate(leader, "mixer", f"{name}5/mixer")
    lab.relate(leader, "mixer", f"{name}2/mixer", remove=True)
    Gate.opened.set()
    assert running.result(timeout=LIMIT)["nodes"] == 4
    assert (tiny.models(lab, late) != began).all()
    metrics = lab.trace.metrics.to_pandas()
    counts = metrics[(metrics.node == leader) & (metrics.metric == "nodes")].value
    assert len(counts) == 6 and set(counts) == {4.0}
    assert [epochs(lab, f"{name}{number}") for number in (1, 2, 5)] == [6, 3, 3]


@pytest.mark.parametrize("kind", tiny.MIXERS)
def test_a_node_whose_role_ends_in_a_round_is_left_out(lab, halfway, kind):
    """When it has sent its model, and before it mixes."""
    name = f"ends-{kind.replace(' ', '-')}-"
    leader = f"{name}leader"
    nodes, running = halfway(
        name, lambda nodes: tiny.mixers(lab, nodes, leader, kind, "full"), f"{leader}/coordinator"
    )
    until(
        lambda: all(epochs(lab, f"{name}{number}") == 3 for number in (2, 3, 4)),
        "the others have trained",
        LIMIT,
    )
    lab.terminate(f"{name}2", "mixer")
    Gate.opened.set()
    assert running.result(timeout=LIMIT)["nodes"] == 3
    assert [epochs(lab, f"{name}{number}") for number in (1, 2, 3, 4)] == [6, 3, 6, 6]
    assert np.isfinite(tiny.models(lab, nodes)).all()


def test_a_late_joiner_of_ad_psgd_is_met_and_one_that_ends_is_passed_over(lab, halfway):
    def prepare(nodes):
        nodes.assign("worker", tiny.AdPsgdWorker)
        lab.relate("halves1", "peer", "halves[234]/worker")

    nodes, running = halfway("halves", prepare, "halves1/worker")
    late = tiny.trainers(lab, "halves5", 1).assign("worker", tiny.AdPsgdWorker)
    before = tiny.models(lab, [*late, "halves3"])
    lab.relate("halves1", "peer", "halves5/worker")
    lab.relate("halves1", "peer", "halves[34]/worker", remove=True)
    lab.terminate("halves2", "worker")  # and it is still named
    Gate.opened.set()
    assert running.result(timeout=LIMIT)["rounds"] == 6
    lab.call("halves1/worker", "run", {"num_rounds": 20, "num_epochs": 0})
    after = tiny.models(lab, [*late, "halves3"])
    assert (after[0] != before[0]).all() and (after[1] == before[1]).all()
    np.testing.assert_allclose(after[0], tiny.models(lab, ["halves1"])[0])


def test_choco_keeps_the_mean_when_one_joins_late(lab, halfway):
    nodes, running = halfway(
        "joined",
        lambda nodes: tiny.mixers(lab, nodes, "joined-leader", "CHOCO", "ring"),
        "joined-leader/coordinator",
    )
    Gate.opened.set()
    running.result(timeout=LIMIT)
    late = tiny.trainers(lab, "joined5", 1)
    late.assign("mixer", tiny.ChocoMixer, elements={"compressor": impl(tiny.TopK, 0.5)})
    everybody = [*nodes.names, "joined5"]
    lab.wire("ring", nodes=everybody, role="mixer")
    lab.relate("joined-leader", "mixer", "joined5/mixer")
    before = tiny.models(lab, everybody)
    lab.call(
        "joined-leader/coordinator", "run", {"num_rounds": 400, "num_epochs": 0}, timeout=LIMIT
    )
    after = tiny.models(lab, everybody)
    np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-6)
    assert np.abs(after - after.mean(0)).max() < 0.1 * np.abs(before - before.mean(0)).max()


def test_a_late_joiner_of_a_ring_gets_the_model_and_a_leaver_keeps_its_own(lab, halfway):
    nodes, running = halfway(
        "around", lambda nodes: tiny.ring(lab, nodes, "around-leader"), "around-leader/coordinator"
    )
    tiny.trainers(lab, "around5", 1).assign("ring", tiny.RingAggregator)
    lab.relate("around-leader", "ring", "around5/ring")
    lab.relate("around-leader", "ring", "around2/ring", remove=True)
    Gate.opened.set()
    assert running.result(timeout=LIMIT)["rounds"] == 6
    found = tiny.models(lab, ["around1", "around3", "around4", "around5"])
    assert (found == found[0]).all() and (tiny.models(lab, ["around2"]) != found[0]).all()


def test_a_late_joiner_of_gossip_is_met_and_a_terminated_node_is_passed_over(lab, halfway):
    nodes, running = halfway(
        "rumour", lambda nodes: tiny.gossip(lab, nodes, "full"), "rumour1/coordinator"
    )
    tiny.trainers(lab, "rumour5", 1).assign("aggregator", tiny.GossipAggregator)
    lab.wire("star", nodes=["rumour1", "rumour2", "rumour5"], role="aggregator")
    lab.terminate("rumour2", "aggregator")
    Gate.opened.set()
    assert running.result(timeout=LIMIT)["rounds"] == 6
    assert lab.call("rumour5/aggregator", "count") >= 1


def test_a_leaf_that_leaves_a_tree_is_left_out_and_a_new_one_taken_in(lab, halfway):
    """Both while the third of six rounds is under way."""

    def plant(nodes):
        lab.spawn("leaf-inner")
        lab.assign("leaf-inner", "inner", tiny.TreeAggregator)
        lab.relate("leaf-inner", "trainer", nodes.role("trainer"))
        tiny.federated(lab, "leaf-leader", ["leaf-inner/inner"])

    nodes, running = halfway("leaf", plant, "leaf-leader/coordinator")
    until(
        lambda: epochs(lab, "leaf2") == epochs(lab, "leaf3") == epochs(lab, "leaf4") == 3,
        "the others have trained",
        LIMIT,
    )
    lab.terminate("leaf2", "trainer")
    late = tiny.trainers(lab, "leaf5", 1)
    lab.relate("leaf-inner", "trainer", "leaf5/trainer")
    Gate.opened.set()
    assert running.result(timeout=LIMIT)["rounds"] == 6
    metrics = lab.trace.metrics.to_pandas()
    counts = metrics[(metrics.node == "leaf-inner") & (metrics.metric == "clients")].value
    assert counts.tolist() == [4.0] * 6  # four with leaf2 in three rounds, four with leaf5 in three
    assert lab.call("leaf-leader/coordinator", "run", {"num_rounds": 1})["rounds"] == 1
    assert np.isfinite(tiny.models(lab, late)).all()
    lab.call("leaf-leader/coordinator", "run", {"num_rounds": 1, "distribute": True})
    found = tiny.models(lab, ["leaf1", "leaf3", "leaf4", "leaf5"])
    assert (found == found[0]).all()


class Pid(Role):
    @Service(expand=True)
    def get_pid(self, caller):
        return os.getpid()


class Held(tiny.Numbers):
    """Waits in its third epoch, until there is a file `opened` in the folder."""

    epochs = 0

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def train(self, data, **options):
        self.epochs += 1
        if self.epochs == 3:
            (self.folder / "reached").touch()
            until((self.folder / "opened").exists, "the engine has died", LIMIT)
        return super().train(data, **options)


@pytest.mark.parametrize("kind", [*tiny.MIXERS, "ring", "tree", "gossip", "AD-PSGD"])
def test_an_engine_that_dies_stalls_nobody(own_bed, kind, tmp_path):
    """While the third of many rounds is under way; its nodes are left out, and the others go on to
    the end.
    """
    own_bed.spawn("on0-{1..2}", "leader", on=0)
    own_bed.spawn("on1-{1..2}", on=1)
    nodes = tiny.trainers(own_bed, "{on0-1,on0-2,on1-1,on1-2}", 4)
    own_bed.assign(
        "on0-1",
        "trainer",
        EpochTrainer,
        elements={"model": impl(Held, tmp_path), "dataset": impl(tiny.Points)},
    )
    own_bed.assign("on1-1", "pid", Pid)
    if kind == "ring":
        tiny.ring(own_bed, nodes, "leader")
    elif kind == "tree":
        own_bed.assign("leader", "inner", tiny.TreeAggregator)
        own_bed.relate("leader", "trainer", nodes.role("trainer"))
        own_bed.spawn("root", on=0)
        tiny.federated(own_bed, "root", ["leader/inner"])
    elif kind == "gossip":
        tiny.gossip(own_bed, nodes, "full")
    elif kind == "AD-PSGD":  # on1-1 is active, as is on0-1, and on1-2 is passive, as is on0-2
        tiny.ad_psgd(own_bed, nodes, topology("ring", nodes))
        own_bed.call_task("on1-1/worker", "run", {"num_rounds": 10_000})
    else:
        tiny.mixers(own_bed, nodes, "leader", kind, "full")
    target = {
        "tree": "root/coordinator",
        "gossip": "on0-1/coordinator",
        "AD-PSGD": "on0-1/worker",
    }.get(kind, "leader/coordinator")
    running = own_bed.call_task(target, "run", {"num_rounds": 60})
    until((tmp_path / "reached").exists, "the third round has begun", LIMIT)
    os.kill(own_bed.call("on1-1/pid", "get-pid"), signal.SIGKILL)
    (tmp_path / "opened").touch()
    assert running.result(timeout=LIMIT)["rounds"] == 60
    assert np.isfinite(tiny.models(own_bed, ["on0-1", "on0-2"])).all()


class Counting(Held):
    """Training adds one, so a model says how often it was trained."""

    def train(self, data, **options):
        begun = self.w
        metrics = super().train(data, **options)
        self.w = begun + 1
        return metrics


def test_a_step_of_push_sum_stays_a_step_when_nodes_are_lost_before_they_send(own_bed, tmp_path):
    own_bed.spawn("on0-{1..2}", "leader", on=0)
    own_bed.spawn("on1-{1..2}", on=1)
    nodes = own_bed.select("on*").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(Counting, tmp_path), "dataset": impl(tiny.Points)},
    )
    own_bed.assign("on1-1", "pid", Pid)
    tiny.mixers(own_bed, nodes, "leader", "SGP", "full")
    running = own_bed.call_task("leader/coordinator", "run", {"num_rounds": 6})
    until((tmp_path / "reached").exists, "the third round has begun", LIMIT)
    os.kill(own_bed.call("on1-1/pid", "get-pid"), signal.SIGKILL)
    (tmp_path / "opened").touch()
    assert running.result(timeout=LIMIT)["nodes"] == 2
    found = tiny.models(own_bed, ["on0-1", "on0-2"])
    assert np.allclose(found, Counting(tmp_path).w + 6, atol=1e-12)


def test_a_training_that_fails_ends_the_run_and_the_next_one_works(bed):
    nodes = tiny.trainers(bed, "failing{1..3}", 3)
    tiny.mixers(bed, nodes, "failing-leader", "D-PSGD", "full")
    with pytest.raises(
        Exception,
        match="the model of failing1/trainer, a Numbers, takes no option 'speed'; known: lr",
    ):
        bed.call(
            "failing-leader/coordinator",
            "run",
            {"num_rounds": 2, "options": {"speed": 3}},
            timeout=30,
        )
    nodes.assign("mixer", DPsgdMixer)
    assert (
        bed.call("failing-leader/coordinator", "run", {"num_rounds": 2}, timeout=30)["nodes"] == 3
    )
