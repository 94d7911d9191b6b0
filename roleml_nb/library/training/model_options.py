"""Check of the options that a training passes to its model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from roleml_nb.role import did_you_mean

__all__ = ["unknown_option"]


def unknown_option(train: Callable[..., Any], options: Mapping[str, Any]) -> str | None:
    """Describe an option that a model's ``train`` does not take; None if it takes all of them."""
    if not options:
        return None
    try:
        _, *parameters = inspect.signature(train).parameters.values()
    # not written in Python, or without parameters: calling it raises an error that says so
    except (TypeError, ValueError):
        return None
    known = []
    for parameter in parameters:
        if parameter.kind == parameter.VAR_KEYWORD:
            return None
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            known.append(parameter.name)
    for name in options:
        if name not in known:
            return f"option {name!r}; {did_you_mean(str(name), known)}"
    return None
