"""Objects by dotted name, and from specs of the form {type, options}."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

__all__ = [
    "AnyCallable",
    "AnyType",
    "Descriptor",
    "LoadCompatible",
    "Loadable",
    "Spec",
    "as_class",
    "as_definition",
    "as_function",
    "is_spec",
    "load",
    "load_bytes",
    "load_definition",
    "resolve_host_port",
]

AnyType = TypeVar("AnyType", bound=type)
AnyCallable = TypeVar("AnyCallable", bound=Callable)
Descriptor = Any
LoadCompatible = Any
Loadable = Any


class Spec(TypedDict, total=False):
    """A class or function to call, and its keyword arguments."""

    type: Any
    options: dict[str, Any]


def load_definition(full_path: str) -> Any:
    """Import the object called ``package.module.name``.

    ValueError, ModuleNotFoundError or AttributeError if there is none.
    """
    module_name, _, name = full_path.rpartition(".")
    if not module_name:
        raise ValueError(f"{full_path!r} is not of the form package.module.name")
    return getattr(importlib.import_module(module_name), name)


def as_definition(descriptor: Any) -> Any:
    """Return the object of a dotted name; anything but a name as it is."""
    return load_definition(descriptor) if isinstance(descriptor, str) else descriptor


def as_class(type_or_path: Any) -> type:
    return as_definition(type_or_path)


def as_function(func_or_path: Any) -> Callable[..., Any]:
    return as_definition(func_or_path)


def is_spec(d: Mapping[str, Any]) -> bool:
    """Return True if a mapping has the keys of a `Spec`, and no others."""
    return "type" in d and not set(d) - {"type", "options"}


def load(
    target: Any,
    obj_type: Any,
    *,
    args: tuple[Any, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    builtin_sources: Mapping[str, Any] | None = None,
    builtin_source_getters: Mapping[str, Callable[[], Any]] | None = None,
) -> Any:
    """Make an instance of `obj_type` from its description.

    `target` is such an instance, a class or function that makes one, the name of either (of
    `builtin_sources`, of `builtin_source_getters`, or dotted), or a `Spec`, whose type is called
    with its options, and `args` and `kwargs` over them. With ``obj_type=Callable``, the object
    found is returned without a call. TypeError when it has another type.
    """
    if obj_type is str:
        raise TypeError("a str cannot be loaded: it would be taken for a name")
    sources = builtin_sources or {}
    getters = builtin_source_getters or {}

    def find(item: Any) -> Any:
        if not isinstance(item, str):
            return item
        if item in sources:
            return sources[item]
        return getters[item]() if item in getters else load_definition(item)

    spec = isinstance(target, Mapping) and is_spec(target)
    found = find(target["type"] if spec else target)
    if not spec and not isinstance(found, type) and isinstance(found, obj_type):
        return found
    wants_function = getattr(obj_type, "__origin__", obj_type) is Callable
    if callable(found) and (spec or isinstance(found, type) or not wants_function):
        options = {**(target.get("options") or {} if spec else {}), **(kwargs or {})}
        found = found(*(args or ()), **options)
        if isinstance(found, obj_type):
            return found
    raise TypeError(
        f"{target!r} gives {type(found).__name__}, not {getattr(obj_type, '__name__', obj_type)}"
    )


def resolve_host_port(address: str, default_port: int = 80) -> tuple[str, int]:
    """Split ``host:port`` in its two parts."""
    host, colon, port = address.rpartition(":")
    return (host, int(port)) if colon else (address, default_port)


def load_bytes(obj: bytes) -> Any:
    """Unpickle bytes, or return them if they are not a pickle. Only for data that you made."""
    try:
        return pickle.loads(obj)
    except pickle.UnpicklingError:
        return obj
