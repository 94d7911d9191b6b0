"""A run that fails, or is stopped, leaves nothing behind: the next one gives what it would have
given without it.
"""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from roleml_nb import RoleMLError, Service, Testbed, impl
from roleml_nb.library import (
    AdPsgdWorker,
    AsynchronousCoordinator,
    ChocoMixer,
    ClusteredCoordinator,
    DecentralisedCoordinator,
    DPsgdMixer,
    EpidemicMixer,
    EpochTrainer,
    FedAdam,
    FedAvgAggregator,
    FedBuff,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
    RingAggregator,
    RingCoordinator,
    Scaffold,
    SimpleTokenAccount,
    StochasticGradientPush,
    TopK,
    TreeAggregator,
)
from tests.library.fragile import samples, trainers
from tests.waiting import until

NODES = 3


def federated(strategy=None, local=(), coordinator=FederatedCoordinator, elements=None, **run):
    def build(bed, name):
        nodes = trainers(bed, name, NODES, local=local)
        bed.spawn(f"{name}-server")
        bed.assign(
            f"{name}-server",
            "aggregator",
            FedAvgAggregator,
            elements={} if strategy is None else {"strategy": strategy()},
        )
        bed.assign(
            f"{name}-server", "coordinator", coordinator, elements=elements() if elements else {}
        )
        bed.relate(f"{name}-server", "trainer", nodes.role("trainer"))
        return lambda: bed.call(
            f"{name}-server/coordinator", "run", {"num_rounds": 1, "num_epochs": 2, **run}
        )

    return build


def clusters():
    return {
        "models": impl(
            lambda: [{"w": np.full(3, start), "own": np.zeros(1)} for start in (0.0, 3.0)]
        )
    }


def asynchronous(bed, name):
    nodes = trainers(bed, name, 1)
    bed.spawn(f"{name}-server")
    bed.assign(
        f"{name}-server", "coordinator", AsynchronousCoordinator, elements={"strategy": FedBuff(2)}
    )
    bed.relate(f"{name}-server", "trainer", nodes.role("trainer"))
    return lambda: bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 1, "num_epochs": 2})


def tree(bed, name):
    nodes = trainers(bed, name, NODES)
    bed.spawn(f"{name}-inner", f"{name}-server")
    bed.assign(f"{name}-inner", "aggregator", TreeAggregator)
    bed.relate(f"{name}-inner", "trainer", [f"{name}1/trainer", f"{name}2/trainer"])
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator)
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.relate(f"{name}-server", "trainer", [f"{name}-inner/aggregator", f"{name}3/trainer"])
    assert len(nodes) == NODES
    return lambda: bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 1, "num_epochs": 2})


def ring(bed, name):
    nodes = trainers(bed, name, NODES).assign("aggregator", RingAggregator)
    bed.spawn(f"{name}-server")
    bed.assign(f"{name}-server", "coordinator", RingCoordinator)
    bed.relate(f"{name}-server", "ring", nodes.role("aggregator"))
    return lambda: bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 1, "num_epochs": 2})


def decentralised(mixer, elements=None, **options):
    def build(bed, name):
        nodes = trainers(bed, name, NODES).assign(
            "mixer", mixer, options=options, elements=elements or {}
        )
        for node in nodes:
            bed.relate(node, "peer", nodes.role("mixer"))
        bed.spawn(f"{name}-server")
        bed.assign(f"{name}-server", "coordinator", DecentralisedCoordinator)
        bed.relate(f"{name}-server", "mixer", nodes.role("mixer"))
        return lambda: bed.call(
            f"{name}-server/coordinator", "run", {"num_rounds": 1, "num_epochs": 2}
        )

    return build


def gossip(account=None, mode="push"):
    """Nodes run one after the other, each sends to the next one only, so that the run can be
    repeated.
    """

    def build(bed, name):
        nodes = trainers(bed, name, NODES).assign("aggregator", GossipAggregator)
        nodes.assign(
            "coordinator",
            GossipCoordinator,
            options={"mode": mode},
            elements={"account": account()} if account else {},
        )
        for number in range(NODES):
            bed.relate(
                f"{name}{number + 1}", "peer", f"{name}{(number + 1) % NODES + 1}/aggregator"
            )
        return in_turn(bed, name, "coordinator")

    return build


def ad_psgd(bed, name):
    trainers(bed, name, NODES).assign("worker", AdPsgdWorker)
    bed.relate(f"{name}2", "peer", f"{name}3/worker")
    return in_turn(bed, name, "worker")


def in_turn(bed, name, role):
    """Each node is run again where it has failed; the others are not."""
    waiting = []

    def run():
        waiting[:] = waiting or range(1, NODES + 1)
        while waiting:
            bed.call(f"{name}{waiting[0]}/{role}", "run", {"num_rounds": 1, "num_epochs": 2})
            waiting.pop(0)

    return run


ARCHITECTURES = {
    "fedavg": federated(),
    "fedadam": federated(FedAdam),
    "scaffold": federated(Scaffold),
    "fedbn": federated(local=["own"]),
    "quorum": federated(min_results=NODES),
    "stale": federated(min_results=NODES, late="stale"),
    "scaffold-quorum": federated(Scaffold, min_results=NODES),
    "clustered": federated(coordinator=ClusteredCoordinator, elements=clusters),
    "clustered-quorum": federated(
        coordinator=ClusteredCoordinator, elements=clusters, min_results=NODES
    ),
    "fedbuff": asynchronous,
    "tree": tree,
    "ring": ring,
    "dpsgd": decentralised(DPsgdMixer),
    "overlap": decentralised(DPsgdMixer, overlap=True),
    "push": decentralised(StochasticGradientPush),
    "choco": decentralised(ChocoMixer, {"compressor": TopK(0.5)}, consensus_step=0.5),
    "epidemic": decentralised(EpidemicMixer, sample=NODES),
    "gossip": gossip(),
    "gossip-tokens": gossip(SimpleTokenAccount, "push-pull"),
    "adpsgd": ad_psgd,
}


def _in_background(run):
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(run)
    finally:
        pool.shutdown(wait=False)


ALONE = ("gossip", "gossip-tokens", "adpsgd")
WITHOUT_A_SERVER = (*ALONE, "ring", "dpsgd", "overlap", "push", "choco", "epidemic")


def states(bed, name):
    found = bed.call(f"{name}[123]/trainer", "state")
    found = found if isinstance(found, dict) and "w" not in found else {"": found}
    models = [found[key] for key in sorted(found, key=str)]
    server = f"{name}-server/coordinator"
    if name.partition("-of-")[0] not in WITHOUT_A_SERVER:
        models.append(bed.call(server, "get-model"))
    return [{key: np.asarray(value) for key, value in model.items()} for model in models]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_allclose(one[key], other[key], rtol=1e-12, atol=1e-15, err_msg=key)


CASES = [
    (architecture, fault)
    for architecture in ARCHITECTURES
    for fault in ("train", "apply", "hang")
    # where nobody waits for anybody, a step that was done stays done
    if fault != "apply" or architecture not in ALONE
]


@pytest.mark.parametrize(("architecture", "fault"), CASES)
def test_a_run_that_fails_leaves_nothing_behind(bed, architecture, fault):
    name = f"{architecture}-of-{fault}-"
    run, fresh = (ARCHITECTURES[architecture](bed, name + which) for which in ("a", "b"))
    for each in (run, fresh):
        each()
    last = f"{name}a1/trainer" if architecture == "fedbuff" else f"{name}a2/trainer"
    others = [f"{name}a{number}/trainer" for number in (1, 3)]
    bed.call(last, "break-down", {"fault": fault})
    before = bed.call(last, "count")
    if fault == "apply":
        with pytest.raises(RoleMLError, match="this node has a fault"):
            run()
    else:
        going = _in_background(run)
        until(lambda: bed.call(last, "count") > before, "it has trained")
        if architecture not in ("fedbuff", *ALONE):
            until(
                lambda: all(bed.call(other, "count") > before for other in others),
                "the others have trained",
            )
        if fault == "hang":
            bed.stop_run()
        bed.call(last, "release")
        with pytest.raises(
            RoleMLError,
            match="this node has a fault" if fault == "train" else "stopped|interrupted",
        ):
            going.result(30)
    bed.call(last, "break-down", {"fault": ""})
    for each in (run, fresh):
        each()
    assert_equal(states(bed, name + "a"), states(bed, name + "b"))


class Adder(EpochTrainer):
    """Adds 1 to its model; it may fail once, or keep its worker until its gate is opened."""

    def __init__(self, fails=False, closed=False):
        super().__init__()
        self.fails, self.open_now, self.working, self.updates = fails, not closed, False, 0

    @Service(expand=True)
    def open(self, caller):
        self.open_now = True

    @Service(expand=True)
    def is_working(self, caller):
        return self.working

    @Service(expand=True)
    def count_updates(self, caller):
        return self.updates

    def apply_update(self, caller, update):
        super().apply_update(caller, update)
        self.updates += 1

    def train_impl(self, num_epochs, **options):
        self.working = True
        if self.fails:
            self.fails = False
            raise ArithmeticError("this node has a fault")
        while not self.open_now:
            sum(range(1000))
        return super().train_impl(num_epochs, **options)


class One:
    def __init__(self):
        self.w = np.zeros(1)

    def get_params(self):
        return {"w": self.w.copy()}

    def set_params(self, params):
        self.w = np.array(params["w"])

    def train(self, data, **options):
        self.w = self.w + 1
        return {"loss": 0.0}


@pytest.fixture(scope="module")
def narrow():
    """Engines that do one task at a time; in one process, the next run itself would wait for its
    turn.
    """
    with Testbed(engines=2, workers=1, timeout=30, preload=()) as bed:
        yield bed


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("anew", [False, True], ids=["same server", "new server"])
def test_trainings_that_wait_for_their_turn_do_not_begin_after_a_run_has_failed(
    narrow, levels, anew
):
    bed, name = narrow, f"turn{levels}{anew:d}-"
    for number, options in enumerate([{"fails": True}, {"closed": True}, {}], 1):
        bed.spawn(f"{name}{number}", on=0)
        bed.assign(
            f"{name}{number}",
            "trainer",
            Adder,
            options=options,
            elements={"model": impl(One), "dataset": impl(samples, 1)},
        )
    bed.spawn(f"{name}inner", f"{name}server", on=1)

    def server():
        if levels == 2:
            bed.assign(f"{name}inner", "aggregator", TreeAggregator)
            bed.relate(f"{name}inner", "trainer", f"{name}[123]/trainer")
        bed.assign(f"{name}server", "aggregator", FedAvgAggregator)
        bed.assign(f"{name}server", "coordinator", FederatedCoordinator)
        bed.relate(
            f"{name}server",
            "trainer",
            f"{name}inner/aggregator" if levels == 2 else f"{name}[123]/trainer",
        )

    server()
    with pytest.raises(RoleMLError, match="this node has a fault"):
        bed.call(f"{name}server/coordinator", "run", {"num_rounds": 1})
    until(lambda: bed.call(f"{name}2/trainer", "is-working"), "one keeps the worker")
    assert not bed.call(f"{name}3/trainer", "is-working")
    if anew:
        server()
    going = _in_background(lambda: bed.call(f"{name}server/coordinator", "run", {"num_rounds": 1}))
    until(
        lambda: (
            bed.call(f"{name}3/trainer", "count-updates") == 2
            or any(f"{name}2/trainer.take-back" in each for each in bed.waiting())
        ),
        "the new run is under way",
    )
    bed.call(f"{name}2/trainer", "open")
    going.result(30)
    assert bed.call(f"{name}server/coordinator", "get-model")["w"] == 1


class Killer(EpochTrainer):
    """Has its engine killed when it trains."""

    def train_impl(self, num_epochs, **options):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_ring_that_loses_a_node_trains_once_and_averages_what_the_others_have(own_bed):
    bed, given = own_bed, {"model": impl(One), "dataset": impl(samples, 1)}
    bed.spawn("one", "two", "leader", on=0)
    bed.spawn("three", on=1)
    bed.assign(["one", "two"], "trainer", Adder, elements=given)
    bed.assign("three", "trainer", Killer, elements=given)
    bed.assign(["one", "two", "three"], "aggregator", RingAggregator)
    bed.assign("leader", "coordinator", RingCoordinator)
    bed.relate("leader", "ring", ["one/aggregator", "two/aggregator", "three/aggregator"])
    bed.call("leader/coordinator", "run", {"num_rounds": 2}, timeout=60)
    assert [bed.call(f"{node}/trainer", "get-model")["w"].item() for node in ("one", "two")] == [
        2,
        2,
    ]
