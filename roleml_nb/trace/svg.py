"""A plain SVG of the figures of this room: lines, bands and heat maps. Whatever else a user adds is not drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

__all__ = ["draw"]

LEFT, RIGHT, TOP, BOTTOM = 80, 30, 56, 64
FONT = 'font-family="sans-serif" font-size="12" fill="#2a3f5f"'
GRID = 'stroke="#dfe8f3"'
BLUES = ((247, 251, 255), (107, 174, 214), (8, 48, 107))

Point = tuple[float, float]


def draw(figure: Any) -> str | None:
    """The picture, the same for the same figure; None when it holds what is not drawn here."""
    kinds = {trace.type for trace in figure.data}
    if kinds == {"scatter"} and figure.layout.xaxis.type in (None, "linear") and figure.layout.yaxis.type in (None, "linear"):
        width, height, parts = _lines(figure)
    elif kinds == {"heatmap"} and len(figure.data) == 1:
        width, height, parts = _heat_map(figure)
    else:
        return None
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" {FONT}>'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>"])


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """About `count` round numbers from low to high.

    >>> ticks(0, 10)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)
    return [round(index * step, 12) for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _lines(figure: Any) -> tuple[int, int, list[str]]:
    named = [trace for trace in figure.data if trace.showlegend is not False and trace.name]
    width, height = int(figure.layout.width or 700), int(figure.layout.height or 420)
    bottom = height - BOTTOM - 18 * len(named)
    strokes = [list(_pieces(trace)) for trace in figure.data]
    points = [point for pieces in strokes for piece in pieces for point in piece]
    left, right = _range((x for x, _ in points), figure.layout.xaxis.range)
    low, high = _range((y for _, y in points), figure.layout.yaxis.range)

    def place(point: Point) -> str:
        x = LEFT + (point[0] - left) / (right - left) * (width - LEFT - RIGHT)
        y = bottom - (point[1] - low) / (high - low) * (bottom - TOP)
        return f"{x:.1f},{y:.1f}"

    parts = _titles(figure, width, bottom)
    for tick in ticks(left, right):
        x = place((tick, low)).split(",")[0]
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" {GRID}/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    for tick in ticks(low, high):
        y = place((left, tick)).split(",")[1]
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{width - RIGHT}" y2="{y}" {GRID}/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{tick:g}</text>')
    before: list[Point] = []
    for trace, pieces in zip(figure.data, strokes, strict=True):
        here = [point for piece in pieces for point in piece]
        if trace.fill == "tonexty" and here:
            outline = " ".join(map(place, [*before, *reversed(here)]))
            parts.append(f'<polygon points="{outline}" fill="{trace.fillcolor}"/>')
        before = here
        thick = 2 if trace.line.width is None else trace.line.width
        for piece in pieces if thick else ():
            parts.append(f'<polyline points="{" ".join(map(place, piece))}" fill="none" stroke="{trace.line.color}" '
                         f'stroke-width="{thick:g}"/>')
            if "markers" in (trace.mode or ""):
                parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{trace.line.color}"/>'
                          for x, y in (place(point).split(",") for point in piece)]
    for row, trace in enumerate(named):
        y = bottom + 58 + 18 * row
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + 24}" y2="{y}" stroke="{trace.line.color}" stroke-width="3"/>')
        parts.append(f'<text x="{LEFT + 32}" y="{y}" dy="4">{escape(trace.name)}</text>')
    return width, height, parts


def _pieces(trace: Any) -> Iterator[list[Point]]:
    """The points of a line, cut where it has a gap."""
    piece: list[Point] = []
    for x, y in zip(trace.x, trace.y, strict=True):
        if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
            if piece:
                yield piece
            piece = []
        else:
            piece.append((float(x), float(y)))
    if piece:
        yield piece


def _range(values: Iterable[float], given: Any) -> tuple[float, float]:
    if given is not None and None not in given:
        return float(given[0]), float(given[1])
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    margin = (high - low) * 0.04 or max(abs(high) * 0.1, 0.5)
    return low - margin, high + margin


def _heat_map(figure: Any) -> tuple[int, int, list[str]]:
    trace = figure.data[0]
    columns, rows = [str(name) for name in trace.x], [str(name) for name in trace.y]
    width, height = int(figure.layout.width or 640), int(figure.layout.height or 520)
    names = 24 + 7 * max(map(len, [*columns, *rows, ""]))
    left, bottom = LEFT + max(0, names - 48), height - BOTTOM - names // 2
    across = (width - left - 110) / max(1, len(columns))
    down = (bottom - TOP) / max(1, len(rows))
    values = [[float(value) for value in row] for row in trace.z]
    most = max((value for row in values for value in row), default=0.0)
    unit = trace.colorbar.title.text or ""
    parts = _titles(figure, width, bottom, names // 2)
    for row, name in enumerate(rows):
        y = TOP + row * down
        if _labelled(row, down):
            parts.append(f'<text x="{left - 8}" y="{y + down / 2:.1f}" dy="4" text-anchor="end">{escape(name)}</text>')
        for column, value in enumerate(values[row]):
            parts.append(
                f'<rect x="{left + column * across:.1f}" y="{y:.1f}" width="{max(across - 1, 0.5):.1f}" '
                f'height="{max(down - 1, 0.5):.1f}" fill="{_blue(value / most if most else 0.0)}">'
                f"<title>{escape(name)} → {escape(columns[column])}: {value:.3g} {escape(unit)}</title></rect>")
    for column, name in enumerate(columns):
        if _labelled(column, across):
            x = f"{left + (column + 0.5) * across:.1f}"
            parts.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="end" '
                         f'transform="rotate(-45 {x} {bottom + 14})">{escape(name)}</text>')
    for step in range(11):
        parts.append(f'<rect x="{width - 84}" y="{bottom - (step + 1) * (bottom - TOP) / 11:.1f}" width="16" '
                     f'height="{(bottom - TOP) / 11:.1f}" fill="{_blue(step / 10)}"/>')
    parts.append(f'<text x="{width - 62}" y="{bottom}">0</text>')
    parts.append(f'<text x="{width - 62}" y="{TOP + 10}">{most:.3g}</text>')
    parts.append(f'<text x="{width - 84}" y="{TOP - 8}">{escape(unit)}</text>')
    return width, height, parts


def _labelled(index: int, room: float) -> bool:
    """Whether a row or column of so many pixels gets its name: every one, or every so many."""
    return index % max(1, math.ceil(14 / room)) == 0


def _blue(share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(BLUES) - 1)
    index = min(int(place), len(BLUES) - 2)
    mixed = (round(a + (b - a) * (place - index)) for a, b in zip(BLUES[index], BLUES[index + 1], strict=True))
    return f"rgb({','.join(map(str, mixed))})"


def _titles(figure: Any, width: int, bottom: int, names: int = 0) -> list[str]:
    layout = figure.layout
    middle = (TOP + bottom) / 2
    return [
        f'<text x="{width * 0.05:g}" y="30" font-size="17">{escape(layout.title.text or "")}</text>',
        f'<text x="{width / 2:g}" y="{bottom + 40 + names}" text-anchor="middle">{escape(layout.xaxis.title.text or "")}</text>',
        f'<text x="18" y="{middle:g}" text-anchor="middle" '
        f'transform="rotate(-90 18 {middle:g})">{escape(layout.yaxis.title.text or "")}</text>',
    ]
