"""Nodes of lost engines, made anew on others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roleml_nb.host import engine as remote
from roleml_nb.role import NOTEBOOK, RoleInstanceID, TestbedError
from roleml_nb.testbed.registry.code_changes import newest_class, newest_values

from .deploy import update_relationship

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["respawn"]


def respawn(bed: Testbed, names: list[str], on: int | str | None) -> list[str]:
    """See `Testbed.respawn`.

    Relationships come before roles, so that each role finds whom it knows when it starts.

    When it fails, the nodes are lost as before, and can be made anew by another call.
    """
    registry, versions = bed.registry, bed.versions
    gone = [name for name in names if registry.places[name] in bed.lost]
    if not gone:
        return []
    if not bed.fleet.alive:
        raise TestbedError("all engines are lost: stop this testbed, and make a new one")
    bed.fleet.hosts_for(on)
    # an engine that takes no orders shows before anything is taken away
    bed.fleet.run_on_all(remote.run_generation)
    roles = sorted(
        (assigned.get("turn", 0), RoleInstanceID(name, role))
        for name in gone
        for role, assigned in registry.roles.get(name, {}).items()
    )
    before = _Before(bed, gone)
    given = []
    for _, instance in roles:
        options, elements = map(newest_values, versions.given[instance])
        given.append(
            (instance, newest_class(versions.classes[instance], instance), options, elements)
        )
    try:
        bed.remove(gone)
        for name in gone:
            bed.spawn(name, on=on, **before.contexts.get(name, {}))
            for alias, relationship in before.links.get(name, {}).items():
                bed.link_relationship(name, alias, relationship)
        _relate(bed, before.relationships, set(gone))
        for instance, cls, options, elements in given:
            bed.assign(
                instance.actor_name, instance.instance_name, cls, options=options, elements=elements
            )
    except BaseException:
        before.restore()
        raise
    return gone


class _Before:
    """What the notebook knew of nodes before they were made anew, for another attempt, should this
    one fail.
    """

    def __init__(self, bed: Testbed, gone: list[str]):
        registry, versions = bed.registry, bed.versions
        self._bed, self._gone = bed, gone
        self.places = {name: registry.places[name] for name in gone}
        self.contexts = {
            name: dict(registry.contexts[name]) for name in gone if name in registry.contexts
        }
        self.positions = {
            name: registry.positions[name] for name in gone if name in registry.positions
        }
        self.links = {name: dict(registry.links[name]) for name in gone if name in registry.links}
        self.roles = {name: dict(registry.roles[name]) for name in gone if name in registry.roles}
        self.relationships = registry.copy_relationships()
        self._versions: list[tuple[dict[RoleInstanceID, Any], dict[RoleInstanceID, Any]]] = []
        for table in versions.tables:
            entries = {}
            for instance, value in table.items():
                if instance.actor_name in gone:
                    entries[instance] = value
            self._versions.append((table, entries))

    def restore(self) -> None:
        """Have the notebook know all this again; others too, as far as they answer."""
        bed, registry = self._bed, self._bed.registry
        made = [
            name for name in self._gone if registry.places.get(name, NOTEBOOK) in bed.fleet.alive
        ]
        for attempt in (
            lambda: bed.fleet.remove(made),
            lambda: bed.fleet.update_directory(self.places),
        ):
            try:
                attempt()
            except Exception as error:  # whatever it was that has failed before may fail again
                bed.fleet.home.logger.info("after a failed respawn: %s", error)
        for name in self._gone:
            registry.removed(name)
        for name in ("places", "contexts", "positions", "links", "roles", "relationships"):
            getattr(registry, name).update(getattr(self, name))
        for table, known in self._versions:
            table.update(known)
        registry.revision += 1


def _relate(bed: Testbed, known: dict[str, dict[str, list[str]]], gone: set[str]) -> None:
    """Have these nodes know whom they knew, and be known to those who knew them."""
    wanted: dict[str, dict[str, list[RoleInstanceID]]] = {}
    for name, relationships in known.items():
        if bed.registry.places.get(name, NOTEBOOK) in bed.lost:
            continue
        for relationship, members in relationships.items():
            theirs = [
                one
                for one in map(RoleInstanceID.of, members)
                if name in gone or one.actor_name in gone
            ]
            if theirs:
                wanted.setdefault(relationship, {})[name] = theirs
    for relationship, members_of in wanted.items():
        update_relationship(bed, relationship, members_of, "add")
