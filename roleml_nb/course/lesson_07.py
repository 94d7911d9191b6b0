"""Lesson 07, one trainer and eight architectures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from roleml_nb.library import EpochTrainer
from roleml_nb.testbed import Each, Testbed, impl

from .checking import Claim, exercise
from .claims import is_function
from .toy_roles import Numbers, Points

PLACES, COUNTS = [1.0, 2.0, 3.0, 5.0, 7.0, 9.0], [10, 20, 30, 40, 50, 60]
START = {"w": np.array([4.0, 4.0])}


@exercise("07.1", "the same clients, below a tree")
def hierarchy(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    with Testbed(engines=0, timeout=8) as bed:
        clients = _trainers(bed, "client")
        bed.spawn("root", "edge{1..2}")
        answer(bed)
        roles = {node: list(spec["roles"]) for node, spec in bed.spec()["nodes"].items()}
        yield Claim(
            "the clients are as they were",
            all(roles[node] == ["trainer"] for node in clients.names),
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
        talks = [node for node in table.columns if node != "root" and table.loc["root", node]]
        yield Claim(
            "the root talks to the two edge nodes, and to nobody else",
            talks == ["edge1", "edge2"],
            f"it talked to {', '.join(talks) or 'nobody'}: who is in its relationship 'trainer'?",
        )
        below = {
            edge: [node for node in clients.names if table.loc[edge, node]]
            for edge in ("edge1", "edge2")
        }
        yield Claim(
            "each client has one edge node above it",
            sorted(below["edge1"] + below["edge2"]) == sorted(clients.names),
            f"edge1 talked to {', '.join(below['edge1']) or 'nobody'}, edge2 to"
            f" {', '.join(below['edge2']) or 'nobody'}",
        )
        trained = np.array([(START["w"] + [place, 10 - place]) / 2 for place in PLACES])
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
        roles = {node: spec["roles"] for node, spec in bed.spec()["nodes"].items()}
        yield Claim(
            "no node has an aggregator of federated averaging",
            not any(
                spec["class"].endswith("FedAvgAggregator")
                for node in roles.values()
                for spec in node.values()
            ),
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
        models = np.array([bed.call(f"{node}/trainer", "get-model")["w"] for node in nodes.names])
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
        most = max(
            sum(bool(table.loc[node, other]) for other in nodes.names if other != node)
            for node in nodes.names
        )
        yield Claim(
            "each node talks to three others at most",
            most <= 3,
            f"one talks to {most}: take a graph with fewer edges",
        )


def _trainers(bed: Testbed, name: str) -> Any:
    nodes = bed.spawn(f"{name}{{1..6}}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(Numbers), "dataset": impl(Points, Each(PLACES), Each(COUNTS))},
    )
    for node in nodes.names:
        bed.call(f"{node}/trainer", "apply-update", payloads={"update": START})
    return nodes
