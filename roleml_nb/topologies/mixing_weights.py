"""Mixing weights: by how much each node of a graph takes the models of its neighbours.

A graph is a mapping, node → those that it sends to. Weights are a mapping too, receiver → sender →
weight, with each node among its own senders, and become a matrix W with `mixing_matrix`; one round
of mixing is x ← W x. Where W is doubly stochastic, rounds bring all models to their mean, and their
distance from it shrinks by the second largest modulus of W's eigenvalues in each (Xiao and Boyd,
"Fast Linear Iterations for Distributed Averaging", Systems & Control Letters 53(1), 2004).
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
    """Return w_ij = 1 / (1 + max(d_i, d_j)) with d the degrees, and the rest for oneself (Xiao and
    Boyd 2004, section 4.2).

    Doubly stochastic, and needs no more than the neighbours' degrees. ValueError when an edge has
    no edge back.
    """
    _check_symmetric(graph)
    weights: Weights = {}
    for i, others in graph.items():
        row = weights[i] = {}
        for j in others:
            row[j] = 1 / (1 + max(len(others), len(graph[j])))
    return _with_own_weights(weights)


def uniform(graph: Graph) -> Weights:
    """Return w_ij = 1 / (1 + the largest degree), and the rest for oneself; doubly stochastic.

    ValueError when an edge has no edge back.
    """
    _check_symmetric(graph)
    largest = max(map(len, graph.values()), default=0)
    weights = {}
    for i, others in graph.items():
        weights[i] = dict.fromkeys(others, 1 / (1 + largest))
    return _with_own_weights(weights)


def row_stochastic(graph: Graph) -> Weights:
    """Return weights by which each node takes the plain mean of what comes in and of its own."""
    senders: dict[str, list[str]] = {node: [node] for node in graph}
    for sender, others in graph.items():
        for receiver in others:
            senders[receiver].append(sender)
    return {node: dict.fromkeys(those, 1 / len(those)) for node, those in senders.items()}


def column_stochastic(graph: Graph) -> Weights:
    """Return the weights of push-sum: each node splits its own in equal shares between its
    receivers and itself.
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
    """Return the second largest modulus of the eigenvalues, 0 for a single node; 1 minus it is the
    spectral gap.
    """
    moduli = np.sort(np.abs(np.linalg.eigvals(matrix)))
    return float(moduli[-2]) if len(moduli) > 1 else 0.0


def _with_own_weights(weights: Weights) -> Weights:
    return {i: {i: 1 - sum(row.values()), **row} for i, row in weights.items()}


def _check_symmetric(graph: Graph) -> None:
    for node, others in graph.items():
        for other in others:
            if node not in graph.get(other, ()):
                raise ArgumentError(
                    f"{node} sends to {other}, but {other} does not send to {node}: these weights"
                    " are for graphs whose edges lead both ways; directed ones need push-sum"
                )
