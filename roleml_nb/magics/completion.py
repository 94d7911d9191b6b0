"""What may follow on a line that begins with %rml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roleml_nb.role import Role, RoleMLError, standard_name
from roleml_nb.testbed import Testbed

from .parsing import files

__all__ = ["complete", "nodes_of"]


def complete(
    line: str, commands: Mapping[str, Any], bed: Testbed | None, classes: Mapping[str, type[Role]]
) -> list[str]:
    """Words for the end of `line`: commands, options, files, nodes, roles, channels, elements.

    `commands` are the parsers by name, `classes` the role classes that can be assigned; `bed` is
    None when none runs.
    """
    words = line.split()
    place = len(words) - (not line.endswith(" "))
    if place <= 1:
        return list(commands)
    command = words[1]
    options = list(commands[command]._option_string_actions) if command in commands else []
    if command in ("checkpoint", "load", "record", "restore", "save"):
        return [*options, *files("" if line.endswith(" ") else words[-1])]
    if command == "update":
        return [*options, *classes]
    if command == "wire":
        options += _graphs()
    module = commands[command].get_default("module") if command in commands else None
    if module is not None:
        offer = getattr(module, "complete", None)
        return [*options, *(offer(bed, command, words[2:place]) if offer is not None else [])]
    return (
        [*options, *_of_testbed(bed, command, words[:place], place, classes)]
        if bed is not None
        else options
    )


def nodes_of(bed: Testbed | None) -> list[str]:
    """The nodes of a testbed, for completion."""
    return [] if bed is None else list(bed.spec()["nodes"])


def _of_testbed(
    bed: Testbed, command: str, before: list[str], place: int, classes: Mapping[str, type[Role]]
) -> list[str]:
    nodes = bed.spec()["nodes"]
    instances = [f"{node}/{role}" for node, given in nodes.items() for role in given["roles"]]
    if command == "assign" and before[-1] == "--element":
        named = [word.partition("=")[2].partition("(")[0] for word in before]
        return [
            f"{element.replace('-', '_')}="
            for name in named
            if name in classes
            for element in classes[name].elements
        ]
    if command == "call" and place == 3:
        try:
            return bed.channels(before[2])
        except RoleMLError:  # the target is mistyped, or gone: there is nothing to offer
            return []
    if command == "call" and place > 3:
        return _arguments(bed, before[2], before[3], classes)
    return {
        "assign": [*nodes, *classes],
        "relate": [*nodes, *instances],
        "call": instances,
        "wire": instances,
        "migrate": [*instances, *nodes],
    }.get(command, [])


def _arguments(
    bed: Testbed, target: str, channel: str, classes: Mapping[str, type[Role]]
) -> list[str]:
    """What the handler of a channel takes, as far as its class is one that the notebook knows."""
    try:
        node, name = bed.registry.instances(target)[0]
    except RoleMLError:
        return []
    cls = classes.get(
        str(bed.registry.roles.get(node, {}).get(name, {}).get("class", "")).rpartition(".")[2]
    )
    if cls is None:
        return []
    attribute = {**cls.services, **cls.tasks}.get(standard_name(channel))
    return (
        [f"{argument}=" for argument in sorted(getattr(cls, attribute).handler.names)]
        if attribute
        else []
    )


def _graphs() -> list[str]:
    from roleml_nb.topologies.graphs import GRAPHS  # networkx takes a third of a second to import

    return list(GRAPHS)
