"""How boards draw a testbed, as far as that is not to be seen from what is deployed: with it,
another board looks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roleml_nb.role import TestbedError

__all__ = ["BY", "Drawn"]

BY = ("engine", "relationship")


@dataclass(frozen=True)
class Drawn:
    """What boards remember of a testbed; never changed, but replaced by another one."""

    by: str
    """What nodes are drawn by: "engine" or "relationship"."""
    roles: tuple[str, ...] = ()
    """Names of roles, in the order of their colours."""
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """{node: its upper left corner}, by relationship; also of nodes that are gone, and may come
    back.
    """
    loose: frozenset[str] = frozenset()
    """Nodes that were placed when they knew nobody: they move once to whom they know."""

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise TestbedError(f"by must be {' or '.join(map(repr, BY))}, not {self.by!r}")

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Drawn:
        """What `plain` gave."""
        return cls(
            plain["by"],
            tuple(plain["roles"]),
            {node: (x, y) for node, (x, y) in plain["places"].items()},
            frozenset(plain["loose"]),
        )

    def plain(self, nodes: Iterable[str]) -> dict[str, Any]:
        """As plain data, of these nodes, in their order."""
        there = [node for node in nodes if node in self.places]
        return {
            "by": self.by,
            "roles": list(self.roles),
            "places": {node: list(self.places[node]) for node in there},
            "loose": [node for node in there if node in self.loose],
        }

    def renamed(self, old: str, new: str) -> Drawn:
        """The node is called otherwise, and stands where it stood."""
        if old not in self.places:
            return self
        places = {node: at for node, at in self.places.items() if node not in (old, new)}
        loose = self.loose - {old, new} | ({new} if old in self.loose else set())
        return replace(self, places={**places, new: self.places[old]}, loose=loose)
