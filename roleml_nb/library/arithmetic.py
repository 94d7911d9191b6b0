"""Arithmetic of state dicts: the way from one model to another, and a model that is some way further on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["Step", "difference", "floating", "moved", "weighted_sum"]

Step = dict[str, np.ndarray]
"""Name of a floating-point entry → float64 array in its shape."""


def floating(update: Mapping[str, Any], without: Collection[str] = ()) -> Step:
    """Copies of the floating-point entries, those of `without` left out."""
    return {name: _wide(entry) for name, entry in update.items() if name not in without and _is_floating(entry)}


def difference(end: Mapping[str, Any], start: Mapping[str, Any], without: Collection[str] = ()) -> Step:
    """end − start, in the floating-point entries of `end` that are not in `without`."""
    return {name: entry - _wide(start[name]) for name, entry in floating(end, without).items()}


def moved(update: Mapping[str, Any], step: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """update + step, in the dtypes of `update`; entries that the step lacks stay as they are."""
    return {name: _like(entry, _wide(entry) + step[name]) if name in step else entry for name, entry in update.items()}


def weighted_sum(steps: Sequence[Mapping[str, np.ndarray]], weights: Sequence[float]) -> Step:
    """Σ weight · step, added up in the order given."""
    total = {name: np.zeros_like(entry) for name, entry in steps[0].items()}
    for step, weight in zip(steps, weights, strict=True):
        for name in total:
            total[name] += weight * step[name]
    return total


def _is_floating(entry: Any) -> bool:
    return entry.is_floating_point() if hasattr(entry, "is_floating_point") else np.asarray(entry).dtype.kind == "f"


def _wide(entry: Any) -> np.ndarray:
    return entry.detach().cpu().double().numpy().copy() if hasattr(entry, "detach") else np.array(entry, np.float64)


def _like(entry: Any, value: np.ndarray) -> Any:
    return entry.new_tensor(value) if hasattr(entry, "new_tensor") else value.astype(np.asarray(entry).dtype)
