"""The native role `actor` of every node: the channels by which the testbed, or any manager, steers
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from roleml_nb.role import (
    NATIVE,
    ActorProfile,
    ArgumentError,
    CallerError,
    ElementImplementation,
    Event,
    NoSuchRoleError,
    Role,
    RoleInstanceID,
    Service,
    Status,
    Task,
    check_name,
    did_you_mean,
    require_relationship,
)

from .spec import read_spec
from .update import check_update, update_role

__all__ = ["NativeRole"]


def _for_managers(handler: Callable) -> Callable:
    return require_relationship("manager", "{sender} is not a manager of this node")(handler)


def _check_name(noun: str, name: object) -> None:
    """Raise CallerError unless `name` can be the name of a role or a relationship."""
    try:
        check_name(noun, name)
    except ArgumentError as error:
        raise CallerError(str(error)) from None


class NativeRole(Role):
    """Channels for members of the relationship `manager` only.

    Their changes are emitted as events.
    """

    heartbeat = Event()
    contact_updated = Event()
    relationship_updated = Event()
    handshake_completed = Event()
    handwave_completed = Event()
    role_assigned = Event()
    role_removed = Event()
    role_status_changed = Event()

    def attach(self, name: str, base: Any) -> None:
        super().attach(name, base)
        self.ctx.relationships.listeners.append(self._relationship_changed)

    def _relationship_changed(
        self, relationship: str, operation: str, instances: tuple[RoleInstanceID, ...]
    ) -> None:
        if self.base.roles.started(NATIVE):
            self.relationship_updated.emit(
                {"name": relationship, "op": operation, "instances": list(instances)}
            )

    def pulse(self) -> None:
        """Emit a heartbeat where somebody listens. Called by the host."""
        if self.base.roles.started(NATIVE) and self.base.emissions.has_subscribers(
            NATIVE, "heartbeat"
        ):
            self.heartbeat.emit()

    # contacts and relationships

    @Service(expand=True)
    @_for_managers
    def update_contacts(self, caller: RoleInstanceID, contacts: Mapping[str, str]) -> None:
        """Note where actors live: {actor: host}. CallerError for a host that no link leads to."""
        known = {profile.address for profile in self.ctx.contacts.all_actors()}
        for name, address in contacts.items():
            self.require(
                address in known,
                f"actor {name!r} cannot be reached at {address!r}: no such host; "
                + did_you_mean(address, known),
            )
        for name, address in contacts.items():
            self.ctx.contacts.add_contact(ActorProfile(name, address))
            self.contact_updated.emit({"name": name})

    @Service(expand=True)
    @_for_managers
    def handshake(self, caller: RoleInstanceID, name: str) -> None:
        """Greet another actor: it answers, so it can be reached.

        Raises what `call` raises when it cannot.
        """
        self.base.handshake(name)
        self.handshake_completed.emit({"name": name})

    @Service(expand=True)
    @_for_managers
    def handwave(self, caller: RoleInstanceID, name: str) -> None:
        """Take leave of another actor, which tells so by its own ``handwave-completed``."""
        self.base.handwave(name)
        self.handwave_completed.emit({"name": name})

    @Service(expand=True)
    def greet(self, caller: RoleInstanceID, greeting: str) -> None:
        """Answer another actor's native role, which greets (handshake) or takes leave
        (handwave).
        """
        self.require(caller.instance_name == NATIVE, f"only actors greet, and {caller} is a role")
        if greeting == "handshake":
            self.contact_updated.emit({"name": caller.actor_name})
        else:
            self.handwave_completed.emit({"name": caller.actor_name})

    @Service(expand=True)
    @_for_managers
    def update_relationship(
        self,
        caller: RoleInstanceID,
        relationship_name: str,
        op: str,
        instances: Iterable[RoleInstanceID],
    ) -> int:
        """Add or remove instances (op: "add" or "remove"); return the number of
        members then.
        """
        self.require(op in ("add", "remove"), f"op must be 'add' or 'remove', not {op!r}")
        members = [RoleInstanceID(*item) for item in instances]
        self.require(members, f"no instances to {op}")
        if op == "add":
            _check_name("relationship", relationship_name)
        relationships = self.ctx.relationships
        change = (
            relationships.add_to_relationship
            if op == "add"
            else relationships.remove_from_relationship
        )
        change(relationship_name, *members)
        return len(relationships.members(relationship_name))

    @Service(expand=True)
    @_for_managers
    def add_relationship_link(
        self, caller: RoleInstanceID, from_relationship_name: str, to_relationship_name: str
    ) -> None:
        """Make one name an alias of another."""
        for name in (from_relationship_name, to_relationship_name):
            _check_name("relationship", name)
        try:
            self.ctx.relationships.link_relationship(from_relationship_name, to_relationship_name)
        except ValueError as error:
            raise CallerError(str(error)) from None

    # looking

    @Service(expand=True)
    @_for_managers
    def get_role_status(self, caller: RoleInstanceID, name: str) -> Status:
        return self.base.roles.lifecycle(name).status

    @Service(expand=True)
    @_for_managers
    def get_roles(self, caller: RoleInstanceID) -> dict[str, tuple[str, Status]]:
        """Return the node's roles but this one: {name: (class name, status)}."""
        found = {}
        for name, role in list(self.base.roles.items()):
            if name != NATIVE:
                found[name] = type(role).__name__, self.base.roles.lifecycle(name).status
        return found

    @Service(expand=True)
    @_for_managers
    def get_channels(self, caller: RoleInstanceID, name: str) -> tuple[list[str], list[str]]:
        """Return the services and the tasks of a role."""
        self.base.roles.lifecycle(name)
        role = self.base.roles[name]
        return list(role.services), list(role.tasks)

    # roles

    @Task(expand=True)
    @_for_managers
    def assign_role(
        self,
        caller: RoleInstanceID,
        name: str,
        spec: Mapping[str, Any] | None = None,
        *,
        cls: type[Role] | None = None,
        options: Mapping[str, Any] | None = None,
        elements: Mapping[str, ElementImplementation] | None = None,
    ) -> Status:
        """Build a role, give it its elements, start it.

        A role of that name is stopped and replaced.

        Either `cls`, `options` and `elements`, or a `spec` with the keys "class", "options" and
        "impl".
        """
        self.require(name != NATIVE, f"the name {NATIVE!r} is the native role's own")
        _check_name("role", name)
        self.require((spec is None) != (cls is None), "give either spec= or cls=")
        made, options, elements = (cls, options, elements) if spec is None else read_spec(spec)
        role = made(**(options or {}))  # type: ignore[misc]
        with self.base.exclusive(name):
            if name in self.base.roles:
                self.base.stop_role(name)
            self.base.add_role(name, role)
            try:
                for element, given in (elements or {}).items():
                    self.base.implement_element(name, element, given)
                self.base.start_role(name)
            except BaseException:
                self.base.discard_role(name)
                raise
        self.role_assigned.emit({"name": name, "cls": type(role).__name__})
        return self.base.roles.lifecycle(name).status

    @Task(expand=True)
    @_for_managers
    def update_roles(
        self,
        caller: RoleInstanceID,
        names: list[str],
        cls: type[Role],
        *,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        only_check: bool = False,
    ) -> None:
        """Have roles take up a new version of their class, and keep their state.

        `options` are those that they were given, by name: new attributes are made with them. With
        `only_check`, it is refused as it would be, and nothing is changed.
        """
        for name in names:
            self.require(name != NATIVE, "the native role is not updated")
            self.base.roles.lifecycle(name)
        for name in names:
            with self.base.exclusive(name):
                (check_update if only_check else update_role)(
                    self.base, name, cls, (options or {}).get(name)
                )

    @Task(expand=True)
    @_for_managers
    def terminate_role(self, caller: RoleInstanceID, name: str) -> None:
        """Stop a role and remove it; returns when it is gone."""
        if name == NATIVE or name not in self.base.roles:
            roles = [role for role in self.base.roles if role != NATIVE]
            raise NoSuchRoleError(
                f"node '{self.profile.name}' has no role '{name}' that can be terminated; "
                + did_you_mean(name, roles)
            )
        self._not_itself(caller, name)
        with self.base.exclusive(name):
            self.base.stop_role(name)
        self.role_removed.emit({"name": name})

    @Task(expand=True)
    @_for_managers
    def change_role_status(self, caller: RoleInstanceID, name: str, status: Status | str) -> Status:
        """Pause (`Status.PAUSED`, returns when its handlers have ended), resume or start
        (`Status.READY`) a role.

        `status` may be a text, "paused" or "ready".
        """
        self.require(name != NATIVE, "the native role's status cannot be changed")
        lifecycle = self.base.roles.lifecycle(name)
        try:
            wanted = Status(status)
        except ValueError as error:
            raise CallerError(str(error)) from None
        self.require(
            wanted in (Status.READY, Status.PAUSED, Status.DECLARED),
            f"status must be ready or paused, not {wanted}; to end a role call terminate-role",
        )
        if wanted is Status.PAUSED:
            self._not_itself(caller, name)
        with self.base.exclusive(name):
            before = lifecycle.status
            if wanted is Status.PAUSED:
                lifecycle.pause(self.base.host.call_timeout)
            elif wanted is Status.DECLARED:
                self.require(
                    before is Status.DECLARED,
                    f"{lifecycle.where} is {before} and cannot become declared again",
                )
            elif before is Status.DECLARED:
                self.base.start_role(name)
            elif before is not Status.READY:
                lifecycle.resume()
        if lifecycle.status is not before:
            self.role_status_changed.emit({"name": name, "new_status": str(lifecycle.status)})
        return lifecycle.status

    @Task(expand=True)
    @_for_managers
    def migrate_role(
        self,
        caller: RoleInstanceID,
        name: str,
        to: str,
        conflicts: str = "refuse",
        timeout: float = 60.0,
    ) -> RoleInstanceID:
        """Move a role to another node ("node", or "node/other-name"), with its state; returns its
        new address.

        See `Testbed.migrate`. The role goes on here when it cannot be moved, and when its handlers
        run on after `timeout` seconds.
        """
        self.require(name != NATIVE, "the native role stays on its node")
        self.require(
            conflicts in ("refuse", "keep"),
            f"conflicts must be 'refuse' or 'keep', not {conflicts!r}",
        )
        self._not_itself(caller, name)
        node, _, other = to.partition("/")
        try:
            with self.base.exclusive(name):
                return self.base.migration.move(
                    name, RoleInstanceID(node, other or name), conflicts, timeout
                )
        except CallerError as error:  # the other node refuses: our caller is to know, as if we did
            raise CallerError(str(error)) from None

    def _not_itself(self, caller: RoleInstanceID, name: str) -> None:
        self.require(
            caller != RoleInstanceID(self.profile.name, name),
            f"{caller} cannot wait for the end of the handler that it calls from; call it from"
            " another role",
        )
