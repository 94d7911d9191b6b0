"""Options that a training hands to its model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from roleml_nb.role import did_you_mean

__all__ = ["unknown_option"]


def unknown_option(train: Callable[..., Any], options: Mapping[str, Any]) -> str | None:
    """Say which of the options a model's ``train`` does not take, and which it does; None if it
    takes all.
    """
    if not options:
        return None
    try:
        _, *parameters = inspect.signature(train).parameters.values()
    # it is not written in Python, or takes nothing: its own error says so
    except (TypeError, ValueError):
        return None
    if any(one.kind == one.VAR_KEYWORD for one in parameters):
        return None
    known = [
        one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    unknown = next((name for name in options if name not in known), None)
    return None if unknown is None else f"option {unknown!r}; {did_you_mean(str(unknown), known)}"
