"""Epidemic learning.

de Vos, Farhadkhani, Guerraoui, Kermarrec, Pires and Sharma, "Epidemic Learning: Boosting
Decentralized Learning with Randomized Communication", NeurIPS 2023, algorithm 1.
"""

from __future__ import annotations

from typing import Any

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.ordering import items_at
from roleml_nb.role import RoleInstanceID
from roleml_nb.role.checks.numbers import check_count

from .mixers import Mixer, Received, updates_of

__all__ = ["EpidemicMixer"]


class EpidemicMixer(Mixer):
    """One node of epidemic learning (de Vos et al. 2023, algorithm 1).

    It sends to other nodes, drawn anew in each round, and its model becomes the plain mean of its
    own and the received ones. As EL-Local, it draws `sample` of
    its peers by itself (all nodes, usually: wire a full graph). For EL-Oracle, give the coordinator
    a `topology` that is a random regular graph in each round.

    Parameters
    ----------
    sample : int
        The number of nodes that it sends to in a round (s in the paper), 1 or more; all if there
        are fewer.
    """

    directed = True
    parts = ("update",)

    def __init__(self, sample: int = 2):
        super().__init__()
        self.sample = check_count("sample", sample, 1)

    def peers(self, round: int) -> list[RoleInstanceID]:
        known = self.known()
        if not round or len(known) <= self.sample:
            return known
        drawn = self.rng(round).choice(len(known), self.sample, replace=False)
        return items_at(known, sorted(drawn))

    def combine(self, received: Received) -> Any:
        return average([self.own, *updates_of(received)])

    def weights(self, received: Received) -> list[float]:
        return [1 / (1 + len(received))] * (1 + len(received))
