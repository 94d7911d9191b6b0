"""Initializers, serializers and deserializers by name: "pickle" stands for `pickle.dump`.

A name is looked up where an implementation is written down, so functions that are registered in the
notebook travel to the nodes.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

from roleml_nb.role.checks.names import did_you_mean

from .errors import ElementError

__all__ = [
    "find",
    "register_deserializer",
    "register_initializer",
    "register_serializer",
    "short_name",
    "usual_mode",
]

Getter = Callable[[], Callable[..., Any]]


def _initialize_itself(made: Any) -> None:
    made.initialize()


def _serialize_itself(made: Any, file: Any) -> None:
    made.serialize(file)


_named: dict[str, dict[str, Getter]] = {
    "initializer": {"self": lambda: _initialize_itself},
    "serializer": {
        "self": lambda: _serialize_itself,
        "pickle": lambda: pickle.dump,
        "json": lambda: json.dump,
    },
    "deserializer": {"pickle": lambda: pickle.load, "json": lambda: json.load},
}


def register_initializer(name: str, getter: Callable[[], Callable[[Any], None]]) -> None:
    """Let `name` stand for the function that `getter` returns: ``initializer(object)``."""
    _named["initializer"][name] = getter


def register_serializer(name: str, getter: Callable[[], Callable[[Any, Any], None]]) -> None:
    """Let `name` stand for the function that `getter` returns: ``serializer(object, file)``."""
    _named["serializer"][name] = getter


def register_deserializer(name: str, getter: Callable[[], Callable[[Any], Any]]) -> None:
    """Let `name` stand for the function that `getter` returns: ``deserializer(file) -> object``."""
    _named["deserializer"][name] = getter


def find(kind: str, given: Any) -> Any:
    """Return the callable that a name stands for; ElementError for an unknown name.

    Anything but a name is returned as it is.
    """
    if not isinstance(given, str):
        return given
    try:
        return _named[kind][given]()
    except KeyError:
        raise ElementError(
            f"no {kind} is named {given!r}; {did_you_mean(given, _named[kind])}"
        ) from None


def short_name(kind: str, function: Any) -> str | None:
    """Return the name that stands for a callable, if it is a registered one."""
    for name, getter in _named.get(kind, {}).items():
        if getter() is function:
            return name
    return None


def usual_mode(function: Any) -> str | None:
    """Return the file mode that a (de)serializer needs: "text" for JSON's, None if unknown."""
    return "text" if function in (json.dump, json.load) else None
