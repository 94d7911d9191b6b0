"""Checks of numbers that callers give to channels; errors name the argument and its limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from roleml_nb.role import ArgumentError, CallerError
from roleml_nb.role.checks.numbers import INT64_MAX, check_count, check_number

__all__ = ["count_of", "number_of", "as_caller_error"]


def count_of(name: str, value: Any, low: int = 0, high: int = INT64_MAX) -> int:
    """Return `value` as an int, if it is a whole number from `low` to `high`.

    Raises
    ------
    CallerError
        With the name of the argument and the value; the channel is added on the caller's side.
    """
    try:
        return check_count(name, value, low, high)
    except ArgumentError as error:
        raise CallerError(str(error)) from None


def number_of(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, **bounds: bool
) -> float:
    """Return `value` as a float, if it is a number from `low` to `high`.

    Parameters
    ----------
    bounds
        "above", "below" and "infinite", as for `check_number`.

    Raises
    ------
    CallerError
        As of `count_of`.
    """
    try:
        return check_number(name, value, low, high, **bounds)
    except ArgumentError as error:
        raise CallerError(str(error)) from None


@contextmanager
def as_caller_error(name: str) -> Iterator[None]:
    """Turn an ArgumentError of the block into a CallerError about the argument `name`."""
    try:
        yield
    except ArgumentError as error:
        raise CallerError(f"{name}: {error}") from error
