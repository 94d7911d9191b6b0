"""Versions of role classes: which one runs where."""

from __future__ import annotations

import warnings
from typing import Any
from weakref import WeakKeyDictionary

from roleml_nb.messaging.captures import large_captures, missing_names
from roleml_nb.messaging.code import dumps_code
from roleml_nb.messaging.unsendable import explain
from roleml_nb.role import Role, RoleInstanceID, SerializationError, TestbedError, natural_key

from .source import source

__all__ = ["Versions", "check_code"]


class Versions:
    """Counts the versions of each role class by its name, from 1, and notes which one every instance has."""

    def __init__(self) -> None:
        self._numbers: dict[str, WeakKeyDictionary[type, int]] = {}
        self._latest: dict[str, int] = {}
        self.sources: dict[tuple[str, int], str] = {}
        """{(class, version): its text}, as it was when the version was first seen."""
        self.running: dict[RoleInstanceID, tuple[str, int]] = {}
        """{instance: (class, version)}."""
        self.classes: dict[RoleInstanceID, type[Role]] = {}
        """{instance: that version of the class itself}."""
        self.given: dict[RoleInstanceID, tuple[dict[str, Any], dict[str, Any]]] = {}
        """{instance: options and elements}, as they were assigned."""

    def number(self, cls: type[Role]) -> int:
        """The version of a class; a new one for a class that was not seen before."""
        name = class_name(cls)
        numbers = self._numbers.setdefault(name, WeakKeyDictionary())
        if cls not in numbers:
            numbers[cls] = self._latest[name] = self._latest.get(name, 0) + 1
            self.sources[name, numbers[cls]] = source(cls)
        return numbers[cls]

    def assigned(
        self, instance: RoleInstanceID, cls: type[Role], options: dict[str, Any], elements: dict[str, Any]
    ) -> None:
        self.updated(instance, cls)
        self.given[instance] = (options, elements)

    def updated(self, instance: RoleInstanceID, cls: type[Role]) -> None:
        self.running[instance] = (class_name(cls), self.number(cls))
        self.classes[instance] = cls

    def terminated(self, instance: RoleInstanceID) -> None:
        for table in (self.running, self.classes, self.given):
            table.pop(instance, None)

    def moved(self, old: RoleInstanceID, new: RoleInstanceID, *_: Any) -> None:
        if old in self.running:
            tables: tuple[dict[RoleInstanceID, Any], ...] = (self.running, self.classes, self.given)
            for table in tables:
                if old in table:
                    table[new] = table.pop(old)

    def outdated(self, cls: type[Role]) -> list[RoleInstanceID]:
        """The instances that have another version of the class."""
        name, number = class_name(cls), self.number(cls)
        return [instance for instance, (known, version) in self.running.items() if known == name and version != number]

    def table(self) -> list[tuple[str, int, list[RoleInstanceID]]]:
        """Class, version and instances, in natural order."""
        rows: dict[tuple[str, int], list[RoleInstanceID]] = {}
        for instance, row in self.running.items():
            rows.setdefault(row, []).append(instance)
        return [(*row, sorted(rows[row], key=lambda one: natural_key(str(one))))
                for row in sorted(rows, key=lambda row: natural_key(f"{row[0]} {row[1]}"))]


def class_name(cls: type[Role]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def check_code(what: str, obj: Any) -> None:
    """Refuse code of the notebook that lacks names, or cannot be sent; warn of large values that it takes along."""
    missing = missing_names(obj)
    if missing:
        name, where = next(iter(sorted(missing.items())))
        raise TestbedError(f"{what}: {where} uses {name!r}, which is not defined; run the cell that imports or defines it first")
    try:
        large = large_captures(obj)
    except Exception as error:  # whatever pickling it raises
        raise SerializationError(explain(obj, what, error, dumps_code)) from error
    for name, size in large.items():
        warnings.warn(f"{what} takes the global {name!r} along, {size / 1e6:.0f} MB, to every engine; give it as an element, "
                      "impl(function, …), to have it made where it is used", stacklevel=5)
