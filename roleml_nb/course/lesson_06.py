"""Lesson 06, trees and rings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .checking import Claim, exercise
from .claims import equals, is_function, is_list, returned


@exercise("06.1", "the busiest node", 15)
def busiest(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    cases: list[tuple[str, int, int, float, str]] = [
        ("star", 8, 1, 16, "the server sends and receives a model for each client"),
        ("star", 50, 1, 100, "it grows with the number of clients"),
        ("tree", 16, 4, 10, "an edge node has four clients, and the root above it"),
        ("tree", 12, 6, 12, "with many edge nodes the root is the busiest"),
        ("tree", 20, 2, 22, "with few of them, an edge node is"),
        ("ring", 4, 1, 3, "a node sends 3/4 of a model twice, and receives as much"),
        ("ring", 100, 1, 3.96, "and it hardly grows with the number of nodes"),
    ]
    for kind, nodes, edges, right, hint in cases:
        found = answer(kind, nodes, edges)
        where = f"{kind} of {nodes}" + (f" below {edges} edge nodes" if kind == "tree" else "")
        yield Claim(
            f"{where}: {right:g} models", equals(found, right), f"{returned(found)}: {hint}"
        )


class Wire:
    """Passes arrays on to the next node, and counts the numbers that each node has sent."""

    def __init__(self, nodes: int) -> None:
        self.sent = [0] * nodes

    def send(self, node: int, chunk: Any) -> Any:
        self.sent[node] += np.size(chunk)
        return np.array(chunk)


@exercise("06.2", "the second half of all-reduce", 15)
def all_reduce(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    for nodes, size in ((2, 4), (4, 12), (5, 23)):
        rng = np.random.default_rng(nodes)
        vectors = [rng.integers(0, 100, size).astype(float) for _ in range(nodes)]
        wire = Wire(nodes)
        found = answer(list(map(np.copy, vectors)), wire.send)
        where = f"{nodes} nodes, {size} numbers"
        shapes = list(map(np.shape, found)) if is_list(found) else None
        yield Claim(
            f"{where}: a vector for each node",
            shapes == [(size,)] * nodes,
            returned(found) if shapes is None else f"it returned {len(shapes)} of shapes {shapes}",
        )
        right = [index for index, one in enumerate(found) if np.allclose(one, sum(vectors))]
        yield Claim(
            f"{where}: all nodes have the sum",
            len(right) == nodes,
            f"the nodes {right} have it, of 0 to {nodes - 1}: after the first half, node k has the"
            " whole sum of chunk k + 1; which chunk does it pass on in each step, and what does"
            " the next node do with it?",
        )
        most = 2 * (nodes - 1) * -(-size // nodes)
        yield Claim(
            f"{where}: no node sends more than {most} numbers",
            max(wire.sent) <= most,
            f"they sent {wire.sent}: a chunk per step, in n - 1 steps",
        )
        yield Claim(
            f"{where}: and all that is used was sent",
            min(wire.sent) >= 2 * (nodes - 1) * (size // nodes),
            f"they sent {wire.sent}: a node must not look into another one's chunks, but send what"
            " it has",
        )
