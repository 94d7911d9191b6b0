"""Attributes that every role has, and that a role class must not hide."""

from __future__ import annotations

import dis
from collections.abc import Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

from roleml_nb.role.errors import RoleDefinitionError

__all__ = ["check_class", "check_instance"]

TABLES = frozenset(
    {"services", "tasks", "events", "subscriptions", "elements", "plugin_attributes"}
)
"""The tables of a class's channels and elements."""
FIXED = frozenset({"base", "ctx", "id", "profile"})
"""Properties, which cannot be set."""
GIVEN = frozenset({"name"})
"""Attributes that the actor sets when a role is added to it."""


def check_class(cls: type, defined: Mapping[str, Any]) -> None:
    """Raise RoleDefinitionError when a class body, or a method of it, sets such an attribute."""
    # such as by dataclass(slots=True), which makes a class of a class
    copied = defined.keys() >= TABLES
    for attribute, value in defined.items():
        if attribute in TABLES and not copied:
            raise RoleDefinitionError(
                f"{cls.__name__}.{attribute}: every role has a {attribute!r} of its own; call the "
                f"attribute otherwise (a channel may be named so: @Service({attribute!r}))"
            )
        if isinstance(value, FunctionType):
            for hidden in _set_on_self(value.__code__) & (TABLES | FIXED | GIVEN):
                where = f"{cls.__name__}.{attribute}: self.{hidden} = …"
                raise RoleDefinitionError(f"{where}: {_reason(hidden)}")


def check_instance(role: object, attributes: Iterable[str]) -> None:
    """Raise RoleDefinitionError when a role has such an attribute of its own."""
    for hidden in sorted((TABLES | GIVEN) & set(attributes)):
        where = f"{type(role).__name__}: self.{hidden} was set"
        raise RoleDefinitionError(f"{where}: {_reason(hidden)}")


def _reason(attribute: str) -> str:
    hides = ", and this hides its channels and elements" if attribute in TABLES else ""
    return f"every role has a {attribute!r} of its own{hides}; call the attribute otherwise"


def _set_on_self(code: CodeType) -> set[str]:
    """Return the attributes that a method sets on its first argument."""
    if not code.co_argcount or not (TABLES | FIXED | GIVEN) & set(code.co_names):
        return set()
    found = set()
    loaded = None
    for step in dis.get_instructions(code):
        if step.opname == "STORE_ATTR" and loaded == code.co_varnames[0]:
            found.add(str(step.argval))
        loaded = None
        if "LOAD_FAST" in step.opname or step.opname == "LOAD_DEREF":
            loaded = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
    return found
