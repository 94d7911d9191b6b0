"""Checks of a role's name and options, before anything is deployed."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from roleml_nb.role import NATIVE, ArgumentError, Role, check_name, did_you_mean

__all__ = ["check_role_name", "wrong_option"]


def check_role_name(name: str) -> None:
    """Raise ArgumentError unless a role may have that name."""
    check_name("role", name)
    if name == NATIVE:
        raise ArgumentError(f"{name!r} cannot be the name of a role: it is the native role's own")


def wrong_option(role: type[Role], given: Iterable[str]) -> tuple[str, str] | None:
    """Return the first option that a role does not take, or needs and is not given, and a text."""
    taken: Mapping[str, inspect.Parameter] = {}
    if role.__init__ is not Role.__init__:
        taken = inspect.signature(role).parameters
    given = list(given)
    if not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        for key in given:
            if key not in taken:
                near = did_you_mean(key, taken)
                return key, f"{role.__name__} takes no option {key!r}; {near}"
    for key, one in taken.items():
        optional = one.default is not one.empty or one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        if not optional and key not in given:
            return key, f"{role.__name__} needs an option {key!r}"
    return None
