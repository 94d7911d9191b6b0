"""Commands that change nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roleml_nb.role import RoleInstanceID, TestbedError
from roleml_nb.testbed.operations.undo import capture

from .codegen import pattern
from .command import Command, CompositeCommand, Names
from .role_commands import Relate, restore_commands

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["Arrange", "Move", "Remove", "Rename", "Spawn"]


@dataclass(frozen=True)
class Spawn(Command):
    """Make nodes: patterns of names; all on one engine, or spread."""

    nodes: str
    on: str | None = None

    def do(self, bed: Testbed, names: Names) -> Command:
        there = set(bed.registry.places)
        made = bed.spawn(*self.nodes.split(), on=_engine(self.on))
        new = tuple(node for node in made if node not in there)
        if not new:
            raise TestbedError(f"{self.nodes} is there already")
        return Remove(new)

    def to_magic(self) -> list[str]:
        return [f"%rml spawn {self.nodes}{f' --on {_engine(self.on)}' if self.on else ''}"]

    def to_python(self) -> list[str]:
        on = f", on={_engine(self.on)!r}" if self.on else ""
        return [f"bed.spawn({', '.join(map(repr, self.nodes.split()))}{on})"]


@dataclass(frozen=True)
class Remove(Command):
    """Take nodes away.

    Undone, they are there again, with their roles and their state, as far as that can be sent.
    """

    nodes: tuple[str, ...]

    def do(self, bed: Testbed, names: Names) -> Command:
        registry, nodes = bed.registry, set(self.nodes)
        back: list[Command] = []
        for node in self.nodes:
            place = registry.places.get(node)
            back.append(
                Respawn(
                    node,
                    None if place in bed.lost else place,
                    registry.contexts.get(node, {}),
                    dict(registry.links.get(node, {})),
                )
            )
        back += [
            Arrange(
                {
                    node: registry.positions[node]
                    for node in self.nodes
                    if node in registry.positions
                }
            )
        ]
        related = [
            Relate((node,), relationship, some)
            for node, relationships in registry.relationships.items()
            for relationship, members in relationships.items()
            if (
                some := tuple(
                    item for item in members if node in nodes or item.partition("/")[0] in nodes
                )
            )
        ]
        there = [
            RoleInstanceID(node, name)
            for node in self.nodes
            for name in registry.roles.get(node, {})
        ]
        with capture(bed.deployment, there) as kept:
            bed.remove(list(self.nodes))
        return CompositeCommand((*back, *restore_commands(bed, names, kept), *related))

    def to_magic(self) -> list[str]:
        return [f"%rml remove {pattern(self.nodes)}"]

    def to_python(self) -> list[str]:
        return [f"bed.remove({pattern(self.nodes)!r})"]


@dataclass(frozen=True)
class Respawn(Command):
    """Make a node again that was taken away."""

    node: str
    on: str | None
    context: dict[str, Any]
    links: dict[str, str]

    def do(self, bed: Testbed, names: Names) -> Command:
        if self.node in bed.registry.places:
            raise TestbedError(f"{self.node} is there already")
        bed.spawn(self.node, on=self.on, **self.context)
        for alias, relationship in self.links.items():
            bed.link_relationship(self.node, alias, relationship)
        return Remove((self.node,))


@dataclass(frozen=True)
class Rename(Command):
    """Give a node another name."""

    node: str
    name: str

    def do(self, bed: Testbed, names: Names) -> Command:
        bed.rename(self.node, self.name)
        return Rename(self.name, self.node)

    def to_magic(self) -> list[str]:
        return [f"%rml rename {self.node} {self.name}"]

    def to_python(self) -> list[str]:
        return [f"bed.rename({self.node!r}, {self.name!r})"]


@dataclass(frozen=True)
class Move(Command):
    """Take nodes to another engine."""

    nodes: tuple[str, ...]
    on: str

    def do(self, bed: Testbed, names: Names) -> Command:
        before = {node: bed.registry.places[node] for node in self.nodes}
        moved = bed.move(list(self.nodes), self.on)
        back: dict[str, list[str]] = {}
        for node in moved:
            back.setdefault(before[node], []).append(node)
        return CompositeCommand(tuple(Move(tuple(nodes), place) for place, nodes in back.items()))

    def to_magic(self) -> list[str]:
        return [f"%rml move {pattern(self.nodes)} --on {_engine(self.on)}"]

    def to_python(self) -> list[str]:
        return [f"bed.move({pattern(self.nodes)!r}, on={_engine(self.on)!r})"]


@dataclass(frozen=True)
class Arrange(Command):
    """Put nodes somewhere on the board."""

    positions: dict[str, tuple[int, int] | None]

    def do(self, bed: Testbed, names: Names) -> Command:
        before = {node: bed.registry.positions.get(node) for node in self.positions}
        bed.arrange(self.positions)
        return Arrange(before)

    def to_magic(self) -> list[str]:
        said = [
            node if at is None else f"{node}=({at[0]:.0f}, {at[1]:.0f})"
            for node, at in self.positions.items()
        ]
        return [f"%rml arrange {' '.join(said)}"] if said else []

    def to_python(self) -> list[str]:
        said = {node: at and (round(at[0]), round(at[1])) for node, at in self.positions.items()}
        return [f"bed.arrange({said!r})"] if said else []


def _engine(place: str | None) -> int | str | None:
    """Return the host's name as a user says it: the number of an engine."""
    return int(place[6:]) if place and place.startswith("engine") and place[6:].isdigit() else place
