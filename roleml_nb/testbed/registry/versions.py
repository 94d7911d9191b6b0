"""Versions of role classes: which one runs where, and which roles are behind.

A version is content. A class of the user's own modules is the same version as long as the text of
its module, and of all own modules that it imports, is the same (`messaging.source_modules`),
however often it was reloaded; a class of a cell is one version for each time that its cell was run,
and for each content of the own modules that it uses. A role is behind when its class has another
version, or own modules that its options and elements use have changed, since it was assigned or
took up its code.
"""

from __future__ import annotations

import hashlib
import types
import warnings
from collections.abc import Set
from typing import Any
from weakref import WeakKeyDictionary

from roleml_nb.messaging.modules.loaded_code import code_of, fingerprint
from roleml_nb.messaging.modules.module_versions import member_now
from roleml_nb.messaging.modules.source_modules import source_modules
from roleml_nb.messaging.serialization.captures import large_captures, missing_names
from roleml_nb.messaging.serialization.code import dumps_code
from roleml_nb.messaging.serialization.codec import own_modules_of
from roleml_nb.messaging.serialization.unsendable import explain
from roleml_nb.role import Role, RoleInstanceID, SerializationError, TestbedError, natural_key
from roleml_nb.spec.definitions import public_name
from roleml_nb.spec.per_node import Impl

from .source import source

__all__ = ["Versions", "check_code", "class_name"]


class Versions:
    """Counts the versions of each role class by its name, from 1, and notes which one every
    instance has.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}
        """{class: {content: number}}, of classes of own modules."""
        self._made: WeakKeyDictionary[type, dict[str, int]] = WeakKeyDictionary()
        """{class: {content of the modules that it uses: number}}, of all other classes."""
        self._latest: dict[str, int] = {}
        self.sources: dict[tuple[str, int], str] = {}
        """{(class, version): its text}, as it was when the version was first seen."""
        self.running: dict[RoleInstanceID, tuple[str, int]] = {}
        """{instance: (class, version)}."""
        self.classes: dict[RoleInstanceID, type[Role]] = {}
        """{instance: that version of the class itself}."""
        self.given: dict[RoleInstanceID, tuple[dict[str, Any], dict[str, Any]]] = {}
        """{instance: options and elements}, as they were assigned."""
        self.contents: dict[RoleInstanceID, dict[str, str]] = {}
        """{instance: the own modules that it uses, and digests of their texts}, as it has them."""
        self.built_by: dict[RoleInstanceID, dict[str, Any]] = {}
        """{instance: fingerprints of the functions that have built its elements, by element}."""
        self.revision = 0
        """Number of times that a role took up code."""

    @property
    def tables(self) -> tuple[dict[RoleInstanceID, Any], ...]:
        """All that is known of instances."""
        return self.running, self.classes, self.given, self.contents, self.built_by

    def number(self, cls: type[Role]) -> int:
        """Return the version of a class; a new one for content that was not seen before."""
        name, content = class_name(cls), _hash(digests_of(cls))
        own = source_modules.is_own(cls.__module__) and "<locals>" not in cls.__qualname__
        numbers = self._numbers.setdefault(name, {}) if own else self._made.setdefault(cls, {})
        if content not in numbers:
            numbers[content] = self._latest[name] = self._latest.get(name, 0) + 1
            self.sources[name, numbers[content]] = source(cls)
        return numbers[content]

    def assigned(
        self,
        instance: RoleInstanceID,
        cls: type[Role],
        options: dict[str, Any],
        elements: dict[str, Any],
    ) -> None:
        self.given[instance] = (options, elements)
        self.built_by[instance] = _builders(elements)
        self.updated(instance, cls)

    def updated(self, instance: RoleInstanceID, cls: type[Role]) -> None:
        self.running[instance] = (class_name(cls), self.number(cls))
        self.classes[instance] = cls
        self.contents[instance] = digests_of(cls, *self.given.get(instance, ()))
        self.revision += 1

    def entries(self, instance: RoleInstanceID) -> list[Any]:
        """Return the entries of an instance in all tables, for `restore_entries`."""
        return [table.get(instance) for table in self.tables]

    def restore_entries(self, instance: RoleInstanceID, entries: list[Any]) -> None:
        """Restore the result of `entries`, for a role that is back as it was."""
        for table, entry in zip(self.tables, entries, strict=True):
            if entry is not None:
                table[instance] = entry
        self.revision += 1

    def built_before(self, instance: RoleInstanceID) -> list[str]:
        """Return the elements that a function has built which does something else now; each is
        returned once.
        """
        known = self.built_by.get(instance, {})
        now = _builders(self.given.get(instance, ({}, {}))[1])
        self.built_by[instance] = now
        return [element for element, does in now.items() if known.get(element, does) != does]

    def terminated(self, instance: RoleInstanceID) -> None:
        for table in self.tables:
            table.pop(instance, None)

    def moved(self, old: RoleInstanceID, new: RoleInstanceID, *_: Any) -> None:
        for table in self.tables if old in self.running else ():
            if old in table:
                table[new] = table.pop(old)

    def outdated(self, cls: type[Role], name: str | None = None) -> list[RoleInstanceID]:
        """Return the instances that have another version of the class, or are behind; `name`: of a
        class that it takes the place of.
        """
        number, behind = self.number(cls), self.behind()
        if name is not None:
            return self.of_class(name)
        name = class_name(cls)
        found = []
        for instance, (known, version) in self.running.items():
            if known == name and (version != number or instance in behind):
                found.append(instance)
        return found

    def of_class(self, name: str) -> list[RoleInstanceID]:
        """Return the instances of a class of that name, with its module or without."""
        found = []
        for instance, (known, _) in self.running.items():
            if name in (known, known.rpartition(".")[2]):
                found.append(instance)
        return found

    def behind(self) -> dict[RoleInstanceID, list[str]]:
        """Return the instances whose own modules have changed since they took up their code, and
        these modules.
        """
        changed: dict[RoleInstanceID, list[str]] = {}
        for instance, content in list(self.contents.items()):
            for name, digest in content.items():
                if source_modules.is_own(name) and source_modules.digest(name) != digest:
                    changed.setdefault(instance, []).append(name)
        return changed

    def table(self) -> list[tuple[str, int, list[RoleInstanceID]]]:
        """Return class, version and instances, in natural order."""
        rows: dict[tuple[str, int], list[RoleInstanceID]] = {}
        for instance, row in self.running.items():
            rows.setdefault(row, []).append(instance)
        table = []
        for name, version in sorted(rows, key=lambda row: natural_key(f"{row[0]} {row[1]}")):
            instances = sorted(rows[name, version], key=lambda item: natural_key(str(item)))
            table.append((name, version, instances))
        return table


def class_name(cls: type[Role]) -> str:
    """Return the name that versions of a class are counted under."""
    return public_name(cls)


def digests_of(cls: type, *given: dict[str, Any]) -> dict[str, str]:
    """Return the own modules that a class and its role's arguments use, with digests of their texts
    as they are loaded.
    """
    names = set(_own_modules(cls))
    for values in given if source_modules.tracks_any else ():
        for value in values.values():
            names |= _own_modules(value)
    return source_modules.digests(names)


def _builders(elements: dict[str, Any]) -> dict[str, Any]:
    """Return the present fingerprints of the own functions that build elements."""
    found = {}
    for element, value in elements.items():
        if isinstance(value, Impl) and isinstance(value.function, types.FunctionType):
            code = code_of(member_now(value.function))
            if code is not None:
                found[element] = fingerprint(code)
    return found


def _own_modules(value: Any) -> Set[str]:
    try:
        return own_modules_of(value)
    # a value that cannot be encoded stays in this process, or is refused when it is sent
    except Exception:
        parts = [value]
        if isinstance(value, Impl):
            parts = [value.function, *value.args, *value.kwargs.values()]
        names = set()
        for part in parts:
            name = getattr(part, "__module__", None)
            if isinstance(name, str) and source_modules.is_own(name):
                names.add(name)
        return names


def _hash(digests: dict[str, str]) -> str:
    if not digests:
        return ""
    return hashlib.blake2b(repr(sorted(digests.items())).encode(), digest_size=8).hexdigest()


def check_code(what: str, obj: Any) -> None:
    """Refuse code of the notebook that lacks names, or cannot be sent; warn of large values that it
    takes along.
    """
    missing = missing_names(obj)
    if missing:
        name, where = next(iter(sorted(missing.items())))
        raise TestbedError(
            f"{what}: {where} uses {name!r}, which is not defined; run the cell that imports or"
            " defines it first"
        )
    try:
        large = large_captures(obj)
    except Exception as error:  # whatever pickling it raises
        raise SerializationError(explain(obj, what, error, dumps_code)) from error
    for name, size in large.items():
        warnings.warn(
            f"{what} takes the global {name!r} along, {size / 1e6:.0f} MB, to every engine; give it"
            " as an element, impl(function, …), to have it made where it is used",
            stacklevel=5,
        )
