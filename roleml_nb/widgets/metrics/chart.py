"""Line charts as SVG: panels side by side, each with axes, lines and bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from roleml_nb.pictures.axes import segments, span, ticks
from roleml_nb.pictures.svg import FAINT, LINE, document, element, text

from .curves import Curve

__all__ = ["chart"]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
WIDE, HIGH = 440.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 12.0, 30.0, 34.0


def chart(panels: Mapping[str, tuple[str, Sequence[Curve]]], title: str) -> str:
    """The SVG of {what: (name of the x axis, curves)}, two panels in a row."""
    parts = []
    for place, (name, (axis, curves)) in enumerate(panels.items()):
        content = _panel(name, axis, list(curves))
        parts.append(
            element(
                "g",
                "".join(content),
                transform=f"translate({place % 2 * WIDE:.0f} {place // 2 * HIGH:.0f})",
            )
        )
    rows = max(1, -(-len(panels) // 2))
    return document(WIDE * min(2, max(1, len(panels))), HIGH * rows, parts, title)


def _panel(name: str, axis: str, curves: list[Curve]) -> list[str]:
    parts = [
        text(LEFT, 20, name, font_weight="bold"),
        text(WIDE - RIGHT, HIGH - 6, axis, text_anchor="end", fill=FAINT, font_size=11),
    ]
    xs = np.concatenate([curve.x for curve in curves]) if curves else np.empty(0)
    if not len(xs):
        return [*parts, text(WIDE / 2, HIGH / 2, "nothing yet", text_anchor="middle", fill=FAINT)]
    ys = np.concatenate(
        [part for curve in curves for part in (curve.y, curve.low, curve.high) if part is not None]
    )
    ys = ys[np.isfinite(ys)]
    if not len(ys):
        return [
            *parts,
            text(WIDE / 2, HIGH / 2, "no finite number", text_anchor="middle", fill=FAINT),
        ]
    (left, right), (low, high) = span(xs), span(ys)

    def at(x: float, y: float) -> str:
        y = max(low, min(high, y))
        return (
            f"{LEFT + (x - left) / (right - left) * (WIDE - LEFT - RIGHT):.1f} "
            f"{HIGH - BOTTOM - (y - low) / (high - low) * (HIGH - TOP - BOTTOM):.1f}"
        )

    for value in ticks(low, high):
        y = at(left, value).split()[1]
        parts.append(element("path", d=f"M{LEFT:.0f} {y}H{WIDE - RIGHT:.0f}", stroke=LINE))
        parts.append(
            text(
                LEFT - 6, float(y) + 4, f"{value:.4g}", text_anchor="end", fill=FAINT, font_size=10
            )
        )
    for value in ticks(left, right):
        x = at(value, low).split()[0]
        parts.append(
            text(
                float(x),
                HIGH - BOTTOM + 14,
                f"{value:.4g}",
                text_anchor="middle",
                fill=FAINT,
                font_size=10,
            )
        )
    for number, curve in enumerate(curves):
        colour = PALETTE[number % len(PALETTE)]
        for xs, highs, lows in segments(curve.x, curve.high, curve.low):
            edge = [at(*point) for point in zip(xs, highs, strict=True)]
            edge += [at(*point) for point in zip(xs[::-1], lows[::-1], strict=True)]
            parts.append(element("path", d=f"M{' L'.join(edge)}Z", fill=colour, fill_opacity=0.18))
        for xs, ys in segments(curve.x, curve.y):
            points = [at(*point) for point in zip(xs, ys, strict=True)]
            parts.append(
                element(
                    "path", d=f"M{' L'.join(points)}", fill="none", stroke=colour, stroke_width=1.8
                )
            )
            if len(points) == 1:
                cx, cy = points[0].split()
                parts.append(element("circle", cx=cx, cy=cy, r=3, fill=colour))
        parts.append(
            text(
                WIDE - RIGHT,
                20 + 14 * number,
                curve.name,
                text_anchor="end",
                fill=colour,
                font_size=11,
            )
        )
    return parts
