"""The drawing of a testbed as plain data: nodes, frames of engines, and who knows whom."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Any, NamedTuple

from roleml_nb.role import RoleInstanceID
from roleml_nb.role.checks.names import pluralize
from roleml_nb.spec.board_layout import BoardLayout
from roleml_nb.testbed import Testbed
from roleml_nb.widgets.base.card_layout import (
    COMPACT_NODES,
    Card,
    Group,
    Position,
    by_engine,
    by_relationship,
    card_size,
)

from .needs import needs

__all__ = ["Drawing", "host_label"]

MAX_LINES = 3000
"""Relationships that are drawn; more of them are one grey mass."""


class Edge(NamedTuple):
    """A node that knows a role of another one, or of itself."""

    node: str
    relationship: str
    member: str

    @property
    def ends(self) -> tuple[str, str]:
        return self.node, self.member.partition("/")[0]


class Drawing:
    """Draws a testbed again and again; nodes keep their places, and role names their colours."""

    def __init__(self, bed: Testbed, by: str):
        self._bed = bed
        self._update_layout(group_by=by)
        self._by = by
        self._state: dict[str, Any] = {}
        self._drawn: tuple[Any, ...] | None = None
        self._drawing = threading.Lock()

    @property
    def by(self) -> str:
        """Either "engine" or "relationship": nodes are drawn near those that share it."""
        return self._by

    @by.setter
    def by(self, by: str) -> None:
        self._update_layout(group_by=by)
        self._by = by

    def reset_places(self) -> None:
        """Give all nodes a new place in the next drawing."""
        self._update_layout(places={}, unanchored=frozenset())
        self._drawn = None

    @property
    def _layout(self) -> BoardLayout:
        return self._bed.registry.board_layout or BoardLayout(self._by)

    def _update_layout(self, **changes: Any) -> None:
        """Keep changes of the layout for the next drawing, on whichever board."""
        registry = self._bed.registry
        known = registry.board_layout or BoardLayout(changes.get("group_by") or self._by)
        layout = replace(known, **changes)
        if layout != registry.board_layout:
            registry.board_layout = layout

    @property
    def outdated(self) -> bool:
        """True when the testbed has changed since it was drawn."""
        return self._drawn != self._now()

    def _now(self) -> tuple[Any, ...]:
        return (
            self._by,
            self._bed.registry.board_layout,
            self._bed.registry.revision,
            len(self._bed.lost),
            self._bed.running,
        )

    def draw(self) -> dict[str, Any]:
        """Draw the testbed as it stands; the same object if it has not changed."""
        with self._drawing:
            if self.outdated:
                by, _, *others = self._now()
                self._state = self._draw()
                self._drawn = (by, self._bed.registry.board_layout, *others)
            return self._state

    def _draw(self) -> dict[str, Any]:
        bed = self._bed
        names = bed.registry.nodes()
        colours = self._colours(names)
        cards = self._cards(names)
        hosts = self._hosts(cards)
        edges = self._edges(names)
        frames: list[Group] = []
        if self._by == "engine":
            positions, frames = by_engine(cards, hosts)
        else:
            positions = self._place(cards, [edge.ends for edge in edges])
        nodes = [self._node(card, positions[card.node]) for card in cards]
        return {
            "by": self._by,
            "many": len(names) >= COMPACT_NODES,
            "nodes": nodes,
            "groups": list(map(_frame, frames)),
            "hosts": list(map(self._host, hosts)),
            "pairs": _pairs(edges[:MAX_LINES], {*names}),
            "says": self._summary(nodes, len(edges)),
            "needs": needs(bed),
            "hues": colours,
            "stopped": not bed.running,
        }

    def _cards(self, names: list[str]) -> list[Card]:
        registry = self._bed.registry
        compact = len(names) >= COMPACT_NODES
        cards = []
        for name in names:
            size = card_size(len(registry.roles.get(name, {})), compact)
            cards.append(Card(name, registry.places[name], size))
        return cards

    def _hosts(self, cards: list[Card]) -> list[str]:
        """Return the engines, or the notebook, then the other hosts that have nodes."""
        first = [*self._bed.fleet.numbers] or [self._bed.registry.places["notebook"]]
        return list(dict.fromkeys([*first, *(card.host for card in cards)]))

    def _edges(self, names: list[str]) -> list[Edge]:
        edges = []
        for node in names:
            for relationship, members in self._bed.registry.relationships.get(node, {}).items():
                edges += [Edge(node, relationship, member) for member in members]
        return edges

    def _node(self, card: Card, position: Position) -> dict[str, Any]:
        return {
            "name": card.node,
            "host": card.host,
            "x": position[0],
            "y": position[1],
            "w": card.size[0],
            "h": card.size[1],
            "lost": self._bed.lost.get(card.host, ""),
            "roles": self._roles(card.node),
        }

    def _host(self, host: str) -> dict[str, Any]:
        return {"id": host, "label": host_label(host), "lost": self._bed.lost.get(host, "")}

    def _summary(self, nodes: list[dict[str, Any]], edges: int) -> str:
        """Return how many nodes, roles and engines there are, in one line."""
        parts = [] if self._bed.running else ["stopped"]
        parts.append(pluralize(len(nodes), "node"))
        parts.append(pluralize(sum(len(node["roles"]) for node in nodes), "role"))
        if self._bed.fleet.numbers:
            parts.append(pluralize(len(self._bed.fleet.numbers), "engine"))
        if edges > MAX_LINES:
            parts.append(f"{edges - MAX_LINES} more lines not drawn")
        return " · ".join(parts)

    def _place(self, cards: list[Card], edges: list[tuple[str, str]]) -> dict[str, Position]:
        """Place nodes by relationship: where they were put by hand, else where they were.

        New nodes get a place near those that they know. A node without relationships is
        unanchored: it moves when it gets some, or when all places are taken anew.
        """
        layout = self._layout
        nodes = {card.node for card in cards}
        related = _related(edges)
        by_hand = _only(self._bed.registry.positions, nodes)
        kept = _only(layout.places, nodes - (layout.unanchored & related))
        if set(kept) <= layout.unanchored:
            kept = {}  # nothing but rows so far: begin anew
        positions = by_relationship(cards, edges, {**kept, **by_hand}) if cards else {}
        placed = {}
        unanchored = set()
        for node, (x, y) in positions.items():
            if node not in by_hand:
                placed[node] = (round(x), round(y))
                if node not in related and (node not in kept or node in layout.unanchored):
                    unanchored.add(node)
        self._update_layout(
            places={**layout.places, **placed},
            unanchored=layout.unanchored - placed.keys() | unanchored,
        )
        return positions

    def _colours(self, nodes: list[str]) -> dict[str, int]:
        """Return {role name: number of its colour}, in the order in which roles came."""
        came: list[tuple[int, str]] = []
        for node in nodes:
            for name, entry in self._bed.registry.roles.get(node, {}).items():
                came.append((entry["turn"], name))
        names = dict.fromkeys(self._layout.roles)
        for _, name in sorted(came):
            names[name] = None
        self._update_layout(roles=tuple(names))
        return {name: number for number, name in enumerate(names)}

    def _roles(self, node: str) -> list[dict[str, Any]]:
        roles = []
        for name, entry in self._bed.registry.roles.get(node, {}).items():
            cls, version = self._bed.versions.running.get(
                RoleInstanceID(node, name), (str(entry["class"]), 0)
            )
            if not cls.startswith("__main__"):
                version = 0
            roles.append({"name": name, "cls": cls.rpartition(".")[2], "version": version})
        return roles


def _frame(group: Group) -> dict[str, Any]:
    return {
        "host": group.host,
        "x": group.x,
        "y": group.y,
        "w": group.width,
        "h": group.height,
    }


def _only(places: Mapping[str, Position], nodes: Set[str]) -> dict[str, Position]:
    return {node: place for node, place in places.items() if node in nodes}


def _related(edges: Iterable[tuple[str, str]]) -> set[str]:
    """Return the nodes that know another one, or are known by one."""
    related: set[str] = set()
    for one, other in edges:
        if one != other:
            related.update((one, other))
    return related


def _pairs(edges: Iterable[Edge], nodes: Set[str]) -> list[dict[str, Any]]:
    """Return pairs of nodes whose source knows roles of the target, with these roles.

    `both` is true when the target knows roles of the source, too.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for edge in edges:
        source, target = edge.ends
        if source == target or target not in nodes:
            continue
        back = found.get((target, source))
        pair = back or found.setdefault(
            (source, target), {"source": source, "target": target, "both": False, "known": []}
        )
        pair["both"] = pair["both"] or back is not None
        pair["known"].append(list(edge))
    return list(found.values())


def host_label(host: str) -> str:
    """Return the name of a host on the board."""
    if host.startswith("engine") and host[6:].isdigit():
        return f"engine {host[6:]}"
    return "this process" if host == "notebook" else host
