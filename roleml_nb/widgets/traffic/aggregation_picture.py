"""Still picture of what was aggregated: per round who contributed, or whose model reached whom."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
ROUNDS = 40
"""Rounds that are drawn, the last ones."""
LEFT, TOP = 150.0, 44.0


def aggregation(trace: Trace) -> str:
    """The SVG: of one aggregator, its last rounds; of several, how often the models of each went
    into those of each.
    """
    parts = trace.contributions.all()
    targets = sorted({part.target for part in parts}, key=natural_key)
    if not parts:
        return document(
            400, 40, [text(12, 24, "nothing was aggregated yet", fill=FAINT)], "contributions"
        )
    return _rounds(parts) if len(targets) == 1 else _reach(parts, targets)


def _size(number: float | None) -> float:
    """Return how large a weight or an age is drawn: nothing for what is negative, not finite, or
    not there.
    """
    return number if number is not None and math.isfinite(number) and number > 0 else 0.0


def _rounds(parts: Sequence[Contribution]) -> str:
    steps = sorted({part.step for part in parts})[-ROUNDS:]
    sources = sorted({part.source for part in parts if part.step in steps}, key=natural_key)
    wide, high = 16.0, min(20.0, max(4.0, 480 / len(sources)))
    most = max((_size(part.weight) for part in parts), default=0.0) or 1.0
    title = (
        f"{parts[0].target}: contributions to rounds {steps[0]} to {steps[-1]}; the size is the"
        " weight"
    )
    drawn = [text(12, 20, title, fill=FAINT)]
    drawn += [
        text(
            LEFT - 8,
            TOP + high * (row + 0.5) + 4,
            source,
            text_anchor="end",
            font_size=min(12.0, high + 1),
        )
        for row, source in enumerate(sources)
    ]
    for part in parts:
        if part.step in steps:
            share = 1.0 if part.weight is None else 0.2 + 0.8 * (_size(part.weight) / most)
            x, y = LEFT + wide * steps.index(part.step), TOP + high * sources.index(part.source)
            drawn.append(
                element(
                    "rect",
                    x=x,
                    y=y + high * (1 - share) / 2,
                    width=wide - 2,
                    height=max(1.0, (high - 1) * share),
                    fill=FILLS[part.outcome],
                    fill_opacity=1.0 if part.weight is not None else 0.5,
                )
            )
    bottom = TOP + high * len(sources)
    for place, (outcome, fill) in enumerate(FILLS.items()):
        drawn += [
            element("circle", cx=LEFT + 80 * place, cy=bottom + 18, r=4, fill=fill),
            text(LEFT + 80 * place + 8, bottom + 22, outcome, fill=FAINT, font_size=11),
        ]
    return document(
        max(LEFT + wide * len(steps) + 20, 660), bottom + 36, drawn, "contributions to rounds"
    )


def _reach(parts: Sequence[Contribution], targets: Sequence[str]) -> str:
    nodes = sorted(
        {role.partition("/")[0] for part in parts for role in (part.source, part.target)},
        key=natural_key,
    )
    rows = [target.partition("/")[0] for target in targets]
    size, top = min(34.0, max(4.0, 480 / len(nodes))), 110.0
    counts: dict[tuple[str, str], int] = {}
    ages: dict[str, float] = {}
    for part in parts:
        ends = part.target.partition("/")[0], part.source.partition("/")[0]
        counts[ends] = counts.get(ends, 0) + 1
        ages[ends[0]] = max(ages.get(ends[0], 0.0), _size(part.age))
    most = max((count for (to, source), count in counts.items() if to != source), default=1)
    oldest = max(ages.values()) or 1.0
    drawn = [
        text(
            12,
            20,
            "how often a model of each node (columns) went into that of each (rows); age",
            fill=FAINT,
        )
    ]
    for place, node in enumerate(nodes):
        drawn.append(
            text(
                0,
                0,
                node,
                font_size=min(12.0, size),
                transform=f"translate({LEFT + (place + 0.6) * size:.2f} {top - 6:.0f}) rotate(-45)",
            )
        )
    for row, node in enumerate(rows):
        y = top + row * size
        drawn.append(
            text(LEFT - 8, y + size / 2 + 4, node, text_anchor="end", font_size=min(12.0, size))
        )
        for place, source in enumerate(nodes):
            count = counts.get((node, source), 0)
            fill, opacity = (
                (FAINT, 0.35) if source == node else (COLOURS["event"], 0.15 + 0.85 * count / most)
            )
            box = {"x": LEFT + place * size, "y": y, "width": size - 1, "height": size - 1}
            drawn.append(
                element(
                    "rect",
                    **box,
                    fill=fill if count else RAISED,
                    fill_opacity=opacity if count else 1,
                )
            )
            if count and size > 20:
                drawn.append(
                    text(
                        LEFT + (place + 0.5) * size,
                        y + size / 2 + 4,
                        count,
                        text_anchor="middle",
                        font_size=10,
                    )
                )
        bar, long = LEFT + size * len(nodes) + 20, 120 * (ages[node] / oldest)
        drawn.append(
            element(
                "rect",
                x=bar,
                y=y + size * 0.2,
                width=long,
                height=size * 0.6,
                fill=COLOURS["service"],
            )
        )
        drawn.append(
            text(bar + long + 6, y + size / 2 + 4, f"{ages[node]:g}", font_size=min(11.0, size))
        )
    return document(
        LEFT + size * len(nodes) + 200,
        top + size * len(rows) + 20,
        drawn,
        "whose models reached whom",
    )
