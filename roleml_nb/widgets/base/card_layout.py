"""The layout of cards in pixels: near those that they are linked to, or in frames of engines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["COMPACT_NODES", "Card", "Group", "by_engine", "by_relationship", "card_size"]

COMPACT_NODES = 60
"""From so many nodes on, their cards are small: a dot per role instead of a chip."""
GAP = 26
LINE_GAP = 70
"""Room between few cards, for a line and its label."""
HEADER_HEIGHT, CHIP_HEIGHT, CARD_WIDTH = 30, 24, 168
SMALL_CARD = (92, 40)
Position = tuple[float, float]


@dataclass(frozen=True)
class Card:
    """A node to place: its engine, and the size of its card."""

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


def card_size(roles: int, compact: bool) -> tuple[int, int]:
    """Return width and height of a node's card."""
    if compact:
        return SMALL_CARD
    return CARD_WIDTH, HEADER_HEIGHT + CHIP_HEIGHT * max(1, roles) + 6


def by_engine(
    cards: Sequence[Card], hosts: Sequence[str]
) -> tuple[dict[str, Position], list[Group]]:
    """Place nodes in rows within a frame per engine, and frames side by side.

    Positions are the upper left corners of cards.
    """
    positions: dict[str, Position] = {}
    groups: list[Group] = []
    left = height = 0.0
    for host in hosts:
        own = [card for card in cards if card.host == host]
        width, gap = CARD_WIDTH, 0
        if own:
            width = own[0].size[0]
            gap = 12 if own[0].size == SMALL_CARD else 40
        columns = max(1, math.ceil(math.sqrt(len(own) * (0.45 if len(hosts) > 1 else 1.4))))
        top = bottom = 34.0
        for index, card in enumerate(own):
            if index % columns == 0:
                top = bottom
            positions[card.node] = (left + 16 + index % columns * (width + gap), top)
            bottom = max(bottom, top + card.size[1] + gap * 0.8)
        wide = 32 + min(columns, max(1, len(own))) * (width + gap) - gap
        height = max(height, bottom - gap * 0.8 + 16, 100.0)
        groups.append(Group(host, left, 0.0, wide, height))
        left += wide + 44
    return positions, [replace(group, height=height) for group in groups]


def by_relationship(
    cards: Sequence[Card], edges: Sequence[tuple[str, str]], kept: Mapping[str, Position]
) -> dict[str, Position]:
    """Place nodes near those that they know, `kept` ones where they are, none over another.

    Positions are the upper left corners of cards.
    """
    graph = _graph([card.node for card in cards], edges)
    here = {node: kept[node] for node in graph if node in kept}
    if len(here) == len(cards):
        return here
    sizes = np.array([card.size for card in cards], float)
    if here:
        middle, fixed = _place_new(graph, sizes, here)
    else:
        middle = _place_all(graph, sizes)
        fixed = np.zeros(len(cards), bool)
    corners = _push_apart(middle, sizes, fixed) - sizes / 2
    if not fixed.any():
        corners -= corners.min(axis=0)
    positions: dict[str, Position] = {}
    for node, (x, y) in zip(graph, corners.tolist(), strict=True):
        positions[node] = here.get(node, (round(x), round(y)))
    return positions


def _graph(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> nx.Graph:
    """Return the graph of these nodes, in their order, and the edges among them."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    for one, other in sorted(set(edges)):
        if one != other and one in graph and other in graph:
            graph.add_edge(one, other)
    return graph


def _place_all(graph: nx.Graph, sizes: np.ndarray) -> np.ndarray:
    """Place all nodes: connected parts side by side, nodes without edges in rows below.

    Returns the middles of their cards.
    """
    order = _order(graph)
    middle = np.zeros((len(order), 2))
    left, below = 0.0, 0.0
    alone = []
    for members in _parts(graph, order):
        if len(members) == 1:
            alone.append(order[members[0]])
            continue
        found = _shape(_subgraph(graph, members), members)
        indices = [order[node] for node in members]
        found = found * _stretch(found, sizes[indices])
        found -= found.min(axis=0) - sizes[indices].max(axis=0) / 2
        middle[indices] = found + [left, 0]
        left += float(np.ptp(found[:, 0])) + float(sizes[indices, 0].max()) + 2 * GAP
        below = max(below, float(found[:, 1].max()) + float(sizes[indices, 1].max()) / 2 + 2 * GAP)
    columns = max(4, math.ceil(math.sqrt(1.6 * len(alone)))) if alone else 1
    step = sizes.max(axis=0) + GAP / 1.5
    for place, index in enumerate(sorted(alone)):
        middle[index] = (
            place % columns * step[0] + step[0] / 2,
            below + place // columns * step[1] + sizes[index, 1] / 2,
        )
    return middle


def _order(graph: nx.Graph) -> dict[str, int]:
    return {node: index for index, node in enumerate(graph)}


def _parts(graph: nx.Graph, order: Mapping[str, int]) -> list[list[str]]:
    """Return the members of each connected part in their order; large parts come first."""
    import networkx as nx

    parts = []
    for part in nx.connected_components(graph):
        parts.append(sorted(part, key=order.__getitem__))
    return sorted(parts, key=lambda members: (-len(members), order[members[0]]))


def _subgraph(graph: nx.Graph, members: list[str]) -> nx.Graph:
    """Return the graph of these nodes in this order; the order of ``subgraph`` varies from process
    to process.
    """
    import networkx as nx

    part = nx.Graph()
    part.add_nodes_from(members)
    for node in members:
        for other in members:
            if graph.has_edge(node, other):
                part.add_edge(node, other)
    return part


def _shape(graph: nx.Graph, members: list[str]) -> np.ndarray:
    """Place a connected part: a ring as a circle or in rows, a star as rays, others by springs."""
    import networkx as nx

    degrees = sorted(dict(graph.degree()).values())
    count = len(members)
    if count > 2 and degrees[-1] == count - 1 and degrees[-2] < count - 1:
        hub = max(members, key=lambda node: (graph.degree(node), node))
        rays = [node for node in members if node != hub]
        found = nx.circular_layout(rays) if count <= COMPACT_NODES // 3 else _sunflower(rays)
        found[hub] = np.zeros(2)
    elif count > 2 and degrees[-1] == 2 and degrees[0] == 2:
        ring = list(nx.cycle_basis(graph)[0])
        start = ring.index(members[0])
        found = (nx.circular_layout if count <= COMPACT_NODES else _snake)(
            ring[start:] + ring[:start]
        )
    elif degrees[0] == count - 1 and count > 2:
        found = (nx.circular_layout if count <= COMPACT_NODES else _sunflower)(members)
    elif count <= COMPACT_NODES:
        found = nx.kamada_kawai_layout(graph)
    else:
        found = nx.spring_layout(graph, seed=1, iterations=40, k=2.2 / math.sqrt(count))
    return np.array([found[node] for node in members]) * [1.5, 1.0]


def _sunflower(nodes: list[str]) -> dict[str, np.ndarray]:
    """Spread nodes evenly over a disc (Vogel 1979), with room in the middle."""
    found = {}
    for index, node in enumerate(nodes):
        radius = math.sqrt((index + 4) / (len(nodes) + 4))
        turn = index * math.pi * (3 - math.sqrt(5))
        found[node] = np.array([radius * math.cos(turn), radius * math.sin(turn)])
    return found


def _snake(nodes: list[str]) -> dict[str, np.ndarray]:
    """Place nodes in rows, to the right and back again."""
    columns = math.ceil(math.sqrt(1.4 * len(nodes)))
    found = {}
    for index, node in enumerate(nodes):
        row, column = divmod(index, columns)
        if row % 2:
            column = columns - 1 - column
        found[node] = np.array([column, row], float) / columns
    return found


def _stretch(middle: np.ndarray, sizes: np.ndarray) -> float:
    """Return the factor that leaves few cards over each other; `_push_apart` does the rest."""
    wide, tall = sizes.max(axis=0) + GAP
    if len(middle) > COMPACT_NODES // 2:
        area = float(np.prod(np.ptp(middle, axis=0)))
        return math.sqrt(1.7 * len(middle) * wide * tall / max(area, 1e-9))
    x, y = np.abs(middle[:, None] - middle[None, :]).transpose(2, 0, 1)
    with np.errstate(divide="ignore"):
        needed = np.minimum((wide + LINE_GAP) / x, (tall + LINE_GAP / 2) / y)
    np.fill_diagonal(needed, 0.0)
    return float(needed.max().clip(60.0, 3000.0))


def _place_new(
    graph: nx.Graph, sizes: np.ndarray, kept: Mapping[str, Position]
) -> tuple[np.ndarray, np.ndarray]:
    """Place new nodes beside those that they know, or below all.

    Returns the middles of all cards, and a mask of the nodes that stay where they are.
    """
    order = _order(graph)
    fixed = np.zeros(len(order), bool)
    middle = np.zeros((len(order), 2))
    for node, position in kept.items():
        index = order[node]
        fixed[index] = True
        middle[index] = np.array(position) + sizes[index] / 2
    bottom, left = float(middle[fixed, 1].max()), float(middle[fixed, 0].min())
    step = sizes.max(axis=0) + GAP / 1.5
    below = 0
    for node, index in order.items():
        if fixed[index]:
            continue
        near = [order[other] for other in graph[node] if other in kept]
        if near:
            turn = 2.4 * index  # each in another direction
            direction = np.array([math.cos(turn) * 1.4, math.sin(turn)])
            middle[index] = middle[near].mean(axis=0) + direction * step[0] / 1.2
        else:
            middle[index] = (left + below % 5 * step[0], bottom + (below // 5 + 1) * step[1])
            below += 1
    return middle, fixed


def _push_apart(middle: np.ndarray, sizes: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Push cards that lie over each other apart, along the shorter way; fixed ones stay."""
    from scipy.spatial import cKDTree

    middle = middle.copy()
    free = np.where(fixed, 0.0, 1.0)
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
