"""Readings: the numbers in the args of an event, which are the metrics of a role."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from roleml_nb.role.checks.names import valid_text

__all__ = ["as_number", "readings"]

NUMBER_TYPES = (numbers.Real, Decimal)
MAX_DEPTH = 8
"""Mappings within mappings that are searched for numbers."""


def as_number(value: Any) -> float | None:
    """Return a number as a float, or None for any other value; nothing is raised.

    Numbers are those of Python, NumPy, `decimal` and `fractions`, and arrays and tensors of no
    dimension, of any library. Truth values and complex numbers are none. What is too large for a
    float becomes inf, and a quiet or signalling NaN of `decimal` becomes nan.
    """
    try:
        if not isinstance(value, NUMBER_TYPES) and getattr(value, "shape", None) == ():
            value = value.item()
        is_number = isinstance(value, NUMBER_TYPES) and not isinstance(value, bool)
        return _as_float(value) if is_number else None
    except Exception:
        # whatever the value's own code raises: it is no number then, and the emission goes on
        return None


def _as_float(value: Any) -> float:
    if isinstance(value, Decimal) and value.is_nan():
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def readings(args: Mapping[Any, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers in an event's args, by name: ``{"result": {"loss": 0.1}}`` has one,
    ``result.loss``.

    Names that are no text are converted to text. Nothing is raised.
    """
    yield from _walk(args, "", MAX_DEPTH)


def _walk(args: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, float]]:
    try:
        items = list(args.items())
    except Exception:  # a mapping of the user's own, or one that another thread changes
        return
    for name, value in items:
        try:
            text = prefix + (name if isinstance(name, str) else str(name))
        except Exception:  # a name whose own __str__ fails
            continue
        if isinstance(value, Mapping):
            if depth:
                yield from _walk(value, f"{text}.", depth - 1)
        elif (number := as_number(value)) is not None:
            yield valid_text(text), number
