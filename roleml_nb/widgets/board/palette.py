"""The palette: role classes with their options, elements, channels and requirements."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from roleml_nb.role import Role
from roleml_nb.role.checks.names import shorten
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.expressions import role_classes

from .needs import requirements

__all__ = ["palette"]

MAX_LENGTH = 60
"""Letters of a default or a type."""


def palette(bed: Testbed, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the role classes as plain data: the notebook's, then the library's, each by name."""
    found = [_entry(bed, name, cls) for name, cls in role_classes(names).items()]
    return sorted(found, key=lambda entry: (entry["library"], entry["cls"].lower()))


def _entry(bed: Testbed, name: str, cls: type[Role]) -> dict[str, Any]:
    library = cls.__module__.startswith("roleml_nb.")
    summary = (cls.__doc__ or "").strip().partition("\n\n")[0]
    about = " ".join(summary.split())
    return {
        "cls": name,
        "library": library,
        "version": 0 if library else bed.versions.number(cls),
        "name": suggested_name(name),
        "about": about,
        "options": _options(cls),
        "elements": _elements(cls),
        "says": _tooltip(cls, about),
    }


def _tooltip(cls: type[Role], about: str) -> str:
    """Return about, channels and requirements of a class, a line each."""
    lines = [about] if about else []
    channels = sorted({*cls.services, *cls.tasks})
    if channels:
        lines.append(f"channels: {', '.join(channels)}")
    required = sorted(requirements(cls))
    if required:
        lines.append(f"asks for: {', '.join(required)}")
    return "\n".join(lines)


def suggested_name(cls: str) -> str:
    """Return the usual name of a role of that class: the last word of ``FedAvgAggregator``."""
    if not re.search("[a-z0-9]", cls):
        return cls.lower()
    return re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", cls)[-1].lower()


def _options(cls: type[Role]) -> list[dict[str, Any]]:
    if cls.__init__ is Role.__init__:
        return []
    found = []
    for name, one in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            found.append(
                {
                    "name": name,
                    "type": "" if one.annotation is one.empty else _type(one.annotation),
                    "default": None if one.default is one.empty else _code(one.default),
                }
            )
    return found


def _elements(cls: type[Role]) -> list[dict[str, Any]]:
    found = []
    for name, attribute in cls.elements.items():
        declared = getattr(cls, attribute)
        default = None
        if declared.default_impl is not None:
            default = _code(declared.default_impl)
        elif declared.default_constructor is not None:
            constructor = declared.default_constructor
            default = f"{getattr(constructor, '__name__', constructor)}()"
        found.append(
            {
                "name": name,
                "type": _type(declared.cls),
                "default": "none" if default is None and declared.optional else default,
            }
        )
    return found


def _type(annotation: Any) -> str:
    if isinstance(annotation, str):
        return shorten(annotation, MAX_LENGTH)
    if isinstance(annotation, type):
        return shorten(annotation.__name__, MAX_LENGTH)
    return shorten(str(annotation).replace("typing.", ""), MAX_LENGTH)


def _code(value: Any) -> str:
    return shorten(repr(value), MAX_LENGTH)
