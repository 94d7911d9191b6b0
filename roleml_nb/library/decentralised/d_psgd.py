"""D-PSGD: decentralised parallel stochastic gradient descent.

Lian, Zhang, Zhang, Hsieh, Zhang and Liu, "Can Decentralized Algorithms Outperform Centralized
Algorithms? A Case Study for Decentralized Parallel Stochastic Gradient Descent", NeurIPS 2017,
algorithm 1.
"""

from __future__ import annotations

from typing import Any

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.aggregation.state_dicts import add_step, difference
from roleml_nb.role.parameters import STEPPED, entries, like

from .mixers import Mixer, Received

__all__ = ["DPsgdMixer", "metropolis_hastings_shares"]


class DPsgdMixer(Mixer):
    """One node of D-PSGD: x_i ← Σ_j w_ij x_j over itself and its neighbours (Lian et al. 2017,
    algorithm 1).

    The weights are those of Metropolis and Hastings, w_ij = 1 / (1 + max(d_i, d_j)), and the rest
    for itself (Xiao and Boyd 2004), which each node computes from its own degree and those that
    come with the models. They are doubly stochastic: the mean of all models stays as it was, and
    the distance from it shrinks with the graph's spectral gap.

    Parameters
    ----------
    overlap : bool
        Whether models are sent as they were before the training, whose change is added after
        mixing, x_i ← Σ_j w_ij x_j + (train(x_i) - x_i): line by line the algorithm of the paper,
        which lets a node send while it trains; of what is not trained, such as BatchNorm's
        statistics, what is sent is from after the training, and mixed. Otherwise what was trained
        is mixed, x_i ← Σ_j w_ij train(x_j), which the paper allows likewise.
    """

    parts = ("update",)

    def __init__(self, overlap: bool = False):
        super().__init__()
        self.overlap = self.keeps_before = overlap
        self._after: Any = None

    def trained(self, before: Any, after: Any, round: int) -> None:
        self.own = self._after = after
        if self.overlap:
            self.own = like(
                {**after, **{name: before[name] for name in entries(STEPPED, after)}}, after
            )

    def combine(self, received: Received) -> Any:
        mixed = average(
            [self.own, *(message["update"] for message in received.values())],
            self.weights(received),
        )
        if not self.overlap:
            return mixed
        return add_step(mixed, difference(self._after, self.own))

    def weights(self, received: Received) -> list[float]:
        return metropolis_hastings_shares(self.degree, received)


def metropolis_hastings_shares(degree: int, received: Received) -> list[float]:
    """Return the weights of oneself and, in their order, of the senders (Xiao and Boyd 2004)."""
    shares = [1 / (1 + max(degree, message["degree"])) for message in received.values()]
    return [max(0.0, 1 - sum(shares)), *shares]
