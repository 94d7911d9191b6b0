"""Eight architectures around the same trainer, deployed by name.

Lesson 07 compares them with one another, and lesson 09 compares the student's with them.
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
    """An architecture that is ready to run.

    ``rounds(number)`` runs that many rounds; a node trains about once in each.
    """

    name: str
    nodes: Nodes
    rounds: Callable[[int], Any]

    @property
    def pattern(self) -> str:
        """The pattern that matches all nodes of the architecture."""
        return f"{self.name}-*"


def deploy(
    bed: Testbed, name: str, nodes: int = 8, *, place: Place | None = None, **data: Any
) -> Deployed:
    """Spawn nodes with trainers, and place the roles that make them an architecture.

    All architectures get the same trainer, equal initial models, and the same parts of the digits.

    Parameters
    ----------
    name : str
        One of `ARCHITECTURES`, or any name with `place`. Names of nodes begin with it:
        ``FedAvg-node1``.
    nodes : int
        Number of nodes with data; even, 4 or more.
    place : callable, optional
        An architecture that is not in `ARCHITECTURES`: ``place(bed, trainers)`` puts its roles
        beside the trainers, and returns a function of the number of rounds, which runs them.
    **data
        Options of `digits`: partition, alpha, seed, …

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
    root = evaluator(bed, f"{prefix(trainers)}-root")
    half = len(trainers) // 2
    edges = bed.spawn(f"{prefix(trainers)}-edge{{1..2}}").assign("aggregator", TreeAggregator)
    bed.relate(edges.names[0], "trainer", trainers.role("trainer")[:half])
    bed.relate(edges.names[1], "trainer", trainers.role("trainer")[half:])
    bed.assign(root, "aggregator", FedAvgAggregator)
    bed.assign(root, "coordinator", FederatedCoordinator)
    bed.relate(root, "trainer", edges.role("aggregator"))
    return lambda rounds: bed.call(f"{root}/coordinator", "run", {"num_rounds": rounds})


def buffered(bed: Testbed, trainers: Nodes) -> Callable[[int], Any]:
    server = evaluator(bed, f"{prefix(trainers)}-server")
    half = len(trainers) // 2
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
    """Return the beginning that the names of an architecture's nodes share."""
    return trainers.names[0].rpartition("-")[0]


def evaluator(bed: Testbed, node: str) -> str:
    """Spawn a node that tests the common model, and return its name."""
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
