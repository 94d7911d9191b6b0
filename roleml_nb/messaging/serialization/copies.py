"""Copies of models and numbers, the values that are sent most, without a pickle: a third of its
time for a small model.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any

import numpy as np

from roleml_nb.role.parameters import Parameters

from .arrays import is_plain_tensor

__all__ = ["Copying", "Unusual"]

MAX_DEPTH = 4
MAX_ITEMS = 256
"""Containers within containers, and things in one, beyond which pickle is faster."""
_ATOMS = {type(None), bool, float}
_MAPPINGS: set[type] = {dict, OrderedDict, Parameters}
_CONTAINERS = {*_MAPPINGS, list, tuple}
_TEXTS = {str}


class Unusual(Exception):
    """There is something in the value that only pickle knows to copy."""


class Copying:
    """Copies one value: numbers, texts, arrays and tensors, in dicts, lists and tuples; `Unusual`
    for anything else.

    An object that is twice in the value is one object in the copy, too.
    """

    def __init__(self) -> None:
        self.layout: list[Any] = []
        """The layout of the value: equal layouts make pickles of equal length, but for the content
        of arrays.
        """
        self.nbytes = 0
        """Of the arrays."""
        self._seen: dict[int, Any] = {}
        self._torch: Any = sys.modules.get("torch")
        self._tensor = getattr(self._torch, "Tensor", None)

    def copy(self, value: Any, depth: int = MAX_DEPTH) -> Any:
        kind = type(value)
        if kind is int:
            self.layout.append(_length(value))
            return value
        if kind in _ATOMS:
            self.layout.append(kind)
            return value
        known = self._seen.get(id(value))
        if known is not None:
            self.layout.append("again")
            return known
        if kind is str:
            self.layout += (
                str,
                len(value) if value.isascii() else len(value.encode(errors="surrogatepass")),
            )
            made: Any = value
        elif kind in _CONTAINERS and depth and len(value) <= MAX_ITEMS:
            self.layout += kind, len(value)
            made = (
                self._mapping(value, kind, depth - 1)
                if kind in _MAPPINGS
                else kind([self.copy(item, depth - 1) for item in value])
            )
        else:
            made = self._array(value, kind)
        self._seen[id(value)] = made
        return made

    def _mapping(self, value: dict[Any, Any], kind: type, depth: int) -> Any:
        if not _TEXTS.issuperset(map(type, value)):
            raise Unusual
        before = len(self._seen)
        self._seen.update(zip(map(id, value), value, strict=True))
        self.layout += tuple(value), len(self._seen) - before
        made = kind([(key, self.copy(item, depth)) for key, item in value.items()])
        if kind is Parameters:
            for label in ("averaged", "frozen", "ties"):
                setattr(made, label, self.copy(getattr(value, label), depth))
        return made

    def _array(self, value: Any, kind: type) -> Any:
        if kind is self._tensor and is_plain_tensor(value) and not value.requires_grad:
            try:
                array = value.numpy().copy()
            except (TypeError, RuntimeError):  # nested, or in oneDNN's layout
                raise Unusual from None
            made = self._torch.from_numpy(array)
            self.layout += kind, array.dtype, array.shape
        elif kind is np.ndarray and not value.dtype.hasobject and value.dtype.itemsize:
            made = array = value.copy()
            self.layout += kind, array.dtype, array.shape
        else:
            raise Unusual
        self.nbytes += array.nbytes
        return made


def _length(number: int) -> int:
    """Return the bytes that a pickle takes for an integer."""
    if 0 <= number < 1 << 16:
        return 2 if number < 1 << 8 else 3
    return 5 if -1 << 31 <= number < 1 << 31 else 6 + number.bit_length() // 8
