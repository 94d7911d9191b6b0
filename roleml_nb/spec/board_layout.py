"""The layout state of boards, with which another board of the same testbed looks the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roleml_nb.role import TestbedError

__all__ = ["GROUPINGS", "BoardLayout"]

GROUPINGS = ("engine", "relationship")
FORMER_FIELDS = {"by": "group_by", "loose": "unanchored"}
"""{name of a field in checkpoints of before: its name now}."""


@dataclass(frozen=True)
class BoardLayout:
    """What boards remember of a testbed; never changed, but replaced by another one."""

    group_by: str
    """What nodes are grouped by: "engine" or "relationship"."""
    roles: tuple[str, ...] = ()
    """Names of roles, in the order of their colours."""
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """{node: its upper left corner}, by relationship; also of nodes that are gone, and may come
    back.
    """
    unanchored: frozenset[str] = frozenset()
    """Nodes that were placed when they knew nobody: they move once to whom they know."""

    def __post_init__(self) -> None:
        if self.group_by not in GROUPINGS:
            known = " or ".join(map(repr, GROUPINGS))
            raise TestbedError(f"by must be {known}, not {self.group_by!r}")

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the fields of a checkpoint, by their names of now or of before."""
        for name, value in state.items():
            self.__dict__[FORMER_FIELDS.get(name, name)] = value

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> BoardLayout:
        """Read plain data that `to_dict` has returned."""
        places = {}
        for node, (x, y) in given["places"].items():
            places[node] = (x, y)
        return cls(given["by"], tuple(given["roles"]), places, frozenset(given["loose"]))

    def to_dict(self, nodes: Iterable[str]) -> dict[str, Any]:
        """Return plain data of these nodes, in their order; specs hold these keys."""
        places: dict[str, list[int]] = {}
        unanchored: list[str] = []
        for node in nodes:
            if node in self.places:
                places[node] = list(self.places[node])
                if node in self.unanchored:
                    unanchored.append(node)
        return {
            "by": self.group_by,
            "roles": list(self.roles),
            "places": places,
            "loose": unanchored,
        }

    def renamed(self, old: str, new: str) -> BoardLayout:
        """Return the layout with a node called otherwise, which stands where it stood."""
        if old not in self.places:
            return self
        places = dict(self.places)
        places.pop(new, None)
        places[new] = places.pop(old)
        unanchored = self.unanchored - {old, new}
        if old in self.unanchored:
            unanchored |= {new}
        return replace(self, places=places, unanchored=unanchored)
