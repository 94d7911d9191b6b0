"""Partners: the members of a relationship, as an attribute of a role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .groups import Relationship
from .identity import RoleInstanceID
from .interfaces import PluginAttribute
from .message import Args, ErrorHandlingStrategy, Message, Payloads, TaskInvocation

if TYPE_CHECKING:
    from .base import Role

__all__ = ["Partner"]

RAISE_FIRST = ErrorHandlingStrategy.RAISE_FIRST


class Partner(PluginAttribute):
    """Declares the members of a relationship as an attribute of a role.

    ``trainers = Partner("trainer")``, then ``self.trainers.task_all("train")``. The relationship is
    named like the attribute unless `relationship_name` is given.
    """

    def __init__(self, relationship_name: str = ""):
        self.relationship_name = relationship_name

    def __set_name__(self, owner: type, name: str) -> None:
        self.relationship_name = self.relationship_name or name

    def __get__(self, role: Role | None, owner: type | None = None) -> Any:
        return self if role is None else BoundPartner(role, self.relationship_name)


class BoundPartner:
    """The partners of one role instance."""

    __slots__ = ("_group", "_role", "relationship_name")

    def __init__(self, role: Role, relationship_name: str):
        self.relationship_name = relationship_name
        self._role = role
        self._group = Relationship(relationship_name, role.ctx)

    @property
    def instances(self) -> list[RoleInstanceID]:
        """The present members of the relationship."""
        return list(self._group)

    def service(
        self,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message: Message | None = None,
    ) -> Any:
        """Call a service of one of them; see `Role.call`."""
        return self._role.call(
            self.relationship_name, channel_name, args, payloads, message=message
        )

    def service_all(
        self,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message_map: Mapping[RoleInstanceID, Message] | None = None,
        message: Message | None = None,
        messages: Iterable[Message] | None = None,
        on_result: Callable[[RoleInstanceID, Any], Any] | None = None,
        on_error: ErrorHandlingStrategy = RAISE_FIRST,
    ) -> list[tuple[RoleInstanceID, Any]]:
        """Call a service of all of them; see `Role.call_group`."""
        return self._role.call_group(
            self._group,
            channel_name,
            args,
            payloads,
            message_map=message_map,
            message=message,
            messages=messages,
            on_result=on_result,
            on_error=on_error,
        )

    def task(
        self,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message: Message | None = None,
    ) -> TaskInvocation:
        """Call a task of one of them; see `Role.call_task`."""
        return self._role.call_task(
            self.relationship_name, channel_name, args, payloads, message=message
        )

    def task_all(
        self,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message_map: Mapping[RoleInstanceID, Message] | None = None,
        message: Message | None = None,
        messages: Iterable[Message] | None = None,
        on_call_error: ErrorHandlingStrategy = RAISE_FIRST,
        on_result: Callable[[RoleInstanceID, TaskInvocation], Any] | None = None,
    ) -> list[tuple[RoleInstanceID, TaskInvocation]]:
        """Call a task of all of them; see `Role.call_task_group`."""
        return self._role.call_task_group(
            self._group,
            channel_name,
            args,
            payloads,
            message_map=message_map,
            message=message,
            messages=messages,
            on_call_error=on_call_error,
            on_result=on_result,
        )
