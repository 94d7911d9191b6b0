"""Figures of Plotly as SVG: lines, markers, bars and heat maps in panels, as our own figures have.

Plotly itself draws in a browser alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .axes import given_values
from .panel import LETTER_PX, Panel
from .shapes import arrow, box, line
from .svg import FAINT, INK, document, plain_text, text
from .traces import DASHES, draw_trace, is_drawn

__all__ = ["draw_figure"]

COLOURS = ("#636efa", "#EF553B", "#00cc96", "#ab63fa", "#FFA15A", "#19d3f3", "#FF6692", "#B6E880")
"""Plotly's own, for traces that have none."""
WIDTH_PX, WIDE_PX, HEIGHT_PX = 760.0, 1000.0, 420.0
"""WIDE_PX is for figures of many panels."""
MANY_PANELS = 5
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 62.0, 20.0, 30.0, 48.0
"""The margins."""
LEGEND_ROW_PX = 17.0
COLOUR_SCALE_PX = 80.0
"""The width of the scale of colours beside a heat map."""


def draw_figure(figure: Any) -> str | None:
    """Return the SVG of a figure, the same for the same figure.

    None if it has traces of a kind that is not drawn here.
    """
    traces = [trace for trace in figure.data if trace.visible not in (False, "legendonly")]
    if not all(map(is_drawn, traces)):
        return None
    return _Plot(figure.layout, traces).svg()


class _Plot:
    """A figure: its panels, and the title, legend, shapes and annotations around them."""

    def __init__(self, layout: Any, traces: list[Any]):
        self.layout = layout
        self.traces = traces
        self.title = list(filter(None, plain_text(layout.title.text).split("\n")))
        self.legend = self._legend_entries()
        self.legend_below = layout.legend.orientation == "h"
        pairs: dict[tuple[str, str], list[Any]] = {}
        columns = set()
        for trace in traces:
            pairs.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
            columns.add(trace.xaxis)
        self.width = float(layout.width or (WIDTH_PX if len(columns) < MANY_PANELS else WIDE_PX))
        self.height = float(layout.height or HEIGHT_PX)
        right = self.width - RIGHT_PX - self._width_beside()
        top = TOP_PX + 20 * len(self.title) + 14 * bool(layout.annotations)
        bottom = self.height - BOTTOM_PX - self._slanted_height()
        if self.legend_below:
            bottom -= self._legend_rows() * LEGEND_ROW_PX
        left = max(LEFT_PX, 24 + self._longest("y") * LETTER_PX)
        self.area = left, right, top, bottom
        self.panels: dict[tuple[str, str], Panel] = {}
        for pair, given in pairs.items():
            self.panels[pair] = Panel(layout, given, self.area)

    def _legend_entries(self) -> list[tuple[str, Any]]:
        """Return the names of the legend with their traces; none where there is no legend."""
        shown = self.layout.showlegend
        entries = []
        for trace in self.traces:
            if trace.name and trace.showlegend is not False:
                entries.append((plain_text(trace.name), trace))
        is_wanted = shown is not False and (len(entries) > 1 or shown)
        return entries if is_wanted else []

    def _width_beside(self) -> float:
        """Return the width of the legend, or of the scale of colours, at the right."""
        if "heatmap" in {trace.type for trace in self.traces}:
            return COLOUR_SCALE_PX
        if self.legend_below or not self.legend:
            return 0.0
        letters = max(len(name) for name, _ in self.legend)
        return min(220.0, 30 + LETTER_PX * letters)

    def _slanted_height(self) -> float:
        """Return the height that long names below the panels take."""
        longest = self._longest("x")
        return 0.5 * LETTER_PX * longest if longest > 6 else 0.0

    def _longest(self, letter: str) -> int:
        """Return the letters of the longest name along an axis."""
        longest = 0
        for values in given_values(self.traces, letter):
            for value in values:
                if isinstance(value, str):
                    longest = max(longest, len(value))
        return longest

    def _legend_rows(self) -> int:
        places = list(self._legend_places())
        return 1 + places[-1][0] if places else 0

    def _legend_places(self) -> Iterator[tuple[int, float, str, Any]]:
        """Yield entries of a legend below: (row, x, name, trace)."""
        row, x = 0, LEFT_PX
        for name, trace in self.legend:
            width = 34 + LETTER_PX * len(name)
            if x + width > self.width - RIGHT_PX and x > LEFT_PX:
                row, x = row + 1, LEFT_PX
            yield row, x, name, trace
            x += width

    def colour(self, trace: Any) -> Any:
        """Return a trace's colour; for a bar with a colour each, all of them."""
        if trace.type == "scatter" and trace.line.color:
            return trace.line.color
        marker = trace.marker.color if trace.type in ("scatter", "bar") else None
        if marker is not None:
            return marker
        place = list(map(id, self.traces)).index(id(trace))  # equal ones are not the same
        return COLOURS[place % len(COLOURS)]

    def svg(self) -> str:
        parts = list(self._title())
        for panel in self.panels.values():
            parts += panel.frame()
        parts += self._annotations()
        for panel in self.panels.values():
            before = None
            for trace in panel.traces:
                parts += draw_trace(panel, trace, self.colour(trace), before)
                before = trace
        parts += self._shapes()
        parts += self._legend()
        return document(self.width, self.height, parts, " ".join(self.title))

    def _title(self) -> Iterator[str]:
        """Draw the title, and further lines of it smaller, and in line with the panels."""
        x, size, fill = 16.0, 15, INK
        for number, row in enumerate(self.title):
            yield text(x, 26 + 20 * number, row, font_size=size, fill=fill)
            x, size, fill = LEFT_PX, 12, FAINT

    def _shapes(self) -> Iterator[str]:
        for shape in self.layout.shapes or ():
            panel = self._panel(shape.xref, shape.yref)
            if panel is None or shape.type != "line":
                continue
            dash = DASHES.get(shape.line.dash or "")
            x0, y0 = self._point(panel, shape.x0, shape.y0, shape.xref, shape.yref)
            x1, y1 = self._point(panel, shape.x1, shape.y1, shape.xref, shape.yref)
            yield line(x0, y0, x1, y1, shape.line.color or INK, stroke_dasharray=dash)

    def _panel(self, xref: str | None, yref: str | None) -> Panel | None:
        pair = str(xref or "x").split()[0], str(yref or "y").split()[0]
        return self.panels.get(pair)

    def _point(
        self, panel: Panel | None, x: Any, y: Any, xref: Any, yref: Any
    ) -> tuple[float, float]:
        left, right, top, bottom = self.area
        if panel is not None:
            left, right, top, bottom = panel.left, panel.right, panel.top, panel.bottom
        by_axis = panel is not None and "domain" not in str(xref)
        across = panel.x.at([x])[0] if panel is not None and by_axis else left + x * (right - left)
        by_axis = panel is not None and "domain" not in str(yref)
        down = panel.y.at([y])[0] if panel is not None and by_axis else bottom - y * (bottom - top)
        return float(across), float(down)

    def _annotations(self) -> Iterator[str]:
        for note in self.layout.annotations or ():
            panel = self._panel(note.xref, note.yref)
            x, y = self._point(panel, note.x, note.y, note.xref, note.yref)
            if note.showarrow and note.axref and note.axref != "pixel":
                x0, y0 = self._point(panel, note.ax, note.ay, note.axref, note.ayref)
                yield from arrow(x0, y0, x, y, note.arrowcolor or INK)
            if note.text:
                anchor = {"left": "start", "right": "end"}.get(note.xanchor, "middle")
                yield text(x, y - 6, plain_text(note.text), text_anchor=anchor, font_size=13)

    def _legend(self) -> Iterator[str]:
        if self.legend_below:
            base = self.height - LEGEND_ROW_PX * self._legend_rows() + 4
            for row, x, name, trace in self._legend_places():
                yield from self._legend_entry(x, base + LEGEND_ROW_PX * row, name, trace)
            return
        _, right, top, _ = self.area
        for row, (name, trace) in enumerate(self.legend):
            yield from self._legend_entry(right + 14, top + 8 + LEGEND_ROW_PX * row, name, trace)

    def _legend_entry(self, x: float, y: float, name: str, trace: Any) -> Iterator[str]:
        colour = self.colour(trace)
        is_bar = trace.type == "bar"
        yield box(x, y - 5, 14, 10 if is_bar else 3, colour if isinstance(colour, str) else INK)
        yield text(x + 20, y + (4 if is_bar else 1), name, font_size=11)
