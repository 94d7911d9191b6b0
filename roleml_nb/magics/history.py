"""The cells that were run in this session, for `%rml export`."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Cell", "History"]


class Cell(NamedTuple):
    """A cell as it was typed."""

    number: int
    """The number of its execution; 0 where that is not known."""
    text: str
    succeeded: bool


class History:
    """The cells of a shell, in the order of execution, from its first one on.

    Cells that were run before the extension was loaded count as good, since no outcome is known.
    """

    def __init__(self, shell: Any):
        self.cells: list[Cell] = []
        # the last one is the cell that loads the extension
        before = shell.user_ns.get("In", [])[1:-1]
        for number, text in enumerate(before, 1):
            if text.strip():
                self.cells.append(Cell(number, text, succeeded=True))

    def add(self, result: Any) -> None:
        """Add a cell that has ended. Cells that a cell runs are a part of it, and are not added."""
        info = getattr(result, "info", None)
        if info is not None and info.store_history and info.raw_cell and info.raw_cell.strip():
            self.cells.append(
                Cell(result.execution_count or 0, info.raw_cell, bool(result.success))
            )
