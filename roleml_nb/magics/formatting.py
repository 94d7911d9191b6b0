"""Results as text."""

from __future__ import annotations

from typing import Any

from roleml_nb.role.checks.visible import visible

__all__ = ["print_result", "shorten"]


def print_result(result: Any, many: bool) -> None:
    """Print what a call returned: of a call to many, a line for each node."""
    if many:
        for node, value in result.items():
            print(visible(f"{node}: {shorten(value)}"))
    else:
        print(visible(shorten(result)))


def shorten(value: Any) -> str:
    """Floats in four digits, long things cut."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={shorten(item)}" for key, item in value.items())
    try:
        text = repr(value)
    except Exception as error:  # of the user's own class, or a number of too many digits
        return f"({type(value).__name__}, whose repr() fails: {type(error).__name__}: {error})"
    return text if len(text) <= 200 else f"{text[:200]}… ({type(value).__name__})"
