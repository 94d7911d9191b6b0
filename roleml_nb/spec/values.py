"""Values of a deployment as plain data, and back.

Values that are no plain data are mappings with a ``$`` key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np

from roleml_nb.role import (
    ConstructStrategy,
    ElementError,
    ElementImplementation,
    InitializeStrategy,
    RoleInstanceID,
)
from roleml_nb.role.serialization import short_name

from .definitions import Deferred, dotted_name
from .entry import Entry, mapping_at, sequence_at
from .per_node import Impl
from .scope import Scope

__all__ = [
    "STRATEGIES",
    "decode",
    "decode_mapping",
    "definition",
    "encode",
    "function",
    "make_implementation",
    "opaque",
    "read_strategy",
]

STRATEGIES: dict[str, type[Enum]] = {
    "construct_strategy": ConstructStrategy,
    "initialize_strategy": InitializeStrategy,
}


def _is_callable_or_name(value: Any) -> bool:
    return callable(value) or isinstance(value, str)


def _has_text_keys(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mode(value: Any) -> bool:
    return value in ("binary", "text")


FIELD_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("cls", "constructor", "destructor"), callable),
    "arguments": lambda value: isinstance(value, tuple),
    **dict.fromkeys(("initializer", "serializer", "deserializer"), _is_callable_or_name),
    "constructor_args": _has_text_keys,
    **dict.fromkeys(("serializer_destination", "deserializer_source"), _is_text),
    **dict.fromkeys(("serializer_mode", "deserializer_mode"), _is_mode),
}
"""{field of an element: a check of its value}."""
FIELDS = [field.name for field in fields(ElementImplementation)]


def encode(value: Any) -> Any:
    """Encode a value as plain data; a value that cannot be is ``{"$opaque": its type}``."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, RoleInstanceID):
        return {"$role": str(value)}
    if type(value) is list:
        return list(map(encode, value))
    if type(value) is tuple:
        return {"$tuple": list(map(encode, value))}
    if type(value) in (set, frozenset):
        return {"$set": list(map(encode, sorted(value, key=repr)))}
    if type(value) is dict:
        return _encode_dict(value)
    if isinstance(value, Impl):
        return _encode_call(
            "$call",
            value.function,
            args=list(map(encode, value.args)),
            kwargs=_encode_dict(value.kwargs),
        )
    if isinstance(value, Deferred):
        return _encode_call("$made-by", value.make, options=_encode_dict(value.options))
    if isinstance(value, ElementImplementation):
        return {"$element": _encode_element(value)}
    name = dotted_name(value) if callable(value) else None
    return {"$ref": name} if name else {"$opaque": _type_name(value)}


def _encode_dict(value: dict[Any, Any]) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: encode(item) for key, item in value.items()}
    return {"$dict": [[encode(key), encode(item)] for key, item in value.items()]}


def _encode_call(key: str, function: Any, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = {key: dotted_name(function) or {"$opaque": _type_name(function)}}
    for name, value in given.items():
        if value:
            found[name] = value
    return found


def _encode_element(value: ElementImplementation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in FIELDS:
        given = getattr(value, name)
        if isinstance(given, Enum):
            found[name] = given.name.lower()
        elif short_name(name, given) is not None:
            found[name] = short_name(name, given)
        elif given is not None and not (
            name != "impl" and isinstance(given, (tuple, Mapping)) and not given
        ):
            found[name] = encode(given)
    return found


def _type_name(value: Any) -> str:
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{type(value).__name__} ({value.__module__}.{value.__qualname__})"
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def opaque(spec: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield (path, type) of each value that `encode` could not encode."""
    if isinstance(spec, Mapping):
        if "$opaque" in spec:
            yield ".".join(path), str(spec["$opaque"])
        for key, item in spec.items():
            yield from opaque(item, path if str(key).startswith("$") else (*path, str(key)))
    elif isinstance(spec, list):
        for index, item in enumerate(spec):
            yield from opaque(item, (*path, str(index)))


def decode_mapping(entries: Mapping[str, Entry], scope: Scope) -> dict[str, Any]:
    """Decode the values of a mapping."""
    return {key: decode(item, scope) for key, item in entries.items()}


def _decode_items(entries: Iterable[Entry], scope: Scope) -> list[Any]:
    return [decode(item, scope) for item in entries]


def decode(entry: Entry, scope: Scope) -> Any:
    """Decode plain data that `encode` has made; ConfigError for what cannot be."""
    if isinstance(entry.value, list):
        return _decode_items(entry.value, scope)
    if not isinstance(entry.value, dict):
        return scope.plain(entry)
    keys = [key for key in entry.value if str(key).startswith("$")]
    if not keys:
        return decode_mapping(entry.value, scope)
    kind, item = keys[0], entry.value[keys[0]]
    if kind == "$opaque":
        raise entry.fail(
            f"this value of type {item.value} was not plain data when the spec was made, so it"
            " cannot be rebuilt; give it as impl(function, …), which is made on the node"
        )
    extra = {"$call": ("args", "kwargs"), "$made-by": ("options",)}.get(kind, ())
    entry.fields(
        ("$call", "$made-by", "$ref", "$role", "$tuple", "$set", "$dict", "$element")
        if kind not in _READERS
        else (kind, *extra)
    )
    return _READERS[kind](item, entry.value, scope)


def definition(entry: Entry, scope: Scope) -> Any:
    """Return the object of a dotted name; data of a program may hold a class or function itself."""
    if callable(entry.value):
        return entry.value
    if isinstance(entry.value, dict) and "$opaque" in entry.value:
        return decode(entry, scope)  # which raises an error that says why
    return scope.find(entry)


def function(entry: Entry, scope: Scope) -> Any:
    """Return the object of a dotted name as `definition` does; ConfigError unless callable."""
    found = definition(entry, scope)
    if not callable(found):
        raise entry.fail(f"{entry.value} cannot be called: it is {_type_name(found)}")
    return found


def _call(item: Entry, all_: dict[str, Entry], scope: Scope) -> Impl:
    args = tuple(_decode_items(sequence_at(all_, "args"), scope))
    called = function(item, scope)
    return Impl(called, args, decode_mapping(mapping_at(all_, "kwargs"), scope))


def _made_by(item: Entry, all_: dict[str, Entry], scope: Scope) -> Deferred:
    make = function(item, scope)
    return Deferred(make, decode_mapping(mapping_at(all_, "options"), scope))


def _role(item: Entry, _: Any, scope: Scope) -> RoleInstanceID:
    try:
        return RoleInstanceID.of(item.text())
    except ValueError as error:
        raise item.fail(error) from None


def _dict(item: Entry, _: Any, scope: Scope) -> dict[Any, Any]:
    found = {}
    for pair in item.sequence():
        if len(pair.sequence()) != 2:
            raise pair.fail("must be a pair: [key, value]")
        key, value = pair.sequence()
        found[_hashable(key, scope)] = decode(value, scope)
    return found


def _hashable(entry: Entry, scope: Scope) -> Any:
    value = decode(entry, scope)
    try:
        hash(value)
    except TypeError:
        raise entry.fail("a list or a mapping cannot be a key, or in a set; a $tuple can") from None
    return value


def read_strategy(key: str, entry: Entry) -> Enum:
    """Read a strategy of an element by its name, in small or capital letters."""
    strategies = STRATEGIES[key]
    return strategies[entry.choice(map(str.lower, strategies.__members__)).upper()]


def _element(item: Entry, _: Any, scope: Scope) -> ElementImplementation:
    given: dict[str, Any] = {}
    for key, value in item.fields(FIELDS).items():
        given[key] = read_strategy(key, value) if key in STRATEGIES else decode(value, scope)
        fits = FIELD_CHECKS.get(key)
        if fits is not None and not fits(given[key]):
            raise value.fail(f"{_type_name(given[key])} will not do for {key} of an element")
    return make_implementation(given, item)


def make_implementation(given: Mapping[str, Any], entry: Entry) -> ElementImplementation:
    """Return an element's implementation of these fields; errors point at the entry."""
    try:
        return ElementImplementation(**given)
    except ElementError as error:  # a short name that is not registered
        raise entry.fail(error) from None


_READERS: dict[str, Any] = {
    "$call": _call,
    "$made-by": _made_by,
    "$ref": lambda item, _, scope: definition(item, scope),
    "$role": _role,
    "$tuple": lambda item, _, scope: tuple(_decode_items(item.sequence(), scope)),
    "$set": lambda item, _, scope: {_hashable(one, scope) for one in item.sequence()},
    "$dict": _dict,
    "$element": _element,
}
