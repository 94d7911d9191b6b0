"""The commands that a page asks for, by the names of its gestures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roleml_nb.role import TestbedError, did_you_mean
from roleml_nb.testbed.operations.commands.requests import check_arguments

from .command import Command
from .node_commands import Arrange, Move, Remove, Rename, Spawn
from .role_commands import Assign, Migrate, Relate, Terminate

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["parse_command"]


COMMANDS: dict[str, type[Command]] = {
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


def parse_command(kind: str, given: Mapping[str, Any], bed: Testbed) -> Command:
    """Return the command for a gesture of the page; patterns of nodes in it become names."""
    if kind not in COMMANDS:
        raise TestbedError(f"no gesture {kind!r}; {did_you_mean(kind, COMMANDS)}")
    request = dict(given)
    if kind != "spawn":  # whose nodes are not there yet
        for key in {"nodes", "instances"} & request.keys():
            if not _are_patterns(request[key]):
                raise TestbedError(
                    f"{kind}: {key} must be names or patterns, not {ascii(request[key])[:60]}"
                )
        if "nodes" in request:
            request["nodes"] = tuple(bed.select(_patterns(request["nodes"])))
        if "instances" in request:
            request["instances"] = tuple(map(_address, _patterns(request["instances"])))
    return COMMANDS[kind](**check_arguments(COMMANDS[kind], request))


def _are_patterns(value: Any) -> bool:
    """Return True for a text, or for a sequence of texts and of sequences of texts."""
    if isinstance(value, str):
        return True
    if not isinstance(value, (list, tuple)):
        return False
    for item in value:
        if not isinstance(item, (str, list, tuple)):
            return False
        if not all(isinstance(part, str) for part in item):
            return False
    return True


def _address(item: str | Sequence[str]) -> str:
    return item if isinstance(item, str) else "/".join(item)


def _patterns(given: str | Sequence[str]) -> list[str]:
    words = given.replace(", ", " ").split() if isinstance(given, str) else list(given)
    if not words:
        raise TestbedError("say which nodes: client*, or drag onto one")
    return words
