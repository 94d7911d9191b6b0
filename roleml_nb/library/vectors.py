"""Models as vectors: the floating-point entries of a state dict, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["from_vector", "to_vector"]


def to_vector(update: Mapping[str, Any]) -> np.ndarray:
    """All floating-point entries of a state dict, float64 of shape (number of them,), a copy."""
    arrays = [_array(value) for value in update.values()]
    floats = [array.ravel().astype(np.float64) for array in arrays if array.dtype.kind == "f"]
    return np.concatenate(floats) if floats else np.zeros(0)


def from_vector(vector: np.ndarray, like: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict with the floating-point entries of `vector`; names, shapes, types and all other entries are of `like`."""
    made: dict[str, Any] = {}
    start = 0
    for name, value in like.items():
        array = _array(value)
        if array.dtype.kind == "f":
            part = vector[start:start + array.size].reshape(array.shape)
            made[name] = _typed(part, value)
            start += array.size
        else:
            made[name] = value.clone() if hasattr(value, "clone") else np.array(value)
    return made


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return (value.double() if value.is_floating_point() else value).numpy()
    return np.asarray(value)


def _typed(part: np.ndarray, like: Any) -> Any:
    if not hasattr(like, "detach"):
        return np.array(part, np.asarray(like).dtype)
    import torch

    return torch.tensor(part, dtype=like.dtype, device=like.device)
