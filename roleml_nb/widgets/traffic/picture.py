"""Still pictures of traffic: one for each tab of the view."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roleml_nb.pictures.svg import COLOURS, FAINT, INK, LINE, RAISED, document, element, text
from roleml_nb.role import did_you_mean, natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.flows import Flows
from roleml_nb.trace.messages import is_control

from .aggregation_picture import aggregation
from .columns import Columns

__all__ = ["ANSWERS", "TABS", "draw"]

TABS = ("graph", "space-time", "matrix", "aggregation")
WIDTH = 900
LINES = 2000
"""Messages that are drawn at most."""
ANSWERS = ("reply", "error", "moved")
CELLS = 60
"""Nodes that a matrix has at most; of more, the busiest."""

Places = Mapping[str, Sequence[float]]
Links = Sequence[tuple[str, str]]


def draw(
    tab: str, trace: Trace, columns: Columns, flows: Flows, places: Places, links: Links = ()
) -> str:
    """The SVG of a tab; ValueError for one that is not there."""
    if tab not in TABS:
        raise ValueError(f"traffic has no tab {tab!r}; {did_you_mean(tab, TABS)}")
    if tab == "graph":
        return _graph(flows, places, links)
    if tab == "space-time":
        return _lanes(columns, flows, trace.messages.describe_gone())
    if tab == "aggregation":
        return aggregation(trace)
    return _matrix(flows)


def _shown(flows: Flows) -> list[tuple[int, str, str, str, str]]:
    """Number, source, target, channel and kind of the flows that do not steer the testbed."""
    counted = flows.totals[0]
    return [
        (number, *key)
        for key, number in list(flows.keys.items())
        if number < len(counted) and counted[number] and not is_control(*key[:2])
    ]


def _between(flows: Flows, row: int) -> dict[tuple[str, str], float]:
    """Messages (row 0) or bytes (1) from node to node."""
    sums: dict[tuple[str, str], float] = {}
    for number, source, target, _, _ in _shown(flows):
        ends = source.partition("/")[0], target.partition("/")[0]
        sums[ends] = sums.get(ends, 0.0) + float(flows.totals[row, number])
    return sums


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return ""


def _title(flows: Flows) -> str:
    numbers = [number for number, *_ in _shown(flows)]
    messages, size = flows.totals[:2, numbers].sum(1)
    return f"{int(messages):,} messages, {_size(size)}"


def _graph(flows: Flows, places: Places, links: Links) -> str:
    high = 480
    at = {node: (70 + x * (WIDTH - 140), 50 + y * (high - 110)) for node, (x, y) in places.items()}
    radius = min(17.0, max(2.5, 58 / math.sqrt(max(1, len(at)))))
    sums = {
        ends: size
        for ends, size in _between(flows, 1).items()
        if ends[0] != ends[1] and set(ends) <= at.keys()
    }
    most = math.log1p(max(sums.values(), default=1.0))
    parts = [text(12, 22, _title(flows), fill=FAINT)]
    for one, other in links:
        if {one, other} <= at.keys() and not {(one, other), (other, one)} & sums.keys():
            (ax, ay), (bx, by) = at[one], at[other]
            parts.append(
                element(
                    "line",
                    x1=ax,
                    y1=ay,
                    x2=bx,
                    y2=by,
                    stroke=FAINT,
                    stroke_opacity=0.6,
                    stroke_dasharray="2 4",
                )
            )
    for (source, target), size in sorted(sums.items(), key=lambda item: item[1]):
        (ax, ay), (bx, by) = at[source], at[target]
        length = math.hypot(bx - ax, by - ay) or 1.0
        u, v = (bx - ax) / length, (by - ay) / length
        near, side = min(radius + 2, length / 3), min(4.0, radius / 2.5)
        width = 0.5 + 3.5 * (math.log1p(size) / most) ** 3
        parts.append(
            element(
                "line",
                x1=ax + u * near - v * side,
                y1=ay + v * near + u * side,
                x2=bx - u * near - v * side,
                y2=by - v * near + u * side,
                stroke=COLOURS["service"],
                stroke_width=width,
                stroke_opacity=0.45,
            )
        )
    for node, (x, y) in at.items():
        parts.append(
            element("circle", cx=x, cy=y, r=radius, fill=RAISED, stroke=FAINT, stroke_width=1.4)
        )
        if len(at) <= 60:
            parts.append(
                text(
                    x,
                    y + radius + 14,
                    node,
                    text_anchor="middle",
                    paint_order="stroke",
                    stroke="#ffffff",
                    stroke_width=3,
                )
            )
    return document(WIDTH, high, parts, "who sent to whom")


def _lanes(columns: Columns, flows: Flows, gone: str) -> str:
    shown = {number: (source, target, kind) for number, source, target, _, kind in _shown(flows)}
    rows = [row for row in range(columns.rows) if int(columns.flow[row]) in shown]
    works = _works(columns, rows, shown)
    every = max(1, -(-len(rows) // LINES))
    rows = rows[::every]
    names = sorted(
        {end.partition("/")[0] for source, target, _ in shown.values() for end in (source, target)},
        key=natural_key,
    )
    each = min(44.0, max(6.0, 560 / max(1, len(names))))
    high = each * len(names) + 60
    lane = {node: 34 + each * (place + 0.5) for place, node in enumerate(names)}
    sent = columns.sent[rows]
    received = sent + columns.latency[rows]
    begin, end = (float(sent.min()), float(received.max())) if rows else (0.0, 1.0)
    scale = (WIDTH - 145) / ((end - begin) or 1.0)
    thin = f", 1 in {every} is drawn" if every > 1 else ""
    parts = [text(12, 20, f"{_title(flows)}{thin}{gone and ', '}{gone}", fill=FAINT)]
    for place, node in enumerate(names):
        if place % 2 == 0:
            parts.append(
                element("rect", x=0, y=lane[node] - each / 2, width=WIDTH, height=each, fill=RAISED)
            )
        if each >= 11 or place % 2 == 0:
            parts.append(text(12, lane[node] + 4, node, font_size=min(12.0, max(7.0, each))))
    bar = min(14.0, each * 0.5)
    for node, kind, start, stop in works:
        x = 110 + max(0.0, start - begin) * scale
        long = max(0.7, 110 + (min(stop, end) - begin) * scale - x)
        parts.append(
            element(
                "rect",
                x=x,
                y=lane[node] - bar / 2,
                width=long,
                height=bar,
                fill=COLOURS.get(kind, FAINT),
                fill_opacity=0.3,
            )
        )
    for row, start, stop in zip(rows, sent, received, strict=True):
        source, target, kind = shown[int(columns.flow[row])]
        parts.append(
            element(
                "line",
                x1=110 + (float(start) - begin) * scale,
                y1=lane[source.partition("/")[0]],
                x2=110 + (float(stop) - begin) * scale,
                y2=lane[target.partition("/")[0]],
                stroke=COLOURS.get(kind, FAINT),
                stroke_width=1,
                stroke_opacity=0.6,
            )
        )
    # as many as tell one mark from the next
    digits = max(0, math.ceil(-math.log10((end - begin or 1.0) / 5)))
    for share in np.linspace(0, 1, 6):
        time = begin + (end - begin) * float(share)
        parts.append(
            text(
                110 + (time - begin) * scale,
                high - 8,
                f"{time:.{digits}f} s",
                fill=FAINT,
                text_anchor="middle",
            )
        )
    return document(WIDTH, high, parts, "messages and handlers at work over time")


def _works(
    columns: Columns, rows: Sequence[int], shown: Mapping[int, tuple[str, str, str]]
) -> list[tuple[str, str, float, float]]:
    """Handlers at work: node, kind of the call, when it had come, when its answer was sent.

    Of too many the longest.
    """
    begun: dict[tuple[int, str, str], tuple[str, float]] = {}
    works = []
    for row in rows:
        source, target, kind = shown[int(columns.flow[row])]
        call, sent = int(columns.call[row]), float(columns.sent[row])
        if call and kind in ANSWERS:
            if (call, target, source) in begun:
                asked, start = begun.pop((call, target, source))
                works.append((source.partition("/")[0], asked, start, sent))
        elif call:
            begun[call, source, target] = kind, sent + float(columns.latency[row])
    return sorted(works, key=lambda work: work[2] - work[3])[:LINES]


def _matrix(flows: Flows) -> str:
    sums = _between(flows, 1)
    traffic: dict[str, float] = {}
    for ends, size in sums.items():
        for node in ends:
            traffic[node] = traffic.get(node, 0.0) + size
    names = sorted(sorted(traffic, key=lambda node: -traffic[node])[:CELLS], key=natural_key)
    size = min(46.0, 520 / max(1, len(names)))
    left, top = 100, 110
    most = math.log1p(
        max((value for ends, value in sums.items() if ends[0] != ends[1]), default=1.0)
    )
    parts = [text(12, 22, f"bytes from (rows) to (columns): {_title(flows)}", fill=FAINT)]
    for row, source in enumerate(names):
        y = top + row * size
        parts.append(
            text(left - 6, y + size / 2 + 4, source, text_anchor="end", font_size=min(12.0, size))
        )
        turned = f"translate({left + (row + 0.6) * size:.2f} {top - 6}) rotate(-45)"
        parts.append(text(0, 0, source, font_size=min(12.0, size), transform=turned))
        for place, target in enumerate(names):
            parts += _cell(
                left + place * size, y, size, sums.get((source, target)), most, own=source == target
            )
    parts += _channels(flows, left + size * len(names) + 30, top)
    rows = max(size * len(names), 18.0 * (len({key[2:] for key in flows.keys}) + 1))
    return document(
        left + size * len(names) + 400, top + rows + 20, parts, "who sent how much to whom"
    )


def _cell(
    x: float, y: float, size: float, value: float | None, most: float, *, own: bool
) -> list[str]:
    box: dict[str, Any] = {"x": x, "y": y, "width": size - 1, "height": size - 1}
    if value is None:
        return [element("rect", **box, fill=RAISED)]
    share = min(1.0, math.log1p(value) / most)
    fill, opacity = (FAINT, 0.3) if own else (COLOURS["service"], 0.12 + 0.88 * share)
    parts = [element("rect", **box, fill=fill, fill_opacity=opacity)]
    if size > 34:
        parts.append(
            text(
                x + size / 2,
                y + size / 2 + 3,
                _size(value),
                font_size=9,
                text_anchor="middle",
                fill="#ffffff" if share > 0.6 and not own else INK,
            )
        )
    return parts


def _channels(flows: Flows, left: float, top: float) -> list[str]:
    sums: dict[tuple[str, str], Any] = {}
    for number, _, _, channel, kind in _shown(flows):
        sums[channel, kind] = sums.get((channel, kind), 0) + flows.totals[:2, number]
    parts = []
    for place, ((channel, kind), (messages, size)) in enumerate(
        sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))
    ):
        y = top + 12 + 18 * place
        parts.append(element("circle", cx=left, cy=y - 4, r=4, fill=COLOURS.get(kind, FAINT)))
        parts.append(text(left + 12, y, f"{channel} {kind}"))
        parts.append(text(left + 250, y, f"{int(messages):,}", text_anchor="end"))
        parts.append(text(left + 330, y, _size(size), text_anchor="end"))
    return (
        [element("line", x1=left - 6, y1=top - 4, x2=left + 334, y2=top - 4, stroke=LINE), *parts]
        if parts
        else []
    )
