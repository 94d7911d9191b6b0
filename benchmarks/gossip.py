"""Gossip among 100 nodes of degree 20 on one machine: models sent per second, beside gossipy's
simulator of the same.

    python benchmarks/gossip.py [--nodes 100] [--degree 20] [--rounds 30] [--engines 2]

Ours once as it is, and once with each engine kept to one core.

MLP 64-64-10 on digits, one step on a batch before a model is sent, evaluation off. gossipy
(https://github.com/makgyver/gossipy, `pip install gossipy-dfl torchvision`) runs here, or in the
Python that the variable PEER_PYTHON names; where there is none, the figure that was measured
elsewhere is taken, and said to be.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import networkx as nx
import numpy as np
from peers import machine, python_with

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, GossipAggregator, GossipCoordinator
from roleml_nb.workload import digits, mlp

MEASURED_BEFORE = 970
"""Model messages per second of gossipy's simulator without evaluation, on 2 cores."""


def gossip(nodes: int, degree: int, rounds: int, engines: int, pin: bool) -> float:
    """Models sent per second."""
    graph = nx.random_regular_graph(degree, nodes, seed=42)
    with Testbed(engines=engines, pin=pin) as bed:
        group = bed.spawn(f"node{{0..{nodes - 1}}}")
        group.assign(
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10),
                "dataset": impl(digits, part=Each(range(nodes)), parts=nodes),
            },
        )
        group.assign("aggregator", GossipAggregator)
        group.assign("coordinator", GossipCoordinator)
        for node in graph:
            bed.relate(f"node{node}", "peer", [f"node{other}/aggregator" for other in graph[node]])
        # the first training loads what it needs
        bed.call("node*/coordinator", "run", {"num_rounds": 2})
        start = time.perf_counter()
        bed.call("node*/coordinator", "run", {"num_rounds": rounds})
        taken = time.perf_counter() - start
        metrics = bed.trace.metrics.to_pandas()
    done = (
        (metrics["channel"] == "round-completed") & (metrics["metric"] == "round")
    ).sum() - 2 * nodes
    return float(done / taken)


def gossipy(nodes: int, degree: int, rounds: int) -> tuple[float, str]:
    """The same for gossipy, and where the figure comes from."""
    python = python_with("gossipy")
    if python is None:
        return MEASURED_BEFORE, "measured elsewhere: gossipy is not installed"
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.npz"
        np.savez(samples, x=digits().x, y=digits().y)
        command = [
            python,
            str(Path(__file__).with_name("gossipy_rate.py")),
            str(samples),
            *map(str, (nodes, degree, rounds)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]), "in this run"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--degree", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--engines", type=int, default=2)
    given = parser.parse_args()
    theirs, where = gossipy(given.nodes, given.degree, given.rounds)
    print(
        f"gossip, {given.nodes} nodes of degree {given.degree}, {given.rounds} rounds; {machine()}"
    )
    print(f"gossipy                     {theirs:7.0f} models a second ({where})")
    for how, pin in (("", False), (", pinned", True)) if given.engines else (("", False),):
        ours = gossip(given.nodes, given.degree, given.rounds, given.engines, pin)
        print(
            f"roleml_nb, {given.engines} engines{how:8} {ours:7.0f} models a second  "
            f" {ours / theirs:.2f} × gossipy   bar: 2 ×"
        )


if __name__ == "__main__":
    main()
