"""Chaos: engines are killed, frozen and cut off while every architecture of the library learns; the
numbers are checked.

Training adds one to a model that begins at zero, so a model says how often it was trained: where
all average, it is the number of rounds, whoever was lost. Each trial deploys an architecture on
three engines, runs it, does something to it at a random moment, and runs it once more on what is
left, or was made anew. Every run must end in time, with a result or an error that has a name; no
training may be lost or count twice.

    python benchmarks/chaos.py                       # each architecture, each kind of chaos
    python benchmarks/chaos.py --trials 5 --seed 7
    python benchmarks/chaos.py --architectures FedAvg ring --chaos kill
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
from peers import machine

from roleml_nb import RoleMLError, Testbed, impl
from roleml_nb.library import (
    AdPsgdWorker,
    AsynchronousCoordinator,
    ChocoMixer,
    ClusteredCoordinator,
    DecentralisedCoordinator,
    DPsgdMixer,
    EpidemicMixer,
    EpochTrainer,
    FedAsync,
    FedAvgAggregator,
    FedBuff,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
    ModelMaintainer,
    Quantization,
    RingAggregator,
    RingCoordinator,
    StochasticGradientPush,
    TreeAggregator,
)

NODES, ENGINES, ROUNDS, SIZE = 6, 3, 12, 8
LIMIT_S = 60.0
"""A run must have ended by then."""
FREEZE_S = 2.0
EXACT = 1e-9


class Counting:
    """A model that counts its trainings: w of shape (SIZE,) begins at zero, and an epoch adds
    one.
    """

    def __init__(self):
        import numpy

        self.w = numpy.zeros(SIZE)

    def train(self, data, **options):
        import time

        time.sleep(0.02)  # so that chaos finds it at work
        self.w = self.w + 1
        return {"loss": float(self.w.mean())}

    def test(self, data):
        return {"loss": float(self.w.mean()), "accuracy": 1.0}

    def get_params(self):
        return {"w": self.w.copy()}

    def set_params(self, params):
        import numpy

        self.w = numpy.array(params["w"])


class Points:
    """One batch of four samples, which no model looks at."""

    def __iter__(self):
        yield [0, 0, 0, 0]

    def __len__(self):
        return 4


cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Deployed(NamedTuple):
    target: str
    """Whose task ``run`` runs it."""
    models: str
    """Whose ``get-model`` has what was learnt."""
    exact: bool
    """Whether all average in each round: a run of R rounds adds R to the least and to the greatest
    model.
    """
    most: int
    """Trainings at most that a round adds up in one model, where not exact."""


def trainers(bed: Testbed) -> Any:
    return bed.spawn(f"node{{1..{NODES}}}").assign(
        "trainer", EpochTrainer, elements={"model": impl(Counting), "dataset": impl(Points)}
    )


def leader(bed: Testbed, coordinator: type, **elements: Any) -> None:
    bed.spawn("leader", on=0)
    bed.assign("leader", "coordinator", coordinator, elements=elements)


def evaluator(bed: Testbed) -> None:
    bed.assign(
        "leader",
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(Counting), "dataset_test": impl(Points)},
    )


def federated(bed: Testbed) -> Deployed:
    nodes = trainers(bed)
    leader(bed, FederatedCoordinator)
    evaluator(bed)
    bed.assign("leader", "aggregator", FedAvgAggregator)
    bed.relate("leader", "trainer", nodes.role("trainer"))
    return Deployed("leader/coordinator", "leader/coordinator", True, 1)


def tree(bed: Testbed) -> Deployed:
    nodes = trainers(bed)
    leader(bed, FederatedCoordinator)
    evaluator(bed)
    edges = bed.spawn("edge{1..2}").assign("aggregator", TreeAggregator)
    for place, edge in enumerate(edges.names):
        bed.relate(edge, "trainer", nodes.role("trainer")[place::2])
    bed.assign("leader", "aggregator", FedAvgAggregator)
    bed.relate("leader", "trainer", edges.role("aggregator"))
    return Deployed("leader/coordinator", "leader/coordinator", True, 1)


def clustered(bed: Testbed) -> Deployed:
    nodes = trainers(bed)
    leader(bed, ClusteredCoordinator, models=[{"w": np.zeros(SIZE)}, {"w": np.full(SIZE, 1e6)}])
    bed.assign("leader", "aggregator", FedAvgAggregator)
    bed.relate("leader", "trainer", nodes.role("trainer"))
    return Deployed("leader/coordinator", "leader/coordinator", True, 1)


def asynchronous(strategy: Any) -> Callable[[Testbed], Deployed]:
    def build(bed: Testbed) -> Deployed:
        nodes = trainers(bed)
        leader(bed, AsynchronousCoordinator, strategy=strategy)
        evaluator(bed)
        bed.relate("leader", "trainer", nodes.role("trainer"))
        return Deployed("leader/coordinator", "leader/coordinator", False, 1)

    return build


def mixing(mixer: type, **elements: Any) -> Callable[[Testbed], Deployed]:
    def build(bed: Testbed) -> Deployed:
        nodes = trainers(bed).assign("mixer", mixer, elements=elements)
        bed.wire("full", nodes=nodes, role="mixer")
        leader(bed, DecentralisedCoordinator)
        bed.relate("leader", "mixer", nodes.role("mixer"))
        return Deployed("leader/coordinator", "node*/trainer", mixer is not ChocoMixer, NODES)

    return build


def ring(bed: Testbed) -> Deployed:
    nodes = trainers(bed).assign("ring", RingAggregator)
    leader(bed, RingCoordinator)
    bed.relate("leader", "ring", nodes.role("ring"))
    return Deployed("leader/coordinator", "node*/trainer", True, 1)


def gossip(bed: Testbed) -> Deployed:
    nodes = (
        trainers(bed)
        .assign("aggregator", GossipAggregator)
        .assign("coordinator", GossipCoordinator)
    )
    bed.wire("full", nodes=nodes, role="aggregator")
    return Deployed("node*/coordinator", "node*/trainer", False, NODES)


def ad_psgd(bed: Testbed) -> Deployed:
    nodes = trainers(bed).assign("worker", AdPsgdWorker)
    for active in nodes.names[::2]:
        bed.relate(active, "peer", [f"{passive}/worker" for passive in nodes.names[1::2]])
    return Deployed("node*/worker", "node*/trainer", False, NODES)


ARCHITECTURES: dict[str, Callable[[Testbed], Deployed]] = {
    "FedAvg": federated,
    "E-tree": tree,
    "IFCA": clustered,
    "FedAsync": asynchronous(impl(FedAsync)),
    "FedBuff": asynchronous(impl(FedBuff, size=3)),
    "gossip": gossip,
    "AD-PSGD": ad_psgd,
    "D-PSGD": mixing(DPsgdMixer),
    "SGP": mixing(StochasticGradientPush),
    "CHOCO": mixing(ChocoMixer, compressor=impl(Quantization, 8)),
    "epidemic": mixing(EpidemicMixer),
    "ring": ring,
}


# what happens to them


def pids_of(bed: Testbed) -> list[int]:
    return bed.fleet.engines.client[:].apply_sync(os.getpid)


def kill(bed: Testbed, pids: list[int], draw: random.Random) -> None:
    os.kill(pids[draw.choice([1, 2])], signal.SIGKILL)


def kill_leader(bed: Testbed, pids: list[int], draw: random.Random) -> None:
    os.kill(pids[0], signal.SIGKILL)


def freeze(bed: Testbed, pids: list[int], draw: random.Random) -> None:
    pid = draw.choice(pids)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(FREEZE_S)
    os.kill(pid, signal.SIGCONT)


def stop(bed: Testbed, pids: list[int], draw: random.Random) -> None:
    bed.stop_run()


def cut(bed: Testbed, pids: list[int], draw: random.Random) -> None:
    """A direct link of the notebook breaks."""
    session = bed.fleet.home.router.links[f"engine{draw.choice([0, 1, 2])}"]
    if session.link is not None:
        session.detach(session.link, "cut on purpose")


def nothing(bed: Testbed, pids: list[int], draw: random.Random) -> None:
    pass


CHAOS = {
    "none": nothing,
    "kill": kill,
    "kill the leader's": kill_leader,
    "freeze": freeze,
    "stop": stop,
    "cut": cut,
}


KILLS = ("kill", "kill the leader's")


# a trial


def wait_until_lost(bed: Testbed) -> None:
    until = time.monotonic() + LIMIT_S
    while not bed.lost:
        assert time.monotonic() < until, "a killed engine is not noticed"
        time.sleep(0.05)


def models(bed: Testbed, deployed: Deployed) -> np.ndarray:
    """The models, of shape (models, SIZE)."""
    found = bed.call(deployed.models, "get-model", timeout=LIMIT_S)
    return np.array([one["w"] for one in (found.values() if "*" in deployed.models else [found])])


def run(bed: Testbed, deployed: Deployed) -> str:
    """How the run ended: "result", or the name of a RoleMLError. Anything else is raised."""
    try:
        bed.run(deployed.target, "run", {"num_rounds": ROUNDS}).result(LIMIT_S)
    except RoleMLError as error:
        if type(error).__name__ == "CallTimeout":
            raise
        return type(error).__name__
    return "result"


def check(
    before: np.ndarray, after: np.ndarray, deployed: Deployed, ended: str, undone: int = 0
) -> None:
    """Raises AssertionError when a training was lost or counted twice.

    `undone`: trainings of a round that was given up before, which may still be in the models of
    `before`.
    """
    assert np.isfinite(after).all(), f"not finite: {after}"
    most = before.max() + ROUNDS * (1 if deployed.exact else deployed.most)
    least = before.min() + (ROUNDS - undone if deployed.exact and ended == "result" else 0)
    assert least - EXACT <= after.min() and after.max() <= most + EXACT, (
        f"after {ended}: models from {after.min():.6f} to {after.max():.6f}, "
        f"expected {least:.6f} to {most:.6f} (before: {before.min():.6f} to {before.max():.6f})"
    )


def trial(architecture: str, chaos: str, seed: int) -> str:
    """How the first run ended."""
    draw = random.Random(f"{architecture} {chaos} {seed}")
    with Testbed(engines=ENGINES, preload=(), timeout=LIMIT_S) as bed:
        deployed = ARCHITECTURES[architecture](bed)
        pids = pids_of(bed)
        struck: list[BaseException] = []

        def strike() -> None:
            time.sleep(draw.uniform(0.05, 0.6))
            try:
                CHAOS[chaos](bed, pids, draw)
            except RoleMLError as error:
                struck.append(error)

        striker = threading.Thread(target=strike)
        striker.start()
        first = run(bed, deployed)
        striker.join()
        if struck:
            raise struck[0]
        start = np.zeros((1, SIZE))
        if chaos in KILLS:
            wait_until_lost(bed)
            bed.respawn()
        try:
            between = models(bed, deployed)
        except RoleMLError as error:  # the leader's model is gone with it, or has not been made
            if "no model" not in str(error):
                raise
            between = start
        else:
            check(start, np.maximum(between, 0), deployed, "" if bed.lost else first)
        second = run(bed, deployed)
        assert second == "result", f"the second run ended with {second}"
        check(between, models(bed, deployed), deployed, second, undone=int(first != "result"))
    return first


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES)
    )
    parser.add_argument("--chaos", nargs="+", choices=CHAOS, default=list(CHAOS))
    parser.add_argument("--trials", type=int, default=1, help="of each pair")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{machine()}; {ENGINES} engines, {NODES} nodes, {ROUNDS} rounds\n")
    print("| architecture | chaos | first run | wrong |\n|---|---|---|---|")
    faults = 0
    for architecture in given.architectures:
        for chaos in given.chaos:
            ends: Counter[str] = Counter()
            for seed in range(given.seed, given.seed + given.trials):
                try:
                    ends[trial(architecture, chaos, seed)] += 1
                except Exception:
                    ends["FAULT"] += 1
                    print(
                        f"{architecture}, {chaos}, seed {seed}:\n{traceback.format_exc()}",
                        file=sys.stderr,
                    )
            faults += ends["FAULT"]
            said = ", ".join(f"{end} ×{count}" for end, count in sorted(ends.items()))
            print(f"| {architecture} | {chaos} | {said} | {ends['FAULT']} |", flush=True)
    print(f"\n{faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
