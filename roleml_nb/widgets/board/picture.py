"""The board as a still picture, drawn from the same plain data as the live one."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any
from xml.sax.saxutils import escape

from roleml_nb.pictures.palette import PALETTE
from roleml_nb.role.checks.names import shorten

__all__ = ["HUES", "draw"]

HUES = (*PALETTE[:4], "#B58900", PALETTE[5])
"""A colour per role name; of the palette, with a darker yellow."""
INK, FAINT, LINE = "#1c2630", "#5c6a77", "#9aa7b4"
CARD, FRAME, LOST = "#ffffff", "#f4f6f8", "#b3261e"
MARGIN, HEADER_HEIGHT, CHIP_HEIGHT = 20, 30, 24
MAX_WIDTH = 1100
MAX_DOTS = 6
"""Dots of roles on a small card."""


def draw(state: dict[str, Any]) -> str:
    """Return the SVG; the same for the same state."""
    left, top, right, bottom = _bounds([*state["nodes"], *state["groups"]])
    wide, tall = right - left, bottom - top
    shrink = min(1.0, MAX_WIDTH / wide)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(wide * shrink)}"'
            f' height="{_n(tall * shrink)}" viewBox="{_n(left)} {_n(top)} {_n(wide)} {_n(tall)}"'
            ' font-family="DejaVu Sans, sans-serif" font-size="12">'
        ),
        (
            '<defs><marker id="rml-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
            ' markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z"'
            f' fill="{LINE}"/></marker></defs>'
        ),
    ]
    labels = {host["id"]: host for host in state["hosts"]}
    for group in state["groups"]:
        parts.append(_frame(group, labels[group["host"]]))
    parts += _edges(state)
    for node in state["nodes"]:
        parts += _card(node, state)
    if not state["nodes"]:
        parts.append(
            f'<text x="{_n(left + MARGIN)}" y="{_n(top + MARGIN + 14)}" fill="{FAINT}">no'
            " nodes</text>"
        )
    return "".join([*parts, "</svg>"])


def _bounds(boxes: list[dict[str, Any]]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of all boxes, with a margin."""
    left = top = 0.0
    right, bottom = 200.0, 60.0
    if boxes:
        left = min(map(itemgetter("x"), boxes))
        top = min(map(itemgetter("y"), boxes))
        right = max(box["x"] + box["w"] for box in boxes)
        bottom = max(box["y"] + box["h"] for box in boxes)
    return left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN


def _frame(group: dict[str, Any], host: dict[str, Any]) -> str:
    box = (
        f'x="{_n(group["x"])}" y="{_n(group["y"])}" width="{_n(group["w"])}"'
        f' height="{_n(group["h"])}"'
    )
    return (
        f'<rect {box} rx="10" fill="{FRAME}" stroke="{LOST if host["lost"] else "#cfd6dd"}"/>'
        f'<text x="{_n(group["x"] + 14)}" y="{_n(group["y"] + 21)}"'
        f' fill="{LOST if host["lost"] else FAINT}">'
        f"{escape(host['label'])}{' (lost)' * bool(host['lost'])}</text>"
    )


def _card(node: dict[str, Any], state: dict[str, Any]) -> list[str]:
    x, y, wide, tall = node["x"], node["y"], node["w"], node["h"]
    edge = LOST if node["lost"] else "#9aa7b4"
    name = shorten(node["name"], 10 if state["many"] else 20)
    parts = [
        (
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(tall)}" rx="7"'
            f' fill="{CARD}" stroke="{edge}"/>'
        ),
        (
            f'<text x="{_n(x + 10)}" y="{_n(y + (15 if state["many"] else 20))}" font-weight="bold"'
            f' font-size="{11 if state["many"] else 13}" fill="{INK}">{escape(name)}</text>'
        ),
    ]
    if state["many"]:
        bottom = y + tall - 11
        for index, role in enumerate(node["roles"][:MAX_DOTS]):
            fill = _hue(role, state)
            parts.append(
                f'<circle cx="{_n(x + 14 + 12 * index)}" cy="{_n(bottom)}" r="4" fill="{fill}"/>'
            )
    else:
        for index, role in enumerate(node["roles"]):
            top = y + HEADER_HEIGHT + CHIP_HEIGHT * index
            parts.append(_chip(role, x, top, wide, _hue(role, state)))
    return parts


def _hue(role: dict[str, Any], state: dict[str, Any]) -> str:
    return HUES[state["hues"][role["name"]] % len(HUES)]


def _chip(role: dict[str, Any], x: float, top: float, wide: float, hue: str) -> str:
    """Return a role on the card of its node."""
    version = f" v{role['version']}" if role["version"] > 1 else ""
    high = CHIP_HEIGHT - 4
    return (
        f'<rect x="{_n(x + 8)}" y="{_n(top)}" width="{_n(wide - 16)}" height="{high}" rx="4"'
        f' fill="{hue}" fill-opacity="0.14" stroke="{hue}"/>'
        f'<rect x="{_n(x + 8)}" y="{_n(top)}" width="5" height="{high}" rx="2" fill="{hue}"/>'
        f'<text x="{_n(x + 19)}" y="{_n(top + 14)}" font-size="11" fill="{INK}">'
        f"{escape(shorten(role['name'] + version, 22))}</text>"
    )


def _edges(state: dict[str, Any]) -> list[str]:
    by_name = {node["name"]: node for node in state["nodes"]}
    parts = []
    for pair in state["pairs"]:
        begin, end = by_name[pair["source"]], by_name[pair["target"]]
        (x1, y1), (x2, y2) = _border(begin, end), _border(end, begin)
        more = ' marker-start="url(#rml-head)"' if pair["both"] else ""
        parts.append(
            f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{LINE}" '
            f'stroke-width="1.4" marker-end="url(#rml-head)"{more}/>'
        )
    return parts


def _border(box: dict[str, Any], other: dict[str, Any]) -> tuple[float, float]:
    """Return the point where the line between the middles of two boxes leaves the first."""
    x, y = box["x"] + box["w"] / 2, box["y"] + box["h"] / 2
    across, down = other["x"] + other["w"] / 2 - x, other["y"] + other["h"] / 2 - y
    if not across and not down:
        return x, y
    share = min(
        box["w"] / 2 / abs(across) if across else math.inf,
        box["h"] / 2 / abs(down) if down else math.inf,
    )
    return x + across * share, y + down * share


def _n(number: float) -> str:
    return f"{round(number, 1):g}"
