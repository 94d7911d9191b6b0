"""Mergers: they make one value of many, which are pushed one after the other."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

__all__ = [
    "CumulativeAddingValueMerger",
    "CumulativeValueMerger",
    "DictKeyValueMerger",
    "KeyAgnosticKeyValueMerger",
    "KeyValueMerger",
    "ListValueMerger",
    "MergedValue",
    "ValueMerger",
    "make_kv_merger",
]

Key = TypeVar("Key")
Value = TypeVar("Value")
MergedValue = TypeVar("MergedValue")


class ValueMerger(ABC, Generic[Value, MergedValue]):
    """Merges values without keys.

    Not thread-safe: a collector pushes one value at a time.
    """

    @abstractmethod
    def push(self, value: Value) -> Any:
        """Add a value, which is not modified: it remains the caller's."""

    @abstractmethod
    def merge(self) -> MergedValue:
        """Return the value that all values so far make together."""

    @property
    def disposable(self) -> bool:
        """True when `merge` may be called only once."""
        return False


class ListValueMerger(ValueMerger[Value, list[Value]]):
    """Returns all values as a list, in the order of arrival."""

    def __init__(self) -> None:
        self._data: list[Value] = []

    def push(self, value: Value) -> None:
        self._data.append(value)

    def merge(self) -> list[Value]:
        return self._data


class CumulativeValueMerger(ValueMerger[Value, Value | None]):
    """Combines each value with the former ones: override `cumulate`. None without values."""

    def __init__(self) -> None:
        self._data: Value | None = None

    def push(self, value: Value) -> None:
        self._data = self.begin(value) if self._data is None else self.cumulate(self._data, value)

    def begin(self, value: Value) -> Value:
        """Return a deep copy of the first value to begin with.

        `cumulate` may modify it in place, and `value` may be in use, such as the weights of a model
        in training.
        """
        return copy.deepcopy(value)

    @abstractmethod
    def cumulate(self, current_value: Value, new_value: Value) -> Value:
        """Combine `current_value`, which may be modified, with `new_value`, which must not be."""

    def merge(self) -> Value | None:
        return self._data


class CumulativeAddingValueMerger(CumulativeValueMerger[Any]):
    """Returns the sum, by ``+``."""

    def begin(self, value: Any) -> Any:
        return value

    def cumulate(self, current_value: Any, new_value: Any) -> Any:
        return current_value + new_value


class KeyValueMerger(ABC, Generic[Key, Value, MergedValue]):
    """Merges values with keys, such as the roles that results are from."""

    @abstractmethod
    def push(self, key: Key, value: Value) -> Any:
        """Add a value, which is not modified."""

    @abstractmethod
    def merge(self) -> MergedValue:
        """Return the value that all values so far make together."""

    @property
    def allow_append(self) -> bool:
        """True when a key may be pushed more than once."""
        return True

    @property
    def disposable(self) -> bool:
        """True when `merge` may be called only once."""
        return False


class DictKeyValueMerger(KeyValueMerger[Key, Value, dict[Key, Value]]):
    """Returns all values by key, in the order of arrival; for each key, the last one pushed."""

    def __init__(self) -> None:
        self._data: dict[Key, Value] = {}

    def push(self, key: Key, value: Value) -> None:
        self._data[key] = value

    def merge(self) -> dict[Key, Value]:
        return self._data


class KeyAgnosticKeyValueMerger(KeyValueMerger[Any, Value, MergedValue]):
    """Pushes the values to a `ValueMerger`, without their keys."""

    def __init__(self, merger: ValueMerger[Value, MergedValue]):
        self._merger = merger

    def push(self, key: Any, value: Value) -> None:
        self._merger.push(value)

    def merge(self) -> MergedValue:
        return self._merger.merge()

    @property
    def disposable(self) -> bool:
        return self._merger.disposable


# elements that ask for a KeyValueMerger accept it, since collectors adapt it
KeyValueMerger.register(ValueMerger)  # type: ignore[type-abstract]


def make_kv_merger(
    merger: ValueMerger[Value, MergedValue],
) -> KeyValueMerger[Any, Value, MergedValue]:
    """Return the merger for values with keys, which it ignores."""
    return KeyAgnosticKeyValueMerger(merger)
