"""SVG, written as text: elements with rounded numbers, so that the same state gives the same
bytes.
"""

from __future__ import annotations

import html
from typing import Any

from roleml_nb.role.checks.visible import visible

__all__ = ["COLOURS", "FAINT", "INK", "LINE", "RAISED", "document", "element", "text"]

INK, FAINT, LINE, RAISED = "#1c2630", "#5c6a77", "#cfd6dd", "#f4f6f8"
COLOURS = {
    "service": "#0072b2",
    "task": "#b85000",
    "reply": "#5c6a77",
    "event": "#00805a",
    "error": "#b3261e",
}
"""Of the kinds of messages: those of the live views in the light theme."""


def element(name: str, content: str = "", /, **attributes: Any) -> str:
    """``element("circle", r=3, fill="#fff")``; underscores in names become hyphens."""
    given = "".join(
        f' {key.replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def text(x: float, y: float, content: Any, **attributes: Any) -> str:
    return element(
        "text", html.escape(visible(str(content))), x=x, y=y, **{"fill": INK, **attributes}
    )


def document(width: float, height: float, parts: list[str], title: str) -> str:
    """The whole picture, on white."""
    ground = element("rect", width=width, height=height, fill="#ffffff")
    content = element("title", html.escape(visible(title)) or " ") + ground + "\n".join(parts)
    return element(
        "svg",
        content,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        font_family="DejaVu Sans, sans-serif",
        font_size=12,
    )


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return html.escape(visible(str(value)))
