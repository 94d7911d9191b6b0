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
    "subset",
    "to_vector",
    "weighted_sum",
    "as_float64",
]

BUFFERS = "buffers"
BATCH_NORM = "batch-norm"
Step = dict[str, np.ndarray]
"""Name of an entry → float64 array in its shape."""


def buffers_of(model: Any) -> list[str]:
    """Return the names of entries that are not trained, such as BatchNorm's statistics.

    These are the buffers of the model's torch ``module``. A model without one may name its own in
    an attribute ``buffers``.
    """
    module = module_of(model)
    if module is None:
        return list(getattr(model, "buffers", ()))
    return list(dict(module.named_buffers()))


def subset(update: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the entries with these names, in the order of the names."""
    return {name: update[name] for name in names}


def local_entries(model: Any, local: str | Sequence[str]) -> set[str]:
    """Return the entries of `model` that stay on their node, with all names of tied weights.

    Parameters
    ----------
    local : str or sequence of str
        Each "buffers", "batch-norm" (parameters and buffers of all BatchNorm layers) or a name,
        where ``*`` stands for anything: "head.*".

    Raises
    ------
    ValueError
        When an item of `local` fits no entry.
    """
    found: set[str] = set()
    for kind in [local] if isinstance(local, str) else local:
        if kind == BUFFERS:
            found.update(buffers_of(model))
            continue
        names = list(model.get_params())
        if kind == BATCH_NORM:
            fitting = _batch_norm(model)
        else:
            fitting = {name for name in names if fnmatchcase(name, kind)}
        if not fitting:
            raise ArgumentError(
                f"no entry of the model is local={kind!r}: allowed are {BUFFERS!r}, {BATCH_NORM!r}"
                f" and patterns of its names, {', '.join(names)}"
            )
        found |= fitting
    ties = getattr(describe(model.get_params(), model), "ties", {})
    firsts = {ties.get(name, name) for name in found}
    for name, first in ties.items():
        if first in firsts:
            found |= {name, first}
    return found


def _batch_norm(model: Any) -> set[str]:
    module = module_of(model)
    names: set[str] = set()
    for prefix, layer in () if module is None else module.named_modules():
        if any(base.__name__ == "_BatchNorm" for base in type(layer).__mro__):
            names.update(f"{prefix}.{name}" if prefix else name for name in layer.state_dict())
    return names


def difference(
    end: Mapping[str, Any], start: Mapping[str, Any], names: Iterable[str] | None = None
) -> Step:
    """Return end − start in the entries `names`, or else in all entries that steps are made of."""
    step: Step = {}
    for name in entries(STEPPED, end) if names is None else names:
        step[name] = as_float64(name, end[name]) - as_float64(name, start[name])
    return step


def add_step(update: Mapping[str, Any], step: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return update + step in the dtypes of `update`; entries that the step lacks are unchanged."""
    values = dict(update)
    for name, entry in update.items():
        if name in step:
            values[name] = _cast_like(entry, as_float64(name, entry) + step[name])
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
    """Return a float64 copy of an entry; raise ValueError, with its name, if it is complex."""
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
    """Return a copy of the entries of these kinds, by default the trained ones.

    The result is one float64 vector of shape (number of values,).
    """
    parts = [as_float64(name, update[name]).ravel() for name in entries(kinds, update)]
    return np.concatenate(parts) if parts else np.zeros(0)


def from_vector(
    vector: np.ndarray, model: Mapping[str, Any], kinds: str | Collection[str] = STEPPED
) -> dict[str, Any]:
    """Return a state dict like `model` with the values of `vector` in the entries of these kinds.

    Names, shapes, types and all other entries are those of `model`.
    """
    names = entries(kinds, model)
    ends = np.cumsum([math.prod(np.shape(model[name])) for name in names])
    parts = dict(zip(names, np.split(np.asarray(vector), ends[:-1]), strict=True)) if names else {}
    values: dict[str, Any] = {}
    for name, value in model.items():
        values[name] = _shaped_like(parts[name], value) if name in parts else _copy(value)
    return like(values, model)


def _shaped_like(part: np.ndarray, value: Any) -> Any:
    if not hasattr(value, "detach"):
        return np.array(part.reshape(np.shape(value)), np.asarray(value).dtype)
    import torch

    return torch.tensor(part.reshape(tuple(value.shape)), dtype=value.dtype, device=value.device)


def _copy(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else np.array(value)
