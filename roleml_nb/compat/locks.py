"""Classes whose methods hold a lock."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial, wraps
from typing import Any

__all__ = [
    "Locked",
    "RWLock",
    "RWLocked",
    "read_lock",
    "synchronized",
    "synchronized_read",
    "synchronized_write",
    "write_lock",
]


def synchronized(method: Callable) -> Callable:
    """Run a method of a `Locked` class with its instance's lock held."""
    method._synchronized = True  # type: ignore[attr-defined]
    return method


def _give_lock(cls: type, make: Callable[[], Any]) -> None:
    """Give each instance a lock before its constructor runs."""
    original = cls.__init__  # type: ignore[misc]

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        self.__dict__.setdefault("_synch_lock_", make())
        original(self, *args, **kwargs)

    cls.__init__ = __init__  # type: ignore[misc]


class Locked:
    """Each instance has a reentrant lock, for methods marked `synchronized` and ``with instance:``.

    With ``synchronize_all=True`` every method and property that the class itself defines holds it,
    except for special methods.
    """

    _synch_lock_: Any

    def __init_subclass__(cls, synchronize_all: bool = False, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        _give_lock(cls, threading.RLock)
        for name, value in list(vars(cls).items()):
            chosen = synchronize_all and not (name.startswith("__") and name.endswith("__"))
            if inspect.isfunction(value) and (chosen or hasattr(value, "_synchronized")):
                setattr(cls, name, _with_lock_held(value, lambda self: self._synch_lock_))
            elif isinstance(value, property) and chosen:
                setattr(cls, name, _synchronized_property(value))

    def __enter__(self) -> Any:
        self._synch_lock_.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._synch_lock_.release()


def _synchronized_property(original: property) -> property:
    def synchronize(accessor: Callable | None) -> Callable | None:
        return accessor and _with_lock_held(accessor, lambda self: self._synch_lock_)

    return property(
        synchronize(original.fget),
        synchronize(original.fset),
        synchronize(original.fdel),
        original.__doc__,
    )


def _with_lock_held(method: Callable, lock: Callable[[Any], AbstractContextManager]) -> Callable:
    @wraps(method)
    def in_turn(self: Any, *args: Any, **kwargs: Any) -> Any:
        with lock(self):
            return method(self, *args, **kwargs)

    return in_turn


class RWLock:
    """Many readers, or one writer.

    A writer may read and write again; a reader that wants to write gets RuntimeError.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers: dict[int, int] = {}
        self._writer, self._depth = 0, 0

    @contextmanager
    def read_lock(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._condition:
            self._condition.wait_for(lambda: self._writer in (0, me))
            self._readers[me] = self._readers.get(me, 0) + 1
        try:
            yield
        finally:
            with self._condition:
                self._readers[me] -= 1
                if not self._readers[me]:
                    del self._readers[me]
                self._condition.notify_all()

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._condition:
            if me in self._readers and self._writer != me:
                raise RuntimeError(
                    "a thread that reads cannot become the writer: end the read first"
                )
            self._condition.wait_for(
                lambda: self._writer == me or not (self._writer or self._readers)
            )
            self._writer, self._depth = me, self._depth + 1
        try:
            yield
        finally:
            with self._condition:
                self._depth -= 1
                if not self._depth:
                    self._writer = 0
                self._condition.notify_all()


def synchronized_read(method: Callable) -> Callable:
    """Let a method of an `RWLocked` class run beside other readers, and no writer."""
    method._read_or_write = RWLock.read_lock  # type: ignore[attr-defined]
    return method


def synchronized_write(method: Callable) -> Callable:
    """Let a method of an `RWLocked` class run alone."""
    method._read_or_write = RWLock.write_lock  # type: ignore[attr-defined]
    return method


class RWLocked:
    """Each instance has an `RWLock`, for methods marked `synchronized_read` or `…_write`."""

    _synch_lock_: RWLock

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        _give_lock(cls, RWLock)
        for name, value in list(vars(cls).items()):
            lock_method = (
                getattr(value, "_read_or_write", None) if inspect.isfunction(value) else None
            )
            if lock_method is not None:
                setattr(cls, name, _with_lock_held(value, partial(_lock_of, lock_method)))


def _lock_of(
    lock_method: Callable[[RWLock], AbstractContextManager], obj: RWLocked
) -> AbstractContextManager:
    return lock_method(obj._synch_lock_)


def read_lock(obj: RWLocked) -> AbstractContextManager[None]:
    """Hold the lock for reading: ``with read_lock(self):`` runs beside other readers."""
    return obj._synch_lock_.read_lock()


def write_lock(obj: RWLocked) -> AbstractContextManager[None]:
    """Hold the lock for writing: ``with write_lock(self):`` runs alone."""
    return obj._synch_lock_.write_lock()
