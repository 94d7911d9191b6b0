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
from roleml_nb.trace import LogView
from roleml_nb.widgets.base.view import View

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed

__all__ = ["LogPane"]

KEPT = 300
"""Lines in the pane: the last ones."""
DRAWN, WIDTH = 20, 110
"""Lines of the picture, the last ones, and letters of each."""
LINE_HEIGHT = 17
SPACES = {"xml:space": "preserve"}
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
        The most that the pane takes of the page, as CSS writes lengths; who reads can drag its
        edge.
    """

    source = __file__
    _lines: List[Any] = List().tag(sync=True)
    """``[number, level, text]`` each; the number counts the lines of this pane."""
    _height = Unicode().tag(sync=True)

    def __init__(self, view: LogView, bed: Testbed, *, height: str = "20em"):
        self._view, self._bed = view, bed
        self._kept: deque[list[Any]] = deque(maxlen=KEPT)
        self._read = self._count = 0
        self._reading = threading.Lock()
        super().__init__(_height=height)
        if bed.running:
            bed.when_stopped(self.stop)
        self._collect()

    def on_tick(self) -> None:
        """Show what has arrived by now."""
        self._bed.fleet.drain_metrics()
        with self._reading:
            lines, self._read = self._view.new(self._read)
            for line in lines:
                self._kept.append([self._count, line.level, self._view.text_of(line)])
                self._count += 1
            if lines:
                self._lines = list(self._kept)

    # what stays

    def picture(self) -> Picture:
        if not self._stopped:
            self.on_tick()
        return super().picture()

    def svg(self) -> str:
        rows = [(level, row) for _, level, said in self._lines for row in said.split("\n")]
        earlier = self._count - len(self._lines) + len(rows) - len(rows[-DRAWN:])
        shown = [*([("faint", f"{earlier} earlier lines")] if earlier else []), *rows[-DRAWN:]]
        parts = [
            text(10, 21 + LINE_HEIGHT * place, _shortened(row), fill=_colour(level), **SPACES)
            for place, (level, row) in enumerate(shown or [("faint", NOTHING)])
        ]
        return document(760, 17 + LINE_HEIGHT * len(parts), parts, self.describe())

    def describe(self) -> str:
        return f"<LogPane: {', '.join(self._view.nodes) or 'all nodes'}>"

    def page(self) -> str:
        return self._page(self.saved())

    @property
    def owner(self) -> Any:
        return self._bed.trace

    def stop(self) -> None:
        if not self._stopped:
            self._collect()
        super().stop()

    def _collect(self) -> None:
        """Show all that has been written by now."""
        with suppress(RoleMLError):  # an engine that does not answer has sent what it could
            self._bed.fleet.flush_hosts()
        self.on_tick()


def _shortened(row: str) -> str:
    return row if len(row) <= WIDTH else f"{row[: WIDTH - 1]}…"


def _colour(level: str) -> str:
    return {
        "faint": FAINT,
        "error": COLOURS["error"],
        "critical": COLOURS["error"],
        "warning": COLOURS["task"],
        "stderr": COLOURS["task"],
    }.get(level, INK)
