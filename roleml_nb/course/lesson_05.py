"""Lesson 05, gossip."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np

from roleml_nb.library import metropolis_hastings, mixing_matrix
from roleml_nb.role import RoleMLError

from .checking import Claim, exercise
from .claims import is_function

NODES = 12
MAX_EDGES = 18
MAX_RATE = 0.8
GRAPHS: dict[str, dict[str, list[str]]] = {
    "a line of three": {"a": ["b"], "b": ["a", "c"], "c": ["b"]},
    "a ring of five": {
        "0": ["4", "1"],
        "1": ["0", "2"],
        "2": ["1", "3"],
        "3": ["2", "4"],
        "4": ["3", "0"],
    },
    "a star of four": {"hub": ["x", "y", "z"], "x": ["hub"], "y": ["hub"], "z": ["hub"]},
}


@exercise("05.1", "mixing weights", 15)
def weights(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    for name, graph in GRAPHS.items():
        found = answer(deepcopy(graph))
        yield Claim(
            f"{name}: it returns a weight for each node and each node",
            np.shape(found) == (len(graph), len(graph)),
            f"the shape is {np.shape(found)}, and there are {len(graph)} nodes",
        )
        matrix = np.asarray(found, float)
        linked = _links(graph)
        yield Claim(
            f"{name}: who is no neighbour has weight 0",
            bool((matrix[~linked] == 0).all()),
            f"it made\n{matrix.round(2)}",
        )
        yield Claim(
            f"{name}: the weights that a node gives add up to 1",
            np.allclose(matrix.sum(1), 1),
            f"rows add up to {matrix.sum(1).round(2).tolist()}: what is left over is for the node"
            " itself",
        )
        yield Claim(
            f"{name}: they are the same in both directions",
            np.allclose(matrix, matrix.T),
            f"it made\n{matrix.round(2)}\nand two neighbours give each other the same: both degrees"
            " count",
        )
        right = mixing_matrix(metropolis_hastings(graph))
        yield Claim(
            f"{name}: they are those of Metropolis and Hastings",
            np.allclose(matrix, right),
            f"it made\n{matrix.round(2)}\nwhich of the two degrees counts, "
            "and has the node itself been counted among those that share?",
        )


def _links(graph: dict[str, list[str]]) -> np.ndarray:
    """Return a matrix that is True where two nodes are neighbours, or the same."""
    nodes = list(graph)
    linked = np.eye(len(nodes), dtype=bool)
    for row, node in enumerate(nodes):
        for neighbour in graph[node]:
            linked[row, nodes.index(neighbour)] = True
    return linked


@exercise("05.2", "a graph that mixes fast", 15)
def graph(answer: Any) -> Iterator[Claim]:
    import networkx as nx

    from roleml_nb.topologies.topology import topology

    yield Claim(
        "it is a networkx graph", isinstance(answer, nx.Graph), f"it is {type(answer).__name__}"
    )
    yield Claim(f"it has {NODES} nodes", len(answer) == NODES, f"it has {len(answer)}")
    yield Claim(
        "its edges lead both ways", not answer.is_directed(), "make a networkx.Graph, not a DiGraph"
    )
    try:
        made = topology(answer, NODES).check()
    except RoleMLError as error:
        yield Claim("it is connected", False, str(error))
        return
    report = made.report()
    yield Claim("it is connected", True)
    yield Claim(
        f"it has at most {MAX_EDGES} edges", report.edges <= MAX_EDGES, f"it has {report.edges}"
    )
    yield Claim(
        f"a round leaves less than {MAX_RATE} of the distance",
        report.rate < MAX_RATE,
        f"its consensus rate is {report.rate:.3f} with {report.edges} edges and a diameter of"
        f" {report.diameter}: how long is the way from one side to the other, and which edges would"
        " make it shorter?",
    )
