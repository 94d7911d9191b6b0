"""Check the requests of a page: anybody who can write into the page can send anything."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from roleml_nb.role import TestbedError, did_you_mean
from roleml_nb.role.checks.visible import visible

__all__ = ["check_arguments"]

MAX_NUMBER = 1e9
"""Upper limit of pixels and counts."""


def check_arguments(
    function: Callable[..., Any], given: Mapping[str, Any], *bound: str
) -> Mapping[str, Any]:
    """Return the arguments for a function, if their names and types are those of its signature.

    Parameters
    ----------
    bound
        Parameters that are not the page's to give.

    Raises
    ------
    TestbedError
        With the parameter and the value that does not fit.
    """
    name = getattr(function, "__name__", str(function)).removeprefix("handle_").strip("_")
    taken = dict(inspect.signature(function).parameters)
    for key in bound:
        taken.pop(key, None)
    hints = typing.get_type_hints(
        getattr(function, "__init__") if isinstance(function, type) else function  # noqa: B009
    )
    for key, value in given.items():
        if key not in taken:
            raise TestbedError(f"{name} takes no {_short(key)}; {did_you_mean(str(key), taken)}")
        if not _fits(hints.get(key, Any), value):
            raise TestbedError(f"{name}: {key} cannot be {_short(value)}")
    for key, parameter in taken.items():
        if parameter.default is parameter.empty and key not in given:
            raise TestbedError(f"{name} needs {key}")
    return given


def _fits(hint: Any, value: Any) -> bool:
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Any:
        return True
    if kind in (typing.Union, types.UnionType):
        return any(_fits(part, value) for part in parts)
    if kind in (int, float):
        return (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and abs(value) < MAX_NUMBER
            and math.isfinite(value)
        )
    if kind is str:
        return isinstance(value, str) and value == visible(value)
    if kind in (None, types.NoneType):
        return value is None
    if kind in (dict, Mapping):
        return isinstance(value, Mapping) and (
            not parts
            or (
                all(map(partial(_fits, parts[0]), value))
                and all(map(partial(_fits, parts[1]), value.values()))
            )
        )
    if kind is tuple and ... not in parts:
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(parts)
            and all(map(_fits, parts, value))
        )
    if kind in (list, tuple, Sequence):
        return not parts or (
            isinstance(value, (list, tuple)) and all(map(partial(_fits, parts[0]), value))
        )
    return isinstance(value, kind)


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
