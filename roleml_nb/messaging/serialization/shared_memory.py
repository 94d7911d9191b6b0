"""Copy-on-write shared memory: many receivers read one copy of large buffers, until one writes.

The pattern is a file in memory (``memfd``) that the sender writes once, and that each receiver maps
privately: a receiver that writes gets its own copy of the page that it writes to. Receivers in
other processes of the machine open the file where the sender has it open, in ``/proc``.

Guarantees: a mapping is writable, and nobody else sees changes to it. The content of a file
stays as long as a mapping, or a message on its way, can refer to it: each of a receiver's mappings
holds a lease, a shared ``flock`` of the file, which the system releases even when its process dies.
A file that nobody leases any more is written anew for a later message, with another stamp in its
first bytes; a receiver that opens it too late finds that stamp, raises `OSError`, and is sent the
bytes. Where there is no such memory (other systems, another container,
`MAX_REGIONS` files), nothing is shared, and buffers are copied.

Tried and rejected:

- The socket alone. A broadcast of 10 MB to 100 actors on two engines took 26 ms, and takes 5.0 ms
  now; one array of 10 MB travels at 6.55 GB/s, and over bare ZeroMQ at 3.29 (docs/performance.md).
- A new file for each message. New pages cost several times as much as the copy into them: files
  are kept and leased again, up to `MAX_POOL_BYTES`.
- Sharing of all buffers. A mapping costs about 10 µs, and a page fault per 64 kB that is read:
  below `MIN_SHARED_BYTES` a copy is faster, below `MIN_SHARED_BYTES_ACROSS` a socket is as fast.
- Python's own ``mmap``. It keeps a file descriptor open for each mapping, of which there are too
  few for a thousand actors; so ``mmap`` of the C library is called.
- Letting go of the interpreter's lock in these calls: that costs many times their own time.
- A registry of mappings, from which each is removed when it ends. A mapping ends with its last view
  by itself instead.
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

__all__ = [
    "MIN_SHARED_BYTES_ACROSS",
    "MIN_SHARED_BYTES",
    "Place",
    "Region",
    "can_open_sample",
    "sample",
]

MIN_SHARED_BYTES = 256 * 1024
"""Bytes from which on a mapping is faster than a copy, within a process."""
MIN_SHARED_BYTES_ACROSS = 1024 * 1024
"""Bytes from which on a mapping is faster than a socket, for a receiver in another process."""
MAX_POOL_BYTES = 32 * 1024 * 1024
"""Bytes of the files that are kept for later messages."""
MAX_REGIONS = 256
"""Regions of one process, each with a file; beyond, buffers are copied."""
_ALIGNMENT = 64
_STAMP_BYTES = 8
_numbers = itertools.count(1)


class Place(NamedTuple):
    """The location of a region, for other processes."""

    path: str
    parts: list[tuple[int, int]]
    """Offset and size of each buffer, in bytes."""
    size: int
    stamp: bytes
    """The first bytes of the file, as long as it has this content."""


class Region:
    """A copy of some buffers, handed out as private mappings.

    Raises OSError or AttributeError where the system has no such memory, or there are
    `MAX_REGIONS` already.
    """

    def __init__(self, buffers: Sequence[Any]):
        self._parts: list[tuple[int, int]] = []
        offset = _ALIGNMENT  # after the stamp
        for buffer in buffers:
            size = memoryview(buffer).nbytes
            self._parts.append((offset, size))
            offset += -(-size // _ALIGNMENT) * _ALIGNMENT
        self._size = offset
        self._file: _PooledFile | _Lease = _PooledFile(self._size)
        for (place, _), buffer in zip(self._parts, buffers, strict=True):
            view = memoryview(buffer).cast("B")
            while view:
                written = os.pwrite(self._file.number, view, place)
                view, place = view[written:], place + written

    @property
    def place(self) -> Place:
        """Where another process opens this region, while it or a mapping of it exists."""
        return Place(
            f"/proc/{os.getpid()}/fd/{self._file.number}", self._parts, self._size, self._file.stamp
        )

    @classmethod
    def at(cls, place: Place) -> Region:
        """Open a region of another process. Raises OSError where that cannot be done."""
        region = cls.__new__(cls)
        region._parts, region._size, region._file = place.parts, place.size, _Lease(place)
        return region

    @staticmethod
    def of(buffer: Any) -> Region | None:
        """Return the region that a buffer was mapped from, if it still exists.

        The mappings of a region that was made in this process keep it.
        """
        known = getattr(buffer.obj, "mapped_from", None) if type(buffer) is memoryview else None
        return None if known is None else known()

    def map(self) -> list[memoryview]:
        """Map the buffers once more: writable, and private to the caller."""
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
        if isinstance(self._file, _PooledFile):
            memory.keeps = self
        whole = memoryview(memory).cast("B")
        return [whole[place : place + size] for place, size in self._parts]


def sample(content: bytes) -> Region | None:
    """Return a region by which another process tells with `can_open_sample` that it can open ours.

    None where there is no such memory.
    """
    try:
        return Region([content])
    except (OSError, AttributeError):
        return None


def can_open_sample(path: str, content: bytes) -> bool:
    """Return True when this process can open another one's `sample`, and finds `content` there."""
    try:
        with open(path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), len(content), _ALIGNMENT) == content
    except (OSError, ValueError):
        return False


class _PooledFile:
    """A file in memory of at least `size` bytes: one that nobody leases any more, or a new one."""

    def __init__(self, size: int):
        if len(_used) >= MAX_REGIONS:
            raise OSError(errno.EMFILE, f"there are {MAX_REGIONS} regions already")
        self.stamp = next(_numbers).to_bytes(_STAMP_BYTES, "little")
        self.number, known = _reuse_file(self.stamp) or _create_file(self.stamp)
        if known < size:
            os.ftruncate(self.number, size)
        _used.add(self.number)
        weakref.finalize(self, _return_to_pool, self.number, max(known, size)).atexit = False


class _Lease:
    """A file of another process, which does not write to it while a lease or mapping exists."""

    def __init__(self, place: Place):
        self.number, self.stamp = os.open(place.path, os.O_RDONLY | os.O_CLOEXEC), place.stamp
        weakref.finalize(self, os.close, self.number).atexit = False
        fcntl.flock(self.number, fcntl.LOCK_SH)
        if (
            os.pread(self.number, _STAMP_BYTES, 0) != place.stamp
            or os.fstat(self.number).st_size < place.size
        ):
            raise OSError(errno.ESTALE, "it has another content by now", place.path)


_used: set[int] = set()
_pool: deque[tuple[int, int]] = deque()
"""Files that are free to be used again, and their sizes.

It is changed in atomic steps only: the garbage collection may call a finalizer between any two.
"""


def _create_file(stamp: bytes) -> tuple[int, int]:
    number = os.memfd_create("roleml_nb", os.MFD_CLOEXEC)
    return number, os.pwrite(number, stamp, 0)


def _reuse_file(stamp: bytes) -> tuple[int, int] | None:
    for _ in range(len(_pool)):
        with suppress(IndexError, BlockingIOError):
            file = _pool.popleft()
            try:
                fcntl.flock(file[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _pool.append(file)
                raise
            os.pwrite(file[0], stamp, 0)
            fcntl.flock(file[0], fcntl.LOCK_UN)
            return file
    return None


def _return_to_pool(number: int, size: int) -> None:
    _used.discard(number)
    _pool.append((number, size))
    with suppress(IndexError):
        while sum(size for _, size in list(_pool)) > MAX_POOL_BYTES:
            os.close(_pool.popleft()[0])


_libc = ctypes.PyDLL(None, use_errno=True) if sys.platform != "win32" else None
"""The C library, called without releasing the interpreter's lock."""
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


# models of one run have few sizes, and making a type takes longer than making a mapping
@functools.lru_cache(128)
def _mapping(size: int) -> Any:
    """Return the type of mappings of `size` bytes; a mapping ends with its last view."""

    def unmap(memory: Any, munmap: Any = _munmap, addressof: Any = ctypes.addressof) -> None:
        munmap(addressof(memory), size)

    return type("Mapping", (ctypes.c_char * size,), {"__del__": unmap})
