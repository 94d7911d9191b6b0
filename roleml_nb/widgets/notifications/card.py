"""A card in the corner of the page, for what happens while nobody runs a cell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import anywidget
from traitlets import List, Unicode

from roleml_nb.widgets.base.bundle import script

__all__ = ["Notice"]


class Notice(anywidget.AnyWidget):
    """Shows lines of text until there are none any more, or somebody closes the card.

    No cell displays it: the page draws it as soon as it is made. It is not saved with the notebook.
    """

    _esm = script(__file__)
    _lines = List(Unicode()).tag(sync=True)
    _name = Unicode().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(_name=os.path.basename(os.environ.get("JPY_SESSION_NAME", "")))

    def show(self, lines: Sequence[str]) -> None:
        """Show these lines instead of those before. From any thread."""
        self._lines = list(lines)

    def __repr__(self) -> str:
        return f"<Notice: {len(self._lines)} lines>"

    def _repr_keys(self) -> Any:
        return iter(())
