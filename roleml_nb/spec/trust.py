"""Trust: the classes and functions that a configuration may name although nobody trusts it.

A dotted name is text of a file that anybody may have written, and every attribute of a module leads
on: ``roleml_nb.workload.idx.gzip.os.system`` is `os.system`. So the object that is found is judged,
by where it was defined; and which file a module lies in is looked up before it is imported. These
are harmless, ours, or the user's own:

- types of plain data, such as `dict`, which are written without a name as well;
- public names (``__all__``) of `roleml_nb.library` and `roleml_nb.workload`, and RoleML's names for
  them;
- definitions of the notebook or script (``__main__``);
- definitions of modules that lie below its folder, but for installed packages.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any

from roleml_nb.messaging.modules.own_modules import folders, is_below, is_own_file

from .definitions import COMPAT, UPSTREAM, Names, find, import_module

__all__ = ["folders", "foreign", "foreign_text", "is_below", "judge"]

OURS = "roleml_nb"
ROOMS = (f"{OURS}.library", f"{OURS}.workload")
PLAIN = (bool, int, float, complex, str, list, tuple, set, frozenset, dict)
PLAIN_NAMES = frozenset(f"builtins.{kind.__name__}" for kind in PLAIN)
OF_ROLEML = ("library.", "kits.workload")
"""Modules of RoleML that hold classes and functions for configurations."""


# places of definitions


def _is_own_module(name: object) -> bool:
    return name == "__main__" or is_own_file(getattr(sys.modules.get(str(name)), "__file__", None))


def _is_public(found: Any) -> bool:
    """Return True for public names of library and workload, and for those that RoleML has there."""
    return any(found is item for item in (*_public(), *_public_of_roleml()))


@functools.cache
def _public() -> list[Any]:
    # the objects that `find` is called for are judged, too
    return [find, *_public_in(map(import_module, ROOMS))]


@functools.cache
def _public_of_roleml() -> list[Any]:
    modules = []
    for name in import_module(f"{COMPAT}.table").MODULES:
        if name.startswith(OF_ROLEML):
            modules.append(import_module(f"{COMPAT}.{name}"))
    return _public_in(modules)


def _public_in(modules: Iterable[Any]) -> list[Any]:
    found = []
    for module in modules:
        for name in module.__all__:
            found.append(getattr(module, name))
    return found


def _definition(found: Any) -> tuple[str, str]:
    """Return the module where an object was defined, and the object's whole name."""
    if isinstance(found, ModuleType):
        return found.__name__, found.__name__
    module = getattr(found, "__module__", None)
    if not isinstance(module, str):
        owner = inspect.getattr_static(found, "__objclass__", None)
        module = (owner if isinstance(owner, type) else type(found)).__module__
    name = getattr(found, "__qualname__", None)
    if isinstance(name, str):
        return module, f"{module}.{name}"
    return module, f"an object of {type(found).__qualname__} of {module}"


def judge(found: Any, owner: Any) -> str | None:
    """Return None for an object that may be named, else its whole name.

    `owner` is the object that has it as an attribute.
    """
    if isinstance(found, functools.partial):
        return judge(found.func, None)
    if isinstance(found, (MethodType, staticmethod, classmethod)):
        return judge(found.__func__, owner)
    module, name = _definition(found)
    if any(found is kind for kind in PLAIN) or _is_own_module(module):
        return None
    if not (callable(found) or isinstance(found, ModuleType)):
        return None
    if not module.startswith(f"{OURS}."):
        return name
    if _is_public(found):
        return None
    of_public = isinstance(owner, type) and _is_public(owner) and _in_rooms(module, ROOMS)
    return None if of_public else name


def _in_rooms(path: str, rooms: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{room}.") for room in rooms)


# from a name to its object


def foreign(path: str, names: Names | None) -> tuple[str | None, Any]:
    """Return the definition of a dotted name that may not be looked up, and the object's owner.

    The definition is None for a name that may be, or leads nowhere.
    """
    head, _, rest = path.partition(".")
    parts = path.split(".")
    if path in PLAIN_NAMES:
        return None, None
    if not rest or not all(map(str.isidentifier, parts)):
        return None, None
    if any(part.startswith("__") and part.endswith("__") for part in parts[1:]):
        return path, None  # they lead from everything to everything
    if head == "__main__":
        known = vars(sys.modules["__main__"]) if names is None else names
        first, _, rest = rest.partition(".")
        return _walk(known[first], rest) if first in known else (None, None)
    if head in (UPSTREAM, OURS):
        path = path if head == OURS else f"{COMPAT}.{rest}"
        if not _in_rooms(path, (*ROOMS, COMPAT, find.__module__)):
            return path, None
        module = _locate_ours(path)
        files: list[Any] = []
    else:
        module, files = _locate(path)
    if not module:
        return None, None
    if not all(map(is_own_file, files)):
        return path, None
    try:
        found = import_module(module)
    except Exception:  # a module may raise any while it is imported: `find` reports it
        return None, None
    return _walk(found, path[len(module) + 1 :])


def _walk(found: Any, rest: str) -> tuple[str | None, Any]:
    """Judge the object that a path of attributes leads to.

    The way goes through objects of the user's own, or ours, alone: elsewhere, looking an attribute
    up might run anything.
    """
    owner = None
    while rest:
        name, _, after = rest.partition(".")
        if not _may_pass(found, owner):
            return _name_beyond(found, rest), None
        look_up = getattr if isinstance(found, ModuleType) else inspect.getattr_static
        try:
            member = look_up(found, name)
        except AttributeError:
            return None, None
        found, owner = member, found
        rest = after
    return judge(found, owner), owner


def _name_beyond(found: Any, rest: str) -> str:
    """Return the whole name of an object beyond one that must not be passed, running nothing."""
    names = rest.split(".")
    while names and isinstance(found, ModuleType) and names[0] in vars(found):
        found = vars(found)[names.pop(0)]
    return ".".join([_definition(found)[1], *names])


def _may_pass(found: Any, owner: Any) -> bool:
    if isinstance(found, ModuleType):
        name = found.__name__
        return _in_rooms(name, (*ROOMS, COMPAT, find.__module__)) or _is_own_module(name)
    if isinstance(found, type):
        return judge(found, owner) is None
    return _is_own_module(type(found).__module__)


def _locate_ours(path: str) -> str:
    """Return the longest module of ours that a dotted name begins with."""
    module = OURS
    parts = path.split(".")
    for count in range(2, len(parts) + 1):
        try:
            import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            break
        module = ".".join(parts[:count])
    return module


def _locate(path: str) -> tuple[str, list[Any]]:
    """Return the longest module that a dotted name begins with, and the files that it would run.

    Nothing is imported.
    """
    parts = path.split(".")
    module, places = "", None
    files: list[Any] = []
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        loaded = sys.modules.get(name)
        if loaded is not None:
            file = getattr(loaded, "__file__", None)
            places = getattr(loaded, "__path__", None)
        else:
            found = _spec(name, places) if count == 1 or places is not None else None
            if found is None:
                break
            file = found.origin if found.has_location else None
            places = found.submodule_search_locations
        module = name
        if file is not None or places is None:  # a folder without __init__.py runs nothing
            files.append(file)
    return module, files


def _spec(name: str, places: Any) -> Any:
    try:
        return find_spec(name) if places is None else PathFinder.find_spec(name, places)
    except (ImportError, ValueError, AttributeError):
        return None
    except KeyError:  # a folder without __init__.py in another one that was not imported
        found = ModuleSpec(name, None, is_package=True)
        found.submodule_search_locations = []
        for place in places:
            folder = os.path.join(place, name.rpartition(".")[2])
            if os.path.isdir(folder):
                found.submodule_search_locations.append(folder)
        return found


# texts that may be names


def foreign_text(text: str, names: Names | None) -> str | None:
    """Return the definition of a text as `foreign` does.

    The text may be no name at all, so nothing is imported on its account.
    """
    if "." not in text or not all(map(str.isidentifier, text.split("."))):
        return None
    if text.partition(".")[0] in ("__main__", UPSTREAM, OURS):
        return foreign(text, names)[0]
    module, files = _locate(text)
    rest = text[len(module) + 1 :]
    if not module or not rest:
        return None
    loaded = sys.modules.get(module)
    first = rest.partition(".")[0]
    if loaded is not None and first not in vars(loaded) and "__getattr__" not in vars(loaded):
        return None
    if not all(map(is_own_file, files)):
        return text if loaded is not None or _mentions(files[-1], first) else None
    if loaded is not None:
        return _walk(loaded, rest)[0]
    return text if files and ("." in rest or _borrows(files[-1], rest)) else None


def _mentions(file: object, name: str) -> bool:
    """Return True if a module may have an attribute, judged by its text.

    ``test.csv`` is more likely the name of a file.
    """
    try:
        source = Path(str(file)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    return any(word in source for word in (name, "import *", "__getattr__", "globals()"))


def _borrows(file: str, name: str) -> bool:
    """Return True if a module may have a name from elsewhere, judged by its text."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return True
    for node in ast.walk(tree):
        bound = _bound_names(node)
        if name in bound or "*" in bound:
            return True
    return False


def _bound_names(node: ast.AST) -> set[str]:
    """Return the names that an import or an assignment binds."""
    found = set()
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            found.add(alias.asname or alias.name.partition(".")[0])
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        for item in ast.walk(node):
            if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
                found.add(item.id)
    return found
