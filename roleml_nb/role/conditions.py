"""Conditions on events: they select the emissions that a subscriber gets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from roleml_nb.role.checks.names import did_you_mean

__all__ = ["check_conditions", "passes"]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "": operator.eq,
    "eq": operator.eq,
    "==": operator.eq,
    "gt": operator.gt,
    ">": operator.gt,
    "ge": operator.ge,
    ">=": operator.ge,
    "lt": operator.lt,
    "<": operator.lt,
    "le": operator.le,
    "<=": operator.le,
    "contains": operator.contains,
}


def check_conditions(conditions: Mapping[str, Any]) -> None:
    """Raise ValueError when a key names no known operator."""
    for key in conditions:
        _, _, name = key.partition("__")
        if name not in OPERATORS:
            named = OPERATORS.keys() - {""}
            raise ValueError(f"condition {key!r}: {did_you_mean(name, named)}")


def passes(conditions: Mapping[str, Any], args: Mapping[str, Any]) -> bool:
    """Return whether `args` meet every condition.

    A missing key, or operands that do not compare, do not pass.
    """
    for key, wanted in conditions.items():
        name, _, operation = key.partition("__")
        if name not in args:
            return False
        try:
            if not OPERATORS[operation](args[name], wanted):
                return False
        except TypeError:
            return False
    return True
