"""SVG, written as text. Numbers are rounded, so that the same state gives the same bytes."""

from __future__ import annotations

import html
import re
from typing import Any

from roleml_nb.role.checks.visible import visible

__all__ = [
    "COLOURS",
    "FAINT",
    "INK",
    "LINE",
    "RAISED",
    "document",
    "element",
    "plain_text",
    "text",
]

INK, FAINT, LINE, RAISED = "#1c2630", "#5c6a77", "#cfd6dd", "#f4f6f8"
COLOURS = {
    "service": "#0072b2",
    "task": "#b85000",
    "reply": "#5c6a77",
    "event": "#00805a",
    "error": "#b3261e",
}
"""Colours of the kinds of messages, as in the live views in the light theme."""


def element(name: str, content: str = "", /, **attributes: Any) -> str:
    """Return an element: ``element("circle", r=3, fill="#fff")``.

    Underscores in names become hyphens; attributes of None are left out.
    """
    given = ""
    for key, value in attributes.items():
        if value is not None:
            given += f' {key.replace("_", "-")}="{_value(value)}"'
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def text(x: float, y: float, content: Any, **attributes: Any) -> str:
    escaped = html.escape(visible(str(content)))
    return element("text", escaped, x=x, y=y, **{"fill": INK, **attributes})


def plain_text(label: str | None) -> str:
    """Return a text of Plotly without its tags: ``<br>`` ends a line."""
    return re.sub(r"<(?!br)[^<>]*>", "", label or "").replace("<br>", "\n")


def document(width: float, height: float, parts: list[str], title: str) -> str:
    """Return the whole picture, on white."""
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
