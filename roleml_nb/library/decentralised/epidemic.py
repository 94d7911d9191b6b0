"""Epidemic learning.

de Vos, Farhadkhani, Guerraoui, Kermarrec, Pires and Sharma, "Epidemic Learning: Boosting
Decentralized Learning with Randomized Communication", NeurIPS 2023, algorithm 1.
"""

from __future__ import annotations

from typing import Any

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.role import ArgumentError, RoleInstanceID
from roleml_nb.role.checks.numbers import as_count

from .mixers import Mixer, Received

__all__ = ["EpidemicMixer"]


class EpidemicMixer(Mixer):
    """One node of epidemic learning (de Vos et al. 2023, algorithm 1): sends to random others, anew
    in each round.

    It takes the plain mean of its model and those that came in. As EL-Local, it draws `sample` of
    its peers by itself (all nodes, usually: wire a full graph). For EL-Oracle, give the coordinator
    a `topology` that is a random regular graph in each round.

    Parameters
    ----------
    sample : int
        To how many nodes it sends in a round (s in the paper), 1 or more; to all if there are no
        more.
    """

    directed = True
    parts = ("update",)

    def __init__(self, sample: int = 2):
        super().__init__()
        sample = as_count("sample", sample)
        if sample < 1:
            raise ArgumentError(f"sample must be 1 or more, got {sample!r}")
        self.sample = sample

    def peers(self, round: int) -> list[RoleInstanceID]:
        known = self.known()
        if not round or len(known) <= self.sample:
            return known
        return [
            known[index]
            for index in sorted(self.rng(round).choice(len(known), self.sample, replace=False))
        ]

    def combine(self, received: Received) -> Any:
        return average([self.own, *(message["update"] for message in received.values())])

    def weights(self, received: Received) -> list[float]:
        return [1 / (1 + len(received))] * (1 + len(received))
