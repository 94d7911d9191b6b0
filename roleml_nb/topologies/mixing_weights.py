"""Mixing weights: the share that each neighbour's model has in the mean that a node takes.

A graph is a mapping from a node to its receivers. Weights are a mapping, too: receiver → sender →
weight, where each node is among its own senders. `mixing_matrix` makes a matrix W of them; one
round of mixing is x ← W x. Where W is doubly stochastic, rounds bring all models to their mean, and
each round shrinks their distance from it by the second largest modulus of W's eigenvalues (Xiao and
Boyd, "Fast Linear Iterations for Distributed Averaging", Systems & Control Letters 53(1), 2004).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from roleml_nb.role import ArgumentError

__all__ = [
    "column_stochastic",
    "metropolis_hastings",
    "mixing_matrix",
    "row_stochastic",
    "second_eigenvalue",
    "uniform",
]

Graph = Mapping[str, Collection[str]]
Weights = dict[str, dict[str, float]]


def metropolis_hastings(graph: Graph) -> Weights:
    """Return w_ij = 1 / (1 + max(d_i, d_j)), where d are the degrees, and the rest for the node
    itself.

    These weights are doubly stochastic, and a node needs no more than its neighbours' degrees (Xiao
    and Boyd 2004, section 4.2). ValueError when an edge has no edge back.
    """
    _check_symmetric(graph)
    weights: Weights = {}
    for i, others in graph.items():
        row = weights[i] = {}
        for j in others:
            row[j] = 1 / (1 + max(len(others), len(graph[j])))
    return _with_own_weights(weights)


def uniform(graph: Graph) -> Weights:
    """Return w_ij = 1 / (1 + the largest degree), and the rest for the node itself.

    These weights are doubly stochastic. ValueError when an edge has no edge back.
    """
    _check_symmetric(graph)
    largest = max(map(len, graph.values()), default=0)
    weights = {}
    for i, others in graph.items():
        weights[i] = dict.fromkeys(others, 1 / (1 + largest))
    return _with_own_weights(weights)


def row_stochastic(graph: Graph) -> Weights:
    """Return weights for the plain mean of all that a node receives and its own."""
    senders: dict[str, list[str]] = {node: [node] for node in graph}
    for sender, others in graph.items():
        for receiver in others:
            senders[receiver].append(sender)
    return {node: dict.fromkeys(some, 1 / len(some)) for node, some in senders.items()}


def column_stochastic(graph: Graph) -> Weights:
    """Return the weights of push-sum: a node splits its value equally between its receivers and
    itself.
    """
    weights: Weights = {node: {} for node in graph}
    for sender, others in graph.items():
        for receiver in (sender, *others):
            weights[receiver][sender] = 1 / (1 + len(others))
    return weights


def mixing_matrix(weights: Weights) -> np.ndarray:
    """Return the matrix W, float64 of shape (n, n), rows and columns in the order of `weights`."""
    place = dict(zip(weights, range(len(weights)), strict=True))
    matrix = np.zeros((len(place), len(place)))
    for receiver, row in weights.items():
        for sender, weight in row.items():
            matrix[place[receiver], place[sender]] = weight
    return matrix


def second_eigenvalue(matrix: np.ndarray) -> float:
    """Return the second largest modulus of the eigenvalues, 0 for a single node.

    The spectral gap is 1 minus that number.
    """
    moduli = np.sort(np.abs(np.linalg.eigvals(matrix)))
    return float(moduli[-2]) if len(moduli) > 1 else 0.0


def _with_own_weights(weights: Weights) -> Weights:
    """Give each node the rest to 1 as the weight of its own value."""
    complete = {}
    for node, row in weights.items():
        complete[node] = {node: 1 - sum(row.values()), **row}
    return complete


def _check_symmetric(graph: Graph) -> None:
    for node, others in graph.items():
        for other in others:
            if node not in graph.get(other, ()):
                raise ArgumentError(
                    f"{node} sends to {other}, but {other} does not send to {node}: these weights"
                    " are for graphs whose edges lead both ways; directed ones need push-sum"
                )
