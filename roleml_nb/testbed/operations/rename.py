"""Nodes under another name, and nodes on another engine: a new node takes over all that the old one
is and knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roleml_nb.role import NOTEBOOK, RoleInstanceID, RoleMLError, TestbedError
from roleml_nb.spec.patterns import expand

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["move", "rename"]

Known = dict[str, dict[str, list[str]]]


def move(bed: Testbed, nodes: list[str], on: int | str) -> list[str]:
    """See `Testbed.move`.

    Each goes under another name to the engine, and takes its own there again.
    """
    (host,) = bed.fleet.hosts_for(on)
    for node in nodes:
        _check(bed, node)
    moved = [node for node in nodes if bed.registry.places[node] != host]
    for node in moved:
        between = f"{node}.moves"
        rename(bed, node, between, host)
        rename(bed, between, node, host)
    return moved


def rename(bed: Testbed, old: str, new: str, on: str | None = None) -> None:
    """See `Testbed.rename`; the node goes to the host `on`, or stays where it is."""
    _check(bed, old)
    if expand(new) != [new]:
        raise TestbedError(f"{new!r} names several nodes, and a node has one name")
    if new in bed.registry.places:
        raise TestbedError(f"there is a node {new!r} already")
    registry = bed.registry
    before = _known(bed)
    bed.spawn(new, on=on or registry.places[old], **registry.contexts.get(old, {}))
    moved: list[str] = []
    try:
        for relationship, members in before.get(old, {}).items():
            if members:
                bed.relate(new, relationship, members)
        for alias, relationship in registry.links.get(old, {}).items():
            bed.link_relationship(new, alias, relationship)
        for role in bed._calls.roles_of(old):
            bed.migrate(f"{old}/{role}", new, conflicts="keep")
            moved.append(role)
    except RoleMLError:
        for role in reversed(moved):
            bed.migrate(f"{new}/{role}", old, conflicts="keep")
        _forget_others(bed, before, new, old)
        bed.remove(new)
        raise
    _forget_others(
        bed, {new if node == old else node: known for node, known in before.items()}, old, new
    )
    if old in registry.positions:
        bed.arrange({new: registry.positions[old]})
    if registry.board_layout is not None:
        registry.board_layout = registry.board_layout.renamed(old, new)
    bed.remove(old)


def _check(bed: Testbed, node: str) -> None:
    if node == NOTEBOOK:
        raise TestbedError("the notebook's own node keeps its name, and stays where it is")
    place = bed.registry.places[node]
    if place in bed.lost:
        raise TestbedError(
            f"{node!r} is lost with {place}, and cannot be taken elsewhere; remove it, and spawn"
            " another one"
        )


def _known(bed: Testbed) -> Known:
    return bed.registry.copy_relationships()


def _forget_others(bed: Testbed, before: Known, old: str, new: str) -> None:
    """Have nodes forget what they came to know while roles went from `old` to `new`; `before` is
    what they knew.
    """
    for node, relationships in _known(bed).items():
        for relationship, members in relationships.items():
            known = {_at(member, old, new) for member in before.get(node, {}).get(relationship, [])}
            extra = [RoleInstanceID.of(member) for member in members if member not in known]
            if extra and node != old:
                bed.relate(node, relationship, extra, remove=True)


def _at(member: str, old: str, new: str) -> str:
    node, slash, role = member.partition("/")
    return f"{new if node == old else node}{slash}{role}"
