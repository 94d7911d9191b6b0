"""Annotations of parameters as rules: the values that one allows, and its text in errors.

Values that a caller would expect to work are allowed: a NumPy integer is an int, a value with
``float()`` a float, a list serves where a tuple is asked for. A name that only the type checker
knows, such as one of torch, allows any value. Neither beartype nor typeguard is used: both refuse
NumPy's numbers as ``int``, and lists as ``tuple``.
"""

from __future__ import annotations

import builtins
import collections.abc as abc
import inspect
import operator
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal, TypeVar

__all__ = ["Constraint", "allows", "description_of", "is_number", "may_be", "rules_of"]

MAX_CHECKED_ITEMS = 1000
"""Entries of a container that are checked."""
UNIONS = (typing.Union, types.UnionType)
TYPE_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
}


@dataclass(frozen=True)
class Constraint:
    """In ``Annotated``: a condition beyond the type, and the text for all allowed values."""

    description: str
    fits: Callable[[Any], bool] = lambda value: True


@cache
def rules_of(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """Return a function's signature, and the annotations of its parameters by name."""
    annotations = dict(function.__annotations__)
    annotations.pop("return", None)
    for name, annotation in annotations.items():
        annotations[name] = _resolve(annotation, function)
    return inspect.signature(function), annotations


class _Names(dict[str, Any]):
    """The names that an annotation may use; any other one stands for any value."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


def _resolve(annotation: Any, function: Callable[..., Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, {}, _Names(inspect.unwrap(function).__globals__))
    except (AttributeError, TypeError):  # of a name that is unknown when the program runs
        return Any


def allows(hint: Any, value: Any) -> bool:
    """Return False if an annotation certainly does not allow `value`."""
    if hint is Any or hint is object or isinstance(hint, TypeVar | str):
        return True
    if hint is None or hint is type(None):
        return value is None
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return any(type(value) is type(item) and value == item for item in inner)
    if origin in UNIONS:
        return any(allows(item, value) for item in inner)
    if origin is typing.Annotated:
        kind = typing.get_origin(inner[0]) or inner[0]
        fits = (constraint.fits(value) for constraint in _constraints(hint))
        return _is_instance(kind, value) and all(fits)
    if origin is type:
        wanted = inner[0]
        is_class = isinstance(value, type)
        return is_class and (not isinstance(wanted, type) or issubclass(value, wanted))
    kind = origin or hint
    return _is_instance(kind, value) and _allows_items(kind, inner, value)


def _constraints(annotated: Any) -> Iterator[Constraint]:
    for item in typing.get_args(annotated)[1:]:
        if isinstance(item, Constraint):
            yield item


def _is_instance(kind: Any, value: Any) -> bool:
    if not isinstance(kind, type):
        return True
    if kind is int:
        return _succeeds(operator.index, value)
    if kind is float:
        converts = hasattr(type(value), "__float__") and _succeeds(float, value)
        return converts or _succeeds(operator.index, value)
    if kind is bool:
        is_bit = isinstance(value, int) and value in (0, 1)
        return is_bit or type(value).__name__ in ("bool", "bool_")
    if issubclass(kind, os.PathLike) and isinstance(value, str):
        return True
    is_iterable = isinstance(value, abc.Iterable)
    is_scalar = getattr(value, "ndim", 1) == 0
    if kind is abc.Iterable or kind is abc.Collection:
        return is_iterable and not is_scalar
    is_array = kind.__name__ == "ndarray"
    if kind in (tuple, list, abc.Sequence) or is_array:
        if isinstance(value, str | bytes | Mapping) or (is_scalar and not is_array):
            return False
        return is_iterable or hasattr(value, "__getitem__")
    if kind is dict:
        return isinstance(value, Mapping)
    # a RoleInstanceID, as it may be written
    if issubclass(kind, tuple) and isinstance(value, tuple | str):
        return True
    return may_be(value, kind)


def may_be(value: Any, kind: Any) -> bool:
    """Return False if a value is certainly no instance of a class or a typing construct."""
    try:
        return isinstance(value, kind)
    except TypeError:  # one that cannot be checked at run time
        return True


def _allows_items(kind: Any, inner: tuple[Any, ...], value: Any) -> bool:
    """Return False if an entry is certainly not allowed; iterators are not consumed."""
    if not inner or kind is abc.Callable:
        return True
    if isinstance(value, dict) and len(inner) == 2:
        return _all_allowed(inner[0], value) and _all_allowed(inner[1], value.values())
    if isinstance(value, str):
        return allows(inner[0], value[:1])
    if isinstance(value, list | tuple | set | frozenset | dict):
        if kind is tuple and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(allows, inner, value))
        return _all_allowed(inner[0], value)
    return True


def _all_allowed(hint: Any, values: Iterable[Any]) -> bool:
    return all(allows(hint, value) for value in islice(values, MAX_CHECKED_ITEMS))


def _succeeds(function: Callable[[Any], Any], value: Any) -> bool:
    try:
        function(value)
    except Exception:  # whatever the conversion of a user's object raises
        return False
    return True


def is_number(hint: Any) -> bool:
    """Return whether an annotation is int or float, or a union with one of them."""
    if typing.get_origin(hint) in UNIONS:
        return any(map(is_number, typing.get_args(hint)))
    return hint is int or hint is float


def description_of(hint: Any) -> str:
    """Return an annotation's text in errors."""
    if hint is None or hint is type(None):
        return "None"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        for constraint in _constraints(hint):
            return constraint.description
        return description_of(inner[0])
    if origin in UNIONS:
        *texts, last = map(description_of, inner)
        return f"{', '.join(texts)} or {last}"
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if isinstance(hint, type) and not inner:
        return TYPE_NAMES.get(hint, hint.__name__)
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", str(hint))
