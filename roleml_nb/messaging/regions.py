"""Memory that many receivers share until one of them writes: each then has its own copy of the page it wrote to."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence
from typing import Any

__all__ = ["WORTH_SHARING", "Region"]

WORTH_SHARING = 256 * 1024
"""Bytes below which a copy is faster: a mapping costs about 10 µs and a page fault per 64 kB read."""
_ALIGNMENT = 64


class Region:
    """A copy of some buffers, handed out as private mappings: `OSError` or `AttributeError` where the system has none.

    Python's own ``mmap`` keeps a file descriptor open per mapping, of which there are too few for a thousand actors.
    """

    def __init__(self, buffers: Sequence[Any]):
        self._places = []
        offset = 0
        for buffer in buffers:
            size = memoryview(buffer).nbytes
            self._places.append((offset, size))
            offset += -(-size // _ALIGNMENT) * _ALIGNMENT
        self._size = max(offset, 1)
        self._file = os.memfd_create("roleml_nb", os.MFD_CLOEXEC)
        self._closed = weakref.finalize(self, os.close, self._file)
        os.ftruncate(self._file, self._size)
        for (place, _), buffer in zip(self._places, buffers, strict=True):
            view = memoryview(buffer).cast("B")
            while view:
                written = os.pwrite(self._file, view, place)
                view, place = view[written:], place + written

    def map(self) -> list[memoryview]:
        """The buffers once more: writable, seen by nobody else."""
        address = _mmap(None, self._size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, self._file, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap")
        memory = (ctypes.c_char * self._size).from_address(address)
        end = weakref.finalize(memory, _munmap, address, self._size)
        end.atexit = False  # arrays may outlive the interpreter's finalizers
        whole = memoryview(memory).cast("B")
        return [whole[place:place + size] for place, size in self._places]


_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
if _libc is not None:
    _mmap, _munmap = _libc.mmap, _libc.munmap
    _mmap.restype = ctypes.c_void_p
    _mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    _munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
