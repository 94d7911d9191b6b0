"""Still pictures of traffic: one for each tab of the view."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import numpy as np

from roleml_nb.pictures.svg import COLOURS, FAINT, INK, LINE, RAISED, document, element, text
from roleml_nb.role import did_you_mean, natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.flows import Flows
from roleml_nb.trace.messages import is_control

from .aggregation_picture import aggregation
from .columns import Columns
from .sample import ANSWERS

__all__ = ["TABS", "TrafficState"]

WIDTH = 900
GRAPH_HEIGHT = 480
MAX_LINES = 2000
"""Messages, and handlers at work, that are drawn."""
MAX_LABELLED_NODES = 60
MAX_MATRIX_NODES = 60
"""Of more nodes, a matrix has the busiest."""
LANES_LEFT, LANES_TOP, LANES_WIDTH = 110, 34, WIDTH - 145
MATRIX_LEFT, MATRIX_TOP = 100, 110
MAX_FONT_SIZE = 12.0
MIN_CELL_WITH_SIZE = 34
"""The size from which on a cell of the matrix has room for its number of bytes."""

Places = Mapping[str, Sequence[float]]
Links = Sequence[tuple[str, str]]
Pair = tuple[str, str]


class NumberedFlow(NamedTuple):
    """A flow that does not steer the testbed."""

    number: int
    source: str
    target: str
    channel: str
    kind: str

    @property
    def nodes(self) -> Pair:
        return self.source.partition("/")[0], self.target.partition("/")[0]


class Work(NamedTuple):
    """A handler at work: the kind of its call, its arrival, and when the answer was sent."""

    node: str
    kind: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class TrafficState(NamedTuple):
    """The data of all pictures."""

    trace: Trace
    columns: Columns
    """A sample of the messages."""
    flows: Flows
    places: Places
    links: Links = ()

    def draw(self, tab: str) -> str:
        """Return the SVG of a tab; ValueError for one that is not there."""
        if tab not in TABS:
            raise ValueError(f"traffic has no tab {tab!r}; {did_you_mean(tab, TABS)}")
        return TABS[tab](self)


def _shown(flows: Flows) -> list[NumberedFlow]:
    """Return the flows that have messages, and do not steer the testbed."""
    counts = flows.totals[0]
    shown = []
    for key, number in list(flows.keys.items()):
        if number < len(counts) and counts[number] and not is_control(*key[:2]):
            shown.append(NumberedFlow(number, *key))
    return shown


def _bytes_between(flows: Flows) -> dict[Pair, float]:
    """Return the bytes from node to node."""
    sums: dict[Pair, float] = {}
    for flow in _shown(flows):
        sums[flow.nodes] = sums.get(flow.nodes, 0.0) + float(flows.totals[1, flow.number])
    return sums


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return ""


def _title(flows: Flows) -> str:
    numbers = [flow.number for flow in _shown(flows)]
    messages, size = flows.totals[:2, numbers].sum(1)
    return f"{int(messages):,} messages, {_size(size)}"


# the graph


def _graph(flows: Flows, places: Places, links: Links) -> str:
    at: dict[str, tuple[float, float]] = {}
    for node, (x, y) in places.items():
        at[node] = (70 + x * (WIDTH - 140), 50 + y * (GRAPH_HEIGHT - 110))
    sums = {}
    for (source, target), size in _bytes_between(flows).items():
        if source != target and source in at and target in at:
            sums[source, target] = size
    radius = min(17.0, max(2.5, 58 / math.sqrt(max(1, len(at)))))
    most = math.log1p(max(sums.values(), default=1.0))
    parts = [text(12, 22, _title(flows), fill=FAINT)]
    for one, other in links:
        if one in at and other in at and (one, other) not in sums and (other, one) not in sums:
            parts.append(_link_line(*at[one], *at[other]))
    for (source, target), size in sorted(sums.items(), key=itemgetter(1)):
        share = math.log1p(size) / most
        parts.append(_flow_line(*at[source], *at[target], radius, share))
    for node, (x, y) in at.items():
        circle = element(
            "circle", cx=x, cy=y, r=radius, fill=RAISED, stroke=FAINT, stroke_width=1.4
        )
        parts.append(circle)
        if len(at) <= MAX_LABELLED_NODES:
            outline = {"paint_order": "stroke", "stroke": "#ffffff", "stroke_width": 3}
            parts.append(text(x, y + radius + 14, node, text_anchor="middle", **outline))
    return document(WIDTH, GRAPH_HEIGHT, parts, "who sent to whom")


def _link_line(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return the line between nodes that know each other, and have sent each other nothing yet."""
    dashes = {"stroke_opacity": 0.6, "stroke_dasharray": "2 4"}
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=FAINT, **dashes)


def _flow_line(x1: float, y1: float, x2: float, y2: float, radius: float, share: float) -> str:
    """Return the line from a node to another one, beside the line of the way back."""
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    u, v = (x2 - x1) / length, (y2 - y1) / length
    near = min(radius + 2, length / 3)
    side = min(4.0, radius / 2.5)
    return element(
        "line",
        x1=x1 + u * near - v * side,
        y1=y1 + v * near + u * side,
        x2=x2 - u * near - v * side,
        y2=y2 - v * near + u * side,
        stroke=COLOURS["service"],
        stroke_width=0.5 + 3.5 * share**3,
        stroke_opacity=0.45,
    )


# space-time


class _Lanes:
    """The coordinates of the space-time picture: a lane per node, and time from left to right."""

    def __init__(self, nodes: Sequence[str], begin: float, end: float):
        self.height = min(44.0, max(6.0, 560 / max(1, len(nodes))))
        self.middle: dict[str, float] = {}
        """{node: y of the middle of its lane}."""
        for place, node in enumerate(nodes):
            self.middle[node] = LANES_TOP + self.height * (place + 0.5)
        self.bottom = self.height * len(nodes) + 60
        self.begin, self.end = begin, end
        self._scale = LANES_WIDTH / ((end - begin) or 1.0)

    def x(self, time: float) -> float:
        return LANES_LEFT + (time - self.begin) * self._scale


def _space_time(columns: Columns, flows: Flows, gone: str) -> str:
    shown = {flow.number: flow for flow in _shown(flows)}
    rows = [row for row, number in enumerate(columns.flow.tolist()) if number in shown]
    works = _works(columns, rows, shown)
    one_in = max(1, -(-len(rows) // MAX_LINES))
    rows = rows[::one_in]
    sent = columns.sent[rows]
    received = sent + columns.latency[rows]
    begin, end = (float(sent.min()), float(received.max())) if rows else (0.0, 1.0)
    lanes = _Lanes(_nodes(shown.values()), begin, end)
    thin = f", 1 in {one_in} is drawn" if one_in > 1 else ""
    parts = [text(12, 20, f"{_title(flows)}{thin}{gone and ', '}{gone}", fill=FAINT)]
    parts += _lane_labels(lanes)
    for work in works:
        parts.append(_work_bar(lanes, work))
    for row, start, stop in zip(rows, sent.tolist(), received.tolist(), strict=True):
        flow = shown[int(columns.flow[row])]
        source, target = flow.nodes
        line = element(
            "line",
            x1=lanes.x(start),
            y1=lanes.middle[source],
            x2=lanes.x(stop),
            y2=lanes.middle[target],
            stroke=COLOURS.get(flow.kind, FAINT),
            stroke_width=1,
            stroke_opacity=0.6,
        )
        parts.append(line)
    parts += _time_labels(lanes)
    return document(WIDTH, lanes.bottom, parts, "messages and handlers at work over time")


def _nodes(flows: Iterable[NumberedFlow]) -> list[str]:
    nodes: set[str] = set()
    for flow in flows:
        nodes.update(flow.nodes)
    return sorted(nodes, key=natural_key)


def _lane_labels(lanes: _Lanes) -> list[str]:
    """Return every second lane's ground, and the names of as many nodes as there is room for."""
    parts = []
    font_size = min(MAX_FONT_SIZE, max(7.0, lanes.height))
    for place, (node, y) in enumerate(lanes.middle.items()):
        if place % 2 == 0:
            top = y - lanes.height / 2
            ground = element("rect", x=0, y=top, width=WIDTH, height=lanes.height, fill=RAISED)
            parts.append(ground)
        if lanes.height >= 11 or place % 2 == 0:
            parts.append(text(12, y + 4, node, font_size=font_size))
    return parts


def _time_labels(lanes: _Lanes) -> list[str]:
    seconds = lanes.end - lanes.begin
    # enough digits to tell one label from the next
    digits = max(0, math.ceil(-math.log10((seconds or 1.0) / 5)))
    y = lanes.bottom - 8
    parts = []
    for share in np.linspace(0, 1, 6).tolist():
        time = lanes.begin + seconds * share
        label = f"{time:.{digits}f} s"
        parts.append(text(lanes.x(time), y, label, fill=FAINT, text_anchor="middle"))
    return parts


def _work_bar(lanes: _Lanes, work: Work) -> str:
    height = min(14.0, lanes.height * 0.5)
    x = lanes.x(max(work.start, lanes.begin))
    return element(
        "rect",
        x=x,
        y=lanes.middle[work.node] - height / 2,
        width=max(0.7, lanes.x(min(work.end, lanes.end)) - x),
        height=height,
        fill=COLOURS.get(work.kind, FAINT),
        fill_opacity=0.3,
    )


def _works(columns: Columns, rows: Sequence[int], shown: Mapping[int, NumberedFlow]) -> list[Work]:
    """Return handlers at work, from calls and their answers; of too many, the longest."""
    begun: dict[tuple[int, str, str], tuple[str, float]] = {}
    works = []
    for row in rows:
        flow = shown[int(columns.flow[row])]
        call, sent = int(columns.call[row]), float(columns.sent[row])
        if call and flow.kind in ANSWERS:
            asked = begun.pop((call, flow.target, flow.source), None)
            if asked is not None:
                works.append(Work(flow.nodes[0], *asked, sent))
        elif call:
            begun[call, flow.source, flow.target] = (
                flow.kind,
                sent + float(columns.latency[row]),
            )
    return sorted(works, key=attrgetter("seconds"), reverse=True)[:MAX_LINES]


# the matrix


def _matrix(flows: Flows) -> str:
    sums = _bytes_between(flows)
    names = _busiest(sums)
    size = min(46.0, 520 / max(1, len(names)))
    between = [value for (source, target), value in sums.items() if source != target]
    most = math.log1p(max(between, default=1.0))
    parts = [text(12, 22, f"bytes from (rows) to (columns): {_title(flows)}", fill=FAINT)]
    font_size = min(MAX_FONT_SIZE, size)
    for row, source in enumerate(names):
        y = MATRIX_TOP + row * size
        baseline = y + size / 2 + 4
        label = text(MATRIX_LEFT - 6, baseline, source, text_anchor="end", font_size=font_size)
        turned = f"translate({MATRIX_LEFT + (row + 0.6) * size:.2f} {MATRIX_TOP - 6}) rotate(-45)"
        parts += [label, text(0, 0, source, font_size=font_size, transform=turned)]
        for place, target in enumerate(names):
            x = MATRIX_LEFT + place * size
            parts += _cell(x, y, size, sums.get((source, target)), most, own=source == target)
    right = MATRIX_LEFT + size * len(names)
    parts += _channels(flows, right + 30, MATRIX_TOP)
    channels = {key[2:] for key in flows.keys}
    height = max(size * len(names), 18.0 * (len(channels) + 1))
    return document(right + 400, MATRIX_TOP + height + 20, parts, "who sent how much to whom")


def _busiest(sums: Mapping[Pair, float]) -> list[str]:
    """Return the nodes that a matrix has room for, in the order of their names."""
    traffic: dict[str, float] = {}
    for ends, size in sums.items():
        for node in ends:
            traffic[node] = traffic.get(node, 0.0) + size
    busiest = sorted(traffic, key=lambda node: -traffic[node])
    return sorted(busiest[:MAX_MATRIX_NODES], key=natural_key)


def _cell(
    x: float, y: float, size: float, value: float | None, most: float, *, own: bool
) -> list[str]:
    box: dict[str, Any] = {"x": x, "y": y, "width": size - 1, "height": size - 1}
    if value is None:
        return [element("rect", **box, fill=RAISED)]
    share = min(1.0, math.log1p(value) / most)
    fill, opacity = (FAINT, 0.3) if own else (COLOURS["service"], 0.12 + 0.88 * share)
    parts = [element("rect", **box, fill=fill, fill_opacity=opacity)]
    if size > MIN_CELL_WITH_SIZE:
        label = text(
            x + size / 2,
            y + size / 2 + 3,
            _size(value),
            font_size=9,
            text_anchor="middle",
            fill="#ffffff" if share > 0.6 and not own else INK,
        )
        parts.append(label)
    return parts


def _channels(flows: Flows, left: float, top: float) -> list[str]:
    """Return the list of channels with their messages and bytes, the most bytes first."""
    sums: dict[Pair, Any] = {}
    for flow in _shown(flows):
        pair = flow.channel, flow.kind
        sums[pair] = sums.get(pair, 0) + flows.totals[:2, flow.number]
    if not sums:
        return []
    line = element("line", x1=left - 6, y1=top - 4, x2=left + 334, y2=top - 4, stroke=LINE)
    parts = [line]
    by_bytes = sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))
    for place, ((channel, kind), (messages, size)) in enumerate(by_bytes):
        y = top + 12 + 18 * place
        parts.append(element("circle", cx=left, cy=y - 4, r=4, fill=COLOURS.get(kind, FAINT)))
        parts.append(text(left + 12, y, f"{channel} {kind}"))
        parts.append(text(left + 250, y, f"{int(messages):,}", text_anchor="end"))
        parts.append(text(left + 330, y, _size(size), text_anchor="end"))
    return parts


TABS: dict[str, Callable[[TrafficState], str]] = {
    "graph": lambda state: _graph(state.flows, state.places, state.links),
    "space-time": lambda state: _space_time(
        state.columns, state.flows, state.trace.messages.describe_gone()
    ),
    "matrix": lambda state: _matrix(state.flows),
    "aggregation": lambda state: aggregation(state.trace),
}
"""{name of a tab, as in its script: the function that draws its picture}, in order."""
