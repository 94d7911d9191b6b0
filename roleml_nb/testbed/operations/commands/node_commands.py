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
        before = set(bed.registry.places)
        made = bed.spawn(*self.nodes.split(), on=_engine(self.on))
        new = [node for node in made if node not in before]
        if not new:
            raise TestbedError(f"{self.nodes} is there already")
        return Remove(tuple(new))

    def to_magic(self) -> list[str]:
        on = f" --on {_engine(self.on)}" if self.on else ""
        return [f"%rml spawn {self.nodes}{on}"]

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
        registry = bed.registry
        nodes: list[Command] = []
        positions: dict[str, tuple[int, int] | None] = {}
        roles = []
        for node in self.nodes:
            place = registry.places.get(node)
            on = None if place in bed.lost else place
            context, links = registry.contexts.get(node, {}), registry.links.get(node, {})
            nodes.append(Respawn(node, on, context, dict(links)))
            if node in registry.positions:
                positions[node] = registry.positions[node]
            for name in registry.roles.get(node, {}):
                roles.append(RoleInstanceID(node, name))
        relations = self._relations(bed)
        with capture(bed.deployment, roles) as kept:
            bed.remove(list(self.nodes))
        restored = restore_commands(bed, names, kept)
        return CompositeCommand((*nodes, Arrange(positions), *restored, *relations))

    def _relations(self, bed: Testbed) -> list[Relate]:
        """Return the commands that relate the nodes again, and others with their roles."""
        gone, found = set(self.nodes), []
        for node, relationships in bed.registry.relationships.items():
            for relationship, members in relationships.items():
                theirs = members
                if node not in gone:
                    theirs = [item for item in members if item.partition("/")[0] in gone]
                if theirs:
                    found.append(Relate((node,), relationship, tuple(theirs)))
        return found

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
        before = dict(bed.registry.places)
        moved = bed.move(list(self.nodes), self.on)
        moved_from: dict[str, list[str]] = {}
        for node in moved:
            moved_from.setdefault(before[node], []).append(node)
        back = [Move(tuple(nodes), place) for place, nodes in moved_from.items()]
        return CompositeCommand(tuple(back))

    def to_magic(self) -> list[str]:
        return [f"%rml move {pattern(self.nodes)} --on {_engine(self.on)}"]

    def to_python(self) -> list[str]:
        return [f"bed.move({pattern(self.nodes)!r}, on={_engine(self.on)!r})"]


@dataclass(frozen=True)
class Arrange(Command):
    """Put nodes somewhere on the board."""

    positions: dict[str, tuple[int, int] | None]

    def do(self, bed: Testbed, names: Names) -> Command:
        known = bed.registry.positions
        before = {node: known.get(node) for node in self.positions}
        bed.arrange(self.positions)
        return Arrange(before)

    def to_magic(self) -> list[str]:
        words = []
        for node, at in self.positions.items():
            words.append(node if at is None else f"{node}=({at[0]:.0f}, {at[1]:.0f})")
        return [f"%rml arrange {' '.join(words)}"] if words else []

    def to_python(self) -> list[str]:
        positions = {}
        for node, at in self.positions.items():
            positions[node] = at and (round(at[0]), round(at[1]))
        return [f"bed.arrange({positions!r})"] if positions else []


def _engine(place: str | None) -> int | str | None:
    """Return the host's name as a user says it: the number of an engine."""
    return int(place[6:]) if place and place.startswith("engine") and place[6:].isdigit() else place
