"""The global names that functions and classes of a notebook take along when they are sent."""

from __future__ import annotations

import builtins
import dis
import types
from collections.abc import Iterator
from typing import Any

from .code import dumps_code, is_dynamic

__all__ = ["MIN_LARGE_BYTES", "captured", "large_captures", "missing_names"]

MIN_LARGE_BYTES = 10 * 1000 * 1000
"""Bytes from which on a captured value is worth a warning."""


def missing_names(obj: Any) -> dict[str, str]:
    """Return the global names that code of `obj`, a function or class of a notebook, uses and
    nobody has defined.
    """
    missing: dict[str, str] = {}
    for function in _functions(obj):
        known = {*function.__globals__, *vars(builtins)}
        stored = _names(function.__code__, "STORE_GLOBAL")
        for name in _names(function.__code__, "LOAD_GLOBAL") - known - stored:
            missing.setdefault(name, function.__qualname__)
    return missing


def large_captures(obj: Any) -> dict[str, int]:
    """Return the global values of more than `MIN_LARGE_BYTES` bytes that are sent with `obj`:
    {name: bytes}.
    """
    if not is_dynamic(obj) or len(dumps_code(obj)) < MIN_LARGE_BYTES:
        return {}
    found = {}
    for function in _functions(obj):
        for name in _names(function.__code__, "LOAD_GLOBAL") & function.__globals__.keys():
            value = function.__globals__[name]
            if (
                not isinstance(value, types.ModuleType)
                and (size := len(dumps_code(value))) >= MIN_LARGE_BYTES
            ):
                found[name] = size
    return found


def captured(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values that are sent with a function or class of a notebook, with their places
    there: ``variable 'x'``.
    """
    if isinstance(obj, type) and is_dynamic(obj):
        yield from (
            (f"attribute {name!r}", value)
            for name, value in vars(obj).items()
            if not name.startswith("__")
        )
    for function in _functions(obj):
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        yield from (
            (f"variable {name!r}", cell.cell_contents)
            for name, cell in cells
            if cell != types.CellType()
        )
        for name in sorted(_names(function.__code__, "LOAD_GLOBAL") & function.__globals__.keys()):
            yield f"global {name!r}", function.__globals__[name]
        yield from (
            ("default", value)
            for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        )


def _functions(obj: Any) -> Iterator[types.FunctionType]:
    """Yield the function, or the methods of the class and its bases, as far as they go by value."""
    if isinstance(obj, types.FunctionType):
        if is_dynamic(obj):
            yield obj
    elif isinstance(obj, type) and is_dynamic(obj):
        for base in obj.__mro__:
            for value in vars(base).values() if is_dynamic(base) else ():
                inner = getattr(value, "__func__", getattr(value, "fget", value))
                if isinstance(inner, types.FunctionType):
                    yield inner


def _names(code: types.CodeType, operation: str) -> set[str]:
    names = {item.argval for item in dis.get_instructions(code) if item.opname == operation}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant, operation)
    return names
