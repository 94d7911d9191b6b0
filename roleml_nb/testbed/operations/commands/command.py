"""A gesture: one change of a deployment, that can be done, undone and said as code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["Gesture", "Names", "Several"]

Names = Mapping[str, Any]
"""The notebook's namespace, which expressions speak of."""


class Gesture:
    """One change of a deployment; plain data."""

    def do(self, bed: Testbed, names: Names) -> Gesture:
        """Do it; returns what undoes it.

        RoleMLError when it cannot be done, and then nothing has changed.
        """
        raise TypeError(f"{type(self).__name__} does nothing")

    def notes(self) -> list[str]:
        """What whoever does it should know before."""
        return []

    def lines(self) -> list[str]:
        """It as `%rml` lines."""
        return []

    def python(self) -> list[str]:
        """It as Python."""
        return []


@dataclass(frozen=True)
class Several(Gesture):
    """One after the other."""

    parts: tuple[Gesture, ...]

    def do(self, bed: Testbed, names: Names) -> Gesture:
        done: list[Gesture] = []
        for part in self.parts:
            done.insert(0, part.do(bed, names))
        return Several(tuple(done))

    def notes(self) -> list[str]:
        return [note for part in self.parts for note in part.notes()]

    def lines(self) -> list[str]:
        return [line for part in self.parts for line in part.lines()]

    def python(self) -> list[str]:
        return [line for part in self.parts for line in part.python()]
