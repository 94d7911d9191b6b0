"""A pane that follows what nodes log and print."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from traitlets import List, Unicode

from roleml_nb.pictures import Picture
from roleml_nb.pictures.svg import COLOURS, FAINT, INK, document, text
from roleml_nb.role import RoleMLError
from roleml_nb.role.checks.names import shorten
from roleml_nb.trace import LogView
from roleml_nb.widgets.base.view import View

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed

__all__ = ["LogPane"]

MAX_LINES = 300
"""Lines in the pane, the last ones."""
MAX_PICTURE_LINES = 20
"""Lines of the picture, the last ones."""
MAX_LINE_LENGTH = 110
LINE_HEIGHT = 17
PRESERVE_SPACES = {"xml:space": "preserve"}
FILLS = {
    "faint": FAINT,
    "error": COLOURS["error"],
    "critical": COLOURS["error"],
    "warning": COLOURS["task"],
    "stderr": COLOURS["task"],
}
"""{level: colour}."""
NOTHING = "nothing was logged yet"


class LogPane(View):
    """The last lines of a `LogView`, until the testbed ends or the pane is closed.

    Parameters
    ----------
    view
        The lines that the pane shows.
    bed
        The testbed whose nodes write them.
    height
        The greatest height of the pane in the page, as a CSS length; its edge can be dragged.
    """

    source = __file__
    _lines: List[Any] = List().tag(sync=True)
    """``[number, level, text]`` each; the number counts the lines of this pane."""
    _height = Unicode().tag(sync=True)

    def __init__(self, view: LogView, bed: Testbed, *, height: str = "20em"):
        self._view = view
        self._bed = bed
        self._last_lines: deque[list[Any]] = deque(maxlen=MAX_LINES)
        self._position = 0
        """Number of the next line to read."""
        self._count = 0
        self._reading = threading.Lock()
        super().__init__(_height=height)
        if bed.running:
            bed.when_stopped(self.stop)
        self._collect()

    def on_tick(self) -> None:
        """Show the lines that have arrived by now."""
        self._bed.fleet.drain_metrics()
        with self._reading:
            lines, self._position = self._view.new(self._position)
            for line in lines:
                self._last_lines.append([self._count, line.level, self._view.text_of(line)])
                self._count += 1
            if lines:
                self._lines = list(self._last_lines)

    # what stays

    def picture(self) -> Picture:
        if not self._stopped:
            self.on_tick()
        return super().picture()

    def svg(self) -> str:
        rows: list[tuple[str, str]] = []
        for _, level, content in self._lines:
            for row in content.split("\n"):
                rows.append((level, row))
        shown = rows[-MAX_PICTURE_LINES:]
        earlier = self._count - len(self._lines) + len(rows) - len(shown)
        if earlier:
            shown.insert(0, ("faint", f"{earlier} earlier lines"))
        parts = []
        for place, (level, row) in enumerate(shown or [("faint", NOTHING)]):
            y = 21 + LINE_HEIGHT * place
            fill = FILLS.get(level, INK)
            parts.append(text(10, y, shorten(row, MAX_LINE_LENGTH), fill=fill, **PRESERVE_SPACES))
        return document(760, 17 + LINE_HEIGHT * len(parts), parts, self.describe())

    def describe(self) -> str:
        return f"<LogPane: {', '.join(self._view.nodes) or 'all nodes'}>"

    def page(self) -> str:
        return self._page(self.saved())

    def stop(self) -> None:
        if not self._stopped:
            self._collect()
        super().stop()

    def _collect(self) -> None:
        """Show all lines that nodes have written by now."""
        with suppress(RoleMLError):  # an engine that does not answer: its earlier lines are here
            self._bed.fleet.flush_hosts()
        self.on_tick()
