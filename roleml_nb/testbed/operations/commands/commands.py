"""What a hand does on the board: all kinds of gestures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roleml_nb.role import TestbedError, did_you_mean
from roleml_nb.testbed.operations.commands.requests import check_arguments

from .command import Gesture
from .node_commands import Arrange, Move, Remove, Rename, Spawn
from .role_commands import Assign, Migrate, Relate, Terminate

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["gesture"]


KINDS: dict[str, type[Gesture]] = {
    "arrange": Arrange,
    "assign": Assign,
    "migrate": Migrate,
    "move": Move,
    "relate": Relate,
    "remove": Remove,
    "rename": Rename,
    "spawn": Spawn,
    "terminate": Terminate,
}


def gesture(kind: str, given: Mapping[str, Any], bed: Testbed) -> Gesture:
    """The gesture that a page tells of; patterns of nodes in it become names."""
    if kind not in KINDS:
        raise TestbedError(f"no gesture {kind!r}; {did_you_mean(kind, KINDS)}")
    said = dict(given)
    for key in ("nodes", "instances"):
        if (
            kind != "spawn"
            and key in said
            and not (
                isinstance(said[key], (str, list, tuple))
                and all(
                    isinstance(item, (str, list, tuple))
                    and all(isinstance(part, str) for part in item)
                    for item in said[key]
                )
            )
        ):
            raise TestbedError(
                f"{kind}: {key} must be names or patterns, not {ascii(said[key])[:60]}"
            )
    if kind != "spawn" and "nodes" in said:
        said["nodes"] = tuple(bed.select(_patterns(said["nodes"])))
    if "instances" in said:
        said["instances"] = tuple(
            item if isinstance(item, str) else "/".join(item)
            for item in _patterns(said["instances"])
        )
    return KINDS[kind](**check_arguments(KINDS[kind], said))


def _patterns(said: str | Sequence[str]) -> list[str]:
    words = said.replace(", ", " ").split() if isinstance(said, str) else list(said)
    if not words:
        raise TestbedError("say which nodes: client*, or drag onto one")
    return words
