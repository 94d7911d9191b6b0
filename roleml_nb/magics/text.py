"""Results as text."""

from __future__ import annotations

from typing import Any

__all__ = ["print_result", "short"]


def print_result(result: Any, many: bool) -> None:
    """Print what a call returned: of a call to many, a line for each node."""
    if many:
        for node, value in result.items():
            print(f"{node}: {short(value)}")
    else:
        print(short(result))


def short(value: Any) -> str:
    """Floats in four digits, long things cut."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={short(item)}" for key, item in value.items())
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({type(value).__name__})"
