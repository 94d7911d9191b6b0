"""Mergers: one model out of many.

A result collector calls ``push`` with each value as it arrives, and ``merge`` at the end. Values
are not changed, and the merged value shares no memory with them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError, CumulativeValueMerger, KeyValueMerger, ValueMerger
from roleml_nb.role.checks.entry_names import difference_of_names
from roleml_nb.role.checks.numbers import as_number
from roleml_nb.role.parameters import Parameters, labels, like

__all__ = [
    "DefaultWeightedMerger",
    "RunningAverage",
    "TorchStateDictAverager",
    "TorchStateDictCumulator",
    "WeightedMerger",
    "WeightedTorchStateDictAverager",
    "average",
]

MAX_PART_SIZE = 16 * 1024
"""Entries that are added at a time: torch copies a part to the sum's dtype first, and copies parts
of this size on one thread.
"""


class WeightedMerger(KeyValueMerger[Any, Any, Any]):
    """Merges values under keys that have weights, usually the addresses of roles.

    Subclasses store a value in `_push`.
    """

    def __init__(self, weights: Mapping[Any, float]):
        self._weights = weights

    @property
    def allow_append(self) -> bool:
        return False

    def push(self, key: Any, value: Any) -> None:
        """Add a value; raise KeyError when there is no weight for `key`."""
        if key not in self._weights:
            raise KeyError(
                f"there is no weight for {key}; there are weights for"
                f" {', '.join(map(str, self._weights))}"
            )
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
        return like({name: _copy(entry) for name, entry in value.items()}, value)

    def cumulate(
        self, current_value: Mapping[str, Any], new_value: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return like(
            {name: current_value[name] + new_value[name] for name in current_value}, current_value
        )

    def merge(self) -> dict[str, Any] | None:
        return None if self._data is None else self.begin(self._data)  # type: ignore[return-value]


def _copy(entry: Any) -> Any:
    return entry.detach().clone() if hasattr(entry, "detach") else np.array(entry)


def average(
    updates: Sequence[Mapping[str, Any]], weights: Sequence[float] | None = None
) -> dict[str, Any]:
    """Return the weighted mean of whole state dicts.

    Floating-point (and complex) entries are averaged, accumulated in double precision and given
    back in the dtype of the first update. Integer and bool entries, such as BatchNorm's
    ``num_batches_tracked``, are not quantities to average: they become the elementwise maximum.
    Frozen weights, where they are in all of the models, are those of the first; a weight that has
    several names counts once.

    Parameters
    ----------
    updates : sequence of mappings, name → torch tensor or NumPy array
        One or more, with the same names, and the same shape for each name. They are not modified,
        and the result shares no memory with them.
    weights : sequence of float, optional
        One per update, none negative, not all zero; they need not sum to one. All the same when not
        given.

    Returns
    -------
    dict
        Name → tensor or array, as in the first update, in its order.

    Raises
    ------
    ValueError
        When there are no updates, names or shapes differ, or the weights are invalid.

    Notes
    -----
    The aggregation step of McMahan et al., "Communication-Efficient Learning of Deep Networks from
    Decentralized Data", AISTATS 2017.
    """
    updates = list(updates)
    if not updates:
        raise ArgumentError("there are no updates to average")
    given = [1.0] * len(updates) if weights is None else weights
    if len(given) != len(updates):
        raise ArgumentError(
            f"there must be one weight per update: {len(updates)} updates, but {len(given)} weights"
        )
    mean = RunningAverage(given)
    for update in updates:
        mean.add(update)
    return mean.result()


class RunningAverage:
    """The `average` of updates that are added one after the other; it keeps none of them.

    Parameters
    ----------
    weights : sequence of float
        Of all updates, in the order in which they will be added; see `average`.
    """

    def __init__(self, weights: Sequence[float]):
        self.shares = _shares(weights)
        self._added = 0
        self._added_share = 0.0
        self._labels = Parameters()
        self._names: dict[str, None] = {}
        self._frozen: set[str] = set()
        self._totals: dict[str, Any] = {}
        self._casts: dict[str, Callable[[Any], Any]] = {}

    def add(self, update: Mapping[str, Any]) -> None:
        """Add the next update; raise the errors of `average` when it does not fit the first one."""
        number = self._added
        share = self.shares[number]
        if not number:
            self._names = dict.fromkeys(update)
            self._labels = labels(update)
        elif update.keys() != self._names.keys():
            raise ArgumentError(
                f"update {number} and update 0 differ in their names:"
                f" {difference_of_names(update, self._names)}"
            )
        frozen = {*update.frozen} if isinstance(update, Parameters) else ()
        for name, value in update.items():
            if self._labels.ties.get(name) in self._names:
                continue
            if not number:
                self._begin(name, value, share, name in frozen)
                continue
            shape = np.shape(self._totals[name])
            if np.shape(value) != shape:
                raise ArgumentError(
                    f"{name} has shape {tuple(np.shape(value))} in update {number}, "
                    f"but {tuple(shape)} in update 0"
                )
            if name in self._frozen:
                if name in frozen:
                    continue
                self._frozen.remove(name)
                self._totals[name], self._casts[name] = _begin(
                    self._totals[name], self._added_share
                )
            self._totals[name] = _add(self._totals[name], value, share)
        if isinstance(update, Parameters):
            self._labels.averaged = labels(self._labels, update).averaged
        self._added_share += share
        self._added += 1

    def _begin(self, name: str, value: Any, share: float, frozen: bool) -> None:
        if frozen:  # no sum, as long as all have it frozen
            self._frozen.add(name)
            self._totals[name] = _copy(value)
            self._casts[name] = _same
        else:
            self._totals[name], self._casts[name] = _begin(value, share)

    def result(self) -> dict[str, Any]:
        """Return the mean, once, after all updates have been added."""
        if self._added != len(self.shares):
            raise ArgumentError(
                f"there are weights for {len(self.shares)} updates, but {self._added} were added"
            )
        mean: dict[str, Any] = {}
        for name in list(self._totals):  # each sum is freed once it has been cast
            mean[name] = self._casts[name](self._totals.pop(name))
        values: dict[str, Any] = {}
        for name in self._names:
            first = self._labels.ties.get(name)
            values[name] = mean[first if first in self._names else name]
        self._labels.frozen = tuple(self._frozen)
        return like(values, self._labels)


def _same(total: Any) -> Any:
    return total


def _shares(weights: Sequence[float]) -> list[float]:
    given = [as_number("a weight", weight) for weight in weights]
    total = sum(given)
    if not given or min(given) < 0 or not 0 < total < float("inf"):
        raise ArgumentError(f"weights must be finite, none negative and not all zero, got {given}")
    return [weight / total for weight in given]


def _begin(value: Any, share: float) -> tuple[Any, Callable[[Any], Any]]:
    """Return the first term of a sum, and a function that casts the sum to the type of `value`.

    The term is in double precision; of integers, it is a copy.
    """
    array = _array_of(value)
    if array is not None:
        back = (
            partial(_tensor_of, value.dtype)
            if hasattr(value, "detach")
            else partial(_array_as, array.dtype)
        )
        if array.dtype.kind not in "fc":
            return array.copy(), back
        wide_array = array.astype(np.promote_types(array.dtype, np.float64))
        wide_array *= share
        return wide_array, back
    import torch

    tensor = value.detach()
    back = partial(_tensor_of, tensor.dtype)
    if not _is_quantity(tensor):
        return tensor.clone(), back
    wide = tensor.to(
        torch.promote_types(tensor.dtype, torch.float64),
        copy=True,
        memory_format=torch.contiguous_format,
    )
    return wide.mul_(share), back


def _add(total: Any, value: Any, share: float) -> Any:
    """Return `total` with one more term added, in place if it is large."""
    if isinstance(total, np.ndarray):
        array = _array_of(value)
        if array is None:  # a tensor of another kind than the first one
            array = value.detach().cpu().double().numpy()
        if total.dtype.kind not in "fc":
            return np.array(np.maximum(total, array), total.dtype)
        total += np.multiply(array, share, dtype=total.dtype)
        return total
    import torch

    tensor = torch.as_tensor(value).detach()
    if not _is_quantity(total):
        return torch.maximum(total, tensor).to(total.dtype)
    for part, more in zip(
        total.view(-1).split(MAX_PART_SIZE), tensor.reshape(-1).split(MAX_PART_SIZE), strict=True
    ):
        part.add_(more, alpha=share)
    return total


def _array_of(value: Any) -> np.ndarray | None:
    """Return an array over the memory of `value`; None if it is large, or of no type of NumPy.

    Each torch operation lets another thread run, and takes longer than the arithmetic of a small
    tensor.
    """
    if not hasattr(value, "detach"):
        return np.asarray(value)
    if (
        value.numel() > MAX_PART_SIZE
        or not value.is_cpu
        or value.is_complex()
        or value.dtype.itemsize == 2
    ):
        return None
    return value.detach().numpy() if value.requires_grad else value.numpy()


def _array_as(dtype: Any, total: np.ndarray) -> np.ndarray:
    return total.astype(dtype, copy=False)


def _tensor_of(dtype: Any, total: Any) -> Any:
    if not isinstance(total, np.ndarray):
        return total.to(dtype)
    import torch

    return torch.from_numpy(total).to(dtype)


def _is_quantity(tensor: Any) -> bool:
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex
