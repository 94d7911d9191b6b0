"""Mergers: one model out of many.

The classes take values as they come in, ``push`` by ``push``, and ``merge`` them, as result collectors want it. None of
them changes what was pushed, and what ``merge`` returns shares no memory with it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roleml_nb.role import CumulativeValueMerger, KeyValueMerger, ValueMerger

__all__ = [
    "DefaultWeightedMerger", "TorchStateDictAverager", "TorchStateDictCumulator", "WeightedMerger",
    "WeightedTorchStateDictAverager", "average",
]


class WeightedMerger(KeyValueMerger[Any, Any, Any]):
    """Merges values under keys that have weights, usually the addresses of roles. Subclasses say how, in `_push`."""

    def __init__(self, weights: Mapping[Any, float]):
        self._weights = weights

    @property
    def allow_append(self) -> bool:
        return False

    def push(self, key: Any, value: Any) -> None:
        """Take a value in; KeyError when there is no weight for `key`."""
        if key not in self._weights:
            raise KeyError(f"there is no weight for {key}; there are weights for {', '.join(map(str, self._weights))}")
        self._push(key, value)

    @abstractmethod
    def _push(self, key: Any, value: Any) -> None: ...


class DefaultWeightedMerger(WeightedMerger):
    """Keeps the values under their keys; `merge` returns them as a dict."""

    def __init__(self, weights: Mapping[Any, float]):
        super().__init__(weights)
        self._data: dict[Any, Any] = {}

    def _push(self, key: Any, value: Any) -> None:
        self._data[key] = value

    def merge(self) -> Any:
        return dict(self._data)


class WeightedTorchStateDictAverager(DefaultWeightedMerger):
    """The `average` of the state dicts pushed, with the weights of their keys."""

    def merge(self) -> dict[str, Any]:
        return average(list(self._data.values()), [self._weights[key] for key in self._data])


class TorchStateDictAverager(ValueMerger[Mapping[str, Any], dict[str, Any]]):
    """The `average` of the state dicts pushed, all with the same weight."""

    def __init__(self) -> None:
        self._data: list[Mapping[str, Any]] = []

    def push(self, value: Mapping[str, Any]) -> None:
        self._data.append(value)

    def merge(self) -> dict[str, Any]:
        return average(self._data)


class TorchStateDictCumulator(CumulativeValueMerger[Mapping[str, Any]]):
    """The sum of the state dicts pushed, entry by entry; None when there were none."""

    def begin(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: _copy(entry) for name, entry in value.items()}

    def cumulate(self, current_value: Mapping[str, Any], new_value: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: current_value[name] + new_value[name] for name in current_value}

    def merge(self) -> dict[str, Any] | None:
        return None if self._data is None else {name: _copy(entry) for name, entry in self._data.items()}


def _copy(entry: Any) -> Any:
    return entry.detach().clone() if hasattr(entry, "detach") else np.array(entry)


def average(updates: Sequence[Mapping[str, Any]], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """Weighted mean of whole state dicts.

    Floating-point (and complex) entries are averaged, accumulated in double precision and given back in the dtype of
    the first update. Integer and bool entries, such as BatchNorm's ``num_batches_tracked``, are not quantities to
    average: they become the elementwise maximum.

    Parameters
    ----------
    updates : sequence of mappings, name → torch tensor or NumPy array
        One or more, with the same names, and the same shape for each name. They are not modified, and the result
        shares no memory with them.
    weights : sequence of float, optional
        One per update, none negative, not all zero; they need not sum to one. All the same when not given.

    Returns
    -------
    dict
        Name → tensor or array, as in the first update, in its order.

    Raises
    ------
    ValueError
        When there are no updates, names or shapes differ, or the weights are not as said.

    Notes
    -----
    The aggregation step of McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
    Data", AISTATS 2017.
    """
    updates = list(updates)
    if not updates:
        raise ValueError("there are no updates to average")
    shares = _shares(len(updates), weights)
    first = updates[0]
    for number, update in enumerate(updates[1:], 1):
        if update.keys() != first.keys():
            differing = ", ".join(sorted(map(str, update.keys() ^ first.keys())))
            raise ValueError(f"update {number} and update 0 differ in their names: {differing}")
    return {name: _merge(name, [update[name] for update in updates], shares) for name in first}


def _shares(count: int, weights: Sequence[float] | None) -> list[float]:
    given = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if len(given) != count:
        raise ValueError(f"there must be one weight per update: {count} updates, but {len(given)} weights")
    total = sum(given)
    if min(given) < 0 or not 0 < total < float("inf"):
        raise ValueError(f"weights must be finite, none negative and not all zero, got {given}")
    return [weight / total for weight in given]


def _merge(name: str, values: list[Any], shares: list[float]) -> Any:
    for number, value in enumerate(values):
        if np.shape(value) != np.shape(values[0]):
            raise ValueError(f"{name} has shape {tuple(np.shape(value))} in update {number}, "
                             f"but {tuple(np.shape(values[0]))} in update 0")
    if isinstance(values[0], np.ndarray | np.generic | float | int):
        return _merge_arrays([np.asarray(value) for value in values], shares)
    return _merge_tensors(values, shares)


def _merge_arrays(values: list[np.ndarray], shares: list[float]) -> np.ndarray:
    dtype = values[0].dtype
    if dtype.kind not in "fc":
        return np.array(np.maximum.reduce(values), dtype=dtype)
    total = np.zeros(values[0].shape, np.promote_types(dtype, np.float64))
    for value, share in zip(values, shares, strict=True):
        total += np.multiply(value, share, dtype=total.dtype)
    return total.astype(dtype)


def _merge_tensors(values: list[Any], shares: list[float]) -> Any:
    import torch

    with torch.no_grad():
        values = [torch.as_tensor(value) for value in values]
        dtype = values[0].dtype
        if not (dtype.is_floating_point or dtype.is_complex):
            largest = values[0].clone()
            for value in values[1:]:
                largest = torch.maximum(largest, value)
            return largest.to(dtype)
        wide = torch.promote_types(dtype, torch.float64)
        total = values[0].to(wide) * shares[0]
        for value, share in zip(values[1:], shares[1:], strict=True):
            total.add_(value, alpha=share)
        return total.to(dtype)
