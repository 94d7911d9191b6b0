"""Traces of Plotly as SVG: lines with markers, bars, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .axes import numbers, segments
from .panel import Panel
from .shapes import area, box, path
from .svg import FAINT, element, plain_text, text

__all__ = ["DASHES", "draw_trace", "is_drawn"]

DASHES = {"dot": "2 3", "dash": "7 4", "dashdot": "7 3 2 3", "longdash": "10 5"}
LINE_WIDTH_PX, MARKER_PX = 2.0, 6
BAR_SHARE = 0.8
"""The part of a category's width that bars take."""
COLOUR_SCALE = ((0, "#f7fbff"), (1, "#08306b"))
SCALE_STEPS, SCALE_STEP_PX = 20, 8
"""The scale of colours beside a heat map."""
ANCHORS = {"left": "end", "right": "start"}
NAME_SHIFTS_PX = {"top": -10.0, "bottom": 18.0}


def is_drawn(trace: Any) -> bool:
    """Return True for a trace of a kind that is drawn here."""
    return trace.type in _DRAW


def draw_trace(panel: Panel, trace: Any, colour: Any, before: Any) -> Iterator[str]:
    """Draw a trace. `colour` is one, or one for each bar; `before` is the trace drawn before."""
    return _DRAW[trace.type](panel, trace, colour, before)


def _scatter(panel: Panel, trace: Any, colour: Any, before: Any) -> Iterator[str]:
    x = panel.x.at(trace.x if trace.x is not None else range(len(trace.y)))
    y = panel.y.at(trace.y)
    mode = trace.mode or "lines"
    if trace.fill == "tonexty" and before is not None:
        outline_x = np.concatenate([x, panel.x.at(before.x)[::-1]])
        outline_y = np.concatenate([y, panel.y.at(before.y)[::-1]])
        yield area(outline_x, outline_y, trace.fillcolor or colour)
    elif trace.fill == "toself":
        opacity = 1.0 if trace.opacity is None else trace.opacity
        yield area(x, y, trace.fillcolor or colour, fill_opacity=opacity)
    width = LINE_WIDTH_PX if trace.line.width is None else trace.line.width
    if "lines" in mode and width:
        style = {
            "fill": "none",
            "stroke": colour,
            "stroke_width": width,
            "stroke_dasharray": DASHES.get(trace.line.dash or ""),
        }
        for xs, ys in segments(x, y):
            yield element("path", d=path(xs, ys), **style)
    if "markers" in mode:
        fill = trace.marker.color if isinstance(trace.marker.color, str) else colour
        size = trace.marker.size if isinstance(trace.marker.size, (int, float)) else MARKER_PX
        for cx, cy in zip(x.tolist(), y.tolist(), strict=True):
            if np.isfinite(cx) and np.isfinite(cy):
                yield element("circle", cx=cx, cy=cy, r=size / 2, fill=fill)
    if "text" in mode:
        yield from _names(x, y, trace)


def _names(x: np.ndarray, y: np.ndarray, trace: Any) -> Iterator[str]:
    """Draw the texts of points where Plotly puts them: "top left"."""
    positions = trace.textposition
    if positions is None or isinstance(positions, str):
        positions = [positions] * len(x)
    for cx, cy, name, position in zip(x.tolist(), y.tolist(), trace.text, positions, strict=False):
        vertical, _, side = str(position or "middle center").partition(" ")
        shift = NAME_SHIFTS_PX.get(vertical, 4.0)
        yield text(cx, cy + shift, name, text_anchor=ANCHORS.get(side, "middle"), font_size=11)


def _bar(panel: Panel, trace: Any, colour: Any, before: Any) -> Iterator[str]:
    count = len(panel.bars)
    place = list(map(id, panel.bars)).index(id(trace))  # equal ones are not the same
    width = BAR_SHARE * panel.x.step / (1 if panel.stacked else count)
    shift = width / 2 if panel.stacked else width * (count / 2 - place)
    heights = panel.heights()
    for number, (middle, name) in enumerate(
        zip(panel.x.at(trace.x).tolist(), trace.x, strict=True)
    ):
        column = heights[:, panel.bar_names.index(str(name))]
        below = float(column[:place].sum()) if panel.stacked else 0.0
        low, high = panel.y.at([below, below + column[place]])
        fill = colour if isinstance(colour, str) else colour[number]
        if low != high:
            yield box(middle - shift, min(low, high), width, abs(low - high), fill)


def _heatmap(panel: Panel, trace: Any, colour: Any, before: Any) -> Iterator[str]:
    table = np.array(list(map(numbers, trace.z)))
    found = table[np.isfinite(table)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    scale = list(map(list, trace.colorscale or COLOUR_SCALE))
    width, height = panel.x.step, panel.y.step
    xs = panel.x.at(trace.x).tolist()
    ys = panel.y.at(trace.y).tolist()
    for y, row in zip(ys, table, strict=True):
        for x, value in zip(xs, row, strict=True):
            if np.isfinite(value):
                share = (value - low) / (high - low) if high > low else 0.5
                fill = _colour_at(scale, share)
                corner = x - width / 2 + 0.5, y - height / 2 + 0.5
                yield box(*corner, max(0.5, width - 1), max(0.5, height - 1), fill)
    left = panel.right + 16
    top = panel.top + 20
    yield from _colour_scale(left, top, scale)
    yield text(left, top - 8, plain_text(trace.colorbar.title.text), font_size=11, fill=FAINT)
    yield text(left + 20, top + 8, f"{high:.3g}", font_size=10, fill=FAINT)
    bottom = top + SCALE_STEPS * SCALE_STEP_PX
    yield text(left + 20, bottom, f"{low:.3g}", font_size=10, fill=FAINT)


def _colour_scale(left: float, top: float, scale: list[Any]) -> Iterator[str]:
    for step in range(SCALE_STEPS):
        fill = _colour_at(scale, 1 - step / (SCALE_STEPS - 1))
        yield box(left, top + SCALE_STEP_PX * step, 14, SCALE_STEP_PX, fill)


def _colour_at(scale: list[Any], share: float) -> str:
    from plotly.colors import sample_colorscale

    return str(sample_colorscale(scale, [share])[0])


_DRAW: dict[str, Callable[[Panel, Any, Any, Any], Iterator[str]]] = {
    "scatter": _scatter,
    "scattergl": _scatter,
    "bar": _bar,
    "heatmap": _heatmap,
}
