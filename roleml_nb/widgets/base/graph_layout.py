"""The layout of a graph of nodes: in the unit square, the same for the same graph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from .card_layout import Card, by_relationship

__all__ = ["places"]

Point = tuple[float, float]
Neighbours = Mapping[str, set[str]]
HUB_SHARE = 0.6
"""Share of the nodes that one must be linked to, to stand in the middle."""
MAX_HUBS = 3
HUBS_RADIUS = 0.12
RADIUS = 0.5
MAX_NODES = 400
"""More nodes stand on a grid."""


def places(
    nodes: Sequence[str], edges: Iterable[tuple[str, str]], kept: Mapping[str, Point] | None = None
) -> dict[str, Point]:
    """Return {node: (x, y)}, from 0 to 1.

    `kept` are places of nodes that stay where they are, when only a few have come.
    """
    if len(nodes) > MAX_NODES:
        return _grid(nodes)
    neighbours = _neighbours(nodes, edges)
    linked = [node for node, others in neighbours.items() if others]
    if linked and _falls_apart(linked, neighbours):
        return _side_by_side(neighbours)
    count = len(nodes)
    hubs = [node for node in nodes if len(neighbours[node]) > HUB_SHARE * (count - 1)]
    if count > 2 and 0 < len(hubs) <= MAX_HUBS and len(hubs) < count / 2:
        others = [node for node in nodes if node not in hubs]
        return {
            **_circle(_ordered(hubs, neighbours), HUBS_RADIUS if len(hubs) > 1 else 0.0),
            **_circle(_ordered(others, neighbours), RADIUS),
        }
    degrees = list(map(len, neighbours.values()))
    if count < 4 or max(degrees) <= 2 or sum(degrees) > count * count / 3 or not sum(degrees):
        return _circle(_ordered(nodes, neighbours), RADIUS)
    return _springs(neighbours, kept or {})


def _neighbours(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    neighbours: dict[str, set[str]] = {node: set() for node in nodes}
    for one, other in edges:
        if one != other and one in neighbours and other in neighbours:
            neighbours[one].add(other)
            neighbours[other].add(one)
    return neighbours


def _falls_apart(linked: Sequence[str], neighbours: Neighbours) -> bool:
    """Return whether some linked nodes cannot be reached from others."""
    reached = {linked[0]}
    waiting = [linked[0]]
    while waiting:
        new = neighbours[waiting.pop()] - reached
        reached |= new
        waiting += new
    return len(reached) < len(linked)


def _side_by_side(neighbours: Neighbours) -> dict[str, Point]:
    """Place each connected part in a room of its own, as on the board."""
    edges = []
    for node, others in neighbours.items():
        for other in others:
            edges.append((node, other))
    cards = [Card(node, "", (60, 60)) for node in neighbours]
    return _spread(by_relationship(cards, sorted(edges), {}))


def _spread(found: Mapping[str, Point]) -> dict[str, Point]:
    """Stretch places so that they fill the square."""
    xs, ys = zip(*found.values(), strict=True)
    left, top = min(xs), min(ys)
    wide = (max(xs) - left) or 1.0
    high = (max(ys) - top) or 1.0
    spread = {}
    for node, (x, y) in found.items():
        spread[node] = (float((x - left) / wide), float((y - top) / high))
    return spread


def _ordered(nodes: Sequence[str], neighbours: Neighbours) -> list[str]:
    """Order nodes along a path or a ring, if there is one; else keep their order."""
    if any(len(neighbours[node]) > 2 for node in nodes):
        return list(nodes)
    left = dict.fromkeys(nodes)
    ordered: list[str] = []
    while left:
        node: str | None = next((one for one in left if len(neighbours[one]) < 2), next(iter(left)))
        while node is not None:
            ordered.append(node)
            del left[node]
            node = next((one for one in left if one in neighbours[node]), None)
    return ordered


def _circle(nodes: Sequence[str], radius: float) -> dict[str, Point]:
    turn = 2 * math.pi / max(1, len(nodes))
    points = {}
    for place, node in enumerate(nodes):
        angle = turn * place
        points[node] = (0.5 + radius * math.sin(angle), 0.5 - radius * math.cos(angle))
    return points


def _grid(nodes: Sequence[str]) -> dict[str, Point]:
    wide = math.ceil(math.sqrt(len(nodes)))
    points = {}
    for place, node in enumerate(nodes):
        row, column = divmod(place, wide)
        points[node] = ((column + 0.5) / wide, (row + 0.5) / wide)
    return points


def _springs(neighbours: Neighbours, kept: Mapping[str, Point]) -> dict[str, Point]:
    """Place nodes by springs along edges; most nodes being `kept`, move the other ones only."""
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(neighbours)
    for node, others in neighbours.items():
        for other in sorted(others):
            graph.add_edge(node, other)
    known = {node: kept[node] for node in neighbours if node in kept}
    if len(known) > len(neighbours) / 2:
        placed = networkx.spring_layout(graph, pos=known, fixed=list(known), seed=1)
        points = {}
        for node, (x, y) in placed.items():
            points[node] = (min(1.0, max(0.0, float(x))), min(1.0, max(0.0, float(y))))
        return points
    placed = networkx.spring_layout(
        graph,
        k=1.6 / math.sqrt(len(neighbours)),
        pos=_circle(list(neighbours), RADIUS),
        iterations=120,
        seed=1,
    )
    return _spread(placed)
