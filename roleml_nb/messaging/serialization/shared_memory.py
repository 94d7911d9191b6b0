"""Memory that many receivers share until one of them writes: each then has its own copy of the page
it wrote to.

Receivers in other processes of the machine open it where the sender has it open. Each of their
mappings keeps a lock of the file until it is gone (`flock`, which the system lets go of when a
process dies), so the sender knows which files nobody has any more, and writes the next message
there: new pages cost several times as much as the copy.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import itertools
import mmap
import os
import sys
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

if sys.platform != "win32":
    import fcntl

__all__ = ["WORTH_SENDING", "WORTH_SHARING", "Place", "Region", "holds", "sample"]

WORTH_SHARING = 256 * 1024
"""Bytes below which a copy is faster: a mapping costs about 10 µs and a page fault per 64 kB read.
"""
WORTH_SENDING = 1024 * 1024
"""Bytes below which a socket is as fast, for a receiver in another process."""
KEPT = 32 * 1024 * 1024
"""Bytes at most of the files that are kept for the messages to come."""
FILES = 256
"""Regions of one process at most, each with a file; who asks for more makes a copy."""
_ALIGNMENT, _STAMP = 64, 8
_numbers = itertools.count(1)


class Place(NamedTuple):
    """Where another process finds a region."""

    path: str
    parts: list[tuple[int, int]]
    """Of each buffer: where it begins, and its bytes."""
    size: int
    stamp: bytes
    """What the file begins with, as long as it has this content."""


class Region:
    """A copy of some buffers, handed out as private mappings.

    `OSError` or `AttributeError` where there are none, or no more.

    Python's own ``mmap`` keeps a file descriptor open per mapping, of which there are too few for a
    thousand actors.
    """

    def __init__(self, buffers: Sequence[Any]):
        self._parts: list[tuple[int, int]] = []
        offset = _ALIGNMENT  # after the stamp
        for buffer in buffers:
            size = memoryview(buffer).nbytes
            self._parts.append((offset, size))
            offset += -(-size // _ALIGNMENT) * _ALIGNMENT
        self._size = offset
        self._file: _Pages | _Loan = _Pages(self._size)
        for (place, _), buffer in zip(self._parts, buffers, strict=True):
            view = memoryview(buffer).cast("B")
            while view:
                written = os.pwrite(self._file.number, view, place)
                view, place = view[written:], place + written

    @property
    def place(self) -> Place:
        """To be opened by another process while this region, or a mapping of it, is there."""
        return Place(
            f"/proc/{os.getpid()}/fd/{self._file.number}", self._parts, self._size, self._file.stamp
        )

    @classmethod
    def at(cls, place: Place) -> Region:
        """That of another process. Raises OSError where it cannot be opened."""
        region = cls.__new__(cls)
        region._parts, region._size, region._file = place.parts, place.size, _Loan(place)
        return region

    @staticmethod
    def of(buffer: Any) -> Region | None:
        """The region that a buffer was mapped from, if that is still there; the mappings of one
        made here keep it.
        """
        known = getattr(buffer.obj, "mapped_from", None) if type(buffer) is memoryview else None
        return None if known is None else known()

    def map(self) -> list[memoryview]:
        """The buffers once more: writable, seen by nobody else."""
        address = _mmap(
            None,
            self._size,
            mmap.PROT_READ | mmap.PROT_WRITE,
            mmap.MAP_PRIVATE,
            self._file.number,
            0,
        )
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap")
        memory = _mapping(self._size).from_address(address)
        memory.mapped_from = weakref.ref(self)
        if isinstance(self._file, _Pages):
            memory.keeps = self
        whole = memoryview(memory).cast("B")
        return [whole[place : place + size] for place, size in self._parts]


def sample(content: bytes) -> Region | None:
    """Return something for another process to open, by which it can tell with `holds` that it can;
    None without such memory.
    """
    try:
        return Region([content])
    except (OSError, AttributeError):
        return None


def holds(path: str, content: bytes) -> bool:
    """Whether this process can open the only buffer of such a region of another one, and finds this
    there.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), len(content), _ALIGNMENT) == content
    except (OSError, ValueError):
        return False


class _Pages:
    """A file in memory of at least so many bytes: one that nobody has any more, or a new one."""

    def __init__(self, size: int):
        if len(_used) >= FILES:
            raise OSError(errno.EMFILE, f"there are {FILES} regions already")
        self.stamp = next(_numbers).to_bytes(_STAMP, "little")
        self.number, known = _free(self.stamp) or _new(self.stamp)
        if known < size:
            os.ftruncate(self.number, size)
        _used.add(self.number)
        weakref.finalize(self, _keep, self.number, max(known, size)).atexit = False


class _Loan:
    """A file that another process has made, which will not write to it until this is gone, and all
    its mappings.
    """

    def __init__(self, place: Place):
        self.number, self.stamp = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC), place.stamp
        weakref.finalize(self, os.close, self.number).atexit = False
        fcntl.flock(self.number, fcntl.LOCK_SH)
        if (
            os.pread(self.number, _STAMP, 0) != place.stamp
            or os.fstat(self.number).st_size < place.size
        ):
            raise OSError(errno.ESTALE, "it has another content by now", place.path)


_used: set[int] = set()
_kept: deque[tuple[int, int]] = deque()
"""Files, and their sizes.

Only steps that are atomic: the garbage collection may come between any two.
"""


def _new(stamp: bytes) -> tuple[int, int]:
    number = os.memfd_create("roleml_nb", os.MFD_CLOEXEC)
    return number, os.pwrite(number, stamp, 0)


def _free(stamp: bytes) -> tuple[int, int] | None:
    for _ in range(len(_kept)):
        with suppress(IndexError, BlockingIOError):
            file = _kept.popleft()
            try:
                fcntl.flock(file[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _kept.append(file)
                raise
            os.pwrite(file[0], stamp, 0)
            fcntl.flock(file[0], fcntl.LOCK_UN)
            return file
    return None


def _keep(number: int, size: int) -> None:
    _used.discard(number)
    _kept.append((number, size))
    with suppress(IndexError):
        while sum(size for _, size in list(_kept)) > KEPT:
            os.close(_kept.popleft()[0])


_libc = ctypes.PyDLL(None, use_errno=True) if sys.platform != "win32" else None
"""Keeps the interpreter's lock: letting go of it costs many times what these calls do."""
if _libc is not None:
    _mmap, _munmap = _libc.mmap, _libc.munmap
    _mmap.restype = ctypes.c_void_p
    _mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    _munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


# models of one run have few sizes, and a type takes longer to make than a mapping
@functools.lru_cache(128)
def _mapping(size: int) -> Any:
    """The type of mappings of so many bytes, which end with their last view."""

    def unmap(memory: Any, munmap: Any = _munmap, addressof: Any = ctypes.addressof) -> None:
        munmap(addressof(memory), size)

    return type("Mapping", (ctypes.c_char * size,), {"__del__": unmap})
