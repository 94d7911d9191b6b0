"""Checks of a role's class, name, options and elements, before anything is deployed."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from roleml_nb.role import (
    NATIVE,
    ArgumentError,
    ElementImplementation,
    Role,
    check_name,
    did_you_mean,
    standard_name,
)

from .entry import Entry
from .plan import RolePlan
from .scope import Scope
from .values import definition

__all__ = ["check_role", "check_role_name", "role_class", "wrong_element", "wrong_option"]

OBJECT_SOURCES = ("impl", "cls", "constructor", "deserializer_source")
"""Fields of an element's implementation, each of which gives an object."""


def role_class(entry: Entry, scope: Scope) -> type[Role]:
    """Return the role class of a dotted name."""
    found = definition(entry, scope)
    if not (isinstance(found, type) and issubclass(found, Role)):
        raise entry.fail(f"{entry.value} is not a role class, a subclass of roleml_nb.Role")
    return found


def check_role(
    name: str, plan: RolePlan, options: Mapping[str, Entry], elements: Mapping[str, Entry]
) -> None:
    """Check a role with its options and elements; errors point at the entries of these."""
    try:
        check_role_name(name)
    except ArgumentError as error:
        raise plan.entry.fail(error) from None
    given = {key: plan.elements[standard_name(key)] for key in elements}
    if wrong := wrong_element(plan.cls, given):
        raise elements.get(wrong[0], plan.entry).fail(wrong[1])
    if wrong := wrong_option(plan.cls, options):
        raise options.get(wrong[0], plan.entry).fail(wrong[1])


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


def wrong_element(role: type[Role], given: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the first element that a role does not have, or needs and is not given, and a text."""
    made = set()
    for key, value in given.items():
        element = standard_name(key)
        if element not in role.elements:
            near = did_you_mean(key, role.elements)
            return key, f"{role.__name__} has no element {key!r}; {near}"
        if _gives_object(value):
            made.add(element)
    for element, attribute in role.elements.items():
        declared = getattr(role, attribute)
        if not declared.optional and not declared.has_default and element not in made:
            return element, f"element {element!r} of {role.__name__} is not implemented"
    return None


def _gives_object(value: Any) -> bool:
    if isinstance(value, ElementImplementation):
        return any(getattr(value, source) is not None for source in OBJECT_SOURCES)
    return value is not None
