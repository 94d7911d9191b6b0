"""Models as vectors, one for each dtype, which a ring sums up chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.parameters import AVERAGED, COPIED, STEPPED, entries, like

__all__ = ["combine", "pack", "unpack"]

SENT_KINDS = (STEPPED, AVERAGED, COPIED)


def pack(update: Mapping[str, Any], weight: float) -> dict[str, np.ndarray]:
    """Return one vector per dtype, with numbers multiplied by the weight, and the weight itself.

    Frozen weights and further names of tied weights are left out.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for name in entries(SENT_KINDS, update):
        vector = _array(update[name]).ravel()
        if vector.dtype.kind in "fc":
            vector = vector * vector.dtype.type(weight)
        parts.setdefault(vector.dtype.str, []).append(vector)
    vectors: dict[str, np.ndarray] = {"weight": np.array([weight], np.float64)}
    for dtype, part in parts.items():
        vectors[dtype] = np.concatenate(part)
    return vectors


def unpack(update: Mapping[str, Any], vectors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the mean, with the names, shapes and types of `update`."""
    weight = vectors["weight"][0]
    starts = dict.fromkeys(vectors, 0)
    mean = dict(update)
    for name in entries(SENT_KINDS, update):
        array = _array(update[name])
        dtype = array.dtype.str
        start = starts[dtype]
        starts[dtype] = start + array.size
        part = vectors[dtype][start : starts[dtype]]
        part = part / part.dtype.type(weight) if part.dtype.kind in "fc" else part.copy()
        mean[name] = _like(update[name], part.reshape(array.shape))
    return like(mean, update)


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point() and value.element_size() < 4:
            value = value.float()
        value = value.numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _like(original: Any, array: np.ndarray) -> Any:
    if not hasattr(original, "detach"):
        return np.array(array, np.asarray(original).dtype)
    import torch

    return torch.from_numpy(array).to(original.device, original.dtype)


def combine(own: list[np.ndarray], received: list[np.ndarray]) -> list[np.ndarray]:
    """Return the sums of two chunks, or their maximum where they are not numbers to average."""
    return [_combine_vectors(*pair) for pair in zip(own, received, strict=True)]


def _combine_vectors(own: np.ndarray, received: np.ndarray) -> np.ndarray:
    if own.shape != received.shape or own.dtype != received.dtype:
        raise ArgumentError(
            f"the updates on the ring are not alike: a chunk of {own.size} {own.dtype} here, of"
            f" {received.size} {received.dtype} on the node before: their models must have the same"
            " entries, of which the same are frozen"
        )
    return own + received if own.dtype.kind in "fc" else np.maximum(own, received)
