"""A panel of a figure of Plotly: a pair of axes, and the traces on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .axes import Axis, distinct_texts, given_values, numbers
from .shapes import line
from .svg import FAINT, LINE, plain_text, text

__all__ = ["LETTER_PX", "Panel"]

LETTER_PX = 6.6
"""The width of a letter of a name or a legend."""
TICK_LETTERS = 5
"""The letters that a number at an axis takes."""
SLANT = -40
"""The degrees by which long names below a panel are turned."""


class Panel:
    """A pair of axes with its traces, within the pixels (left, right, top, bottom) of `area`."""

    def __init__(self, layout: Any, traces: list[Any], area: tuple[float, float, float, float]):
        self.traces = traces
        self.stacked = layout.barmode in ("stack", "relative")
        self.bars = [trace for trace in traces if trace.type == "bar"]
        self.bar_names = distinct_texts(given_values(self.bars, "x"))
        self.x_layout = layout[_axis_name("xaxis", traces[0].xaxis)]
        self.y_layout = layout[_axis_name("yaxis", traces[0].yaxis)]
        left, right, top, bottom = area
        x0, x1 = self.x_layout.domain or (0.0, 1.0)
        y0, y1 = self.y_layout.domain or (0.0, 1.0)
        self.left = left + x0 * (right - left)
        self.right = left + x1 * (right - left)
        self.top = bottom - y1 * (bottom - top)
        self.bottom = bottom - y0 * (bottom - top)
        self.x = self._axis("x", self.x_layout, self.left, self.right)
        self.y = self._axis("y", self.y_layout, self.bottom, self.top)

    def _axis(self, letter: str, layout: Any, begin: float, end: float) -> Axis:
        values = given_values(self.traces, letter)
        kind = layout.type
        if kind not in ("log", "category"):
            kind = "category" if any(map(_has_text, values)) else "linear"
        if letter == "y" and self.bars and kind == "linear":
            values = [*values, [0.0], self.heights().sum(0) if self.stacked else [0.0]]
        has_free_ends = letter == "y" or any(map(_has_markers, self.traces))
        margin = 0.05 if has_free_ends else 0.0
        return Axis(
            kind, values, begin, end, margin=margin, reversed=layout.autorange == "reversed"
        )

    def heights(self) -> np.ndarray:
        """Return the bars' heights: a row per trace, a column per name."""
        table = np.zeros((len(self.bars), len(self.bar_names)))
        for row, bar in zip(table, self.bars, strict=True):
            for name, height in zip(bar.x, np.nan_to_num(numbers(bar.y)), strict=True):
                row[self.bar_names.index(str(name))] = height
        return table

    def frame(self) -> Iterator[str]:
        """Draw the grid, and the labels of the axes."""
        if self.y_layout.visible is not False:
            yield from self._beside()
        if self.x_layout.visible is not False:
            yield from self._below()

    def _beside(self) -> Iterator[str]:
        """Draw the grid, and the labels and the title of the vertical axis."""
        is_category = self.y.kind == "category"
        for y, label in self.y.labels():
            if not is_category:
                yield line(self.left, y, self.right, y, LINE)
            label = f"{label}{self.y_layout.ticksuffix or ''}"
            yield text(self.left - 6, y + 4, label, text_anchor="end", fill=FAINT, font_size=10)
        title = self.y_layout.title.text
        if title:
            letters = max(map(len, self.y.names), default=0) if is_category else TICK_LETTERS
            x = self.left - 13 - letters * LETTER_PX
            y = (self.top + self.bottom) / 2
            turn = f"rotate(-90 {x:.1f} {y:.1f})"
            style = {"text_anchor": "middle", "fill": FAINT, "font_size": 11, "transform": turn}
            yield text(x, y, plain_text(title), **style)

    def _below(self) -> Iterator[str]:
        """Draw the labels and the title of the horizontal axis."""
        labels = []
        widest = 0.0
        for x, label in self.x.labels():
            labels.append((x, plain_text(label)))
            widest = max(widest, LETTER_PX * len(plain_text(label)))
        is_too_wide = self.x.kind == "category" and widest > self.x.step
        slanted = self.x_layout.tickangle or is_too_wide
        for x, label in labels:
            for number, row in enumerate(label.split("\n")):
                y = self.bottom + 15 + 12 * number
                style: dict[str, Any] = {"text_anchor": "middle", "fill": FAINT, "font_size": 10}
                if slanted:
                    style["transform"] = f"rotate({SLANT} {x:.1f} {y:.1f})"
                    style["text_anchor"] = "end"
                yield text(x, y, row, **style)
        title = self.x_layout.title.text
        if title:
            y = self.bottom + (22 + 0.65 * widest if slanted else 32)
            x = (self.left + self.right) / 2
            style = {"text_anchor": "middle", "fill": FAINT, "font_size": 11}
            yield text(x, y, plain_text(title), **style)


def _has_text(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


def _has_markers(trace: Any) -> bool:
    return trace.type == "scatter" and bool(trace.mode) and "markers" in trace.mode


def _axis_name(kind: str, name: str | None) -> str:
    """Return the layout's name of an axis: "xaxis2" of "x2"."""
    return kind + (name or "x")[1:]
