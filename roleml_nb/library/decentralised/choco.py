"""CHOCO-SGD: decentralised learning with compressed messages.

Koloskova, Stich and Jaggi, "Decentralized Stochastic Optimization and Gossip Algorithms with
Compressed Communication", ICML 2019, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.aggregation.state_dicts import from_vector, subset, to_vector
from roleml_nb.role import Element, RoleInstanceID
from roleml_nb.role.checks.numbers import check_number
from roleml_nb.role.parameters import AVERAGED, COPIED, entries, like

from .compressors import Compressor, TopK
from .d_psgd import metropolis_hastings_shares
from .mixers import Mixer, Received

__all__ = ["ChocoMixer"]


class ChocoMixer(Mixer):
    """One node of CHOCO-SGD (Koloskova et al. 2019, algorithm 2).

    Element: `compressor`, a `Compressor` (`TopK`).

    Each node keeps an estimate x̂ of its own model and of each neighbour's; the neighbours have the
    same estimates. It sends q_i = C(x_i - x̂_i), compressed; all add q_i to x̂_i; and
    x_i ← x_i + γ Σ_j w_ij (x̂_j - x̂_i) with the weights of Metropolis and Hastings. The error of
    the compression stays in x_i - x̂_i and is sent later. A neighbour that missed a message, or is
    new, gets the whole estimate in the next round. Memory: (2 + number of neighbours) models.

    x are the trained weights. Entries that are averaged or copied, such as BatchNorm's statistics,
    are sent uncompressed, and mixed with the weights w_ij; frozen weights are not sent, and stay as
    they are on each node.

    Parameters
    ----------
    consensus_step : float
        γ, more than 0, at most 1. The stronger the compression, the smaller: 0.02 suits 1 % of the
        entries.
    error_feedback : bool
        False is compression without memory, for contrast: x_i ← x_i + γ Σ_j w_ij (C(x_j) - x_i),
        the scheme (Q1-G) of the paper's section 3.2, which neither keeps the mean nor converges to
        it.
    """

    compressor: Any = Element(Compressor, default_constructor=TopK)
    parts = ("whole",)
    goes_on = ("_estimates", "_up_to_date")

    def __init__(self, consensus_step: float = 0.02, error_feedback: bool = True):
        super().__init__()
        self.consensus_step = check_number("consensus_step", consensus_step, 0, 1, above=True)
        self.error_feedback = error_feedback
        self._estimates: dict[RoleInstanceID, np.ndarray] = {}
        # None: the estimate is zero, so no change was missed
        self._up_to_date: set[RoleInstanceID] | None = None
        self._change: dict[str, Any] = {}

    def trained(self, before: Any, after: Any, round: int) -> None:
        self.own = after
        model = to_vector(after)
        estimate = np.zeros(len(model)) if self._up_to_date is None else self._estimates[self.id]
        self._check(self.id, estimate, model)
        self._change = self.compressor().compress(model - estimate, self.rng(round))
        self._estimates[self.id] = estimate + self.compressor().decompress(self._change)

    def sent(
        self, receivers: list[RoleInstanceID]
    ) -> Iterable[tuple[list[RoleInstanceID], dict[str, Any]]]:
        current: list[RoleInstanceID] = []
        outdated: list[RoleInstanceID] = []
        for receiver in receivers:
            knows = self._up_to_date is None or receiver in self._up_to_date
            (current if knows else outdated).append(receiver)
        whole = self._whole()
        first = self._up_to_date is None
        yield current, {"change": self._change, "first": first, "whole": whole}
        yield outdated, {"estimate": self._estimates[self.id], "whole": whole}

    def takes(self, sender: RoleInstanceID, message: dict[str, Any]) -> bool:
        """Return False for a change of an estimate that this node, being new, does not have yet.

        The sender then sends the whole estimate in the next round.
        """
        return "estimate" in message or bool(message.get("first")) or sender in self._estimates

    def delivered(self, receivers: list[RoleInstanceID]) -> None:
        self._up_to_date = set(receivers) if self.error_feedback else None

    def combine(self, received: Received) -> Any:
        model = to_vector(self.own)
        own = self._estimates[self.id]
        for sender, message in received.items():
            if "estimate" in message:
                self._estimates[sender] = np.array(message["estimate"])
                self._check(sender, self._estimates[sender], model)
            else:
                change = self.compressor().decompress(message["change"])
                self._check(sender, change, model)
                self._estimates[sender] = (
                    change if message["first"] else self._estimates[sender] + change
                )
        weights = metropolis_hastings_shares(self.degree, received)
        _, *shares = weights
        step = np.zeros(len(model))
        for sender, share in zip(received, shares, strict=True):
            step += share * (self._estimates[sender] - (own if self.error_feedback else model))
        mixed = from_vector(model + self.consensus_step * step, self.own)
        wholes = [message["whole"] for message in received.values()]
        whole = average([self._whole(), *wholes], weights)
        return like({**mixed, **whole}, self.own)

    def _whole(self) -> dict[str, Any]:
        """Return the entries that are averaged or copied."""
        return subset(self.own, entries((AVERAGED, COPIED), self.own))

    def _check(self, node: RoleInstanceID, vector: np.ndarray, model: np.ndarray) -> None:
        self.require(
            len(vector) == len(model),
            f"{node} has sent {len(vector)} trained numbers, and {self.id} trains {len(model)}:"
            " with CHOCO, the same weights must be trained, and the same be frozen, on all nodes"
            " and in all rounds",
        )

    def weights(self, received: Received) -> list[float]:
        """Return the weight of the own model and γ w_ij of each estimate; their sum is 1."""
        _, *shares = metropolis_hastings_shares(self.degree, received)
        others = [self.consensus_step * share for share in shares]
        return [1 - sum(others), *others]
