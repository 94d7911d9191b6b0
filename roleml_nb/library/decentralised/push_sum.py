"""Stochastic gradient push: decentralised learning on directed graphs.

Assran, Loizou, Ballas and Rabbat, "Stochastic Gradient Push for Distributed Deep Learning", ICML
2019, algorithm 1, on the push-sum protocol of Kempe, Dobra and Gehrke, "Gossip-Based Computation of
Aggregate Information", FOCS 2003.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.aggregation.state_dicts import from_vector, subset, to_vector
from roleml_nb.role import RoleInstanceID
from roleml_nb.role.parameters import AVERAGED, COPIED, entries, like

from .mixers import Mixer, Received, updates_of

__all__ = ["StochasticGradientPush"]


class StochasticGradientPush(Mixer):
    """One node of stochastic gradient push (Assran et al. 2019, algorithm 1).

    Edges may lead one way.

    A node splits its biased parameters x and its weight w in equal shares between those that it
    sends to and itself: x_i ← Σ_j p_ij x_j and w_i ← Σ_j p_ij w_j, with p_ij = 1 / (1 + the
    out-degree of j). The trainer's model is z_i = x_i / w_i, in which the bias is gone: without
    training, it converges to the exact mean of all. Training changes x as much as z. A node need
    not know its senders. For entries that are not trained, such as BatchNorm's statistics, x is w
    times the value after the training.

    When a node is lost, the messages that it received are lost, too: the weights of the others
    would sum to less than their number, and every later step would be too long. So they begin
    anew: w_i ← 1, x_i ← z_i.
    """

    directed = True
    keeps_before = True
    parts = ("update", "weight")
    goes_on = ("weight",)

    def __init__(self) -> None:
        super().__init__()
        self.weight = 1.0
        """w_i; the sum over all nodes is always the number of nodes."""
        self._biased = np.zeros(0)

    def begin_anew(self) -> None:
        self.weight = 1.0

    def trained(self, before: Any, after: Any, round: int) -> None:
        self.own = after
        model = to_vector(before)
        trained = to_vector(after)
        biased = self.weight * model + (trained - model)
        self._biased = np.concatenate([biased, self.weight * to_vector(after, AVERAGED)])

    def sent(
        self, receivers: list[RoleInstanceID]
    ) -> Iterable[tuple[list[RoleInstanceID], dict[str, Any]]]:
        yield receivers, {"update": self._model(self._biased), "weight": self.weight}

    def combine(self, received: Received) -> Any:
        share = 1 / (1 + self.degree)
        biased = share * self._biased
        weight = share * self.weight
        for message in received.values():
            share = 1 / (1 + message["degree"])
            update = message["update"]
            biased = biased + share * np.concatenate(
                [to_vector(update), to_vector(update, AVERAGED)]
            )
            weight = weight + share * message["weight"]
        self.weight = weight
        copied = average(list(map(self._copied_entries, [self.own, *updates_of(received)])))
        return like({**self._model(biased / weight), **copied}, self.own)

    def _copied_entries(self, update: Mapping[str, Any]) -> dict[str, Any]:
        return subset(update, entries(COPIED, self.own))

    def _model(self, vector: np.ndarray) -> dict[str, Any]:
        """Return the node's model with the trained weights and then the statistics of `vector`."""
        size = len(vector) - len(to_vector(self.own, AVERAGED))
        return from_vector(vector[size:], from_vector(vector[:size], self.own), AVERAGED)

    def weights(self, received: Received) -> list[float]:
        """Return p_ij w_j / w_i with the new w_i: the shares of z_j in z_i, whose sum is 1."""
        parts = [self.weight / (1 + self.degree)]
        for message in received.values():
            parts.append(message["weight"] / (1 + message["degree"]))
        return [part / sum(parts) for part in parts]
