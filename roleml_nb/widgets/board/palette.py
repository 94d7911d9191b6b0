"""The palette: role classes that can be put on nodes, with what they take, offer and ask for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from roleml_nb.role import Role
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.expressions import role_classes

from .needs import asks

__all__ = ["palette"]

LONG = 60
"""Letters of a default or a type from which on it is cut."""


def palette(bed: Testbed, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The role classes of the notebook, then those of the library, each in the order of the
    alphabet, as plain data.
    """
    found = [_entry(bed, name, cls) for name, cls in role_classes(names).items()]
    return sorted(found, key=lambda entry: (entry["library"], entry["cls"].lower()))


def _entry(bed: Testbed, name: str, cls: type[Role]) -> dict[str, Any]:
    library = cls.__module__.startswith("roleml_nb.")
    doc = (cls.__doc__ or "").strip().partition("\n\n")[0]
    return {
        "cls": name,
        "library": library,
        "version": 0 if library else bed.versions.number(cls),
        "name": suggested(name),
        "about": " ".join(doc.split()),
        "options": _options(cls),
        "elements": _elements(cls),
        "says": _says(cls, " ".join(doc.split())),
    }


def _says(cls: type[Role], about: str) -> str:
    """What a class is, the channels that can be called, and the relationships that it asks for."""
    parts = {"channels": sorted({*cls.services, *cls.tasks}), "asks for": sorted(asks(cls))}
    return "\n".join(
        filter(
            None,
            [about, *(f"{name}: {', '.join(items)}" for name, items in parts.items() if items)],
        )
    )


def suggested(cls: str) -> str:
    """What a role of that class is usually called: the last word of ``FedAvgAggregator``."""
    return (
        re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", cls)[-1].lower()
        if re.search("[a-z0-9]", cls)
        else cls.lower()
    )


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
                    "default": None if one.default is one.empty else _short(repr(one.default)),
                }
            )
    return found


def _elements(cls: type[Role]) -> list[dict[str, Any]]:
    found = []
    for name, attribute in cls.elements.items():
        declared = getattr(cls, attribute)
        default = None
        if declared.default_impl is not None:
            default = _short(repr(declared.default_impl))
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
        return _short(annotation)
    return _short(
        annotation.__name__
        if isinstance(annotation, type)
        else str(annotation).replace("typing.", "")
    )


def _short(text: str) -> str:
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"
