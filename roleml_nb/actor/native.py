"""The native role `actor` of every node: how the testbed, or any manager, steers the node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from roleml_nb.role import (
    NATIVE,
    ElementImplementation,
    Event,
    NoSuchRoleError,
    Role,
    RoleInstanceID,
    Service,
    Status,
    Task,
)

__all__ = ["NativeRole"]


class NativeRole(Role):
    """Channels for members of the relationship `manager` only."""

    role_assigned = Event()
    role_removed = Event()
    role_status_changed = Event()
    relationship_updated = Event()

    def _only_managers(self, caller: RoleInstanceID) -> None:
        self.require(
            self.ctx.relationships.instance_belongs_to_relationship(caller, "manager"),
            f"{caller} is not a manager of node '{self.profile.name}'",
        )

    @Service(expand=True)
    def update_relationship(
        self, caller: RoleInstanceID, relationship_name: str, op: str, instances: Iterable[RoleInstanceID]
    ) -> int:
        """Add or remove instances (op: "add" or "remove"); returns how many members there are then."""
        self._only_managers(caller)
        self.require(op in ("add", "remove"), f"op must be 'add' or 'remove', not {op!r}")
        members = [RoleInstanceID(*item) for item in instances]
        relationships = self.ctx.relationships
        change = relationships.add_to_relationship if op == "add" else relationships.remove_from_relationship
        change(relationship_name, *members)
        self.relationship_updated.emit({"relationship_name": relationship_name, "op": op})
        return len(relationships.members(relationship_name))

    @Service(expand=True)
    def add_relationship_link(
        self, caller: RoleInstanceID, from_relationship_name: str, to_relationship_name: str
    ) -> None:
        self._only_managers(caller)
        self.ctx.relationships.link_relationship(from_relationship_name, to_relationship_name)

    @Service(expand=True)
    def get_role_status(self, caller: RoleInstanceID, name: str) -> Status:
        self._only_managers(caller)
        return self.base.lifecycle(name).status

    @Service(expand=True)
    def get_roles(self, caller: RoleInstanceID) -> dict[str, tuple[str, Status]]:
        """The node's roles but this one: {name: (class name, status)}."""
        self._only_managers(caller)
        return {
            name: (type(role).__name__, self.base.lifecycle(name).status)
            for name, role in list(self.base.roles.items()) if name != NATIVE
        }

    @Service(expand=True)
    def get_channels(self, caller: RoleInstanceID, name: str) -> tuple[list[str], list[str]]:
        """The services and the tasks of a role."""
        self._only_managers(caller)
        self.base.lifecycle(name)
        role = self.base.roles[name]
        return list(role.services), list(role.tasks)

    @Task(expand=True)
    def assign_role(
        self, caller: RoleInstanceID, name: str, cls: type[Role], options: Mapping[str, Any],
        elements: Mapping[str, ElementImplementation],
    ) -> Status:
        """Build a role, give it its elements, start it. A role of that name is stopped and replaced."""
        self._only_managers(caller)
        self.require(name != NATIVE, f"the name {NATIVE!r} is the native role's own")
        role = cls(**options)
        if name in self.base.roles:
            self.base.stop_role(name)
        self.base.add_role(name, role)
        try:
            for element, given in elements.items():
                self.base.implement_element(name, element, given)
            self.base.start_role(name)
        except BaseException:
            self.base.discard_role(name)
            raise
        self.role_assigned.emit({"name": name})
        return self.base.lifecycle(name).status

    @Task(expand=True)
    def terminate_role(self, caller: RoleInstanceID, name: str) -> None:
        self._only_managers(caller)
        if name == NATIVE or name not in self.base.roles:
            raise NoSuchRoleError(f"node '{self.profile.name}' has no role '{name}' that can be terminated")
        self.base.stop_role(name)
        self.role_removed.emit({"name": name})

    @Task(expand=True)
    def change_role_status(self, caller: RoleInstanceID, name: str, status: Status | str) -> Status:
        """Pause (`Status.PAUSED`, returns when its handlers have ended) or resume (`Status.READY`) a role."""
        self._only_managers(caller)
        lifecycle, wanted = self.base.lifecycle(name), Status(status)
        self.require(wanted in (Status.READY, Status.PAUSED), "status must be 'ready' or 'paused'")
        if wanted is Status.PAUSED:
            lifecycle.pause(self.base.host.call_timeout)
        elif lifecycle.status is Status.DECLARED:
            self.base.start_role(name)
        else:
            lifecycle.resume()
        self.role_status_changed.emit({"name": name, "status": lifecycle.status.value})
        return lifecycle.status
