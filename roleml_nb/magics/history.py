"""What was run in this session, cell by cell, for `%rml export`."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Cell", "History"]


class Cell(NamedTuple):
    """A cell as it was typed."""

    number: int
    """Of its execution; 0 where that is not known."""
    text: str
    succeeded: bool


class History:
    """The cells of a shell, in the order of execution, from its first one on.

    Of cells that were run before the extension was loaded nobody knows whether they failed: they
    count as good.
    """

    def __init__(self, shell: Any):
        # the last one is the cell that loads the extension
        before = shell.user_ns.get("In", [])[1:-1]
        self.cells = [
            Cell(number, text, True) for number, text in enumerate(before, 1) if text.strip()
        ]

    def add(self, result: Any) -> None:
        """A cell has ended: called after each one. Cells that cells run are a part of those."""
        info = getattr(result, "info", None)
        if info is not None and info.store_history and info.raw_cell and info.raw_cell.strip():
            self.cells.append(
                Cell(result.execution_count or 0, info.raw_cell, bool(result.success))
            )
