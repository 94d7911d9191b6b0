"""The user's own modules in the process of the notebook: the text of each as it was loaded, and its
identity.

A version is content: the identity of a class or function of the user's own modules is its name and
the *key* of its module, a hash of the text of that module and of all own modules that it imports,
those in turn included, also within functions. Comments, blank lines and the time of a file make no
difference; a helper of a helper does.

The text that counts is the one that this process has **loaded**, since its own code sees that one:
a file that was edited and not reloaded changes nothing but `behind`, which is reported.
`importlib.reload` and `%autoreload` load the new text, each in its own way; `loaded_code` notices
that they did. A module whose loaded text is not known, as it was edited before the first
refresh, has a key that begins with ``?``, and cannot be sent (`unknown`).

Engines get the texts (`versions_to_send`), and `module_versions` executes them there under the
module's name: several versions of one module live side by side, and objects travel by name and key
alone. A class of a notebook cell that uses own modules has their keys in its identity as well
(`code.class_reference`).

Each run begins with a `refresh`: an ``os.stat`` for each own module, and nothing else where nothing
has changed.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable
from importlib.machinery import PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from roleml_nb.role.forks import at_fork

from .loaded_code import identities, is_loaded, is_patchable
from .module_text import ModuleText, Stamp, differs_from_compiled, hash_text, read_module, stamp
from .outline import Outline, outline
from .own_modules import is_installed, is_of_project

__all__ = ["Closure", "SourceModules", "source_modules"]

Closure = dict[str, tuple[str, str]]
"""{module: (digest of its text, its key)} of a module and all own modules that it imports."""
SLOW_REFRESH_S = 0.1
PAUSE_FACTOR = 20
"""After a second slow refresh in succession, the next one is due after so many times its duration:
threads are busy.
"""
UNKNOWN = "?"
"""Prefix of keys and digests of modules whose loaded text is not known."""


class _Tracked:
    """A module of the user's own."""

    def __init__(self, name: str, filename: str, package: bool) -> None:
        self.name, self.filename, self.package = name, filename, package
        self.spec: Any = None
        """The module's spec at the last refresh: each reload makes another one.

        None if it is not imported.
        """
        self.stamp: Stamp | None = None
        self.identities: dict[Any, Any] = {}
        """Identities of the module's functions and values when its text was loaded."""
        self.loaded: ModuleText | None = None
        self.on_disk: ModuleText | None = None
        """The text of the file, where it is not the one that was loaded."""

    @property
    def digest(self) -> str:
        return self.loaded.digest if self.loaded is not None else f"{UNKNOWN}{id(self.spec):x}"

    def read(self) -> ModuleText | None:
        """Return the text of the file now; None if it cannot be read."""
        return read_module(self.name, self.filename, self.package)


class SourceModules:
    """Tracks the own modules of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        at_fork(self)
        self._tracked: dict[str, _Tracked] = {}
        self._others: dict[str, Any] = {}
        """Modules that are not own, and their specs."""
        self._elsewhere: dict[str, tuple[str, Stamp]] = {}
        """Modules that are neither own nor installed, with their files as they were first seen."""
        self._used_elsewhere: set[str] = set()
        self.edited_elsewhere: dict[str, tuple[str, Stamp]] = {}
        """Modules elsewhere that were sent by name, and edited since: {module: (file, stamp)}.

        Engines import them themselves.
        """
        self._count = 0
        self._slow = 0
        """Number of slow refreshes in succession."""
        self._next = 0.0
        """Time at which another refresh is due."""
        self._closures: dict[str, Closure] = {}
        self._reach: dict[str, list[str]] = {}
        self._keys: dict[str, str] = {}
        self.revision = 0
        """Number of refreshes that found other loaded code than before."""
        self.seen = 0
        """Number of refreshes that found any change, be it loaded or not."""

    def forked(self) -> None:
        self._lock = threading.RLock()

    def refresh(self) -> bool:
        """Find modules that were imported, edited or reloaded since the last refresh; True if there
        are any.
        """
        with self._lock:
            began = time.monotonic()
            changed = self._find_new()
            for tracked in list(self._tracked.values()):
                changed |= self._refresh_module(tracked)
            if changed:
                self._changed()
            self.refresh_elsewhere()
            ended = time.monotonic()
            self._slow = self._slow + 1 if ended - began > SLOW_REFRESH_S and not changed else 0
            # one may be chance, as of a busy machine
            self._next = ended + PAUSE_FACTOR * (ended - began) if self._slow > 1 else ended
            return changed

    @property
    def due(self) -> bool:
        """True when it is time for another refresh, or a module was imported or reloaded since the
        last one.

        A refresh asks for the time of each file, and at each, a busy thread may take the
        interpreter for 5 ms.
        """
        return (
            time.monotonic() >= self._next
            or len(sys.modules) != self._count
            or any(
                getattr(sys.modules.get(tracked.name), "__spec__", None) is not tracked.spec
                for tracked in list(self._tracked.values())
            )
        )

    @property
    def tracks_any(self) -> bool:
        """True if this process has own modules."""
        return bool(self._tracked)

    def is_own(self, name: str) -> bool:
        """Return True if that module is the user's own, and was read from a file of
        Python source.
        """
        if name in self._tracked:
            return True
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if module is None or spec is None or self._others.get(name) is spec:
            return False
        with self._lock:
            if self._track(name, module):
                self._refresh_module(self._tracked[name])
                self._changed()
                return True
        return False

    def record_use(self, name: str | None) -> None:
        """Record that an object of a module that is no own one is sent by the module's name."""
        if name in self._elsewhere:
            self._used_elsewhere.add(name)

    def find(self, name: str) -> bool:
        """True if an import of that name gives an own module, also one that nobody has imported
        yet.
        """
        if name in self._tracked:
            return True
        with self._lock:
            found = self._is_tracked(name)
            if found:
                self._changed()
            return found

    def _changed(self) -> None:
        self._closures.clear()
        self._reach.clear()
        self._keys.clear()
        self.revision += 1
        self.seen += 1

    def key(self, name: str) -> str:
        """Return the key of an own module."""
        return self.closure(name)[name][1]

    def closure(self, name: str) -> Closure:
        """Return an own module and all that it imports, with their digests and keys."""
        known = self._closures.get(name)
        if known is None:
            with self._lock:
                keys = {member: self._key(member) for member in self._reached(name)}
                known = self._closures[name] = {
                    member: (self._tracked[member].digest, key) for member, key in keys.items()
                }
        return known

    def digest(self, name: str) -> str:
        """Return the digest of the text of an own module, as it is loaded."""
        return self._tracked[name].digest

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return the digests of these own modules and of all that they import."""
        members: set[str] = set()
        for name in names:
            members.update(self.closure(name))
        return {member: self.digest(member) for member in sorted(members)}

    @property
    def behind(self) -> dict[str, tuple[str, str]]:
        """Files that were edited and not loaded since: {module: (file, digest of its text)}."""
        return {
            tracked.name: (tracked.filename, tracked.on_disk.digest)
            for tracked in list(self._tracked.values())
            if tracked.on_disk is not None and tracked.spec is not None
        }

    def outline(self, name: str) -> Outline | None:
        """Return the outline of an own module's loaded text; None if that is not known, or no
        Python.
        """
        text = self._tracked[name].loaded if self.is_own(name) else None
        return None if text is None else outline(text.text, text.filename)

    def obstacle(self, name: str) -> str:
        """Return the reason why an edited file cannot be loaded; "" where it can."""
        tracked = self._tracked[name]
        if tracked.on_disk is None:
            return ""
        text, before = tracked.on_disk.text, tracked.loaded
        try:
            compile(text, tracked.filename, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            return (
                "it is no Python:"
                f" {getattr(error, 'msg', error)}{f', in line {line}' if line else ''}"
            )
        if differs_from_compiled(tracked.filename, text):
            return (
                "Python takes what it had compiled for it, of a file of the same size that was"
                " saved within the same second: save it again"
            )
        if before is not None and not is_patchable(text, before.text, tracked.filename):
            return (
                f"load it with importlib.reload({name}); decorators, fields and bases of classes,"
                " and statements need that"
            )
        return ""

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return the modules whose loaded text is not known, among these and all they import."""
        return [name for name, digest in self.digests(names).items() if digest.startswith(UNKNOWN)]

    def versions_to_send(
        self,
    ) -> tuple[dict[tuple[str, str], ModuleText], dict[tuple[str, str], Closure]]:
        """Return all texts by module and digest, and the closures of all modules by module and
        key.
        """
        closures: dict[tuple[str, str], Closure] = {}
        with self._lock:
            # imports may lead to others
            while left := self._tracked.keys() - {name for name, _ in closures}:
                closures.update(((name, self.key(name)), self.closure(name)) for name in left)
            texts = {}
            for name, one in self._tracked.items():
                if one.loaded is not None:
                    texts[name, one.loaded.digest] = one.loaded
        complete = {}
        for version, closure in closures.items():
            if all((name, digest) in texts for name, (digest, _) in closure.items()):
                complete[version] = closure
        return texts, complete

    # finding modules

    def _find_new(self) -> bool:
        if len(sys.modules) == self._count:
            return False
        found = False
        for name, module in list(sys.modules.items()):
            if name not in self._tracked and name not in self._others:
                found |= self._track(name, module)
        self._count = len(sys.modules)
        return found

    def _track(self, name: str, module: ModuleType) -> bool:
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        if (
            spec is None
            or type(spec.loader) is not SourceFileLoader
            or name == "__main__"
            or not is_of_project(origin)
        ):
            self._others[name] = spec
            if (
                spec is not None
                and type(spec.loader) is SourceFileLoader
                and not is_installed(str(origin))
            ):
                written = stamp(str(origin))
                if written is not None and name not in self._elsewhere:
                    self._elsewhere[name] = str(origin), written
            return False
        self._tracked[name] = _Tracked(
            name, str(origin), spec.submodule_search_locations is not None
        )
        return True

    def refresh_elsewhere(self) -> dict[str, tuple[str, Stamp]]:
        """Return `edited_elsewhere` as it is now."""
        for name in self._used_elsewhere:
            filename, first = self._elsewhere[name]
            written = stamp(filename) or first
            if written != first and self.edited_elsewhere.get(name) != (filename, written):
                self.edited_elsewhere[name] = filename, written
                self.seen += 1
        return dict(self.edited_elsewhere)

    def _refresh_module(self, tracked: _Tracked) -> bool:
        written = stamp(tracked.filename)
        if written is None:  # it was renamed or removed: the loaded text goes on
            return False
        module = sys.modules.get(tracked.name)
        spec = getattr(module, "__spec__", None)
        if written == tracked.stamp and spec is tracked.spec and tracked.on_disk is None:
            return False
        text = tracked.on_disk if written == tracked.stamp else tracked.read()
        text = text or tracked.loaded or tracked.read()
        if text is None:
            return False
        return self._compare(tracked, module, spec, written, text)

    def _compare(
        self, tracked: _Tracked, module: Any, spec: Any, written: Stamp, text: ModuleText
    ) -> bool:
        """Record the `text` of the file as loaded or not; True if other code was loaded than
        before.
        """
        before, reloaded = tracked.loaded, spec is not tracked.spec
        digest, on_disk = tracked.digest, tracked.on_disk
        tracked.stamp = written
        tracked.spec = spec
        if before is not None and before.digest == text.digest and not reloaded:
            tracked.on_disk = None
        elif module is None or is_loaded(
            module,
            text.text,
            None if before is None else before.text,
            reloaded=reloaded,
            known=tracked.identities,
        ):
            tracked.loaded, tracked.on_disk = text, None
            tracked.identities = identities(module) if module is not None else {}
        else:
            tracked.on_disk = text
            if reloaded and not (
                before is not None and is_loaded(module, before.text, text.text, reloaded=True)
            ):
                tracked.loaded = None
        self.seen += tracked.on_disk is not on_disk
        return tracked.digest != digest or before is None

    # imports

    def _reached(self, name: str) -> list[str]:
        """Return an own module and all that it imports, in order."""
        known = self._reach.get(name)
        if known is not None:
            return known
        found, left = {name}, [name]
        while left:
            tracked = self._tracked[left.pop()]
            text = tracked.loaded or tracked.on_disk
            parents = {tracked.name.rpartition(".")[0]} - {""}
            for other in sorted(parents | (text.imports if text else frozenset())):
                if other not in found and self._is_tracked(other):
                    found.add(other)
                    left.append(other)
        self._reach[name] = sorted(found)
        return self._reach[name]

    def _is_tracked(self, name: str) -> bool:
        """Return True for an own module, imported or not."""
        if name in self._tracked:
            return True
        if name in sys.modules:
            return self.is_own(name)
        root = name.partition(".")[0]
        if (
            root in sys.stdlib_module_names
            or root != name
            and not self._is_tracked(name.rpartition(".")[0])
        ):
            return False
        place = (
            None
            if root == name
            else [os.path.dirname(self._tracked[name.rpartition(".")[0]].filename)]
        )
        try:
            spec = PathFinder.find_spec(name, place)
        except (ImportError, ValueError):
            return False
        if (
            spec is None
            or type(spec.loader) is not SourceFileLoader
            or not is_of_project(spec.origin)
        ):
            return False
        self._tracked[name] = _Tracked(
            name, str(spec.origin), spec.submodule_search_locations is not None
        )
        self._refresh_module(self._tracked[name])
        return True

    def _key(self, name: str) -> str:
        if name not in self._keys:
            self._keys[name] = hash_text(
                "\n".join(f"{member} {self.digest(member)}" for member in self._reached(name))
            )
        return self._keys[name]


source_modules = SourceModules()
"""The own modules of this process."""
