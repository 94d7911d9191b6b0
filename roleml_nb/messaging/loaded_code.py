"""Compare what a process has in memory of a module with a text of it: has that text been loaded?

Neither the time of a file nor a reload tells it: `%autoreload` replaces the code of single functions in place, and a file
may be edited after it was imported, or twice between two reloads. So functions are compared by their code, and what else
an edit may change (constants, imports) by what the names mean in memory.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["code_of", "fingerprint", "has_same_code", "is_loaded"]

Path = tuple[str, ...]
CO_OPTIMIZED = inspect.CO_OPTIMIZED
IMPORTED = object()
MISSING = object()
RECOMPILED = "__autoreload_class__"
"""The class in which IPython's autoreload compiles a method anew, whose name private names then bear."""


def is_loaded(module: types.ModuleType, text: str, before: str | None, *, reloaded: bool) -> bool:
    """True if `module` is, in memory, what `text` says.

    Parameters
    ----------
    before
        The text that was loaded when it was last looked at; None if that is not known.
    reloaded
        The module was executed anew since then.
    """
    wanted = _functions(text, module)
    if wanted is None:
        return False
    for path, known in wanted.items():
        found = _member(module, path)
        code = code_of(found)
        if code is not None and _belongs(code, path, module) and fingerprint(code, path) not in known:
            return False
    if before is None or reloaded:
        return True
    old = _functions(before, module) or {}
    if any(_member(module, path) is MISSING for path in wanted.keys() - old.keys()):
        return False
    if any(_member(module, path) is not MISSING for path in old.keys() - wanted.keys()):
        return False
    names, names_before = dict(_names(ast.parse(text))), dict(_names(ast.parse(before)))
    changed = {path: value for path, value in names.items()
               if path not in names_before or not _equal(value, names_before[path])}
    if not all(_has(module, path, value) for path, value in changed.items()):
        return False
    return bool(changed) or wanted != old


def code_of(value: Any) -> types.CodeType | None:
    """Return the code of a function, also of one within a decorator, a property or a method; None if there is none."""
    value = getattr(value, "__func__", getattr(value, "fget", value))
    if not callable(value):
        return None
    try:
        return getattr(inspect.unwrap(value), "__code__", None)
    except ValueError:  # it wraps itself
        return None


def has_same_code(one: Any, other: Any) -> bool:
    """True if two functions, or all of two classes, have equal code."""
    return bool(_codes_of(one) == _codes_of(other))


def _codes_of(obj: Any) -> Any:
    if isinstance(obj, type):
        return {name: code for name, value in vars(obj).items() if (code := code_of(value)) is not None}
    return code_of(obj)


def fingerprint(code: types.CodeType, path: Path = ()) -> tuple[Any, ...]:
    """Return what a function does, as plain values: equal for equal code on whichever lines."""
    private = f"_{path[-2].lstrip('_')}__" if len(path) > 1 else ""

    def plain(name: str) -> str:
        for prefix in (f"_{RECOMPILED.lstrip('_')}__", private):
            if prefix and name.startswith(prefix):
                return name[len(prefix) - 2:]
        return name

    def names(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(plain, given))

    return (code.co_code, names(code.co_names), names(code.co_varnames), code.co_freevars, code.co_cellvars,
            code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount,
            tuple(_constant(value, path) for value in code.co_consts))


def _constant(value: Any, path: Path) -> Any:
    if isinstance(value, types.CodeType):
        return fingerprint(value, path)
    if isinstance(value, str):  # a text of several lines is indented anew by autoreload
        return " ".join(value.split())
    if isinstance(value, tuple):
        return tuple(_constant(item, path) for item in value)
    return type(value).__name__, repr(value)


def _functions(text: str, module: types.ModuleType) -> dict[Path, list[tuple[Any, ...]]] | None:
    """The functions and methods that a text defines, each as often as it does; None if it cannot be compiled."""
    try:
        compiled = compile(text, module.__file__ or "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    found: dict[Path, list[tuple[Any, ...]]] = {}
    for path, code in _codes(compiled, ()):
        found.setdefault(path, []).append(fingerprint(code, path))
    return found


def _codes(code: types.CodeType, path: Path) -> Iterator[tuple[Path, types.CodeType]]:
    for constant in code.co_consts:
        if not isinstance(constant, types.CodeType) or constant.co_name.startswith("<"):
            continue
        inner = (*path, constant.co_name)
        if constant.co_flags & CO_OPTIMIZED:
            yield inner, constant
        else:  # the body of a class
            yield from _codes(constant, inner)


def _belongs(code: types.CodeType, path: Path, module: types.ModuleType) -> bool:
    """Whether it is the function of that name in the module's file, and not one that a decorator put there."""
    return code.co_name == path[-1] and code.co_filename == module.__file__


def _member(module: types.ModuleType, path: Path) -> Any:
    found: Any = module
    for name in path:
        try:
            space: Mapping[str, Any] = vars(found)
        except TypeError:
            return MISSING
        found = space.get(name, MISSING)
    return found


def _names(body: ast.AST, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Constants and imports of a module and of its classes: what each name means."""
    for node in getattr(body, "body", ()):
        if isinstance(node, ast.ClassDef):
            yield from _names(node, (*path, node.name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield (*path, alias.asname or alias.name.partition(".")[0]), IMPORTED
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            try:
                value = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
            for target in targets:
                if isinstance(target, ast.Name):
                    yield (*path, target.id), value


def _has(module: types.ModuleType, path: Path, value: Any) -> bool:
    found = _member(module, path)
    return found is not MISSING and (value is IMPORTED or _equal(found, value))


def _equal(one: Any, other: Any) -> bool:
    try:
        return one is other or type(one) is type(other) and bool(one == other)
    except Exception:  # whatever the comparison of somebody's values raises
        return False
