"""The number of the cell that a magic stands in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["current_execution_count"]


@contextmanager
def current_execution_count(shell: Any) -> Iterator[None]:
    """Count code that is run within as a part of this cell: tracebacks call it by its number.

    IPython 9 counts a cell when it begins, and would give the number of the next one.
    """
    before = shell.execution_count
    number = _number(shell)
    if number is not None:
        shell.execution_count = number
    try:
        yield
    finally:
        shell.execution_count = before


def _number(shell: Any) -> int | None:
    """Return the number of the cell that runs now; None where a program has called the magic."""
    numbers = getattr(shell.compile, "_filename_map", {})
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename in numbers:
            return int(numbers[frame.f_code.co_filename])
        frame = frame.f_back  # type: ignore[assignment]
    return None
