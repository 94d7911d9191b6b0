"""Line charts as SVG: panels side by side, each with axes, lines and bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from roleml_nb.pictures.axes import Axis, segments
from roleml_nb.pictures.palette import PALETTE
from roleml_nb.pictures.shapes import area, line, path
from roleml_nb.pictures.svg import FAINT, LINE, document, element, text

from .curve import Curve

__all__ = ["LINE_COLOURS", "chart"]

LINE_COLOURS = PALETTE[:6]
PANEL_WIDTH, PANEL_HEIGHT = 440.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 12.0, 30.0, 34.0
"""Room around the axes of a panel."""
LABEL: dict[str, Any] = {"fill": FAINT, "font_size": 10}
"""The style of the numbers along the axes."""


def chart(panels: Mapping[str, tuple[str, Sequence[Curve]]], title: str) -> str:
    """Return the SVG of {name: (name of the x axis, curves)}, two panels in a row."""
    parts = []
    for place, (name, (axis, curves)) in enumerate(panels.items()):
        row, column = divmod(place, 2)
        moved = f"translate({column * PANEL_WIDTH:.0f} {row * PANEL_HEIGHT:.0f})"
        parts.append(element("g", "".join(_panel(name, axis, curves)), transform=moved))
    columns = min(2, max(1, len(panels)))
    rows = max(1, -(-len(panels) // 2))
    return document(PANEL_WIDTH * columns, PANEL_HEIGHT * rows, parts, title)


def _panel(name: str, axis: str, curves: Sequence[Curve]) -> list[str]:
    parts = [
        text(LEFT, 20, name, font_weight="bold"),
        text(
            PANEL_WIDTH - RIGHT, PANEL_HEIGHT - 6, axis, text_anchor="end", fill=FAINT, font_size=11
        ),
    ]
    xs, ys = _numbers(curves)
    finite = ys[np.isfinite(ys)]
    if not len(finite):
        nothing = "no finite number" if len(xs) else "nothing yet"
        middle = {"text_anchor": "middle", "fill": FAINT}
        return [*parts, text(PANEL_WIDTH / 2, PANEL_HEIGHT / 2, nothing, **middle)]
    x = Axis("linear", [xs], LEFT, PANEL_WIDTH - RIGHT)
    y = Axis("linear", [finite], PANEL_HEIGHT - BOTTOM, TOP)
    parts += _axes(x, y)
    for number, curve in enumerate(curves):
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        parts += _curve(x, y, curve, colour)
        legend = {"text_anchor": "end", "fill": colour, "font_size": 11}
        parts.append(text(PANEL_WIDTH - RIGHT, 20 + 14 * number, curve.name, **legend))
    return parts


def _numbers(curves: Iterable[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Return all x and all y of curves, with their ranges."""
    xs, ys = [np.empty(0)], [np.empty(0)]
    for curve in curves:
        xs.append(curve.x)
        ys.append(curve.y)
        if curve.low is not None and curve.high is not None:
            ys += [curve.low, curve.high]
    return np.concatenate(xs), np.concatenate(ys)


def _axes(x: Axis, y: Axis) -> list[str]:
    parts = []
    for place, label in y.labels():
        parts.append(line(LEFT, place, PANEL_WIDTH - RIGHT, place, LINE))
        parts.append(text(LEFT - 6, place + 4, label, text_anchor="end", **LABEL))
    for place, label in x.labels():
        parts.append(text(place, PANEL_HEIGHT - BOTTOM + 14, label, text_anchor="middle", **LABEL))
    return parts


def _curve(x: Axis, y: Axis, curve: Curve, colour: str) -> list[str]:
    """Return the bands and the lines of a curve, with a dot for each point that stands alone."""
    parts = []
    for xs, highs, lows in segments(curve.x, curve.high, curve.low):
        edge_x = x.at(np.concatenate([xs, xs[::-1]]))
        edge_y = y.at(np.concatenate([highs, lows[::-1]]))
        parts.append(area(edge_x, edge_y, colour, fill_opacity=0.18))
    for xs, ys in segments(curve.x, curve.y):
        d = path(x.at(xs), y.at(ys))
        parts.append(element("path", d=d, fill="none", stroke=colour, stroke_width=1.8))
        if len(xs) == 1:
            cx, cy = float(x.at(xs)[0]), float(y.at(ys)[0])
            parts.append(element("circle", cx=cx, cy=cy, r=3, fill=colour))
    return parts
