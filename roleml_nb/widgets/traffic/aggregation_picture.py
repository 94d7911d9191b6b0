"""Still picture of aggregations: contributions to each round, or whose model reached whom."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from roleml_nb.pictures.svg import COLOURS, FAINT, RAISED, document, element, text
from roleml_nb.role import natural_key
from roleml_nb.trace import Trace
from roleml_nb.trace.contributions import Contribution

__all__ = ["aggregation"]

FILLS = {
    "arrived": COLOURS["event"],
    "stale": COLOURS["task"],
    "late": COLOURS["error"],
    "dropped": COLOURS["error"],
    "failed": COLOURS["error"],
    "busy": FAINT,
}
MAX_ROUNDS = 40
LEFT, TOP = 150.0, 44.0
ROUND_WIDTH = 16.0
MATRIX_TOP = 110.0
BAR_WIDTH = 120
MAX_FONT_SIZE = 12.0
MAX_AGE_FONT_SIZE = 11.0
MIN_COUNTED_CELL = 20
"""The size from which on a cell has room for its count."""


def aggregation(trace: Trace) -> str:
    """Return the SVG: of one aggregator, its last rounds; of several, how often the models of each
    went into those of each.
    """
    parts = trace.contributions.all()
    if not parts:
        nothing = text(12, 24, "nothing was aggregated yet", fill=FAINT)
        return document(400, 40, [nothing], "contributions")
    targets = _sorted(part.target for part in parts)
    return _rounds(parts) if len(targets) == 1 else _reach(parts, targets)


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(set(names), key=natural_key)


def _node(role: str) -> str:
    return role.partition("/")[0]


def _size(number: float | None) -> float:
    """Return a weight or an age as a size: 0 if it is negative, not finite, or not there."""
    return number if number is not None and math.isfinite(number) and number > 0 else 0.0


def _rounds(parts: Sequence[Contribution]) -> str:
    """Draw a column per round and a row per contributor."""
    steps = sorted({part.step for part in parts})[-MAX_ROUNDS:]
    shown = [part for part in parts if part.step in steps]
    sources = _sorted(part.source for part in shown)
    high = min(20.0, max(4.0, 480 / len(sources)))
    heaviest = max(_size(part.weight) for part in parts) or 1.0
    title = (
        f"{parts[0].target}: contributions to rounds {steps[0]} to {steps[-1]}; the size is the"
        " weight"
    )
    drawn = [text(12, 20, title, fill=FAINT)]
    font_size = min(MAX_FONT_SIZE, high + 1)
    for row, source in enumerate(sources):
        y = TOP + high * (row + 0.5) + 4
        drawn.append(text(LEFT - 8, y, source, text_anchor="end", font_size=font_size))
    for part in shown:
        share = 1.0 if part.weight is None else 0.2 + 0.8 * (_size(part.weight) / heaviest)
        row_top = TOP + high * sources.index(part.source)
        bar = element(
            "rect",
            x=LEFT + ROUND_WIDTH * steps.index(part.step),
            y=row_top + high * (1 - share) / 2,
            width=ROUND_WIDTH - 2,
            height=max(1.0, (high - 1) * share),
            fill=FILLS[part.outcome],
            fill_opacity=1.0 if part.weight is not None else 0.5,
        )
        drawn.append(bar)
    bottom = TOP + high * len(sources)
    drawn += _legend(bottom + 18)
    width = max(LEFT + ROUND_WIDTH * len(steps) + 20, 660)
    return document(width, bottom + 36, drawn, "contributions to rounds")


def _legend(y: float) -> list[str]:
    drawn = []
    for place, (outcome, fill) in enumerate(FILLS.items()):
        x = LEFT + 80 * place
        drawn.append(element("circle", cx=x, cy=y, r=4, fill=fill))
        drawn.append(text(x + 8, y + 4, outcome, fill=FAINT, font_size=11))
    return drawn


def _reach(parts: Sequence[Contribution], targets: Sequence[str]) -> str:
    """Draw a matrix of nodes: how often the model of one went into that of another."""
    nodes = _sorted(map(_node, [*targets, *(part.source for part in parts)]))
    rows = list(map(_node, targets))
    size = min(34.0, max(4.0, 480 / len(nodes)))
    counts: Counter[tuple[str, str]] = Counter()
    ages: dict[str, float] = {}
    for part in parts:
        target, source = _node(part.target), _node(part.source)
        counts[target, source] += 1
        ages[target] = max(ages.get(target, 0.0), _size(part.age))
    most = 1
    for (target, source), count in counts.items():
        if target != source:
            most = max(most, count)
    oldest = max(ages.values()) or 1.0
    title = "how often a model of each node (columns) went into that of each (rows); age"
    drawn = [text(12, 20, title, fill=FAINT)]
    font_size = min(MAX_FONT_SIZE, size)
    for place, node in enumerate(nodes):
        turned = f"translate({LEFT + (place + 0.6) * size:.2f} {MATRIX_TOP - 6:.0f}) rotate(-45)"
        drawn.append(text(0, 0, node, font_size=font_size, transform=turned))
    right = LEFT + size * len(nodes)
    for row, node in enumerate(rows):
        y = MATRIX_TOP + row * size
        baseline = y + size / 2 + 4
        drawn.append(text(LEFT - 8, baseline, node, text_anchor="end", font_size=font_size))
        for place, source in enumerate(nodes):
            share = None if source == node else counts[node, source] / most
            drawn += _cell(LEFT + place * size, y, size, counts[node, source], share)
        bar = element(
            "rect",
            x=right + 20,
            y=y + size * 0.2,
            width=BAR_WIDTH * (ages[node] / oldest),
            height=size * 0.6,
            fill=COLOURS["service"],
        )
        end = right + 20 + BAR_WIDTH * (ages[node] / oldest)
        age_font_size = min(MAX_AGE_FONT_SIZE, size)
        drawn.append(bar)
        drawn.append(text(end + 6, baseline, f"{ages[node]:g}", font_size=age_font_size))
    height = MATRIX_TOP + size * len(rows) + 20
    return document(right + 200, height, drawn, "whose models reached whom")


def _cell(x: float, y: float, size: float, count: int, share: float | None) -> list[str]:
    """Return a cell of the matrix; `share` is None where a node's own models are counted."""
    fill, opacity = RAISED, 1.0
    if count and share is None:
        fill, opacity = FAINT, 0.35
    elif count and share is not None:
        fill, opacity = COLOURS["event"], 0.15 + 0.85 * share
    box = {"x": x, "y": y, "width": size - 1, "height": size - 1}
    drawn = [element("rect", **box, fill=fill, fill_opacity=opacity)]
    if count and size > MIN_COUNTED_CELL:
        middle = x + 0.5 * size
        drawn.append(text(middle, y + size / 2 + 4, count, text_anchor="middle", font_size=10))
    return drawn
