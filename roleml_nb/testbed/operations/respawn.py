"""Respawn the nodes of lost engines on others."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import partial
from typing import Any

from roleml_nb.host import engine as remote
from roleml_nb.role import NOTEBOOK, RoleInstanceID, TestbedError
from roleml_nb.testbed.registry.code_changes import newest_class

from .assign import as_assigned, assign
from .deployment import Deployment
from .relate import link_relationship, set_members
from .remove import remove
from .spawn import spawn

__all__ = ["respawn"]


def respawn(deployment: Deployment, names: list[str], on: int | str | None) -> list[str]:
    """See `Testbed.respawn`.

    Relationships come before roles, so that each role finds whom it knows when it starts.

    When it fails, the nodes are lost as before, and can be made anew by another call.
    """
    fleet = deployment.fleet
    gone = list(filter(deployment.is_lost, names))
    if not gone:
        return []
    if not fleet.alive:
        raise TestbedError("all engines are lost: stop this testbed, and make a new one")
    fleet.hosts_for(on)
    # an engine that takes no orders shows before anything is taken away
    fleet.run_on_all(remote.run_generation)
    roles = _roles_to_assign(deployment, gone)
    before = _Before(deployment, gone)
    try:
        remove(deployment, gone)
        for name in gone:
            spawn(deployment, [name], on, before.contexts.get(name, {}))
            for alias, relationship in before.links.get(name, {}).items():
                link_relationship(deployment, [name], alias, relationship)
        set_members(deployment, before.relationships)
        deployment.registry.arranged(before.positions)
        for (node, name), cls, options, elements in roles:
            assign(deployment, [node], name, cls, options, elements)
            deployment.code_changes.report_changes()
    except BaseException:
        before.restore()
        raise
    return gone


def _roles_to_assign(
    deployment: Deployment, gone: list[str]
) -> list[tuple[RoleInstanceID, type, dict[str, Any], dict[str, Any]]]:
    """Return the roles of these nodes in the order of their assignment, each with the newest class,
    options and elements.
    """
    turns = []
    for node in gone:
        for name, assigned in deployment.registry.roles.get(node, {}).items():
            turns.append((assigned.get("turn", 0), RoleInstanceID(node, name)))
    found = []
    for _, instance in sorted(turns):
        cls = newest_class(deployment.versions.classes[instance], instance)
        found.append((instance, cls, *as_assigned(deployment, instance, cls)))
    return found


class _Before:
    """The registry's entries of nodes before they were made anew, for another attempt, should this
    one fail.
    """

    def __init__(self, deployment: Deployment, gone: list[str]):
        registry = deployment.registry
        self._deployment, self._gone = deployment, gone
        self.places = _entries(registry.places, gone)
        self.contexts = _entries(registry.contexts, gone)
        self.positions = _entries(registry.positions, gone)
        self.links = _entries(registry.links, gone)
        self.roles = _entries(registry.roles, gone)
        self.relationships = registry.copy_relationships()
        self._versions: dict[RoleInstanceID, list[Any]] = {}
        for node, roles in self.roles.items():
            for name in roles:
                instance = RoleInstanceID(node, name)
                self._versions[instance] = deployment.versions.entries(instance)

    def restore(self) -> None:
        """Have the notebook know all this again; others too, as far as they answer."""
        fleet, registry = self._deployment.fleet, self._deployment.registry
        made = []
        for name in self._gone:
            if registry.places.get(name, NOTEBOOK) in fleet.alive:
                made.append(name)
        for step in (partial(fleet.remove, made), partial(fleet.update_directory, self.places)):
            try:
                step()
            except Exception as error:  # whatever it was that has failed before may fail again
                fleet.home.logger.info("after a failed respawn: %s", error)
        for name in self._gone:
            registry.removed(name)
        for name in ("places", "contexts", "positions", "links", "roles", "relationships"):
            getattr(registry, name).update(getattr(self, name))
        for instance, entries in self._versions.items():
            self._deployment.versions.restore_entries(instance, entries)
        registry.revision += 1


def _entries(table: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return copies of the entries of a table that have these names."""
    return {name: copy(table[name]) for name in names if name in table}
