"""Eight architectures around the same trainer, deployed by name: what lesson 07 compares, and
lesson 09 is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from roleml_nb.library import (
    AdPsgdWorker,
    AsynchronousCoordinator,
    DecentralisedCoordinator,
    DPsgdMixer,
    EpochTrainer,
    FedAdam,
    FedAvgAggregator,
    FedBuff,
    FederatedCoordinator,
    GossipAggregator,
    GossipCoordinator,
    ModelMaintainer,
    RingAggregator,
    RingCoordinator,
    TreeAggregator,
)
from roleml_nb.role import did_you_mean
from roleml_nb.testbed import Each, Nodes, impl
from roleml_nb.workload import digits, digits_test, mlp

from .checking import CourseError

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed

Place = Callable[["Testbed", Nodes], Callable[[int], Any]]

__all__ = ["ARCHITECTURES", "Deployed", "deploy"]


class Deployed(NamedTuple):
    """An architecture that is ready to run; `rounds` does so many, in each of which every node
    trains once, by and large.
    """

    name: str
    nodes: Nodes
    rounds: Callable[[int], Any]

    @property
    def pattern(self) -> str:
        """Finds all of its nodes."""
        return f"{self.name}-*"


def deploy(
    bed: Testbed, name: str, nodes: int = 8, *, place: Place | None = None, **data: Any
) -> Deployed:
    """Spawn nodes with the trainer, and place what makes them an architecture.

    All get the same trainer, models that begin alike, and the same parts of the digits.

    Parameters
    ----------
    name : str
        One of `ARCHITECTURES`, or any with `place`. It stands before the names of the nodes:
        ``FedAvg-node1``.
    nodes : int
        How many have data; an even number, 4 or more.
    place : callable, optional
        An architecture that is not in `ARCHITECTURES`: ``place(bed, trainers)`` puts what it needs
        beside the trainers, and returns a function that does so many rounds.
    **data
        Of `digits`: partition, alpha, seed, …

    Raises
    ------
    CourseError
        For an unknown name, or too few or an odd number of nodes.
    """
    if place is None and name not in ARCHITECTURES:
        raise CourseError(f"there is no architecture {name!r}; {did_you_mean(name, ARCHITECTURES)}")
    if nodes < 4 or nodes % 2:
        raise CourseError(f"nodes must be an even number, 4 or more, got {nodes!r}")
    trainers = bed.spawn(f"{name}-node{{1..{nodes}}}")
    trainers.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(digits, part=Each(range(nodes)), parts=nodes, **data),
            "dataset_test": impl(digits_test),
        },
    )
    return Deployed(name, trainers, (place or ARCHITECTURES[name])(bed, trainers))


def federated(bed: Testbed, trainers: Nodes, **elements: Any) -> Callable[[int], Any]:
    server = evaluator(bed, f"{prefix(trainers)}-server")
    bed.assign(server, "aggregator", FedAvgAggregator, elements=elements)
    bed.assign(server, "coordinator", FederatedCoordinator)
    bed.relate(server, "trainer", trainers.role("trainer"))
    return lambda rounds: bed.call(f"{server}/coordinator", "run", {"num_rounds": rounds})


def with_adam(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    return federated(bed, trainers, strategy=impl(FedAdam, lr=0.03))


def tree(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    root, half = evaluator(bed, f"{prefix(trainers)}-root"), len(trainers) // 2
    edges = bed.spawn(f"{prefix(trainers)}-edge{{1..2}}").assign("aggregator", TreeAggregator)
    bed.relate(edges.names[0], "trainer", trainers.role("trainer")[:half])
    bed.relate(edges.names[1], "trainer", trainers.role("trainer")[half:])
    bed.assign(root, "aggregator", FedAvgAggregator)
    bed.assign(root, "coordinator", FederatedCoordinator)
    bed.relate(root, "trainer", edges.role("aggregator"))
    return lambda rounds: bed.call(f"{root}/coordinator", "run", {"num_rounds": rounds})


def buffered(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    server, half = evaluator(bed, f"{prefix(trainers)}-server"), len(trainers) // 2
    bed.assign(
        server,
        "coordinator",
        AsynchronousCoordinator,
        elements={"strategy": impl(FedBuff, size=half)},
    )
    bed.relate(server, "trainer", trainers.role("trainer"))
    return lambda rounds: bed.call(f"{server}/coordinator", "run", {"num_rounds": 2 * rounds})


def gossip(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    trainers.assign("aggregator", GossipAggregator).assign("coordinator", GossipCoordinator)
    bed.wire("torus", nodes=trainers, role="aggregator")
    return lambda rounds: bed.call(
        f"{prefix(trainers)}-node*/coordinator", "run", {"num_rounds": rounds, "test_every": 1}
    )


def ad_psgd(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    trainers.assign("worker", AdPsgdWorker)
    for active in trainers.names[::2]:
        bed.relate(active, "peer", [f"{passive}/worker" for passive in trainers.names[1::2]])
    return lambda rounds: bed.call(
        f"{prefix(trainers)}-node*/worker", "run", {"num_rounds": rounds, "test_every": 1}
    )


def d_psgd(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    trainers.assign("mixer", DPsgdMixer)
    bed.wire("torus", nodes=trainers, role="mixer")
    leader = f"{prefix(trainers)}-leader"
    bed.spawn(leader)
    bed.assign(leader, "coordinator", DecentralisedCoordinator)
    bed.relate(leader, "mixer", trainers.role("mixer"))
    return lambda rounds: bed.call(
        f"{leader}/coordinator", "run", {"num_rounds": rounds, "test_every": 1}
    )


def ring(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    trainers.assign("aggregator", RingAggregator)
    leader = evaluator(bed, f"{prefix(trainers)}-leader")
    bed.assign(leader, "coordinator", RingCoordinator)
    bed.relate(leader, "ring", trainers.role("aggregator"))
    return lambda rounds: bed.call(f"{leader}/coordinator", "run", {"num_rounds": rounds})


def prefix(trainers: Nodes) -> str:
    """Return the prefix of the names of an architecture's nodes."""
    return trainers.names[0].rpartition("-")[0]


def evaluator(bed: Testbed, node: str) -> str:
    """Return a node that tests the model of all."""
    bed.spawn(node)
    bed.assign(
        node,
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(mlp, 64, 10), "dataset_test": impl(digits_test)},
    )
    return node


ARCHITECTURES: dict[str, Place] = {
    "FedAvg": federated,
    "FedAdam": with_adam,
    "E-tree": tree,
    "FedBuff": buffered,
    "gossip": gossip,
    "AD-PSGD": ad_psgd,
    "D-PSGD": d_psgd,
    "ring": ring,
}
