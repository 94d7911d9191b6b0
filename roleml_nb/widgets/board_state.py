"""What is drawn on the board, as plain data: nodes, frames of engines, and who knows whom."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import RoleInstanceID
from roleml_nb.testbed import Testbed

from .board_layout import MANY, Card, Position, by_engine, by_relationship, card_size
from .needs import needs

__all__ = ["Drawing"]

EDGES = 3000
"""Lines that are drawn at most; more of them are one grey mass."""
MARGIN = 24


class Drawing:
    """A testbed drawn again and again; nodes stay where they were."""

    def __init__(self, bed: Testbed, by: str):
        self._bed = bed
        self._by = by
        self._places: dict[str, Position] = {}
        self._loose: set[str] = set()
        """Nodes that knew nobody when they were placed: they move once to whom they know."""
        self._hues: dict[str, int] = {}
        self._state: dict[str, Any] = {}
        self._drawn: tuple[Any, ...] | None = None

    @property
    def by(self) -> str:
        """Whether nodes are drawn by "engine" or by "relationship"."""
        return self._by

    @by.setter
    def by(self, by: str) -> None:
        self._by, self._drawn = by, None

    def forget(self) -> None:
        """Place all nodes anew."""
        self._places.clear()
        self._drawn = None

    @property
    def outdated(self) -> bool:
        """Whether the testbed has changed since it was drawn."""
        return self._drawn != self._now()

    def _now(self) -> tuple[Any, ...]:
        return self._bed.roster.revision, len(self._bed.lost), self._bed.running

    def draw(self) -> dict[str, Any]:
        """The testbed as it stands."""
        if self.outdated:
            self._drawn = self._now()
            self._state = self._draw()
        return self._state

    def _draw(self) -> dict[str, Any]:
        bed, roster = self._bed, self._bed.roster
        names = roster.nodes()
        many = len(names) >= MANY
        cards = [Card(name, roster.places[name], card_size(len(roster.roles.get(name, {})), many)) for name in names]
        hosts = [*bed.fleet.numbers] or [roster.places["notebook"]]
        hosts += [host for host in dict.fromkeys(card.host for card in cards) if host not in hosts]
        edges = [(node, relationship, member) for node in names
                 for relationship, members in roster.relationships.get(node, {}).items() for member in members]
        groups: list[dict[str, Any]] = []
        if self._by == "engine":
            positions, frames = by_engine(cards, hosts)
            groups = [{"host": one.host, "x": one.x, "y": one.y, "w": one.width, "h": one.height} for one in frames]
        else:
            positions = self._place(cards, [(node, member.partition("/")[0]) for node, _, member in edges])
        nodes = [{"name": card.node, "host": card.host, "x": positions[card.node][0], "y": positions[card.node][1],
                  "w": card.size[0], "h": card.size[1], "lost": bed.lost.get(card.host, ""), "roles": self._roles(card.node)}
                 for card in cards]
        return {"by": self._by, "many": many, "nodes": nodes, "groups": groups,
                "hosts": [{"id": host, "label": _label(host), "lost": bed.lost.get(host, "")} for host in hosts],
                "edges": [list(edge) for edge in edges[:EDGES]], "more": max(0, len(edges) - EDGES),
                "needs": needs(bed), "hues": dict(self._hues), "stopped": not bed.running}

    def _place(self, cards: list[Card], edges: list[tuple[str, str]]) -> dict[str, Position]:
        """By relationship: where nodes were put by hand, else where they were, else somewhere good."""
        known = {node for edge in edges for node in edge if edge[0] != edge[1]}
        there = {card.node for card in cards}
        kept = {node: at for node, at in self._places.items() if node in there and not (node in self._loose and node in known)}
        if kept and set(kept) <= self._loose:
            kept = {}  # nothing but rows so far: begin anew
        kept.update({node: at for node, at in self._bed.roster.positions.items() if node in there})
        positions = by_relationship(cards, edges, kept) if cards else {}
        self._places = positions
        self._loose = there - known
        return positions

    def _roles(self, node: str) -> list[dict[str, Any]]:
        found = []
        for name, given in self._bed.roster.roles.get(node, {}).items():
            cls, version = self._bed.versions.running.get(RoleInstanceID(node, name), (str(given["class"]), 0))
            self._hues.setdefault(name, len(self._hues))
            found.append({"name": name, "cls": cls.rpartition(".")[2], "version": version if cls.startswith("__main__") else 0})
        return found


def _label(host: str) -> str:
    return f"engine {host[6:]}" if host.startswith("engine") and host[6:].isdigit() else (
        "this process" if host == "notebook" else host)
