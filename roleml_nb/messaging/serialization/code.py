"""Shipping of code that was defined in notebook cells: functions and classes by value, with the
lines of their cells.

A class keeps its identity: however often it travels, a process builds it once, and changes made to
it there are never reset by a later message. A class that uses own modules
(`source_modules`) has their keys in its identity, so that it is another one when these have
changed.

Definitions of own modules are sent by module, key and name (`module_versions`).
"""

from __future__ import annotations

import dis
import hashlib
import io
import linecache
import os
import pickle
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as _cloudpickle

from roleml_nb.messaging.modules.module_versions import (
    arrange,
    is_stale,
    module_versions,
    reference,
    resolve_member,
    resolve_module,
)
from roleml_nb.messaging.modules.source_modules import source_modules
from roleml_nb.role.forks import at_fork

__all__ = [
    "REDUCERS",
    "builtin_reference",
    "class_reference",
    "collect_own_modules",
    "dumps_code",
    "is_dynamic",
    "loads_code",
    "reduce_module",
    "reduce_own",
    "resolve_class",
    "stale_code",
]

REDUCERS: dict[type, Any] = _cloudpickle.Pickler._dispatch_table
"""Reducers of cloudpickle, by type, for objects that pickle does not know."""
_BUILTIN_TYPES: dict[type, str] = _cloudpickle._BUILTIN_TYPE_NAMES
_SINGLETON_TYPES = (type(None), type(Ellipsis), type(NotImplemented))

_load_lock = threading.RLock()
_blobs: weakref.WeakKeyDictionary[type, tuple[str, bytes]] = weakref.WeakKeyDictionary()
"""Identities of classes, and their builders."""
_used_by: weakref.WeakKeyDictionary[type, frozenset[str]] = weakref.WeakKeyDictionary()
"""The own modules that classes use."""
_IMPORT = dis.opmap["IMPORT_NAME"]
OF_MODULES = "@"
"""In the identity of a class, before the hash of the own modules that it uses."""
_unfinished: set[str] = set()
"""Ids of classes of which a skeleton exists, but which another thread must not see yet."""


def forked() -> None:
    """Release the lock in forks, where nobody else would."""
    global _load_lock
    _load_lock = threading.RLock()


at_fork(sys.modules[__name__])


def is_dynamic(obj: Any) -> bool:
    """Return True for a function or class that pickle cannot send by reference, such as one of a
    notebook.
    """
    if isinstance(obj, type):
        if obj in _BUILTIN_TYPES or obj in _SINGLETON_TYPES:
            return False
    elif not isinstance(obj, types.FunctionType):
        return False
    return not _cloudpickle._should_pickle_by_reference(obj)


def builtin_reference(cls: type) -> Any:
    """Reduce a type that lives in no module, such as that of functions; None for any other."""
    name = _BUILTIN_TYPES.get(cls)
    return None if name is None else (_cloudpickle._builtin_type, (name,))


class _Collecting(threading.local):
    """Sets that the names of own modules are added to, while this thread encodes."""

    def __init__(self) -> None:
        self.sets: list[set[str]] = []


_collecting = _Collecting()


@contextmanager
def collect_own_modules() -> Iterator[set[str]]:
    """Collect the names of the own modules that values use which this thread encodes meanwhile."""
    names: set[str] = set()
    _collecting.sets.append(names)
    try:
        yield names
    finally:
        _collecting.sets.remove(names)


def _note(*names: str) -> None:
    for each in _collecting.sets:
        each.update(names)


def reduce_own(obj: Any) -> Any:
    """Reduce a function or class of an own module to module, key and name; None for any other."""
    version = reference(obj)
    if version is None:
        source_modules.record_use(obj.__module__)
        return None
    _note(version[0])
    return resolve_member, (*version, obj.__qualname__)


def reduce_module(module: types.ModuleType) -> Any:
    version = reference(module)
    if version is None:
        source_modules.record_use(module.__name__)
        return REDUCERS[types.ModuleType](module)
    _note(version[0])
    return resolve_module, version


def dumps_code(obj: Any) -> bytes:
    """Pickle `obj`, with its functions and classes by value, together with the lines of the cells
    they come from.
    """
    return _dumps(obj, with_keys=True)


def _dumps(obj: Any, with_keys: bool) -> bytes:
    file = io.BytesIO()
    pickler = _CodePickler(file, with_keys)
    pickler.dump(obj)
    lines = _cell_lines(pickler.filenames)
    if not pickler.imports:
        return pickle.dumps((lines, file.getvalue()), 5)
    versions = [(name, source_modules.key(name)) for name in sorted(pickler.imports)]
    return pickle.dumps((lines, file.getvalue(), versions), 5)


def stale_code(obj: Any) -> list[Any]:
    """Return the functions and classes that a function or class uses, which a reload of their
    modules has left behind.
    """
    pickler = _CodePickler(io.BytesIO(), with_keys=False)
    pickler.dump(obj)
    return pickler.stale


def loads_code(blob: bytes) -> Any:
    """Rebuild an object from `dumps_code`; tracebacks and `inspect` then show the lines of the
    cells.
    """
    lines_of, pickled, *imported = pickle.loads(blob)
    for filename, lines in lines_of.items():
        # without a modification time, linecache.checkcache() leaves the entry alone
        linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
    with _load_lock:
        for versions in imported:
            arrange(versions)
        return pickle.loads(pickled)


def class_reference(cls: type) -> tuple[str, bytes]:
    """Return the identity of a dynamic class, the same in all processes, and the blob that builds
    it elsewhere.
    """
    identity = _identity(cls)
    known = _blobs.get(cls)
    if known is None or known[0] != identity:
        known = _blobs[cls] = identity, dumps_code(cls)
    _note(*_used_by.get(cls, ()))
    return known


def _identity(cls: type) -> str:
    """Return the identity of a class, with the keys of the own modules that it uses."""
    identity: str = _cloudpickle._get_or_create_tracker_id(cls)
    # the notebook alone knows the versions of its modules
    if OF_MODULES in identity or module_versions.latest:
        return identity
    used = _used_by.get(cls)
    if used is None:
        with collect_own_modules() as names:
            blob = _dumps(cls, with_keys=False)
        used = _used_by[cls] = frozenset(names)
        if not used:
            _blobs[cls] = identity, blob
    if not used:
        return identity
    digests = source_modules.digests(used)
    hashed = hashlib.blake2b(repr(sorted(digests.items())).encode(), digest_size=8).hexdigest()
    identity += OF_MODULES + hashed
    # so that it is this one when it comes back
    _cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[identity] = cls
    return identity


def resolve_class(identity: str, blob: bytes) -> type:
    """Return the class of that identity; build it from `blob` only if this process does not have
    it.
    """
    known = _known_class(identity)
    if known is not None:
        return known
    with _load_lock:
        known = _known_class(identity)
        return known if known is not None else loads_code(blob)


def _known_class(identity: str) -> type | None:
    if identity in _unfinished:
        return None
    known: type | None = _cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(identity)
    # looked at again: the skeleton may have been made between the two lines above
    return None if identity in _unfinished else known


def _cell_lines(filenames: set[str]) -> dict[str, list[str]]:
    lines_of = {}
    for filename in filenames:
        entry = linecache.cache.get(filename)
        if entry is not None and len(entry) == 4 and not os.path.exists(filename):
            lines_of[filename] = list(entry[2])
    return lines_of


class _CodePickler(cloudpickle.Pickler):
    """cloudpickle, which also keeps the file names of code, and never resets a class that is
    already known.
    """

    def __init__(self, file: io.BytesIO, with_keys: bool) -> None:
        super().__init__(file, protocol=5)
        self._with_keys = with_keys
        """True where the identities of classes have the keys of the own modules that they use."""
        self.filenames: set[str] = set()
        self.imports: set[str] = set()
        """Own modules that functions import when they are called."""
        self.stale: list[Any] = []
        """Functions and classes that a reload of their modules has left behind."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.CodeType):
            self.filenames.add(obj.co_filename)
            self._note_imports(obj)
            return _make_code, (obj.co_filename, *self.dispatch_table[types.CodeType](obj))
        if isinstance(obj, types.ModuleType):
            return reduce_module(obj)
        if isinstance(obj, type | types.FunctionType):
            own = reduce_own(obj)
            if own is not None:
                return own
            # one that is not found there by its name
            if source_modules.is_own(str(obj.__module__)):
                _note(obj.__module__)
                if is_stale(obj):
                    self.stale.append(obj)
        reduced = super().reducer_override(obj)
        if not isinstance(obj, type) or not isinstance(reduced, tuple) or len(reduced) != 6:
            return reduced
        make, arguments, state = reduced[:3]
        if self._with_keys:
            arguments = (*arguments[:-2], _identity(obj), arguments[-1])
        return _make_class, (make, arguments), state, None, None, _set_class_state

    def _note_imports(self, code: types.CodeType) -> None:
        if module_versions.latest or _IMPORT not in code.co_code[::2]:
            return
        for instruction in dis.get_instructions(code):
            if instruction.opcode == _IMPORT and source_modules.find(instruction.argval):
                self.imports.add(instruction.argval)
                _note(instruction.argval)


def _make_code(filename: str, make: Any, arguments: tuple[Any, ...]) -> types.CodeType:
    """Build a code object under its own file name, which cloudpickle 3.1.3 replaces by
    ``<dynamic-code>``.
    """
    return make(*arguments).replace(co_filename=filename)


def _make_class(make: Any, arguments: tuple[Any, ...]) -> type:
    identity = arguments[-2]
    known = _cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(identity)
    if known is not None:
        return known
    _unfinished.add(identity)
    return make(*arguments)


def _set_class_state(cls: type, state: Any) -> type:
    identity = _cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS[cls]
    if identity in _unfinished:
        _cloudpickle._class_setstate(cls, state)
        _unfinished.discard(identity)
    return cls
