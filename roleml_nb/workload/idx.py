"""IDX, the format of MNIST's files.

Two zero bytes, the type, the number of dimensions, each of them as a big-endian 32-bit integer, and then the values (LeCun,
Cortes and Burges, "The MNIST Database of Handwritten Digits").
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

__all__ = ["read_idx"]

UNSIGNED_BYTE = 8


def read_idx(file: Path) -> np.ndarray:
    """The uint8 array of an IDX file, which may be compressed by gzip (``….gz``).

    ValueError when it is of another type, damaged, or not of this format.
    """
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} is no gzip file, or is damaged: {error}") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise ValueError(f"{file} is no IDX file of bytes: it begins with {content[:4].hex(' ') or 'nothing'}, not 00 00 08")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{file} is damaged: it ends before its {content[3]} dimensions do")
    shape = tuple(int(length) for length in np.frombuffer(content[4:start], ">u4"))
    values = np.frombuffer(content, np.uint8, offset=start)
    if len(values) != int(np.prod(shape)):
        raise ValueError(f"{file} is damaged: it says shape {shape}, and has {len(values)} values")
    return values.reshape(shape)
