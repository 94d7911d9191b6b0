"""Rename nodes: a new node takes over all that the old one is and knows."""

from __future__ import annotations

from roleml_nb.role import NOTEBOOK, RoleMLError, TestbedError
from roleml_nb.spec.patterns import expand

from .deployment import Deployment
from .migrate import migrate
from .relate import link_relationship, set_members
from .remove import remove
from .spawn import spawn

__all__ = ["check_renamable", "rename"]

Known = dict[str, dict[str, list[str]]]


def rename(deployment: Deployment, old: str, new: str, on: str | None = None) -> None:
    """See `Testbed.rename`; the node goes to the host `on`, or stays where it is."""
    check_renamable(deployment, old)
    registry = deployment.registry
    if expand(new) != [new]:
        raise TestbedError(f"{new!r} names several nodes, and a node has one name")
    if new in registry.places:
        raise TestbedError(f"there is a node {new!r} already")
    before = registry.copy_relationships()
    spawn(deployment, [new], on or registry.places[old], registry.contexts.get(old, {}))
    moved: list[str] = []
    try:
        set_members(deployment, {new: before.get(old, {})})
        for alias, relationship in registry.links.get(old, {}).items():
            link_relationship(deployment, [new], alias, relationship)
        for role in deployment.calls.roles_of(old):
            migrate(deployment, f"{old}/{role}", new, "keep")
            moved.append(role)
    except RoleMLError:
        for role in reversed(moved):
            migrate(deployment, f"{new}/{role}", old, "keep")
        _readdress_others(deployment, before, new, old)
        remove(deployment, [new])
        raise
    of_new = {new if node == old else node: known for node, known in before.items()}
    _readdress_others(deployment, of_new, old, new)
    if old in registry.positions:
        registry.arranged({new: registry.positions[old]})
    if registry.board_layout is not None:
        registry.board_layout = registry.board_layout.renamed(old, new)
    remove(deployment, [old])


def check_renamable(deployment: Deployment, node: str) -> None:
    """Check that a node is not the notebook's own, nor lost; TestbedError if so."""
    if node == NOTEBOOK:
        raise TestbedError("the notebook's own node keeps its name, and stays where it is")
    if deployment.is_lost(node):
        place = deployment.registry.places[node]
        raise TestbedError(
            f"{node!r} is lost with {place}, and cannot be taken elsewhere; remove it, and spawn"
            " another one"
        )


def _readdress_others(deployment: Deployment, before: Known, old: str, new: str) -> None:
    """Make relationships what they were `before`, with `new` in the place of `old`.

    They have got members while roles went there, and none for roles that are not there yet.
    """
    wanted: Known = {}
    for node, relationships in deployment.registry.relationships.items():
        if node != old:
            known = before.get(node, {})
            wanted[node] = {}
            for relationship in relationships:
                members = known.get(relationship, [])
                wanted[node][relationship] = [_new_address(item, old, new) for item in members]
    set_members(deployment, wanted)


def _new_address(member: str, old: str, new: str) -> str:
    node, slash, role = member.partition("/")
    return f"{new if node == old else node}{slash}{role}"
