"""Roles as RoleML's files write them: a class, its options, and implementations of its elements."""

from __future__ import annotations

from typing import Any

from roleml_nb.compat.importing import is_spec
from roleml_nb.role import ElementImplementation, Role, standard_name
from roleml_nb.spec.definitions import Deferred, dotted_name, find
from roleml_nb.spec.entry import Entry, mapping_at
from roleml_nb.spec.plan import RolePlan
from roleml_nb.spec.role_checks import check_role, role_class
from roleml_nb.spec.scope import Scope
from roleml_nb.spec.values import (
    STRATEGIES,
    definition,
    function,
    make_implementation,
    read_strategy,
)

__all__ = ["Presets", "read_role"]

CALLABLES = ("constructor", "initializer", "serializer", "deserializer", "destructor")
WITH_SHORT_NAMES = ("initializer", "serializer", "deserializer")
"""Keys whose callables may have short names, such as pickle."""
MODES = ("serializer_mode", "deserializer_mode")
FILES = ("serializer_destination", "deserializer_source")
ELEMENT_KEYS = ("class", "impl", "constructor_args", *CALLABLES, *STRATEGIES, *MODES, *FILES)


def read_role(name: str, entry: Entry, scope: Scope, presets: Presets | None = None) -> RolePlan:
    """Read a role specification: ``{class, options, impl}``, or the class alone."""
    if isinstance(entry.value, (str, type)):
        cls, options, implementations = role_class(entry, scope), {}, {}
    else:
        given = entry.fields(("class", "options", "impl"), required=("class",))
        cls = role_class(given["class"], scope)
        options = mapping_at(given, "options")
        implementations = mapping_at(given, "impl")
    if presets is not None:
        implementations = presets.apply(cls, implementations, entry)
    elements = {}
    for key, item in implementations.items():
        elements[standard_name(key)] = read_element(item, scope)
    plan = RolePlan(cls, scope.plain_mapping(options), elements, entry)
    check_role(name, plan, options, implementations)
    return plan


def read_element(entry: Entry, scope: Scope) -> ElementImplementation:
    """Read an element specification. Nothing is built: that is done on the node."""
    given: dict[str, Any] = {}
    for key, item in entry.fields(ELEMENT_KEYS).items():
        if key == "class":
            given["cls"] = definition(item, scope)
            if not isinstance(given["cls"], type):
                raise item.fail(
                    f"{item.value} is not a class; what else makes the object goes under"
                    " 'constructor'"
                )
        elif key == "impl":
            given.update(_implementation(item, scope))
        elif key == "constructor_args":
            given[key] = scope.plain_mapping(item.mapping())
        elif key in CALLABLES:
            given[key] = _callable(key, item, scope)
        elif key in STRATEGIES:
            given[key] = read_strategy(key, item)
        else:
            given[key] = item.choice(("binary", "text")) if key in MODES else item.text()
    return make_implementation(given, entry)


def _implementation(entry: Entry, scope: Scope) -> dict[str, Any]:
    """Read an object: by dotted name, as ``{type, options}``, or a plain value."""
    if _is_made(entry):
        return {
            "constructor": function(entry.value["type"], scope),
            "constructor_args": _options(entry, scope),
        }
    if not isinstance(entry.value, str):
        return {"impl": scope.plain(entry)}
    found = definition(entry, scope)
    if dotted_name(found) or entry.value.startswith("__main__."):
        return {"impl": found}
    return {"constructor": find, "arguments": (entry.value,)}


def _callable(key: str, entry: Entry, scope: Scope) -> Any:
    """Read a callable: by dotted name, as ``{type, options}``, or by a short name.

    A class whose instances can be called stands for an instance.
    """
    if _is_made(entry):
        return Deferred(function(entry.value["type"], scope), _options(entry, scope))
    if key in WITH_SHORT_NAMES and isinstance(entry.value, str) and "." not in entry.value:
        return entry.value
    found = function(entry, scope)
    if not isinstance(found, type):
        return found
    if any("__call__" in vars(base) for base in found.__mro__):
        return Deferred(found, {})
    if key == "constructor":
        return found
    raise entry.fail(f"the instances of {entry.value} cannot be called, and a {key} must be")


def _is_made(entry: Entry) -> bool:
    return isinstance(entry.value, dict) and is_spec(entry.value)


def _options(entry: Entry, scope: Scope) -> dict[str, Any]:
    given = entry.value.get("options")
    return {} if given is None else scope.plain_mapping(given.mapping())


class Presets:
    """Implementations of ``element_preset``, for all roles of a class and its subclasses."""

    def __init__(self, entry: Entry | None, scope: Scope):
        self._presets: dict[type[Role], tuple[dict[str, Entry], str]] = {}
        for path, item in (entry.mapping() if entry is not None else {}).items():
            given = item.fields(("elements", "on_conflict"))
            elements = mapping_at(given, "elements")
            choice = "override"
            if "on_conflict" in given:
                choice = given["on_conflict"].choice(("preset", "override", "error"))
            cls = role_class(item.with_value(path), scope)
            self._presets[cls] = (elements, choice)

    def apply(self, cls: type[Role], given: dict[str, Entry], entry: Entry) -> dict[str, Entry]:
        """Return a role's implementations, with those of the nearest class that has a preset."""
        for base in cls.__mro__:
            if base not in self._presets:
                continue
            elements, choice = self._presets[base]
            both = sorted(set(elements) & set(given))
            if both and choice == "error":
                raise given[both[0]].fail(
                    f"implemented here and in the element_preset of {base.__name__} "
                    f"({elements[both[0]].where}), whose on_conflict is error"
                )
            return {**given, **elements} if choice == "preset" else {**elements, **given}
        return given
