"""Figures of Plotly as SVG: lines, markers, bars and heat maps in panels, which is what our own
figures are made of. Plotly itself draws in a browser alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .axes import Axis, segments
from .svg import FAINT, INK, LINE, document, element, text

__all__ = ["plain", "plotted"]

COLOURS = ("#636efa", "#EF553B", "#00cc96", "#ab63fa", "#FFA15A", "#19d3f3", "#FF6692", "#B6E880")
"""Plotly's own, for traces that have none."""
WIDTH, WIDE, HEIGHT = 760.0, 1000.0, 420.0
"""WIDE is for many panels."""
LEFT, RIGHT, TOP, BOTTOM = 62.0, 20.0, 30.0, 48.0
LETTER, ROW = 6.6, 17.0
"""Pixels of a letter of a legend, and of its lines."""
DASHES = {"dot": "2 3", "dash": "7 4", "dashdot": "7 3 2 3", "longdash": "10 5"}


def plain(label: str | None) -> str:
    """Return a text of Plotly without its tags: ``<br>`` ends a line."""
    return re.sub(r"<(?!br)[^<>]*>", "", label or "").replace("<br>", "\n")


def plotted(figure: Any) -> str | None:
    """Return the SVG of a figure, the same for the same figure; None if it has traces of a kind
    that is not drawn here."""
    traces = [trace for trace in figure.data if trace.visible not in (False, "legendonly")]
    if any(trace.type not in _DRAW for trace in traces):
        return None
    return _Plot(figure.layout, traces).svg()


class _Panel:
    """A pair of axes, and the traces on it."""

    def __init__(self, layout: Any, traces: list[Any], area: tuple[float, float, float, float]):
        self.traces, self.stacked = traces, layout.barmode in ("stack", "relative")
        self.bars = [trace for trace in traces if trace.type == "bar"]
        self.x_layout = layout[_axis_name("xaxis", traces[0].xaxis)]
        self.y_layout = layout[_axis_name("yaxis", traces[0].yaxis)]
        left, right, top, bottom = area
        x0, x1 = self.x_layout.domain or (0.0, 1.0)
        y0, y1 = self.y_layout.domain or (0.0, 1.0)
        self.left, self.right = left + x0 * (right - left), left + x1 * (right - left)
        self.top, self.bottom = bottom - y1 * (bottom - top), bottom - y0 * (bottom - top)
        self.x = self._axis("x", self.x_layout, self.left, self.right)
        self.y = self._axis("y", self.y_layout, self.bottom, self.top)

    def _axis(self, letter: str, layout: Any, begin: float, end: float) -> Axis:
        values = [given for trace in self.traces if (given := trace[letter]) is not None]
        named = any(isinstance(one, str) for given in values for one in given)
        kind = (
            layout.type if layout.type in ("log", "category") else "category" if named else "linear"
        )
        if letter == "y" and self.bars and kind == "linear":
            values = [*values, [0.0], self.heights().sum(0) if self.stacked else [0.0]]
        marks = any(
            trace.mode and "markers" in trace.mode
            for trace in self.traces
            if trace.type == "scatter"
        )
        margin = 0.05 if letter == "y" or marks else 0.0
        turned = layout.autorange == "reversed"
        return Axis(kind, values, begin, end, margin=margin, reversed=turned)

    def heights(self) -> np.ndarray:
        """Return the bars' heights: a row per trace, a column per name."""
        names = list(dict.fromkeys(str(one) for bar in self.bars for one in bar.x))
        table = np.zeros((len(self.bars), len(names)))
        for row, bar in zip(table, self.bars, strict=True):
            row[[names.index(str(one)) for one in bar.x]] = np.nan_to_num(_numbers(bar.y))
        return table

    def frame(self) -> Iterator[str]:
        """Draw the grid, and what stands at the axes."""
        if self.y_layout.visible is not False:
            for y, label in self.y.labels():
                if self.y.kind != "category":
                    yield _line(self.left, y, self.right, y, LINE)
                said = f"{label}{self.y_layout.ticksuffix or ''}"
                yield text(self.left - 6, y + 4, said, text_anchor="end", fill=FAINT, font_size=10)
            names = max(map(len, self.y.names), default=0) if self.y.kind == "category" else 5
            yield from _turned(
                self.left - 13 - names * LETTER,
                (self.top + self.bottom) / 2,
                self.y_layout.title.text,
            )
        if self.x_layout.visible is not False:
            yield from self._below()

    def _below(self) -> Iterator[str]:
        labels = self.x.labels()
        widest = max((len(plain(label)) for _, label in labels), default=0)
        slanted = self.x_layout.tickangle or (
            self.x.kind == "category" and widest * LETTER > self.x.step
        )
        for x, label in labels:
            for number, said in enumerate(plain(label).split("\n")):
                y = self.bottom + 15 + 12 * number
                turn = (
                    {"transform": f"rotate(-40 {x:.1f} {y:.1f})", "text_anchor": "end"}
                    if slanted
                    else {}
                )
                yield text(
                    x, y, said, **{"text_anchor": "middle", "fill": FAINT, "font_size": 10, **turn}
                )
        low = self.bottom + (22 + 0.65 * LETTER * widest if slanted else 32)
        if self.x_layout.title.text:
            middle = (self.left + self.right) / 2
            yield text(
                middle,
                low,
                plain(self.x_layout.title.text),
                text_anchor="middle",
                fill=FAINT,
                font_size=11,
            )


class _Plot:
    """The whole figure."""

    def __init__(self, layout: Any, traces: list[Any]):
        self.layout, self.traces = layout, traces
        self.colours = {
            id(trace): COLOURS[place % len(COLOURS)] for place, trace in enumerate(traces)
        }
        self.title = [line for line in plain(layout.title.text).split("\n") if line]
        self.legend = self._entries()
        self.below = layout.legend.orientation == "h"
        panels = len({trace.xaxis for trace in traces})
        self.width = float(layout.width or (WIDTH if panels < 5 else WIDE))
        self.height = float(layout.height or HEIGHT)
        right = self.width - RIGHT - self._beside()
        top = TOP + 20 * len(self.title) + 14 * bool(layout.annotations)
        bottom = self.height - BOTTOM - self._slant() - (self._rows() * ROW if self.below else 0.0)
        self.left = max(LEFT, 24 + self._longest("y") * LETTER)
        self.area = self.left, right, top, bottom
        pairs: dict[tuple[str, str], list[Any]] = {}
        for trace in traces:
            pairs.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
        self.panels = {pair: _Panel(layout, given, self.area) for pair, given in pairs.items()}

    def _entries(self) -> list[tuple[str, Any]]:
        named = [trace for trace in self.traces if trace.name and trace.showlegend is not False]
        wanted = self.layout.showlegend is not False and (len(named) > 1 or self.layout.showlegend)
        return [(plain(trace.name), trace) for trace in named] if wanted else []

    def _beside(self) -> float:
        """Return the width of the legend, or of the scale of colours, at the right."""
        if any(trace.type == "heatmap" for trace in self.traces):
            return 80.0
        if self.below or not self.legend:
            return 0.0
        return min(220.0, 30 + LETTER * max(len(name) for name, _ in self.legend))

    def _slant(self) -> float:
        """Return what long names below the panels take."""
        longest = self._longest("x")
        return 0.5 * LETTER * longest if longest > 6 else 0.0

    def _longest(self, letter: str) -> int:
        """Return the letters of the longest name along an axis."""
        given = [trace[letter] for trace in self.traces if trace[letter] is not None]
        return max(
            (len(one) for values in given for one in values if isinstance(one, str)), default=0
        )

    def _rows(self) -> int:
        return 1 + max((row for row, _, _, _ in self._places()), default=-1)

    def _places(self) -> Iterator[tuple[int, float, str, Any]]:
        """Yield entries of a legend below: (row, x, name, trace)."""
        row, x = 0, LEFT
        for name, trace in self.legend:
            wide = 34 + LETTER * len(name)
            if x + wide > self.width - RIGHT and x > LEFT:
                row, x = row + 1, LEFT
            yield row, x, name, trace
            x += wide

    def colour(self, trace: Any) -> Any:
        """Return a trace's colour; for a bar with a colour each, all of them."""
        line = trace.line.color if trace.type == "scatter" else None
        marker = trace.marker.color if trace.type in ("scatter", "bar") else None
        return line or (marker if marker is not None else self.colours[id(trace)])

    def svg(self) -> str:
        parts = [
            text(
                LEFT if number else 16,
                26 + 20 * number,
                line,
                font_size=12 if number else 15,
                fill=FAINT if number else INK,
            )
            for number, line in enumerate(self.title)
        ]
        for panel in self.panels.values():
            parts += panel.frame()
        parts += self._annotations()
        for panel in self.panels.values():
            before = None
            for trace in panel.traces:
                parts += _DRAW[trace.type](self, panel, trace, before)
                before = trace
        parts += self._shapes()
        parts += self._legend()
        return document(self.width, self.height, parts, " ".join(self.title))

    def _shapes(self) -> Iterator[str]:
        for shape in self.layout.shapes or ():
            panel = self._panel(shape.xref, shape.yref)
            if panel is None or shape.type != "line":
                continue
            dash = DASHES.get(shape.line.dash or "")
            x0, y0 = self._point(panel, shape.x0, shape.y0, shape.xref, shape.yref)
            x1, y1 = self._point(panel, shape.x1, shape.y1, shape.xref, shape.yref)
            yield _line(x0, y0, x1, y1, shape.line.color or INK, stroke_dasharray=dash)

    def _panel(self, xref: str | None, yref: str | None) -> _Panel | None:
        pair = str(xref or "x").split()[0], str(yref or "y").split()[0]
        return self.panels.get(pair)

    def _point(
        self, panel: _Panel | None, x: Any, y: Any, xref: Any, yref: Any
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
                yield from _arrow(x0, y0, x, y, note.arrowcolor or INK)
            if note.text:
                anchor = {"left": "start", "right": "end"}.get(note.xanchor, "middle")
                yield text(x, y - 6, plain(note.text), text_anchor=anchor, font_size=13)

    def _legend(self) -> Iterator[str]:
        left, right, top, bottom = self.area
        if self.below:
            base = self.height - ROW * self._rows() + 4
            entries = [(x, base + ROW * row, name, trace) for row, x, name, trace in self._places()]
        else:
            entries = [
                (right + 14, top + 8 + ROW * row, name, trace)
                for row, (name, trace) in enumerate(self.legend)
            ]
        for x, y, name, trace in entries:
            colour = self.colour(trace)
            yield _box(
                x,
                y - 5,
                14,
                10 if trace.type == "bar" else 3,
                colour if isinstance(colour, str) else INK,
            )
            yield text(x + 20, y + (4 if trace.type == "bar" else 1), name, font_size=11)


def _scatter(plot: _Plot, panel: _Panel, trace: Any, before: Any) -> Iterator[str]:
    x, y = panel.x.at(trace.x if trace.x is not None else range(len(trace.y))), panel.y.at(trace.y)
    colour, mode = plot.colour(trace), trace.mode or "lines"
    if trace.fill == "tonexty" and before is not None:
        back = panel.x.at(before.x)[::-1], panel.y.at(before.y)[::-1]
        yield _area(
            np.concatenate([x, back[0]]), np.concatenate([y, back[1]]), trace.fillcolor or colour
        )
    elif trace.fill == "toself":
        opacity = 1.0 if trace.opacity is None else trace.opacity
        yield _area(x, y, trace.fillcolor or colour, fill_opacity=opacity)
    wide = 2.0 if trace.line.width is None else trace.line.width
    if "lines" in mode and wide:
        for xs, ys in segments(x, y):
            dash = DASHES.get(trace.line.dash or "")
            yield element(
                "path",
                d=f"M{_points(xs, ys)}",
                fill="none",
                stroke=colour,
                stroke_width=wide,
                stroke_dasharray=dash,
            )
    if "markers" in mode:
        marked = trace.marker.color if isinstance(trace.marker.color, str) else colour
        size = trace.marker.size if isinstance(trace.marker.size, (int, float)) else 6
        for cx, cy in zip(*map(_list, (x, y)), strict=True):
            if np.isfinite(cx) and np.isfinite(cy):
                yield element("circle", cx=cx, cy=cy, r=size / 2, fill=marked)
    if "text" in mode:
        yield from _names(x, y, trace)


def _names(x: np.ndarray, y: np.ndarray, trace: Any) -> Iterator[str]:
    given = trace.textposition
    where = [given] * len(x) if given is None or isinstance(given, str) else given
    for cx, cy, name, place in zip(_list(x), _list(y), trace.text, where, strict=False):
        up, _, side = str(place or "middle center").partition(" ")
        anchor = {"left": "end", "right": "start"}.get(side, "middle")
        yield text(
            cx,
            cy + {"top": -10.0, "bottom": 18.0}.get(up, 4.0),
            name,
            text_anchor=anchor,
            font_size=11,
        )


def _bar(plot: _Plot, panel: _Panel, trace: Any, before: Any) -> Iterator[str]:
    place, count = next(n for n, one in enumerate(panel.bars) if one is trace), len(panel.bars)
    wide = 0.8 * panel.x.step / (1 if panel.stacked else count)
    heights, names = (
        panel.heights(),
        list(dict.fromkeys(str(one) for bar in panel.bars for one in bar.x)),
    )
    colour = plot.colour(trace)
    for number, (middle, name) in enumerate(zip(_list(panel.x.at(trace.x)), trace.x, strict=True)):
        below = float(heights[:place, names.index(str(name))].sum()) if panel.stacked else 0.0
        low, high = panel.y.at([below, below + heights[place, names.index(str(name))]])
        left = middle - wide / 2 if panel.stacked else middle - wide * (count / 2 - place)
        fill = colour if isinstance(colour, str) else colour[number]
        if low != high:
            yield _box(left, min(low, high), wide, abs(low - high), fill)


def _heatmap(plot: _Plot, panel: _Panel, trace: Any, before: Any) -> Iterator[str]:
    from plotly.colors import sample_colorscale

    table = np.array([_numbers(row) for row in trace.z])
    found = table[np.isfinite(table)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    scale = [list(step) for step in trace.colorscale or ((0, "#f7fbff"), (1, "#08306b"))]
    wide, tall = panel.x.step, panel.y.step
    xs, ys = _list(panel.x.at(trace.x)), _list(panel.y.at(trace.y))
    for y, row in zip(ys, table, strict=True):
        for x, value in zip(xs, row, strict=True):
            if np.isfinite(value):
                share = (value - low) / (high - low) if high > low else 0.5
                (fill,) = sample_colorscale(scale, [share])
                yield _box(
                    x - wide / 2 + 0.5,
                    y - tall / 2 + 0.5,
                    max(0.5, wide - 1),
                    max(0.5, tall - 1),
                    fill,
                )
    left, high_at = panel.right + 16, panel.top + 20
    for step in range(20):
        (fill,) = sample_colorscale(scale, [1 - step / 19])
        yield _box(left, high_at + 8 * step, 14, 8, fill)
    yield text(left, high_at - 8, plain(trace.colorbar.title.text), font_size=11, fill=FAINT)
    yield text(left + 20, high_at + 8, f"{high:.3g}", font_size=10, fill=FAINT)
    yield text(left + 20, high_at + 160, f"{low:.3g}", font_size=10, fill=FAINT)


_DRAW: dict[str, Callable[[_Plot, _Panel, Any, Any], Iterator[str]]] = {
    "scatter": _scatter,
    "scattergl": _scatter,
    "bar": _bar,
    "heatmap": _heatmap,
}


def _axis_name(kind: str, name: str | None) -> str:
    """Return where the layout has an axis: "xaxis2" of "x2"."""
    return kind + (name or "x")[1:]


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if one is None else one for one in values], float)


def _list(values: np.ndarray) -> list[float]:
    return [float(one) for one in values]


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(x, y, strict=True))


def _area(x: np.ndarray, y: np.ndarray, fill: str, **style: Any) -> str:
    finite = np.isfinite(x) & np.isfinite(y)
    return (
        element("path", d=f"M{_points(x[finite], y[finite])}Z", fill=fill, **style)
        if finite.any()
        else ""
    )


def _line(x0: float, y0: float, x1: float, y1: float, stroke: str, **style: Any) -> str:
    return element(
        "path", d=f"M{x0:.1f},{y0:.1f} {x1:.1f},{y1:.1f}", stroke=stroke, fill="none", **style
    )


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return element(
        "rect", x=float(x), y=float(y), width=float(width), height=float(height), fill=fill
    )


def _arrow(x0: float, y0: float, x1: float, y1: float, stroke: str) -> Iterator[str]:
    yield _line(x0, y0, x1, y1, stroke)
    along = np.array([x1 - x0, y1 - y0]) / max(1e-9, float(np.hypot(x1 - x0, y1 - y0)))
    back = np.array([x1, y1]) - 7 * along
    side = 3.5 * np.array([-along[1], along[0]])
    corners = np.array([[x1, y1], back + side, back - side])
    yield element("path", d=f"M{_points(corners[:, 0], corners[:, 1])}Z", fill=stroke)


def _turned(x: float, y: float, label: str | None) -> Iterator[str]:
    if label:
        turn = f"rotate(-90 {x:.1f} {y:.1f})"
        yield text(
            x, y, plain(label), text_anchor="middle", fill=FAINT, font_size=11, transform=turn
        )
