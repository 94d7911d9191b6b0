"""Results, counts and lists of names as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roleml_nb.role.checks.names import pluralize
from roleml_nb.role.checks.visible import visible

__all__ = ["abbreviate", "pluralize", "print_result", "shorten"]

MAX_LETTERS = 200


def print_result(result: Any, many: bool) -> None:
    """Print the result of a call; of a call to many, a line for each node."""
    if many:
        for node, value in result.items():
            print(visible(f"{node}: {shorten(value)}"))
    else:
        print(visible(shorten(result)))


def shorten(value: Any) -> str:
    """Return a value as text: floats in four digits, long texts cut."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        entries = [f"{key}={shorten(item)}" for key, item in value.items()]
        return ", ".join(entries)
    try:
        text = repr(value)
    except Exception as error:  # of the user's own class, or a number of too many digits
        return f"({type(value).__name__}, whose repr() fails: {type(error).__name__}: {error})"
    if len(text) > MAX_LETTERS:
        return f"{text[:MAX_LETTERS]}… ({type(value).__name__})"
    return text


def abbreviate(names: Sequence[str]) -> str:
    """Return up to three names, or the first and the last one."""
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"
