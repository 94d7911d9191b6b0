"""What is drawn on the board, as plain data: nodes, frames of engines, and who knows whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roleml_nb.role import RoleInstanceID
from roleml_nb.spec.board_layout import BoardLayout
from roleml_nb.testbed import Testbed

from .layout import MANY, Card, Position, by_engine, by_relationship, card_size
from .needs import needs

__all__ = ["Drawing", "label"]

EDGES = 3000
"""Lines that are drawn at most; more of them are one grey mass."""
MARGIN = 24


class Drawing:
    """A testbed drawn again and again; nodes stay where they were, and roles have the colours that
    they had.
    """

    def __init__(self, bed: Testbed, by: str):
        self._bed = bed
        self._remember(group_by=by)
        self._by = by
        self._state: dict[str, Any] = {}
        self._drawn: tuple[Any, ...] | None = None

    @property
    def by(self) -> str:
        """Whether nodes are drawn by "engine" or by "relationship"."""
        return self._by

    @by.setter
    def by(self, by: str) -> None:
        self._remember(group_by=by)
        self._by = by

    def forget(self) -> None:
        """Place all nodes anew."""
        self._remember(places={}, unanchored=frozenset())
        self._drawn = None

    def _remember(self, **changes: Any) -> None:
        """For the next drawing, on whichever board."""
        registry = self._bed.registry
        known = registry.board_layout or BoardLayout(changes.get("group_by") or self._by)
        layout = replace(known, **changes)
        if layout != registry.board_layout:
            registry.board_layout = layout

    @property
    def outdated(self) -> bool:
        """Whether the testbed has changed since it was drawn."""
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
        """The testbed as it stands."""
        if self.outdated:
            by, _, *rest = self._now()
            self._state = self._draw()
            self._drawn = (by, self._bed.registry.board_layout, *rest)
        return self._state

    def _draw(self) -> dict[str, Any]:
        bed, registry = self._bed, self._bed.registry
        names = registry.nodes()
        many = len(names) >= MANY
        colours = self._colours(names)
        cards = [
            Card(name, registry.places[name], card_size(len(registry.roles.get(name, {})), many))
            for name in names
        ]
        hosts = [*bed.fleet.numbers] or [registry.places["notebook"]]
        hosts += [host for host in dict.fromkeys(card.host for card in cards) if host not in hosts]
        edges = [
            (node, relationship, member)
            for node in names
            for relationship, members in registry.relationships.get(node, {}).items()
            for member in members
        ]
        groups: list[dict[str, Any]] = []
        if self._by == "engine":
            positions, frames = by_engine(cards, hosts)
            groups = [
                {"host": one.host, "x": one.x, "y": one.y, "w": one.width, "h": one.height}
                for one in frames
            ]
        else:
            positions = self._place(
                cards, [(node, member.partition("/")[0]) for node, _, member in edges]
            )
        nodes = [
            {
                "name": card.node,
                "host": card.host,
                "x": positions[card.node][0],
                "y": positions[card.node][1],
                "w": card.size[0],
                "h": card.size[1],
                "lost": bed.lost.get(card.host, ""),
                "roles": self._roles(card.node),
            }
            for card in cards
        ]
        return {
            "by": self._by,
            "many": many,
            "nodes": nodes,
            "groups": groups,
            "hosts": [
                {"id": host, "label": label(host), "lost": bed.lost.get(host, "")} for host in hosts
            ],
            "pairs": _pairs(edges[:EDGES], {*names}),
            "says": self._says(nodes, len(edges)),
            "needs": needs(bed),
            "hues": colours,
            "stopped": not bed.running,
        }

    def _says(self, nodes: list[dict[str, Any]], edges: int) -> str:
        """How much there is of everything."""
        counts = {
            "node": len(nodes),
            "role": sum(len(node["roles"]) for node in nodes),
            "engine": len(self._bed.fleet.numbers),
        }
        said = [] if self._bed.running else ["stopped"]
        said += [
            f"{count} {noun}{'s' * (count != 1)}"
            for noun, count in counts.items()
            if count or noun != "engine"
        ]
        return " · ".join(
            [*said, *([f"{edges - EDGES} more lines not drawn"] if edges > EDGES else [])]
        )

    def _place(self, cards: list[Card], edges: list[tuple[str, str]]) -> dict[str, Position]:
        """By relationship: where nodes were put by hand, else where they were, else somewhere
        good.
        """
        layout = self._bed.registry.board_layout or BoardLayout(self._by)
        knows = {node for edge in edges for node in edge if edge[0] != edge[1]}
        there = {card.node for card in cards}
        kept = {
            node: at
            for node, at in layout.places.items()
            if node in there and not (node in layout.unanchored and node in knows)
        }
        if set(kept) <= layout.unanchored:
            kept = {}  # nothing but rows so far: begin anew
        by_hand = {node: at for node, at in self._bed.registry.positions.items() if node in there}
        positions = by_relationship(cards, edges, {**kept, **by_hand}) if cards else {}
        placed = {
            node: (round(at[0]), round(at[1]))
            for node, at in positions.items()
            if node not in by_hand
        }
        unanchored = {
            node
            for node in placed
            if node not in knows and (node not in kept or node in layout.unanchored)
        }
        self._remember(
            places={**layout.places, **placed},
            unanchored=layout.unanchored - placed.keys() | unanchored,
        )
        return positions

    def _colours(self, nodes: list[str]) -> dict[str, int]:
        """{role: number of its colour}, in the order in which roles came."""
        roles = self._bed.registry.roles
        layout = self._bed.registry.board_layout or BoardLayout(self._by)
        here = [
            (given["turn"], name) for node in nodes for name, given in roles.get(node, {}).items()
        ]
        names = tuple(dict.fromkeys([*layout.roles, *(name for _, name in sorted(here))]))
        self._remember(roles=names)
        return {name: number for number, name in enumerate(names)}

    def _roles(self, node: str) -> list[dict[str, Any]]:
        found = []
        for name, given in self._bed.registry.roles.get(node, {}).items():
            cls, version = self._bed.versions.running.get(
                RoleInstanceID(node, name), (str(given["class"]), 0)
            )
            found.append(
                {
                    "name": name,
                    "cls": cls.rpartition(".")[2],
                    "version": version if cls.startswith("__main__") else 0,
                }
            )
        return found


def _pairs(edges: list[tuple[str, str, str]], there: set[str]) -> list[dict[str, Any]]:
    """Two nodes each, of which the source knows roles of the target: those, and whether the target
    knows some of it, too.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for source, relationship, member in edges:
        target = member.partition("/")[0]
        if source == target or target not in there:
            continue
        back = found.get((target, source))
        pair = back or found.setdefault(
            (source, target), {"source": source, "target": target, "both": False, "known": []}
        )
        pair["both"] = pair["both"] or back is not None
        pair["known"].append([source, relationship, member])
    return list(found.values())


def label(host: str) -> str:
    """What a host is called on the board."""
    return (
        f"engine {host[6:]}"
        if host.startswith("engine") and host[6:].isdigit()
        else ("this process" if host == "notebook" else host)
    )
