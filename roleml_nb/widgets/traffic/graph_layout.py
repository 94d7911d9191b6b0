"""Where the nodes of a graph are drawn: in the unit square, the same for the same graph."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from roleml_nb.widgets.board.layout import Card, by_relationship

__all__ = ["places"]

Point = tuple[float, float]
HUB = 0.6
"""Share of the nodes that one must be linked to, to stand in the middle."""
HUBS = 3
MANY = 400
"""From so many nodes on they stand on a grid."""


def places(
    nodes: Sequence[str], edges: Iterable[tuple[str, str]], kept: Mapping[str, Point] | None = None
) -> dict[str, Point]:
    """{node: (x, y)}, from 0 to 1.

    `kept` are places of nodes that stay where they are, when only a few have come.
    """
    neighbours: dict[str, set[str]] = {node: set() for node in nodes}
    for one, other in edges:
        if one != other and one in neighbours and other in neighbours:
            neighbours[one].add(other)
            neighbours[other].add(one)
    count = len(nodes)
    if count > MANY:
        return _grid(nodes)
    edges = [(one, other) for one, others in neighbours.items() for other in others]
    if edges and _falls_apart(neighbours):
        return _side_by_side(nodes, edges)
    hubs = [node for node in nodes if len(neighbours[node]) > HUB * (count - 1)]
    if count > 2 and 0 < len(hubs) <= HUBS and len(hubs) < count / 2:
        return {
            **_circle(_around(hubs, neighbours), 0.12 if len(hubs) > 1 else 0.0),
            **_circle(_around([node for node in nodes if node not in hubs], neighbours), 0.5),
        }
    degrees = [len(others) for others in neighbours.values()]
    if count < 4 or max(degrees) <= 2 or sum(degrees) > count * count / 3 or not sum(degrees):
        return _circle(_around(nodes, neighbours), 0.5)
    return _springs(neighbours, kept or {})


def _falls_apart(neighbours: Mapping[str, set[str]]) -> bool:
    """Whether some nodes that are linked cannot be reached from others that are."""
    linked = [node for node, others in neighbours.items() if others]
    reached, waiting = {linked[0]}, [linked[0]]
    while waiting:
        new = neighbours[waiting.pop()] - reached
        reached |= new
        waiting += new
    return len(reached) < len(linked)


def _side_by_side(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, Point]:
    """Each part that hangs together in its own room, as on the board."""
    found = by_relationship([Card(node, "", (60, 60)) for node in nodes], sorted(edges), {})
    return _spread(found)


def _spread(found: Mapping[str, Point]) -> dict[str, Point]:
    """The same places, so that they fill the square."""
    xs, ys = zip(*found.values(), strict=True)
    wide, high = (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0
    return {
        node: (float((x - min(xs)) / wide), float((y - min(ys)) / high))
        for node, (x, y) in found.items()
    }


def _around(nodes: Sequence[str], neighbours: Mapping[str, set[str]]) -> list[str]:
    """In their order; but along a path or a ring, if there is one."""
    if any(len(neighbours[node]) > 2 for node in nodes):
        return list(nodes)
    left, ordered = dict.fromkeys(nodes), list[str]()
    while left:
        node: str | None = next((one for one in left if len(neighbours[one]) < 2), next(iter(left)))
        while node is not None:
            ordered.append(node)
            del left[node]
            node = next((one for one in left if one in neighbours[node]), None)
    return ordered


def _circle(nodes: Sequence[str], radius: float) -> dict[str, Point]:
    turn = 2 * math.pi / max(1, len(nodes))
    return {
        node: (0.5 + radius * math.sin(turn * place), 0.5 - radius * math.cos(turn * place))
        for place, node in enumerate(nodes)
    }


def _grid(nodes: Sequence[str]) -> dict[str, Point]:
    wide = math.ceil(math.sqrt(len(nodes)))
    return {
        node: ((place % wide + 0.5) / wide, (place // wide + 0.5) / wide)
        for place, node in enumerate(nodes)
    }


def _springs(neighbours: Mapping[str, set[str]], kept: Mapping[str, Point]) -> dict[str, Point]:
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(neighbours)
    graph.add_edges_from(
        (one, other) for one, others in neighbours.items() for other in sorted(others)
    )
    known = {node: kept[node] for node in neighbours if node in kept}
    if len(known) > len(neighbours) / 2:
        placed = networkx.spring_layout(graph, pos=known, fixed=list(known), seed=1)
        return {
            node: (min(1.0, max(0.0, float(x))), min(1.0, max(0.0, float(y))))
            for node, (x, y) in placed.items()
        }
    placed = networkx.spring_layout(
        graph,
        k=1.6 / math.sqrt(len(neighbours)),
        pos=_circle(list(neighbours), 0.5),
        iterations=120,
        seed=1,
    )
    return _spread({node: (x, y) for node, (x, y) in placed.items()})
