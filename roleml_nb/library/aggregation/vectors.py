"""Models as vectors: entries of a state dict, one after the other."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from roleml_nb.role.parameters import STEPPED, entries, like

from .arithmetic import wide

__all__ = ["from_vector", "to_vector"]


def to_vector(update: Mapping[str, Any], kinds: str | Collection[str] = STEPPED) -> np.ndarray:
    """The entries of these kinds, by default those that are trained: float64 of shape (number of
    them,), a copy.
    """
    parts = [wide(name, update[name]).ravel() for name in entries(kinds, update)]
    return np.concatenate(parts) if parts else np.zeros(0)


def from_vector(
    vector: np.ndarray, model: Mapping[str, Any], kinds: str | Collection[str] = STEPPED
) -> dict[str, Any]:
    """A state dict with the entries of `vector`; names, shapes, types and all other entries are
    those of `model`.
    """
    names = entries(kinds, model)
    ends = np.cumsum([math.prod(np.shape(model[name])) for name in names])
    parts = dict(zip(names, np.split(np.asarray(vector), ends[:-1]), strict=True)) if names else {}
    return like(
        {
            name: _typed(parts[name], value) if name in parts else _copy(value)
            for name, value in model.items()
        },
        model,
    )


def _typed(part: np.ndarray, value: Any) -> Any:
    if not hasattr(value, "detach"):
        return np.array(part.reshape(np.shape(value)), np.asarray(value).dtype)
    import torch

    return torch.tensor(part.reshape(tuple(value.shape)), dtype=value.dtype, device=value.device)


def _copy(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else np.array(value)
