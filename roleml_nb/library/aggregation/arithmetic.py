"""Arithmetic of state dicts: the way from one model to another, and a model that is some way
further on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.parameters import STEPPED, entries, like

__all__ = ["Step", "difference", "moved", "weighted_sum", "wide"]

Step = dict[str, np.ndarray]
"""Name of an entry → float64 array in its shape."""


def difference(
    end: Mapping[str, Any], start: Mapping[str, Any], names: Iterable[str] | None = None
) -> Step:
    """end − start, in the entries called so; in those that steps are made of when not given."""
    chosen = entries(STEPPED, end) if names is None else names
    return {name: wide(name, end[name]) - wide(name, start[name]) for name in chosen}


def moved(update: Mapping[str, Any], step: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """update + step, in the dtypes of `update`; entries that the step lacks stay as they are."""
    values = {
        name: _like(entry, wide(name, entry) + step[name]) if name in step else entry
        for name, entry in update.items()
    }
    return like(values, update)


def weighted_sum(steps: Sequence[Mapping[str, np.ndarray]], weights: Sequence[float]) -> Step:
    """Σ weight · step, added up in the order given; an entry that a step lacks is zero in it."""
    total: Step = {}
    for step, weight in zip(steps, weights, strict=True):
        for name, entry in step.items():
            if name not in total:
                total[name] = np.zeros_like(entry)
            total[name] += weight * entry
    return total


def wide(name: str, entry: Any) -> np.ndarray:
    """A float64 copy of an entry; ValueError, which names it, for one that is complex."""
    found = entry.detach().cpu() if hasattr(entry, "detach") else np.asarray(entry)
    if found.is_complex() if hasattr(found, "is_complex") else found.dtype.kind == "c":
        raise ArgumentError(
            f"entry {name} of the model is complex ({entry.dtype}): steps, as server optimizers,"
            " FedProx and CHOCO make them, are of real numbers; average it, as FedAvg and D-PSGD"
            " do, or keep its real and its imaginary part apart"
        )
    return (
        found.double().numpy().copy() if hasattr(found, "double") else np.array(found, np.float64)
    )


def _like(entry: Any, value: np.ndarray) -> Any:
    if hasattr(entry, "new_tensor"):
        return entry.new_tensor(value)
    return np.asarray(value).astype(np.asarray(entry).dtype)
