"""Models as vectors: the floating-point entries of a state dict, one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .arithmetic import floating

__all__ = ["from_vector", "to_vector"]


def to_vector(update: Mapping[str, Any]) -> np.ndarray:
    """All floating-point entries of a state dict, float64 of shape (number of them,), a copy."""
    entries = floating(update).values()
    return np.concatenate([entry.ravel() for entry in entries]) if entries else np.zeros(0)


def from_vector(vector: np.ndarray, like: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict with the floating-point entries of `vector`; names, shapes, types and all other entries are of `like`."""
    shapes = {name: entry.shape for name, entry in floating(like).items()}
    parts = np.split(np.asarray(vector), np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1])
    found = {name: part.reshape(shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)} if shapes else {}
    return {name: _typed(found[name], value) if name in found else _copy(value) for name, value in like.items()}


def _typed(part: np.ndarray, like: Any) -> Any:
    if not hasattr(like, "detach"):
        return np.array(part, np.asarray(like).dtype)
    import torch

    return torch.tensor(part, dtype=like.dtype, device=like.device)


def _copy(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else np.array(value)
