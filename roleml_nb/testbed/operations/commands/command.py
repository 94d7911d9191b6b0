"""Changes of a deployment as values: the Command pattern.

A command is plain data. `do` carries it out and returns the command that undoes it; `to_magic` and
`to_python` write it as code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["Command", "Names", "CompositeCommand"]

Names = Mapping[str, Any]
"""The notebook's namespace, which expressions speak of."""


class Command:
    """One change of a deployment; plain data."""

    def do(self, bed: Testbed, names: Names) -> Command:
        """Carry out the command, and return the one that undoes it.

        RoleMLError when it cannot be done, and then nothing has changed.
        """
        raise TypeError(f"{type(self).__name__} does nothing")

    def notes(self) -> list[str]:
        """Return warnings for whoever is about to carry it out."""
        return []

    def to_magic(self) -> list[str]:
        """Return the equivalent `%rml` lines."""
        return []

    def to_python(self) -> list[str]:
        """Return the equivalent lines of Python."""
        return []


@dataclass(frozen=True)
class CompositeCommand(Command):
    """Commands that are carried out one after the other."""

    parts: tuple[Command, ...]

    def do(self, bed: Testbed, names: Names) -> Command:
        done: list[Command] = []
        for part in self.parts:
            done.insert(0, part.do(bed, names))
        return CompositeCommand(tuple(done))

    def notes(self) -> list[str]:
        notes = []
        for part in self.parts:
            notes += part.notes()
        return notes

    def to_magic(self) -> list[str]:
        code = []
        for part in self.parts:
            code += part.to_magic()
        return code

    def to_python(self) -> list[str]:
        code = []
        for part in self.parts:
            code += part.to_python()
        return code
