"""Mergers: many values, pushed one after the other, become one."""

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
    """Merges values that come without a key.

    Not thread-safe: a collector pushes one value at a time.
    """

    @abstractmethod
    def push(self, value: Value) -> Any:
        """Take one more value in. `value` stays the pusher's own: it is not modified."""

    @abstractmethod
    def merge(self) -> MergedValue:
        """What the values so far make together."""

    @property
    def disposable(self) -> bool:
        """Whether `merge` may be called only once."""
        return False


class ListValueMerger(ValueMerger[Value, list[Value]]):
    """All values, in the order of arrival."""

    def __init__(self) -> None:
        self._data: list[Value] = []

    def push(self, value: Value) -> None:
        self._data.append(value)

    def merge(self) -> list[Value]:
        return self._data


class CumulativeValueMerger(ValueMerger[Value, Value | None]):
    """Adds each value to what there is: override `cumulate`. Of no values it makes None."""

    def __init__(self) -> None:
        self._data: Value | None = None

    def push(self, value: Value) -> None:
        self._data = self.begin(value) if self._data is None else self.cumulate(self._data, value)

    def begin(self, value: Value) -> Value:
        """What the first value is kept as: a deep copy, since `cumulate` may work in place, and
        `value` may be alive, such as the weights of a model in training.
        """
        return copy.deepcopy(value)

    @abstractmethod
    def cumulate(self, current_value: Value, new_value: Value) -> Value:
        """`current_value`, which may be modified, with `new_value`, which may not."""

    def merge(self) -> Value | None:
        return self._data


class CumulativeAddingValueMerger(CumulativeValueMerger[Any]):
    """The sum, by ``+``."""

    def begin(self, value: Any) -> Any:
        return value

    def cumulate(self, current_value: Any, new_value: Any) -> Any:
        return current_value + new_value


class KeyValueMerger(ABC, Generic[Key, Value, MergedValue]):
    """Merges values that come with a key, such as the role that a result is from."""

    @abstractmethod
    def push(self, key: Key, value: Value) -> Any:
        """Take one more value in. `value` is not modified."""

    @abstractmethod
    def merge(self) -> MergedValue:
        """What the values so far make together."""

    @property
    def allow_append(self) -> bool:
        """Whether a key may be pushed more than once."""
        return True

    @property
    def disposable(self) -> bool:
        """Whether `merge` may be called only once."""
        return False


class DictKeyValueMerger(KeyValueMerger[Key, Value, dict[Key, Value]]):
    """All values by key, in the order of arrival; the last one pushed for a key counts."""

    def __init__(self) -> None:
        self._data: dict[Key, Value] = {}

    def push(self, key: Key, value: Value) -> None:
        self._data[key] = value

    def merge(self) -> dict[Key, Value]:
        return self._data


class KeyAgnosticKeyValueMerger(KeyValueMerger[Any, Value, MergedValue]):
    """Hands the values to a `ValueMerger`, without their keys."""

    def __init__(self, merger: ValueMerger[Value, MergedValue]):
        self._merger = merger

    def push(self, key: Any, value: Value) -> None:
        self._merger.push(value)

    def merge(self) -> MergedValue:
        return self._merger.merge()

    @property
    def disposable(self) -> bool:
        return self._merger.disposable


# it goes wherever an element asks for the other, since collectors make one of it
KeyValueMerger.register(ValueMerger)  # type: ignore[type-abstract]


def make_kv_merger(
    merger: ValueMerger[Value, MergedValue],
) -> KeyValueMerger[Any, Value, MergedValue]:
    """The merger, for values with keys, which it ignores."""
    return KeyAgnosticKeyValueMerger(merger)
