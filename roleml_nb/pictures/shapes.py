"""Shapes of pictures as SVG: lines, boxes, areas, arrows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .svg import element

__all__ = ["area", "arrow", "box", "line", "path"]

ARROW_HEAD_PX, ARROW_HALF_WIDTH_PX = 7, 3.5


def path(x: np.ndarray, y: np.ndarray) -> str:
    """Return the `d` of a path through points."""
    points = zip(x, y, strict=True)
    return "M" + " ".join(f"{one:.1f},{other:.1f}" for one, other in points)


def line(x0: float, y0: float, x1: float, y1: float, stroke: str, **style: Any) -> str:
    d = f"M{x0:.1f},{y0:.1f} {x1:.1f},{y1:.1f}"
    return element("path", d=d, stroke=stroke, fill="none", **style)


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    size = {"width": float(width), "height": float(height)}
    return element("rect", x=float(x), y=float(y), **size, fill=fill)


def area(x: np.ndarray, y: np.ndarray, fill: str, **style: Any) -> str:
    """Return the area within the finite points; empty without one."""
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.any():
        return ""
    return element("path", d=f"{path(x[finite], y[finite])}Z", fill=fill, **style)


def arrow(x0: float, y0: float, x1: float, y1: float, stroke: str) -> Iterator[str]:
    """Draw an arrow that ends at (x1, y1)."""
    yield line(x0, y0, x1, y1, stroke)
    length = max(1e-9, float(np.hypot(x1 - x0, y1 - y0)))
    along = np.array([x1 - x0, y1 - y0]) / length
    back = np.array([x1, y1]) - ARROW_HEAD_PX * along
    side = ARROW_HALF_WIDTH_PX * np.array([-along[1], along[0]])
    corners = np.array([[x1, y1], back + side, back - side])
    yield element("path", d=f"{path(corners[:, 0], corners[:, 1])}Z", fill=stroke)
