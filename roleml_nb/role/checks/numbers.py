"""Checks of numbers that users give, where they enter: so that none fails far from there."""

from __future__ import annotations

import math
from operator import index
from typing import Any

from roleml_nb.role.errors import ArgumentError, ArgumentTypeError

__all__ = [
    "MAX_THREADS",
    "as_count",
    "as_number",
    "check_count",
    "check_number",
    "check_seed",
    "check_size",
]

MAX_THREADS = 512
"""Threads of a torch operation: OpenMP ends the process when it cannot start them."""
INT64_MAX = 2**63 - 1
MAX_WEIGHTS = 2_500_000_000


def check_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
    infinite: bool = False,
) -> float:
    """Return `value` as a float, if it is a finite number from `low` to `high`.

    Parameters
    ----------
    name : str
        The number's name in the error.
    above, below : bool
        Exclude `low` (`high`) itself.
    infinite : bool
        Allow infinity, too.

    Raises
    ------
    ArgumentError
        With the range and the value. ArgumentTypeError if it is not a number.
    """
    wanted = _range(low, high, above, below)
    number = as_number(name, value, wanted)
    high_enough = number > low if above else number >= low
    low_enough = number < high if below else number <= high
    if not (high_enough and low_enough) or (math.isinf(number) and not infinite):
        raise ArgumentError(
            f"{name} must be {wanted.removeprefix(', ') or 'a finite number'}, got {short(value)}"
        )
    return number


def check_count(name: str, value: Any, low: int = 0, high: int = INT64_MAX) -> int:
    """Return `value` as an int, if it is a whole number from `low` to `high`.

    Errors are those of `check_number`.
    """
    wanted = _range(low, high if high < INT64_MAX else math.inf, False, False)
    number = as_count(name, value, wanted)
    if not low <= number <= high:
        raise ArgumentError(f"{name} must be {wanted.removeprefix(', ')}, got {short(number)}")
    return number


def check_seed(value: Any, name: str = "seed") -> int:
    """Return `value` as an int, if it can be a seed: a whole number from 0 to 2 ** 63 - 1."""
    return check_count(name, value)


def as_number(name: str, value: Any, wanted: str = "") -> float:
    """Return `value` as a float, which may be NaN or infinite; ArgumentTypeError if it is none."""
    if isinstance(value, str | bytes | bytearray) or not hasattr(value, "__float__"):
        raise ArgumentTypeError(f"{name} must be a number{wanted}, got {short(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:  # whatever an array of several numbers, or a signalling NaN, raises
        raise ArgumentTypeError(f"{name} must be one number{wanted}, got {short(value)}") from None


def as_count(name: str, value: Any, wanted: str = "") -> int:
    """Return `value` as an int of 64 bits; ArgumentTypeError if it is not a whole number."""
    try:
        number = int(index(value))
    except Exception:  # whatever an array of several numbers raises
        raise ArgumentTypeError(
            f"{name} must be a whole number{wanted}, got {short(value)}"
        ) from None
    if not -INT64_MAX <= number <= INT64_MAX:
        raise ArgumentError(
            f"{name} must be a whole number{wanted}, less than 2 ** 63, got {short(number)}"
        )
    return number


def check_size(what: str, numbers: int) -> None:
    """Raise ArgumentError for more than `MAX_WEIGHTS` numbers, before memory is allocated."""
    if numbers > MAX_WEIGHTS:
        raise ArgumentError(
            f"{what} would have {numbers:.2g} weights, and {MAX_WEIGHTS:.2g} is the most: that is "
            f"{4e-9 * MAX_WEIGHTS:.0f} GB"
        )


def short(value: Any) -> str:
    """Return a value's text for an error, cut to 80 characters."""
    try:
        text = repr(value)
    except Exception as error:  # of its own `__repr__`, or Python's limit on digits of an int
        text = f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def _range(low: float, high: float, above: bool, below: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f", more than {low:g}" if above else f", {low:g} or more"
    most = f"less than {high:g}" if below else f"at most {high:g}"
    if math.isinf(low):
        return f", {most}"
    if above:
        return f", more than {low:g} and {most}"
    return f", {low:g} or more and {most}" if below else f", from {low:g} to {high:g}"
