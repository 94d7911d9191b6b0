"""Lines that forks of a node's process log and print, on their way to the log of the node."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

__all__ = ["ForkLines"]

MAX_LINE_CHARACTERS = 800
"""Characters of a line that are written at once: with its other fields less than the 4096 bytes
that a pipe takes undivided.
"""


class ForkLines:
    """A pipe into which forks write, and from which the process that made it reads.

    Neither ever waits.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._rest = b""

    def put(self, row: Sequence[Any]) -> None:
        """Write a row, whose last field is a text of any length, in a fork; it is dropped where
        nobody has read for long.
        """
        *fields, text = row
        for start in range(0, max(len(text), 1), MAX_LINE_CHARACTERS):
            line = json.dumps(
                [*fields, text[start : start + MAX_LINE_CHARACTERS]], ensure_ascii=False
            )
            with suppress(OSError):
                os.write(self._writer, line.encode("utf-8", "backslashreplace") + b"\n")

    def drain(self) -> list[tuple[Any, ...]]:
        """Return the rows that have come."""
        with suppress(OSError):  # there is nothing, or it was closed
            while part := os.read(self._reader, 1 << 16):
                self._rest += part
        *lines, self._rest = self._rest.split(b"\n")
        return [tuple(json.loads(line)) for line in lines]

    def close(self) -> None:
        """End the way. Idempotent."""
        for number in {self._reader, self._writer} - {-1}:
            os.close(number)
        self._reader = self._writer = -1
