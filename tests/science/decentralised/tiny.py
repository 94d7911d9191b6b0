"""A model of a few numbers, whose training is a step towards the mean of its data: quick, exact,
without torch.
"""

import numpy as np

from roleml_nb import Each, impl
from roleml_nb.library import (
    AdPsgdWorker,
    ChocoMixer,
    DecentralisedCoordinator,
    DPsgdMixer,
    EpidemicMixer,
    EpochTrainer,
    FedAvgAggregator,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
    ModelMaintainer,
    RingAggregator,
    RingCoordinator,
    StochasticGradientPush,
    TopK,
    TreeAggregator,
)

MIXERS = {
    "D-PSGD": (DPsgdMixer, {}, {}),
    "D-PSGD overlapped": (DPsgdMixer, {"overlap": True}, {}),
    "SGP": (StochasticGradientPush, {}, {}),
    "CHOCO": (ChocoMixer, {}, {"compressor": impl(TopK, 0.5)}),
    "epidemic": (EpidemicMixer, {}, {}),
}


class Numbers:
    """w of shape (size,), drawn from a seed; one epoch is w ← w - lr (w - the data's mean)."""

    def __init__(self, seed=0, size=3):
        self.w = np.random.default_rng(seed).normal(size=size)

    def train(self, data, lr=0.3):
        for batch in data:
            self.w = self.w - lr * (self.w - batch.mean(0))
        return {"loss": self.test(data)["loss"]}

    def test(self, data):
        return {
            "loss": float(np.mean([((self.w - batch) ** 2).mean() for batch in data])),
            "accuracy": 1.0,
        }

    def get_params(self):
        return {"w": self.w.copy()}

    def set_params(self, params):
        self.w = np.array(params["w"])


class Points:
    """A single batch: points around a centre that depends on the part."""

    def __init__(self, part=0, size=3, count=4):
        self.batch = part + np.random.default_rng(100 + part).normal(size=(count, size))

    def __iter__(self):
        yield self.batch

    def __len__(self):
        return len(self.batch)


def trainers(bed, pattern, count, size=3, **options):
    """Nodes with the same trainer, whose models begin differently."""
    return bed.spawn(pattern).assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(Numbers, seed=Each(range(count)), size=size),
            "dataset": impl(Points, Each(range(count)), size),
            "dataset_test": impl(Points, 0, size),
        },
    )


def mixers(bed, nodes, leader, kind, graph, **options):
    """A mixer on each node, wired, and a leader that runs them."""
    cls, given, elements = MIXERS[kind]
    nodes.assign("mixer", cls, options={**given, **options}, elements=elements)
    bed.wire(graph, nodes=nodes, role="mixer")
    lead(bed, nodes, leader)


def lead(bed, nodes, leader):
    bed.spawn(leader)
    bed.assign(leader, "coordinator", DecentralisedCoordinator)
    bed.relate(leader, "mixer", nodes.role("mixer"))


def models(bed, nodes):
    """All models, (number of nodes, size)."""
    return np.array([bed.call(f"{node}/trainer", "get-model")["w"] for node in nodes])


def gossip(bed, nodes, graph, **options):
    nodes.assign("aggregator", GossipAggregator).assign(
        "coordinator", GossipCoordinator, options=options
    )
    bed.wire(graph, nodes=nodes, role="aggregator")


def ad_psgd(bed, nodes, graph):
    nodes.assign("worker", AdPsgdWorker)
    bed.wire(graph.bipartite(), nodes=nodes, role="worker", connected=False)


def ring(bed, nodes, leader):
    nodes.assign("ring", RingAggregator)
    bed.spawn(leader)
    bed.assign(leader, "coordinator", RingCoordinator)
    bed.relate(leader, "ring", nodes.role("ring"))


def federated(bed, leader, clients, size=3):
    bed.spawn(leader)
    bed.assign(
        leader,
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(Numbers, size=size), "dataset_test": impl(Points, size=size)},
    )
    bed.assign(leader, "aggregator", FedAvgAggregator)
    bed.assign(leader, "coordinator", FederatedCoordinator)
    bed.relate(leader, "trainer", clients)


def tree(bed, nodes, leader, graph, size=3):
    """E-tree learning on a spanning tree: a node with others below is a leaf, too, right below
    itself.
    """
    below = graph.spanning_tree().neighbours()
    for node in nodes:
        if below[node]:
            bed.assign(node, "inner", TreeAggregator)
    for node, others in below.items():
        if others:
            bed.relate(
                node,
                "trainer",
                [f"{node}/trainer", *(f"{o}/{'inner' if below[o] else 'trainer'}" for o in others)],
            )
    root = nodes.names[0]
    federated(bed, leader, [f"{root}/{'inner' if below[root] else 'trainer'}"], size)
