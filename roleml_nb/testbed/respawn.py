"""Nodes of lost engines, made anew on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roleml_nb.role import RoleInstanceID, TestbedError

from .config.deploy import update_relationship
from .host import NOTEBOOK

if TYPE_CHECKING:
    from .testbed import Testbed

__all__ = ["respawn"]


def respawn(bed: Testbed, names: list[str], on: int | str | None) -> list[str]:
    """See `Testbed.respawn`. Relationships come before roles, so that each role finds whom it knows when it starts."""
    roster, versions = bed.roster, bed.versions
    gone = [name for name in names if roster.places[name] in bed.lost]
    if not gone:
        return []
    if not bed.fleet.alive:
        raise TestbedError("all engines are lost: stop this testbed, and make a new one")
    bed.fleet.choose(on)
    contexts = {name: dict(roster.contexts.get(name, {})) for name in gone}
    links = {name: dict(roster.links.get(name, {})) for name in gone}
    known = {name: {key: list(members) for key, members in each.items()} for name, each in roster.relationships.items()}
    roles = [(assigned.get("turn", 0), RoleInstanceID(name, role))
             for name in gone for role, assigned in roster.roles.get(name, {}).items()]
    given = {instance: (versions.classes[instance], *versions.given[instance]) for _, instance in sorted(roles)}
    bed.remove(gone)
    for name in gone:
        bed.spawn(name, on=on, **contexts[name])
        for alias, relationship in links[name].items():
            bed.link_relationship(name, alias, relationship)
    _relate(bed, known, set(gone))
    for instance, (cls, options, elements) in given.items():
        bed.assign(instance.actor_name, instance.instance_name, cls, options=options, elements=elements)
    return gone


def _relate(bed: Testbed, known: dict[str, dict[str, list[str]]], gone: set[str]) -> None:
    """Have these nodes know whom they knew, and be known to those who knew them."""
    wanted: dict[str, dict[str, list[RoleInstanceID]]] = {}
    for name, relationships in known.items():
        if bed.roster.places.get(name, NOTEBOOK) in bed.lost:
            continue
        for relationship, members in relationships.items():
            theirs = [one for one in map(RoleInstanceID.of, members) if name in gone or one.actor_name in gone]
            if theirs:
                wanted.setdefault(relationship, {})[name] = theirs
    for relationship, members_of in wanted.items():
        update_relationship(bed, relationship, members_of, "add")
