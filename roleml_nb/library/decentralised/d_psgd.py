"""D-PSGD: decentralised parallel stochastic gradient descent.

Lian, Zhang, Zhang, Hsieh, Zhang and Liu, "Can Decentralized Algorithms Outperform Centralized
Algorithms? A Case Study for Decentralized Parallel Stochastic Gradient Descent", NeurIPS 2017,
algorithm 1.
"""

from __future__ import annotations

from typing import Any

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.aggregation.state_dicts import add_step, difference, subset
from roleml_nb.role.parameters import STEPPED, entries, like

from .mixers import Mixer, Received, updates_of

__all__ = ["DPsgdMixer", "metropolis_hastings_shares"]


class DPsgdMixer(Mixer):
    """One node of D-PSGD (Lian et al. 2017, algorithm 1).

    x_i ← Σ_j w_ij x_j over itself and its neighbours. The weights are those of Metropolis and
    Hastings, w_ij = 1 / (1 + max(d_i, d_j)), and the rest for itself (Xiao and Boyd 2004). Each
    node computes them from its own degree and the degrees that come with the models. They are
    doubly stochastic: the mean of all models stays as it was, and the distance from it shrinks with
    the graph's spectral gap.

    Parameters
    ----------
    overlap : bool
        True sends models as they were before the training, and adds the training's change after
        mixing, x_i ← Σ_j w_ij x_j + (train(x_i) - x_i): line by line the algorithm of the paper,
        which lets a node send while it trains. Entries that are not trained, such as BatchNorm's
        statistics, are sent as they are after the training. False mixes the trained models,
        x_i ← Σ_j w_ij train(x_j), which the paper allows, too.
    """

    parts = ("update",)

    def __init__(self, overlap: bool = False):
        super().__init__()
        self.overlap = self.keeps_before = overlap
        self._after: Any = None

    def trained(self, before: Any, after: Any, round: int) -> None:
        self.own = self._after = after
        if self.overlap:
            self.own = like({**after, **subset(before, entries(STEPPED, after))}, after)

    def combine(self, received: Received) -> Any:
        mixed = average([self.own, *updates_of(received)], self.weights(received))
        if not self.overlap:
            return mixed
        return add_step(mixed, difference(self._after, self.own))

    def weights(self, received: Received) -> list[float]:
        return metropolis_hastings_shares(self.degree, received)


def metropolis_hastings_shares(degree: int, received: Received) -> list[float]:
    """Return the weight of the own model and those of the senders' (Xiao and Boyd 2004)."""
    shares = [1 / (1 + max(degree, message["degree"])) for message in received.values()]
    return [max(0.0, 1 - sum(shares)), *shares]
