"""IDX, the format of MNIST's files.

A file has two zero bytes, the type, the number of dimensions, each dimension as a big-endian 32-bit
integer, and then the values (LeCun, Cortes and Burges, "The MNIST Database of Handwritten Digits").
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np

from roleml_nb.role import ArgumentError

__all__ = ["read_idx"]

UNSIGNED_BYTE = 8
BLOCK_BYTES = 2**20
"""Bytes read at a time: a file's header may promise too many to allocate memory for all."""


class Readable(Protocol):
    """An open file of bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


def read_idx(file: Path) -> np.ndarray:
    """Return the uint8 array of an IDX file, which may be compressed by gzip (``….gz``).

    ValueError when the file is of another type, damaged, or not of this format.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            start = opened.read(4)
            if len(start) < 4 or start[:3] != bytes([0, 0, UNSIGNED_BYTE]):
                raise ArgumentError(
                    f"{file} is no IDX file of bytes: it begins with {start.hex(' ') or 'nothing'},"
                    " not 00 00 08"
                )
            lengths = opened.read(4 * start[3])
            if len(lengths) < 4 * start[3]:
                raise ArgumentError(
                    f"{file} is damaged: it ends before its {start[3]} dimensions do"
                )
            shape = tuple(map(int, np.frombuffer(lengths, ">u4")))
            size = math.prod(shape)
            # a file may unpack to far more than its header says
            content = _read(opened, size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArgumentError(f"{file} is no gzip file, or is damaged: {error}") from None
    if len(content) != size:
        there = "more" if len(content) > size else len(content)
        raise ArgumentError(f"{file} is damaged: it says shape {shape}, and has {there} values")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read(file: Readable, most: int) -> bytes:
    """Read to the end of the file, but no more than `most` bytes."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(min(most, BLOCK_BYTES))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)
