"""The roles of one actor, with their lifecycles and the addresses of roles that have moved away."""

from __future__ import annotations

from collections.abc import Callable

from roleml_nb.role import (
    NATIVE,
    CallerError,
    ElementError,
    ElementImplementation,
    ElementInstance,
    Lifecycle,
    NoSuchRoleError,
    Role,
    RoleInstanceID,
    RoleMoved,
    Status,
    did_you_mean,
)

__all__ = ["RoleTable"]


class RoleTable(dict[str, Role]):
    """{name: role} of the node `node`; `add` and `remove` keep roles and lifecycles together.

    `on_ready` is called with the name of a role that becomes READY.
    """

    def __init__(self, node: str, workdir: str, on_ready: Callable[[str], None]):
        super().__init__()
        self.node = node
        self.moved: dict[str, RoleInstanceID] = {}
        """New addresses of roles that have moved away: callers are redirected there."""
        self._workdir = workdir
        self._on_ready = on_ready
        self._lifecycles: dict[str, Lifecycle] = {}

    def instance(self, name: str) -> RoleInstanceID:
        """Return the address of the role called `name`, which need not be there."""
        return RoleInstanceID(self.node, name)

    def lifecycle(self, name: str) -> Lifecycle:
        """Return the lifecycle of a role here.

        Raises NoSuchRoleError, with the nearest names, when there is no such role; RoleMoved when
        there was.
        """
        try:
            return self._lifecycles[name]
        except KeyError:
            pass
        if name in self.moved:
            to = self.moved[name]
            raise RoleMoved(f"{self.node}/{name} has moved to {to}", to)
        raise NoSuchRoleError(
            f"node '{self.node}' has no role '{name}'; " + did_you_mean(name, self.names())
        )

    def find_lifecycle(self, name: str) -> Lifecycle | None:
        """Return the lifecycle of a role, or None when there is no such role."""
        return self._lifecycles.get(name)

    def names(self) -> list[str]:
        """Return the names of the roles, but for the native one."""
        return [name for name in list(self) if name != NATIVE]

    def started(self, name: str) -> bool:
        """Return True when there is such a role, and it has been started and not ended."""
        lifecycle = self._lifecycles.get(name)
        return lifecycle is not None and lifecycle.started

    def statuses(self) -> dict[str, str]:
        """Return the statuses of the roles, but for the native one."""
        found = {}
        for name, lifecycle in list(self._lifecycles.items()):
            if name != NATIVE:
                found[name] = str(lifecycle.status)
        return found

    def check_free(self, name: str) -> None:
        """Raise CallerError when there is a role of that name."""
        if name in self:
            raise CallerError(f"node '{self.node}' already has a role '{name}'")

    def add(self, name: str, role: Role) -> None:
        """Add a role under a free name; it is DECLARED."""

        def changed(status: Status, before: Status) -> None:
            if status is Status.READY:
                self._on_ready(name)

        lifecycle = Lifecycle(f"{self.node}/{name}", changed)
        elements = role.__dict__["_elements"] = {}
        for element, attribute in role.elements.items():
            declared = getattr(type(role), attribute)
            elements[element] = ElementInstance(declared, None, lifecycle.where, self._workdir)
        self.moved.pop(name, None)
        self[name] = role
        self._lifecycles[name] = lifecycle
        lifecycle.become(Status.DECLARED)

    def implement_element(self, name: str, element_name: str, impl: ElementImplementation) -> None:
        """Give an implementation for an element; ElementError when the role has no such element."""
        lifecycle, role = self.lifecycle(name), self[name]
        if element_name not in role.elements:
            raise ElementError(
                f"{lifecycle.where}: {type(role).__name__} has no element {element_name!r}; "
                + did_you_mean(element_name, role.elements)
            )
        declared = getattr(type(role), role.elements[element_name])
        role.__dict__["_elements"][element_name] = ElementInstance(
            declared, impl, lifecycle.where, self._workdir
        )

    def remove(self, name: str) -> None:
        """Remove a role and its lifecycle; it is not asked to end."""
        del self[name]
        del self._lifecycles[name]
