"""Former names of views' methods, for programs and subclasses of earlier versions.

A class of views answers to both names of a method, and warns of the former one. A subclass that
overrides a method by its former name overrides the present one, and is warned of where it stands.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections import ChainMap
from collections.abc import Callable, Mapping
from itertools import takewhile
from types import FrameType
from typing import Any

__all__ = ["FormerMethods", "warn_of_former"]

PRESENT_NAMES = {"beat": "on_tick", "rest": "stop", "tell": "send_message"}
FORMER_NAMES = {present: former for former, present in PRESENT_NAMES.items()}
FORMER_PREFIX = "ask_"
PREFIX = "handle_"


class FormerMethods:
    """Mixin: gives each subclass its methods under their former and present names."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        defined = _methods_of(cls)
        for name, value in list(defined.items()):
            present, former = _present_name(name), _former_name(name)
            if present and present not in defined:
                _warn(cls, name, present)
                setattr(cls, present, value)
            elif former and former not in defined and callable(value):
                setattr(cls, former, _alias(former, name, value))


def _methods_of(cls: type) -> Mapping[str, Any]:
    """Return what the class defines, and the mixins that come before its first view."""
    own = takewhile(lambda base: base is cls or not issubclass(base, FormerMethods), cls.__mro__)
    return ChainMap(*map(dict, map(vars, own)))


def _present_name(former: str) -> str:
    if former.startswith(FORMER_PREFIX):
        return PREFIX + former.removeprefix(FORMER_PREFIX)
    return PRESENT_NAMES.get(former, "")


def _former_name(present: str) -> str:
    if present.startswith(PREFIX):
        return FORMER_PREFIX + present.removeprefix(PREFIX)
    return FORMER_NAMES.get(present, "")


def _alias(former: str, present: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that warns of its name and calls that very method, not an override of it.

    So an override by the former name may call the alias through `super()`.
    """

    @functools.wraps(method)
    def alias(self: Any, *args: Any, **kwargs: Any) -> Any:
        warn_of_former(former, present)
        return method(self, *args, **kwargs)

    alias.__name__ = former
    return alias


def warn_of_former(former: str, present: str) -> None:
    """Warn the caller of the method that calls this one."""
    warnings.warn(
        f"roleml_nb: {former} of views is called {present} now", DeprecationWarning, stacklevel=3
    )


def _warn(cls: type, former: str, present: str) -> None:
    """Warn at the statement that defines the class, below the frames of its metaclasses."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != cls.__module__:
        level += 1
        frame = frame.f_back
    warnings.warn(
        f"roleml_nb: {former} of {cls.__name__} is called {present} now; rename it",
        DeprecationWarning,
        stacklevel=level if frame is not None else 2,
    )
