"""A role's configuration as plain data: {"class": …, "options": {…}, "impl": {element: {…}}}."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from roleml_nb.role import (
    CallerError,
    ConstructStrategy,
    ElementImplementation,
    InitializeStrategy,
    Role,
    did_you_mean,
)

__all__ = ["read_spec"]

_KEYS = {"class", *(field.name for field in fields(ElementImplementation))} - {"arguments"}
_CALLABLES = ("cls", "constructor", "initializer", "serializer", "deserializer", "destructor")


def read_spec(
    spec: Mapping[str, Any],
) -> tuple[type[Role], Mapping[str, Any], dict[str, ElementImplementation]]:
    """Return class, options and elements of a spec; dotted names are imported here.

    Raises CallerError for a spec with a fault.
    """
    unknown = spec.keys() - {"class", "options", "impl"}
    if unknown:
        raise CallerError(f"a role's spec has no key {min(unknown)!r}; known: class, impl, options")
    cls = _load(spec.get("class"))
    if not (isinstance(cls, type) and issubclass(cls, Role)):
        raise CallerError(
            f"'class' must be a Role class or the dotted name of one, not {spec.get('class')!r}"
        )
    elements = {}
    for name, given in (spec.get("impl") or {}).items():
        elements[name] = _implementation(name, given)
    return cls, spec.get("options") or {}, elements


def _implementation(name: str, given: Any) -> ElementImplementation:
    if isinstance(given, ElementImplementation):
        return given
    if not isinstance(given, Mapping):
        raise CallerError(
            f"element {name!r}: give a dict of {', '.join(sorted(_KEYS))}, not {given!r}"
        )
    for key in given:
        if key not in _KEYS:
            raise CallerError(
                f"element {name!r} has no property {key!r}; {did_you_mean(key, _KEYS)}"
            )
    values = {}
    for key, value in given.items():
        values["cls" if key == "class" else key] = value
    for key in _CALLABLES:
        if isinstance(values.get(key), str) and "." in values[key]:
            values[key] = _load(values[key])
    for key, strategy in (
        ("construct_strategy", ConstructStrategy),
        ("initialize_strategy", InitializeStrategy),
    ):
        if isinstance(values.get(key), str):
            values[key] = strategy[values[key].upper()]
    return ElementImplementation(**values)


def _load(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise CallerError(f"{name!r} cannot be imported on this node: {error}") from None
