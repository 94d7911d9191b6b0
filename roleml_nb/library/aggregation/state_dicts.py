"""State dicts: their entries by kind, arithmetic on them, and state dicts as vectors."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.parameters import STEPPED, describe, entries, like, module_of

__all__ = [
    "BATCH_NORM",
    "BUFFERS",
    "Step",
    "add_step",
    "buffers_of",
    "difference",
    "from_vector",
    "local_entries",
    "to_vector",
    "weighted_sum",
    "as_float64",
]

BUFFERS = "buffers"
BATCH_NORM = "batch-norm"
Step = dict[str, np.ndarray]
"""Name of an entry → float64 array in its shape."""


def buffers_of(model: Any) -> list[str]:
    """Entries that are not trained, such as BatchNorm's statistics: the buffers of the model's
    torch ``module``.

    A model without one may name its own in an attribute ``buffers``.
    """
    module = module_of(model)
    return (
        [name for name, _ in module.named_buffers()]
        if module is not None
        else list(getattr(model, "buffers", ()))
    )


def local_entries(model: Any, local: str | Sequence[str]) -> set[str]:
    """Entries of `model` that stay on their node; of a weight that has several names, all of these.

    Parameters
    ----------
    local : str or sequence of str
        Each "buffers", "batch-norm" (parameters and buffers of all BatchNorm layers) or a name,
        where ``*`` stands for anything: "head.*".

    Raises
    ------
    ValueError
        When one of them fits no entry.
    """
    found: set[str] = set()
    for kind in [local] if isinstance(local, str) else local:
        if kind == BUFFERS:
            found.update(buffers_of(model))
            continue
        names = list(model.get_params())
        fitting = (
            _batch_norm(model)
            if kind == BATCH_NORM
            else {name for name in names if fnmatchcase(name, kind)}
        )
        if not fitting:
            raise ArgumentError(
                f"no entry of the model is local={kind!r}: allowed are {BUFFERS!r}, {BATCH_NORM!r}"
                f" and patterns of its names, {', '.join(names)}"
            )
        found |= fitting
    ties = getattr(describe(model.get_params(), model), "ties", {})
    firsts = {ties.get(name, name) for name in found}
    return found | {name for tie in ties.items() if tie[1] in firsts for name in tie}


def _batch_norm(model: Any) -> set[str]:
    module = module_of(model)
    layers = () if module is None else module.named_modules()
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, layer in layers
        if any(base.__name__ == "_BatchNorm" for base in type(layer).__mro__)
        for name in layer.state_dict()
    }


def difference(
    end: Mapping[str, Any], start: Mapping[str, Any], names: Iterable[str] | None = None
) -> Step:
    """end − start, in the entries called so; in those that steps are made of when not given."""
    chosen = entries(STEPPED, end) if names is None else names
    return {name: as_float64(name, end[name]) - as_float64(name, start[name]) for name in chosen}


def add_step(update: Mapping[str, Any], step: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """update + step, in the dtypes of `update`; entries that the step lacks stay as they are."""
    values = {
        name: _cast_like(entry, as_float64(name, entry) + step[name]) if name in step else entry
        for name, entry in update.items()
    }
    return like(values, update)


def weighted_sum(steps: Sequence[Mapping[str, np.ndarray]], weights: Sequence[float]) -> Step:
    """Return Σ weight · step, added up in the order given; entries that a step lacks are zero."""
    total: Step = {}
    for step, weight in zip(steps, weights, strict=True):
        for name, entry in step.items():
            if name not in total:
                total[name] = np.zeros_like(entry)
            total[name] += weight * entry
    return total


def as_float64(name: str, entry: Any) -> np.ndarray:
    """Return a float64 copy of an entry; ValueError, which names it, for one that is complex."""
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


def _cast_like(entry: Any, value: np.ndarray) -> Any:
    if hasattr(entry, "new_tensor"):
        return entry.new_tensor(value)
    return np.asarray(value).astype(np.asarray(entry).dtype)


def to_vector(update: Mapping[str, Any], kinds: str | Collection[str] = STEPPED) -> np.ndarray:
    """Return the entries of these kinds, by default those that are trained: float64 of shape
    (number of them,), a copy.
    """
    parts = [as_float64(name, update[name]).ravel() for name in entries(kinds, update)]
    return np.concatenate(parts) if parts else np.zeros(0)


def from_vector(
    vector: np.ndarray, model: Mapping[str, Any], kinds: str | Collection[str] = STEPPED
) -> dict[str, Any]:
    """Return a state dict with the entries of `vector`; names, shapes, types and all other entries
    are those of `model`.
    """
    names = entries(kinds, model)
    ends = np.cumsum([math.prod(np.shape(model[name])) for name in names])
    parts = dict(zip(names, np.split(np.asarray(vector), ends[:-1]), strict=True)) if names else {}
    return like(
        {
            name: _shaped_like(parts[name], value) if name in parts else _copy(value)
            for name, value in model.items()
        },
        model,
    )


def _shaped_like(part: np.ndarray, value: Any) -> Any:
    if not hasattr(value, "detach"):
        return np.array(part.reshape(np.shape(value)), np.asarray(value).dtype)
    import torch

    return torch.tensor(part.reshape(tuple(value.shape)), dtype=value.dtype, device=value.device)


def _copy(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else np.array(value)
