"""A pane that follows what nodes log and print."""

from __future__ import annotations

import html
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ipywidgets

from roleml_nb.role import RoleMLError
from roleml_nb.trace import LogView

from .held import hold

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed
    from roleml_nb.trace.logs import LogLine

__all__ = ["LogPane"]

SHOWN = 300
"""Lines in the pane: the last ones."""
BEAT = 0.25
"""Seconds between two updates, which send all lines that are shown."""
STYLE = ("display: flex; flex-direction: column-reverse; max-height: {height}; overflow: auto; resize: vertical; "
         "font: var(--jp-code-font-size, 13px)/1.35 var(--jp-code-font-family, monospace); white-space: pre-wrap; "
         "border: 1px solid var(--jp-border-color2, #8886); padding: 4px 8px; color: var(--jp-content-font-color1, inherit)")
"""Reversed, so that the pane stays at its end while lines are added."""
COLOURS = {"error": "#d62728", "critical": "#d62728", "warning": "#c77700", "stderr": "#c77700"}


class LogPane(ipywidgets.HTML):
    """The last lines of a `LogView`, four times a second, until the testbed ends or the pane is closed."""

    value: str

    def __init__(self, view: LogView, bed: Testbed, *, height: str = "20em"):
        super().__init__()
        self._view, self._bed, self._height = view, bed, height
        self._lines: deque[LogLine] = deque(maxlen=SHOWN)
        self._count = 0
        self._ended = threading.Event()
        self.refresh()
        if bed.running:
            bed.when_stopped(self.rest)
            bed.fleet.home.run_in_background(self._follow, "log pane")

    def refresh(self) -> None:
        """Show what has arrived by now."""
        self._bed.fleet.look()
        lines, self._count = self._view.new(self._count)
        self._lines.extend(lines)
        if lines or not self.value:
            shown = [self._line(line) for line in self._lines] or ["<i>nothing was logged yet</i>"]
            self.value = f'<div style="{STYLE.format(height=self._height)}" tabindex="0"><div>{"<br>".join(shown)}</div></div>'

    def _line(self, line: LogLine) -> str:
        text = html.escape(self._view.text_of(line)).replace("\n", "<br>")
        colour = COLOURS.get(line.level)
        return f'<span style="color: {colour}">{text}</span>' if colour else text

    def _follow(self) -> None:
        while not self._ended.wait(BEAT):
            self.refresh()

    def rest(self) -> None:
        """Show the last lines, and follow no longer. Idempotent."""
        if not self._ended.is_set():
            self._ended.set()
            with suppress(RoleMLError):  # an engine that does not answer has sent what it could
                self._bed.fleet.collect()
            self.refresh()
            hold(self._bed.trace, self)

    def close(self) -> None:
        self._ended.set()
        super().close()

    def __repr__(self) -> str:
        return f"<LogPane: {', '.join(self._view.nodes) or 'all nodes'}>"

    def _repr_keys(self) -> Any:
        return iter(())
