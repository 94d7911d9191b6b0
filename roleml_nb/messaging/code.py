"""Shipping of code that was defined in notebook cells: functions and classes by value, with the lines of their cells.

A class keeps its identity: however often it travels, a process builds it once, and what was changed on it there since
is never reset by a later message.
"""

from __future__ import annotations

import io
import linecache
import os
import pickle
import sys
import threading
import types
import weakref
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as _cloudpickle

from ..role.forks import at_fork

__all__ = ["REDUCERS", "builtin_reference", "class_reference", "dumps_code", "is_dynamic", "loads_code", "resolve_class"]

REDUCERS: dict[type, Any] = _cloudpickle.Pickler._dispatch_table
"""How cloudpickle reduces what pickle does not know, by type."""
_BUILTIN_TYPES: dict[type, str] = _cloudpickle._BUILTIN_TYPE_NAMES
_SINGLETON_TYPES = (type(None), type(Ellipsis), type(NotImplemented))

_load_lock = threading.RLock()
_blobs: weakref.WeakKeyDictionary[type, bytes] = weakref.WeakKeyDictionary()
_unfinished: set[str] = set()
"""Ids of classes of which a skeleton exists, but which another thread must not see yet."""


def forked() -> None:
    """Called in forks, where nobody would release it."""
    global _load_lock
    _load_lock = threading.RLock()


at_fork(sys.modules[__name__])


def is_dynamic(obj: Any) -> bool:
    """Whether `obj` is a function or class that pickle cannot send by reference, such as one of a notebook cell."""
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


def dumps_code(obj: Any) -> bytes:
    """Pickle `obj`, with its functions and classes by value, together with the lines of the cells they come from."""
    file = io.BytesIO()
    pickler = _CodePickler(file)
    pickler.dump(obj)
    return pickle.dumps((_cell_lines(pickler.filenames), file.getvalue()), 5)


def loads_code(blob: bytes) -> Any:
    """Rebuild what `dumps_code` pickled; tracebacks and `inspect` then show the lines of the cells."""
    lines_of, pickled = pickle.loads(blob)
    for filename, lines in lines_of.items():
        # without a modification time, linecache.checkcache() leaves the entry alone
        linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
    with _load_lock:
        return pickle.loads(pickled)


def class_reference(cls: type) -> tuple[str, bytes]:
    """The identity of a dynamic class, the same in all processes, and what builds it where it is not known."""
    identity = _cloudpickle._get_or_create_tracker_id(cls)
    blob = _blobs.get(cls)
    if blob is None:
        blob = _blobs.setdefault(cls, dumps_code(cls))
    return identity, blob


def resolve_class(identity: str, blob: bytes) -> type:
    """The class of that identity; built from `blob` only if this process does not have it."""
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
    """cloudpickle, which also keeps the file names of code, and never resets a class that is already known."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.filenames: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.CodeType):
            self.filenames.add(obj.co_filename)
            return _make_code, (obj.co_filename, *self.dispatch_table[types.CodeType](obj))
        reduced = super().reducer_override(obj)
        if not isinstance(obj, type) or not isinstance(reduced, tuple) or len(reduced) != 6:
            return reduced
        make, arguments, state = reduced[:3]
        return _make_class, (make, arguments), state, None, None, _set_class_state


def _make_code(filename: str, make: Any, arguments: tuple[Any, ...]) -> types.CodeType:
    """Build a code object under its own file name, which cloudpickle 3.1.3 replaces by ``<dynamic-code>``."""
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
