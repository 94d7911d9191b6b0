"""Line charts as SVG: panels side by side, each with axes, lines and bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from roleml_nb.pictures.axes import segments, span, ticks
from roleml_nb.pictures.svg import FAINT, LINE, document, element, text

from .curve import Curve

__all__ = ["PALETTE", "chart"]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
PANEL_WIDTH, PANEL_HEIGHT = 440.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 12.0, 30.0, 34.0
"""Room around the axes of a panel."""


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
    scale = _Scale(span(xs), span(finite))
    parts += _axes(scale)
    for number, curve in enumerate(curves):
        colour = PALETTE[number % len(PALETTE)]
        parts += _curve(scale, curve, colour)
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


class _Scale:
    """Turns numbers of a panel into pixels."""

    def __init__(self, x_span: tuple[float, float], y_span: tuple[float, float]):
        self.left, self.right = x_span
        self.low, self.high = y_span

    def x(self, number: float) -> float:
        share = (number - self.left) / (self.right - self.left)
        return LEFT + share * (PANEL_WIDTH - LEFT - RIGHT)

    def y(self, number: float) -> float:
        """Return the y of a number, which infinities have at the border."""
        number = max(self.low, min(self.high, number))
        share = (number - self.low) / (self.high - self.low)
        return PANEL_HEIGHT - BOTTOM - share * (PANEL_HEIGHT - TOP - BOTTOM)

    def points(self, xs: np.ndarray, ys: np.ndarray) -> list[str]:
        return [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in zip(xs, ys, strict=True)]


def _axes(scale: _Scale) -> list[str]:
    parts = []
    for value in ticks(scale.low, scale.high):
        y = round(scale.y(value), 1)
        line = f"M{LEFT:.0f} {y:.1f}H{PANEL_WIDTH - RIGHT:.0f}"
        parts.append(element("path", d=line, stroke=LINE))
        label = {"text_anchor": "end", "fill": FAINT, "font_size": 10}
        parts.append(text(LEFT - 6, y + 4, f"{value:.4g}", **label))
    for value in ticks(scale.left, scale.right):
        x = round(scale.x(value), 1)
        label = {"text_anchor": "middle", "fill": FAINT, "font_size": 10}
        parts.append(text(x, PANEL_HEIGHT - BOTTOM + 14, f"{value:.4g}", **label))
    return parts


def _curve(scale: _Scale, curve: Curve, colour: str) -> list[str]:
    """Return the bands and the lines of a curve, with a dot for each point that stands alone."""
    parts = []
    for xs, highs, lows in segments(curve.x, curve.high, curve.low):
        edge = [*scale.points(xs, highs), *scale.points(xs[::-1], lows[::-1])]
        band = f"M{' L'.join(edge)}Z"
        parts.append(element("path", d=band, fill=colour, fill_opacity=0.18))
    for xs, ys in segments(curve.x, curve.y):
        points = scale.points(xs, ys)
        stroke = {"fill": "none", "stroke": colour, "stroke_width": 1.8}
        parts.append(element("path", d=f"M{' L'.join(points)}", **stroke))
        if len(points) == 1:
            x, y = points[0].split()
            parts.append(element("circle", cx=x, cy=y, r=3, fill=colour))
    return parts
