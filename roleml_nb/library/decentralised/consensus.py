"""Consensus distance: a measure of the difference between the models of many nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.mergers import average
from roleml_nb.library.aggregation.state_dicts import to_vector

__all__ = ["consensus_distance"]


def consensus_distance(updates: Iterable[Mapping[str, Any]]) -> float:
    """Return the root mean square distance of models from their mean.

    Each model is the vector of its trained weights. The distance is zero when all are equal.
    Statistics such as BatchNorm's and frozen weights do not count, and tied weights count once.
    Kong, Lin, Koloskova, Jaggi and Stich, "Consensus Control for
    Decentralized Deep Learning", ICML 2021, where it is called Ξ.
    """
    vectors = np.stack(list(map(to_vector, updates)))
    centre = to_vector(average([{"all": vector} for vector in vectors]))
    return float(np.sqrt(((vectors - centre) ** 2).sum(1).mean()))
