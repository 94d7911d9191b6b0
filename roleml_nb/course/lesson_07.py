"""Lesson 07, one trainer and eight architectures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from roleml_nb.library import EpochTrainer
from roleml_nb.testbed import Each, Testbed, impl

from .checking import Claim, exercise
from .claims import is_function
from .toy_roles import Numbers, Points, centres, models_of

PLACES = [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]
COUNTS = [10, 20, 30, 40, 50, 60]
START = {"w": np.array([4.0, 4.0])}


@exercise("07.1", "the same clients, below a tree")
def hierarchy(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    with Testbed(engines=0, timeout=8) as bed:
        clients = _trainers(bed, "client")
        bed.spawn("root", "edge{1..2}")
        answer(bed)
        roles = _roles(bed)
        yield Claim(
            "the clients are as they were",
            all(list(roles[node]) == ["trainer"] for node in clients.names),
            f"client1 has {', '.join(roles['client1'])}: only the edge nodes and the root need"
            " more",
        )
        yield Claim(
            "the root has a coordinator",
            "coordinator" in roles["root"],
            f"it has {', '.join(roles['root']) or 'no role'}",
        )
        bed.call("root/coordinator", "run", {"num_rounds": 1})
        found = bed.call("root/coordinator", "get-model")
        table = bed.trace.messages.matrix("messages", ["root", "edge*", "client*"])
        talks = _partners(table, "root", table.columns)
        yield Claim(
            "the root talks to the two edge nodes, and to nobody else",
            talks == ["edge1", "edge2"],
            f"it talked to {', '.join(talks) or 'nobody'}: who is in its relationship 'trainer'?",
        )
        below_1 = _partners(table, "edge1", clients.names)
        below_2 = _partners(table, "edge2", clients.names)
        yield Claim(
            "each client has one edge node above it",
            sorted(below_1 + below_2) == sorted(clients.names),
            f"edge1 talked to {', '.join(below_1) or 'nobody'}, edge2 to"
            f" {', '.join(below_2) or 'nobody'}",
        )
        trained = (START["w"] + centres(PLACES)) / 2
        right = np.average(trained, axis=0, weights=COUNTS)
        yield Claim(
            "one round gives the mean of all clients, weighted by their data",
            np.allclose(found["w"], right),
            f"it gave {np.asarray(found['w']).round(3)} in place of {right.round(3)}",
        )


@exercise("07.2", "the same trainers, without a server")
def serverless(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    with Testbed(engines=0, timeout=8) as bed:
        nodes = _trainers(bed, "node")
        bed.spawn("leader")
        answer(bed)
        roles = _roles(bed)
        classes = []
        for specs in roles.values():
            for spec in specs.values():
                classes.append(spec["class"])
        yield Claim(
            "no node has an aggregator of federated averaging",
            not any(name.endswith("FedAvgAggregator") for name in classes),
            "there is to be no node at which all models meet",
        )
        yield Claim(
            "the leader has a coordinator",
            "coordinator" in roles["leader"],
            f"it has {', '.join(roles['leader']) or 'no role'}",
        )
        for number, node in enumerate(nodes.names):
            bed.call(
                f"{node}/trainer",
                "apply-update",
                payloads={"update": {"w": np.array([float(number), 10.0])}},
            )
        bed.call("leader/coordinator", "run", {"num_rounds": 40, "num_epochs": 0})
        models = models_of(bed, nodes.names)
        yield Claim(
            "after 40 rounds of mixing, all models agree",
            bool(np.ptp(models, axis=0).max() < 0.01),
            f"the first numbers of the six models are {models[:, 0].round(2).tolist()}, after they"
            " began as 0 to 5: is the graph connected, and are all nodes known to the leader?",
        )
        yield Claim(
            "and what they agree on is the mean",
            bool(np.allclose(models.mean(0), [2.5, 10.0], atol=0.01)),
            f"it is {models.mean(0).round(2).tolist()}: the mixing weights are not those of"
            " DPsgdMixer",
        )
        table = bed.trace.messages.matrix("messages", ["node*"])
        most = max(len(_partners(table, node, nodes.names)) for node in nodes.names)
        yield Claim(
            "each node talks to three others at most",
            most <= 3,
            f"one talks to {most}: take a graph with fewer edges",
        )


def _roles(bed: Testbed) -> dict[str, dict[str, Any]]:
    """Return the specs of the roles on each node, by name."""
    roles = {}
    for node, spec in bed.spec()["nodes"].items():
        roles[node] = spec["roles"]
    return roles


def _partners(table: Any, node: str, others: Iterable[str]) -> list[str]:
    """Return the other nodes that the node has sent messages to, by a table of messages."""
    return [other for other in others if other != node and table.loc[node, other]]


def _trainers(bed: Testbed, name: str) -> Any:
    nodes = bed.spawn(f"{name}{{1..6}}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(Numbers), "dataset": impl(Points, Each(PLACES), Each(COUNTS))},
    )
    for node in nodes.names:
        bed.call(f"{node}/trainer", "apply-update", payloads={"update": START})
    return nodes
