"""Compressors: fewer bytes per vector, at the price of an error.

Each is a contraction, E |v - C(v)|² ≤ (1 - δ) |v|² with some δ > 0, as CHOCO-SGD asks for
(Koloskova, Stich and Jaggi 2019, assumption 1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from roleml_nb.role.checks.numbers import check_count, check_number

__all__ = ["Compressor", "Quantization", "RandomK", "TopK"]


class Compressor(ABC):
    """Compresses vectors with an error, and decompresses them.

    The element `compressor` of `ChocoMixer`.
    """

    @abstractmethod
    def compress(self, vector: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        """Return the compressed form of a float64 vector of shape (d,).

        `rng` is the sender's generator for this round.
        """

    @abstractmethod
    def decompress(self, small: dict[str, Any]) -> np.ndarray:
        """Return C(v), float64 of shape (d,)."""


class _Sparse(Compressor):
    def __init__(self, share: float = 0.01):
        self.share = check_number("share", share, 0, 1, above=True)

    def _count(self, vector: np.ndarray) -> int:
        return min(len(vector), max(1, round(self.share * len(vector))))

    def decompress(self, small: dict[str, Any]) -> np.ndarray:
        vector = np.zeros(small["size"])
        vector[small["indices"]] = small["values"]
        return vector


def _sparse(vector: np.ndarray, indices: np.ndarray) -> dict[str, Any]:
    chosen = np.sort(indices).astype(np.int32)
    return {"size": len(vector), "indices": chosen, "values": vector[chosen].astype(np.float32)}


class TopK(_Sparse):
    """Keeps the `share` of entries that are largest in modulus, at least one; δ = share.

    Stich, Cordonnier and Jaggi, "Sparsified SGD with Memory", NeurIPS 2018.
    """

    def compress(self, vector: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        left_out = len(vector) - self._count(vector)
        order = np.argpartition(np.abs(vector), left_out) if left_out else np.arange(len(vector))
        return _sparse(vector, order[left_out:])


class RandomK(_Sparse):
    """Keeps a random `share` of the entries, at least one; δ = share."""

    def compress(self, vector: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        return _sparse(vector, rng.choice(len(vector), self._count(vector), replace=False))


class Quantization(Compressor):
    """Rounds each entry at random to one of `levels` steps of the vector's length, a byte each.

    sign(v) |v| / (s τ) ⌊s |v_k| / |v| + ξ⌋ with ξ uniform in [0, 1) and τ = 1 + min(d / s², √d /
    s), so that δ = 1 / τ (Alistarh et al., "QSGD", NeurIPS 2017; the factor 1 / τ as in Koloskova
    et al. 2019).
    """

    def __init__(self, levels: int = 16):
        self.levels = check_count("levels", levels, 1, 127)

    def compress(self, vector: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
        length = float(np.linalg.norm(vector))
        size = len(vector)
        s = self.levels
        scale = length / (s * (1 + min(size / s**2, size**0.5 / s)))
        steps = np.floor(s * np.abs(vector) / (length or 1.0) + rng.random(size))
        return {"scale": scale, "steps": (np.sign(vector) * steps).astype(np.int8)}

    def decompress(self, small: dict[str, Any]) -> np.ndarray:
        return small["scale"] * small["steps"].astype(np.float64)
