"""The user's own modules on an engine: versions of them, executed from the texts that the notebook
has sent.

A version is a module and a key (`source_modules`). It is executed when something of it is first
needed, under the module's own name and file name, with own modules that it imports in the versions
that belong to it; unchanged modules are not executed again, so their classes and state stay.
Older versions live on as long as roles or messages speak of them. ``import helpers`` on an engine,
wherever, gives the version that was loaded last: no file is read, and none need be there.

In the notebook's own process nothing is sent or registered, and names mean the same as in its
cells.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import linecache
import os
import sys
import threading
import traceback
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

from roleml_nb.role.errors import ModuleError
from roleml_nb.role.forks import at_fork

from .loaded_code import has_same_code
from .module_text import ModuleText
from .source_modules import UNKNOWN, Closure, source_modules

__all__ = [
    "ModuleVersions",
    "arrange",
    "find_member",
    "is_stale",
    "member_now",
    "module_versions",
    "newest",
    "reference",
    "resolve_member",
    "resolve_module",
]

Version = tuple[str, str]
"""Module and key."""


class ModuleVersions(importlib.abc.MetaPathFinder):
    """The versions that this process was given, some of which are loaded."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        at_fork(self)
        self._texts: dict[tuple[str, str], ModuleText] = {}
        self._closures: dict[Version, Closure] = {}
        self.loaded: dict[str, dict[str, types.ModuleType]] = {}
        """{module: {key: it}}."""
        self.latest: dict[str, str] = {}
        """{module: the key that the notebook named last}."""
        self._wanted: dict[str, str] = {}
        """{module: the key that an import of it means}."""

    def forked(self) -> None:
        self._lock = threading.RLock()

    def add(
        self,
        texts: dict[tuple[str, str], ModuleText],
        closures: dict[Version, Closure],
        latest: dict[str, str],
    ) -> None:
        """Take versions that the notebook has sent. Nothing is executed."""
        with self._lock:
            self._texts.update(texts)
            self._closures.update(closures)
            self.latest.update(latest)
            for name, key in latest.items():
                if name not in sys.modules:
                    self._wanted[name] = key
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)

    def has(self, name: str, key: str) -> bool:
        return (name, key) in self._closures

    def module(self, name: str, key: str) -> types.ModuleType:
        """Return that version of a module; executed, if nobody has needed it yet."""
        known = self.loaded.get(name, {}).get(key)
        if known is None:
            with self._lock:
                known = self.loaded.get(name, {}).get(key) or self.arrange(name, key)
        return known

    def arrange(self, name: str, key: str) -> types.ModuleType:
        """Have an import of that module, and of all that it imports, mean that version from now on;
        return it.
        """
        with self._lock:
            closure = self._closures[name, key]
            before = {member: sys.modules.get(member) for member in closure}
            wanted = dict(self._wanted)
            for member, (_, member_key) in closure.items():
                self._wanted[member] = member_key
                loaded = self.loaded.get(member, {}).get(member_key)
                if loaded is not None:
                    sys.modules[member] = loaded
                else:
                    sys.modules.pop(member, None)
            try:
                module = importlib.import_module(name)
            except BaseException as error:
                self._wanted = wanted
                for member, was in before.items():
                    if was is None:
                        sys.modules.pop(member, None)
                    else:
                        sys.modules[member] = was
                if not isinstance(error, Exception):
                    raise
                raise ModuleError(
                    f"{name} cannot be loaded on engines: {type(error).__name__}: {error}"
                    f"{self._place(error)}"
                ) from error
            for member in closure:
                parent, _, last = member.rpartition(".")
                if parent in closure and member in sys.modules and parent in sys.modules:
                    setattr(sys.modules[parent], last, sys.modules[member])
            return module

    def _place(self, error: Exception) -> str:
        """Describe the line of an own module at which it cannot be loaded."""
        files = {text.filename for text in self._texts.values()}
        lines = [
            (frame.f_code.co_filename, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if frame.f_code.co_filename in files
        ]
        return f" ({os.path.basename(lines[-1][0])}, line {lines[-1][1]})" if lines else ""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Create a module, as the import system asks."""
        key = self._wanted.get(fullname)
        closure = self._closures.get((fullname, key or ""))
        if key is None or closure is None:
            return None
        text = self._texts[fullname, closure[fullname][0]]
        spec = importlib.util.spec_from_loader(
            fullname, _Loader(self, text, key), origin=text.filename, is_package=text.package
        )
        if spec is not None:
            spec.has_location = True
            if text.package:
                spec.submodule_search_locations = [os.path.dirname(text.filename)]
        return spec

    def version_of(self, obj: Any) -> Version | None:
        """Return the version that a function or class was defined in; None if it is of
        no version.
        """
        name = str(obj.__module__)
        for key, module in list(self.loaded.get(name, {}).items()):
            if find_member(module, obj.__qualname__) is obj:
                return name, key
        return None

    def digests(self, cls: type) -> dict[str, str]:
        """Return the digests of the own modules of a class that is of some version; none for any
        other.
        """
        version = self.version_of(cls)
        return (
            {}
            if version is None
            else {name: digest for name, (digest, _) in self._closures[version].items()}
        )


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, versions: ModuleVersions, text: ModuleText, key: str) -> None:
        self._versions, self._text, self._key = versions, text, key

    def get_source(self, fullname: str) -> str:
        return self._text.text

    def get_filename(self, fullname: str) -> str:
        return self._text.filename

    def is_package(self, fullname: str) -> bool:
        return self._text.package

    def exec_module(self, module: types.ModuleType) -> None:
        name, filename, text = self._text.name, self._text.filename, self._text.text
        # without a modification time, linecache.checkcache() leaves the entry alone
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        exec(compile(text, filename, "exec", dont_inherit=True), module.__dict__)
        self._versions.loaded.setdefault(name, {})[self._key] = module


module_versions = ModuleVersions()
"""The versions of this process."""


def find_member(module: types.ModuleType | None, qualname: str) -> Any:
    """Return the member of that name in a module; None if there is none."""
    found: Any = module
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def member_now(obj: Any) -> Any:
    """Return the present member under the name of a function or class of an own module; None if
    there is none of its kind.
    """
    name = getattr(obj, "__module__", None)
    if (
        not isinstance(name, str)
        or not hasattr(obj, "__qualname__")
        or not source_modules.is_own(name)
    ):
        return None
    found = find_member(sys.modules.get(name), obj.__qualname__)
    return found if found is not None and isinstance(found, type) == isinstance(obj, type) else None


def is_stale(obj: Any) -> bool:
    """Return True for a function or class of an own module from before a reload that has given it
    other code.
    """
    if not isinstance(obj, type | types.FunctionType):
        return False
    found = member_now(obj)
    return (
        found is not None
        and found is not obj
        and (found.__module__ != obj.__module__ or not has_same_code(found, obj))
    )


def reference(obj: Any) -> Version | None:
    """Return the version of an own module that a function, class or module is of, by which it can
    be sent.

    None for an object of no own module, and for one that has lost its name there to another.
    """
    if isinstance(obj, types.ModuleType):
        name = obj.__name__
        for key, module in module_versions.loaded.get(name, {}).items():
            if module is obj:
                return name, key
        own = source_modules.is_own(name) and sys.modules.get(name) is obj
        return (name, source_modules.key(name)) if own else None
    name = obj.__module__
    if not isinstance(name, str):
        return None
    if name in module_versions.loaded and (found := module_versions.version_of(obj)) is not None:
        return found
    found = member_now(obj)
    if found is None or found is not obj and not has_same_code(found, obj):
        return None
    return name, source_modules.key(name)


def resolve_module(name: str, key: str) -> types.ModuleType:
    """Return an own module in that version where this process has it; else the module that it
    has.
    """
    if module_versions.has(name, key):
        return module_versions.module(name, key)
    if key.startswith(UNKNOWN) and module_versions.latest:
        raise ModuleError(
            f"module {name!r} was edited after the notebook imported it, and what it had imported"
            f" is not known any more: reload it there, with importlib.reload({name})"
        )
    return importlib.import_module(name)


def resolve_member(name: str, key: str, qualname: str) -> Any:
    """Return a function or class of an own module; see `resolve_module`."""
    found = find_member(resolve_module(name, key), qualname)
    if found is None:
        raise ModuleError(
            f"module {name!r} has no {qualname!r} any more: it was removed or renamed"
        )
    return found


def arrange(versions: Sequence[Version]) -> None:
    """Have imports within code that comes now mean these versions, where this process has them."""
    for name, key in versions:
        if module_versions.has(name, key):
            module_versions.arrange(name, key)


def newest(obj: Any) -> Any:
    """Return the newest version of an own module, or a function or class of one; `obj` itself where
    there is no other.
    """
    if isinstance(obj, types.ModuleType):
        key = module_versions.latest.get(obj.__name__)
        known = obj in module_versions.loaded.get(obj.__name__, {}).values()
        return module_versions.module(obj.__name__, key) if known and key is not None else obj
    name = getattr(obj, "__module__", None)
    if not isinstance(name, str) or not hasattr(obj, "__qualname__"):
        return obj
    if (key := module_versions.latest.get(name)) is not None:
        if module_versions.version_of(obj) in (None, (name, key)):
            return obj
        module: types.ModuleType | None = module_versions.module(name, key)
    else:
        return member_now(obj) or obj
    found = find_member(module, obj.__qualname__)
    return found if type(found) is type(obj) else obj
