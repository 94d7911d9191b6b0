"""Where things are on the board, in pixels at its natural size: cards of nodes, and the engines
around them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["MANY", "Card", "Group", "by_engine", "by_relationship", "card_size"]

MANY = 60
"""Nodes from which on their cards are small: a dot per role instead of a chip."""
GAP = 26
LINE = 70
"""Room beside cards for a line between them and what it says, where there are few."""
HEADER, CHIP, WIDTH = 30, 24, 168
SMALL = (92, 40)
DOTS = 6
"""Dots side by side on a small card."""
Position = tuple[float, float]


@dataclass(frozen=True)
class Card:
    """A node to be placed: its engine, and the size of its card."""

    node: str
    host: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Group:
    """The frame around the nodes of an engine."""

    host: str
    x: float
    y: float
    width: float
    height: float


def card_size(roles: int, many: bool) -> tuple[int, int]:
    """Width and height of a node's card."""
    return SMALL if many else (WIDTH, HEADER + CHIP * max(1, roles) + 6)


def by_engine(
    cards: Sequence[Card], hosts: Sequence[str]
) -> tuple[dict[str, Position], list[Group]]:
    """Nodes in rows, within a frame per engine; frames side by side.

    Positions are the upper left corners of cards.
    """
    positions: dict[str, Position] = {}
    groups: list[Group] = []
    left = 0.0
    for host in hosts:
        own = [card for card in cards if card.host == host]
        width, gap = (own[0].size[0], 40 if own[0].size != SMALL else 12) if own else (WIDTH, 0)
        columns = max(1, math.ceil(math.sqrt(len(own) * (0.45 if len(hosts) > 1 else 1.4))))
        top = bottom = 34.0
        for index, card in enumerate(own):
            if index % columns == 0:
                top = bottom
            positions[card.node] = (left + 16 + index % columns * (width + gap), top)
            bottom = max(bottom, top + card.size[1] + gap * 0.8)
        wide = 32 + min(columns, max(1, len(own))) * (width + gap) - gap
        groups.append(Group(host, left, 0.0, wide, max(bottom - gap * 0.8 + 16, 100.0)))
        left += wide + 44
    tall = max((group.height for group in groups), default=0.0)
    return positions, [Group(group.host, group.x, group.y, group.width, tall) for group in groups]


def by_relationship(
    cards: Sequence[Card], edges: Sequence[tuple[str, str]], kept: Mapping[str, Position]
) -> dict[str, Position]:
    """Nodes near those that they know, `kept` ones where they are; upper left corners of cards,
    none over another.
    """
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(card.node for card in cards)
    graph.add_edges_from(
        (a, b) for a, b in sorted(set(edges)) if a != b and a in graph and b in graph
    )
    new = [card for card in cards if card.node not in kept]
    if not new:
        return {card.node: kept[card.node] for card in cards}
    sizes = np.array([card.size for card in cards], float)
    if len(new) == len(cards):
        middle = _whole(graph, sizes)
        fixed = np.zeros(len(cards), bool)
    else:
        middle, fixed = _among(graph, cards, sizes, kept)
    corners = _apart(middle, sizes, fixed) - sizes / 2
    if not fixed.any():
        corners -= corners.min(axis=0)
    return {
        card.node: kept[card.node] if card.node in kept else (round(float(x)), round(float(y)))
        for card, (x, y) in zip(cards, corners, strict=True)
    }


def _whole(graph: nx.Graph, sizes: np.ndarray) -> np.ndarray:
    """All nodes anew: parts that know each other side by side, nodes that know nobody in rows
    below.
    """
    import networkx as nx

    order = {node: index for index, node in enumerate(graph)}
    middle = np.zeros((len(order), 2))
    left, below = 0.0, 0.0
    parts = sorted(
        nx.connected_components(graph),
        key=lambda part: (-len(part), min(order[node] for node in part)),
    )
    for part in [part for part in parts if len(part) > 1]:
        members = sorted(part, key=order.__getitem__)
        found = _shape(_part(graph, members), members)
        indices = [order[node] for node in members]
        found = found * _stretch(found, sizes[indices])
        found -= found.min(axis=0) - sizes[indices].max(axis=0) / 2
        middle[indices] = found + [left, 0]
        left += float(np.ptp(found[:, 0])) + float(sizes[indices, 0].max()) + 2 * GAP
        below = max(below, float(found[:, 1].max()) + float(sizes[indices, 1].max()) / 2 + 2 * GAP)
    alone = [order[next(iter(part))] for part in parts if len(part) == 1]
    columns = max(4, math.ceil(math.sqrt(1.6 * len(alone)))) if alone else 1
    step = sizes.max(axis=0) + GAP / 1.5
    for place, index in enumerate(sorted(alone)):
        middle[index] = (
            place % columns * step[0] + step[0] / 2,
            below + place // columns * step[1] + sizes[index, 1] / 2,
        )
    return middle


def _part(graph: nx.Graph, members: list[str]) -> nx.Graph:
    """The graph of these nodes, in this order: that of ``subgraph`` is another one in each
    process.
    """
    import networkx as nx

    part = nx.Graph()
    part.add_nodes_from(members)
    part.add_edges_from(
        (node, other) for node in members for other in members if graph.has_edge(node, other)
    )
    return part


def _shape(graph: nx.Graph, members: list[str]) -> np.ndarray:
    """A connected part: a circle (rows, if long) for a ring, rays for a star, else by springs."""
    import networkx as nx

    degrees = sorted(count for _, count in graph.degree())
    count = len(members)
    if count > 2 and degrees[-1] == count - 1 and degrees[-2] < count - 1:
        hub = max(members, key=lambda node: (graph.degree(node), node))
        rays = [node for node in members if node != hub]
        found = nx.circular_layout(rays) if count <= MANY // 3 else _sunflower(rays)
        found[hub] = np.zeros(2)
    elif count > 2 and degrees[-1] == 2 and degrees[0] == 2:
        ring = list(nx.cycle_basis(graph)[0])
        start = ring.index(members[0])
        found = (nx.circular_layout if count <= MANY else _snake)(ring[start:] + ring[:start])
    elif degrees[0] == count - 1 and count > 2:
        found = (nx.circular_layout if count <= MANY else _sunflower)(members)
    elif count <= MANY:
        found = nx.kamada_kawai_layout(graph)
    else:
        found = nx.spring_layout(graph, seed=1, iterations=40, k=2.2 / math.sqrt(count))
    return np.array([found[node] for node in members]) * [1.5, 1.0]


def _sunflower(nodes: list[str]) -> dict[str, np.ndarray]:
    """Evenly over a disc (Vogel 1979), with room in the middle."""
    found = {}
    for index, node in enumerate(nodes):
        radius, turn = (
            math.sqrt((index + 4) / (len(nodes) + 4)),
            index * math.pi * (3 - math.sqrt(5)),
        )
        found[node] = np.array([radius * math.cos(turn), radius * math.sin(turn)])
    return found


def _snake(nodes: list[str]) -> dict[str, np.ndarray]:
    """In rows, to the right and back again."""
    columns = math.ceil(math.sqrt(1.4 * len(nodes)))
    found = {}
    for index, node in enumerate(nodes):
        row, column = divmod(index, columns)
        found[node] = (
            np.array([column if row % 2 == 0 else columns - 1 - column, row], float) / columns
        )
    return found


def _stretch(middle: np.ndarray, sizes: np.ndarray) -> float:
    """How far to pull a shape apart so that few cards lie over each other; the rest is done by
    `_apart`.
    """
    wide, tall = sizes.max(axis=0) + GAP
    if len(middle) > MANY // 2:
        area = float(np.prod(np.ptp(middle, axis=0)))
        return math.sqrt(1.7 * len(middle) * wide * tall / max(area, 1e-9))
    x, y = (np.abs(middle[:, None, axis] - middle[None, :, axis]) for axis in (0, 1))
    with np.errstate(divide="ignore"):
        needed = np.minimum((wide + LINE) / x, (tall + LINE / 2) / y)
    np.fill_diagonal(needed, 0.0)
    return float(needed.max().clip(60.0, 3000.0))


def _among(
    graph: nx.Graph, cards: Sequence[Card], sizes: np.ndarray, kept: Mapping[str, Position]
) -> tuple[np.ndarray, np.ndarray]:
    """New nodes beside those they know, or below all."""
    fixed = np.array([card.node in kept for card in cards])
    middle = np.zeros((len(cards), 2))
    for index, card in enumerate(cards):
        if fixed[index]:
            middle[index] = np.array(kept[card.node]) + sizes[index] / 2
    order = {card.node: index for index, card in enumerate(cards)}
    low = middle[fixed]
    bottom, left = float(low[:, 1].max()), float(low[:, 0].min())
    step = sizes.max(axis=0) + GAP / 1.5
    loose = 0
    for index, card in enumerate(cards):
        if fixed[index]:
            continue
        near = [order[other] for other in graph[card.node] if fixed[order[other]]]
        if near:
            turn = 2.4 * index  # each in another direction
            middle[index] = (
                middle[near].mean(axis=0)
                + np.array([math.cos(turn) * 1.4, math.sin(turn)]) * step[0] / 1.2
            )
        else:
            middle[index] = (left + loose % 5 * step[0], bottom + (loose // 5 + 1) * step[1])
            loose += 1
    return middle, fixed


def _apart(middle: np.ndarray, sizes: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Push cards that lie over each other apart, along the shorter way; fixed ones stay."""
    from scipy.spatial import cKDTree

    middle, free = middle.copy(), np.where(fixed, 0.0, 1.0)
    reach = sizes.max(axis=0) + GAP * 0.55
    for _ in range(300):
        first, second = cKDTree(middle / reach).query_pairs(1.0, p=np.inf, output_type="ndarray").T
        offset = middle[first] - middle[second]
        over = (sizes[first] + sizes[second]) / 2 + GAP * 0.55 - np.abs(offset)
        hit = (over > 0.5).all(axis=1) & (free[first] + free[second] > 0)
        if not hit.any():
            break
        first, second, offset, over = first[hit], second[hit], offset[hit], over[hit]
        rows, axis = np.arange(len(first)), over.argmin(axis=1)
        far = over[rows, axis] * np.where(offset[rows, axis] < 0, -1.0, 1.0)
        both = free[first] + free[second]
        pushes, counts = np.zeros_like(middle), np.zeros_like(middle)
        for nodes, sign in ((first, 1.0), (second, -1.0)):
            np.add.at(pushes, (nodes, axis), sign * far * free[nodes] / both)
            np.add.at(counts, (nodes, axis), 1.0)
        middle += 1.2 * pushes / np.maximum(counts, 1.0)
    return middle
