"""Compare a module in memory with a text of it: has that text been loaded?

Neither the time of a file nor a reload tells it: `%autoreload` replaces the code of single
functions in place, and a file may be edited after it was imported, or twice between two reloads. So
functions are compared by their code, constants by their value, and all else that can be changed in
place by its identity (`identities`).
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from importlib.util import resolve_name
from typing import Any

from .outline import Expression, Import, Outline, Path, fingerprint, functions, outline

__all__ = [
    "code_of",
    "fingerprint",
    "has_same_code",
    "is_loaded",
    "is_patchable",
    "lost_imports",
    "identities",
]

Identities = dict[Path, Any]
"""{path: the code of a function, or the id of another object}, of a module."""
Functions = dict[Path, list[tuple[Any, ...]]]
MISSING = object()
ATOMS = (type(None), bool, int, float, complex, str, bytes)


def is_loaded(
    module: types.ModuleType,
    text: str,
    before: str | None,
    *,
    reloaded: bool,
    known: Identities | None = None,
) -> bool:
    """Return True if `module` in memory is the one that `text` defines.

    Parameters
    ----------
    before
        The text that was loaded at the last refresh; None if that is not known.
    reloaded
        The module was executed anew since then.
    known
        The `identities` of the module at that time.
    """
    filename = module.__file__ or ""
    wanted = functions(text, filename)
    if wanted is None:
        return False
    for path, does in wanted.items():
        code = code_of(_member(module, path))
        if code is None or not _belongs(code, path, module) or fingerprint(code, path) in does:
            continue
        if fingerprint(code, path) not in (functions(text, filename, apart=True) or {}).get(
            path, ()
        ):
            return False
    if before is None:
        return True
    new, old = outline(text, filename), outline(before, filename)
    if new is None or old is None:
        return reloaded
    # Python may have taken what it had compiled of a file of the same size, saved within the same
    # second
    if reloaded:
        return not any(
            _is_still(module, path, old.names[path], new.names.get(path)) for path in old.names
        )
    return _is_patchable(new, old) and _was_patched(
        module, (wanted, functions(before, filename) or {}), (new, old), known or {}
    )


def is_patchable(text: str, before: str, filename: str) -> bool:
    """Return True if an edit can be loaded in place, as `%autoreload` does, without executing the
    module anew.
    """
    new, old = outline(text, filename), outline(before, filename)
    return new is not None and old is not None and _is_patchable(new, old)


def identities(module: types.ModuleType) -> Identities:
    """Return the identities of all functions and values of a module, to be compared later."""
    found: Identities = {}
    left: list[tuple[Path, Mapping[str, Any]]] = [((), vars(module))]
    while left:
        path, space = left.pop()
        for name, value in list(space.items()):
            found[*path, name] = _identity(value)
            if isinstance(value, type) and value.__module__ == module.__name__ and len(path) < 5:
                left.append(((*path, name), vars(value)))
    return found


def _identity(value: Any) -> Any:
    try:
        return code_of(value) or id(value)
    except Exception:  # whatever an object of somebody's raises when it is asked for an attribute
        return id(value)


def _is_patchable(new: Outline, old: Outline) -> bool:
    return all(new.fixed[path] == old.fixed[path] for path in new.fixed.keys() & old.fixed.keys())


def _was_patched(
    module: types.ModuleType,
    does: tuple[Functions, Functions],
    outlines: tuple[Outline, Outline],
    known: Identities,
) -> bool:
    """Return True when the edit was made in the module in memory; `does` and `outlines` are of the
    text.
    """
    (new_functions, old_functions), (new, old) = does, outlines
    added = (new_functions.keys() | new.fixed.keys()) - old_functions.keys() - old.fixed.keys()
    if any(_member(module, path) is MISSING for path in added if path):
        return False
    for path in old_functions.keys() - new_functions.keys() - new.names.keys():
        # a class that is gone stays in memory
        if path[:-1] in new.fixed and _member(module, path) is not MISSING:
            return False
    for path in new.fields - old.fields:  # of a class, a field's annotation is not added in place
        if (
            path[:-1] in old.fixed
            and path[:-1]
            and path[-1] not in getattr(_member(module, path[:-1]), "__annotations__", {})
        ):
            return False
    names = [
        path for path, values in new.names.items() if repr(values) != repr(old.names.get(path))
    ]
    headers = [
        path
        for path, header in new.headers.items()
        if header != old.headers.get(path, header)
        and new_functions.get(path) == old_functions.get(path)
    ]
    return all(_has(module, path, new.names[path], known) for path in names) and all(
        _is_touched(module, path, known) for path in headers
    )


def _is_still(
    module: types.ModuleType, path: Path, before: list[Any], now: list[Any] | None
) -> bool:
    """Return True when a constant has the value of a former text, and not that of the
    present one.
    """
    if now is None or len(before) != 1 or len(now) != 1 or isinstance(now[0], Import | Expression):
        return False
    found = _member(module, path)
    return _equal(found, before[0]) and not _equal(found, now[0])


def _is_touched(module: types.ModuleType, path: Path, known: Identities) -> bool:
    found = _member(module, path)
    identity = _identity(found)
    before = known.get(path)
    return found is not MISSING and (
        identity is not before if isinstance(identity, types.CodeType) else identity != before
    )


def _has(module: types.ModuleType, path: Path, values: list[Any], known: Identities) -> bool:
    """Return True when a name means one of the values that a text gives to it."""
    found = _member(module, path)
    if found is MISSING:
        return False
    for value in values:
        if isinstance(value, Import):
            if _resolved(value, module) is found:
                return True
        elif isinstance(value, Expression):
            if _is_touched(module, path, known):
                return True
        elif _equal(found, value):
            return True
    return False


def lost_imports(
    module: types.ModuleType, given: Outline, outline_of: Callable[[str], Outline | None]
) -> Iterator[tuple[str, str, bool]]:
    """Yield the names that a module has imported from another one which does not have them any
    more, or has another constant there.

    Yields the name, that of the other module, and True if it is gone.

    Parameters
    ----------
    given
        The outline of the module.
    outline_of
        Gives that of a module by name; None for one that is not to be looked at.
    """
    for path, values in given.names.items():
        value = values[0]
        if (
            len(path) > 1
            or len(values) > 1
            or not isinstance(value, Import)
            or value.member in (None, "*")
        ):
            continue
        found, source = _member(module, path), _source(value, module)
        origin = None if source is None or found is MISSING else outline_of(source.__name__)
        if source is None or origin is None:
            continue
        now = _resolved(value, module)
        known = origin.names.get((str(value.member),), [])
        constant = (
            len(known) == 1
            and not isinstance(known[0], Import | Expression)
            and _equal(now, known[0])
        )
        is_gone = now is None and not hasattr(source, str(value.member))
        if is_gone or constant and not _equal(found, now):
            yield str(value.member), source.__name__, is_gone


def _source(value: Import, module: types.ModuleType) -> types.ModuleType | None:
    try:
        return sys.modules.get(resolve_name("." * value.level + value.module, module.__package__))
    except ImportError:
        return None


def _resolved(value: Import, module: types.ModuleType) -> Any:
    """Return the object that an import gives now; None if it gives none."""
    source = _source(value, module)
    if source is None or value.member is None:
        return source
    return getattr(source, value.member, sys.modules.get(f"{source.__name__}.{value.member}"))


def code_of(value: Any) -> types.CodeType | None:
    """Return the code of a function, also of one within a decorator, a property or a method; None
    if there is none.
    """
    value = getattr(value, "__func__", getattr(value, "fget", value))
    if not callable(value):
        return None
    try:
        return getattr(inspect.unwrap(value), "__code__", None)
    except ValueError:  # it wraps itself
        return None


def has_same_code(one: Any, other: Any) -> bool:
    """True if two functions, or all of two classes, do the same, also by constants, defaults and
    bases.
    """
    return bool(_does(one) == _does(other))


def _does(obj: Any) -> Any:
    if isinstance(obj, type):
        members = {
            name: does
            for name, value in vars(obj).items()
            if not name.startswith("__autoreload") and (does := _does(value)) is not None
        }
        return members, [base.__qualname__ for base in obj.__bases__]
    if isinstance(obj, ATOMS):
        return type(obj), obj
    code = code_of(obj)
    if code is None:
        return None
    keywords = getattr(obj, "__kwdefaults__", None) or {}
    return (
        fingerprint(code),
        [_plain(value) for value in getattr(obj, "__defaults__", None) or ()],
        {name: _plain(value) for name, value in keywords.items()},
    )


def _plain(value: Any) -> Any:
    return (type(value), value) if isinstance(value, ATOMS) else type(value).__qualname__


def _belongs(code: types.CodeType, path: Path, module: types.ModuleType) -> bool:
    """Return True for the function of that name in the module's file, False for one that a
    decorator has made.
    """
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


def _equal(one: Any, other: Any) -> bool:
    try:
        return one is other or type(one) is type(other) and bool(one == other)
    except Exception:  # whatever the comparison of somebody's values raises
        return False
