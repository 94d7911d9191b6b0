"""The base class of all roles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .channels import Event, Subscription
from .elements import Element
from .errors import CallerError, RoleDefinitionError
from .identity import ActorProfile, RoleInstanceID
from .message import Args, ErrorHandlingStrategy, EventSubscriptionMode, Message, Payloads, TaskInvocation
from .names import standard_name

if TYPE_CHECKING:
    from .context import Context

__all__ = ["Role"]

RAISE_FIRST = ErrorHandlingStrategy.RAISE_FIRST
Result = tuple[RoleInstanceID, Any]


class Role:
    """A functional component with one responsibility.

    Subclasses declare channels (`Service`, `Task`, `Event`, `EventHandler`) and elements (`Element`). They are
    collected, inheritance included, in the class attributes `services`, `tasks`, `events` (channel → attribute),
    `subscriptions` (attributes) and `elements` (element → attribute).
    """

    services: ClassVar[dict[str, str]] = {}
    tasks: ClassVar[dict[str, str]] = {}
    events: ClassVar[dict[str, str]] = {}
    subscriptions: ClassVar[set[str]] = set()
    elements: ClassVar[dict[str, str]] = {}

    def __init__(self, **kwargs: Any):
        if kwargs:
            raise TypeError(f"{type(self).__name__} takes no option {', '.join(sorted(kwargs))}")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.services, cls.tasks, cls.events = dict(cls.services), dict(cls.tasks), dict(cls.events)
        cls.subscriptions, cls.elements = set(cls.subscriptions), dict(cls.elements)
        tables = {"service": cls.services, "task": cls.tasks}
        seen: dict[str, str] = {}
        for attribute, value in list(cls.__dict__.items()):
            handler = getattr(value, "handler", None)
            if isinstance(handler, Subscription):
                cls.subscriptions.add(attribute)
                continue
            if isinstance(value, Event):
                table, channel = cls.events, value.channel_name
            elif handler is not None and getattr(handler, "kind", None) in tables:
                table, channel = tables[handler.kind], handler.channel
            elif isinstance(value, Element):
                table, channel = cls.elements, value.name
            else:
                continue
            if channel in seen and not isinstance(value, Element):
                raise RoleDefinitionError(f"{cls.__name__}: '{channel}' is declared by {seen[channel]} and {attribute}")
            seen[channel] = attribute
            for other in (cls.services, cls.tasks, cls.events):
                other.pop(channel, None) if not isinstance(value, Element) else None
            table[channel] = attribute

    # what the actor fills in when the role is added to it
    name: str = ""
    _base: Any = None
    logger = logging.getLogger("roleml_nb.role")

    def attach(self, name: str, base: Any) -> None:
        """Called by the actor that takes the role in."""
        if self._base is not None:
            raise RuntimeError(f"this {type(self).__name__} is already on {self.id}")
        self.name, self._base = name, base
        self.logger = logging.getLogger(f"roleml_nb.role.{base.profile.name}.{name}")

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("name", "_base", "logger", "_elements")}

    @property
    def base(self) -> Any:
        """The actor that the role is on."""
        if self._base is None:
            raise RuntimeError(f"this {type(self).__name__} is on no node yet")
        return self._base

    @property
    def ctx(self) -> Context:
        return self.base.ctx

    @property
    def profile(self) -> ActorProfile:
        return self.base.profile

    @property
    def id(self) -> RoleInstanceID:
        return RoleInstanceID(self.base.profile.name, self.name)

    def has(self, name: str) -> bool:
        """Whether `name` can be called: a relationship with members, or a role on this node."""
        return self.base.has(name)

    def require(self, condition: Any, message: str = "handler assertion failed") -> None:
        """Refuse the caller's message with a CallerError unless `condition` holds."""
        if not condition:
            raise CallerError(message)

    def call(
        self, target: str | RoleInstanceID, channel_name: str, args: Args | None = None,
        payloads: Payloads | None = None, *, message: Message | None = None, timeout: float | None = None,
    ) -> Any:
        """Call a service and return its result.

        `target` is a relationship (any one member; else a role on this node of that name) or a `RoleInstanceID`.
        Raises HandlerError, CallerError, ChannelNotFoundError, NodeLost or CallTimeout (after `timeout` seconds, or
        the testbed's limit).
        """
        return self.base.call(
            self.name, target, standard_name(channel_name), message or Message(args or {}, payloads or {}),
            timeout=timeout,
        )

    def call_task(
        self, target: str | RoleInstanceID, channel_name: str, args: Args | None = None,
        payloads: Payloads | None = None, *, message: Message | None = None,
    ) -> TaskInvocation:
        """Call a task and go on; the invocation's `result(timeout)` raises as `call` does."""
        return self.base.call_task(
            self.name, target, standard_name(channel_name), message or Message(args or {}, payloads or {})
        )

    def call_group(
        self, group: Iterable[RoleInstanceID], channel_name: str, args: Args | None = None,
        payloads: Payloads | None = None, *, message_map: Mapping[RoleInstanceID, Message] | None = None,
        message: Message | None = None, messages: Iterable[Message] | None = None,
        on_result: Callable[[RoleInstanceID, Any], Any] | None = None,
        on_error: ErrorHandlingStrategy = RAISE_FIRST, timeout: float | None = None,
    ) -> list[Result]:
        """Call a service of many roles at the same time; results in the order of the group.

        Each target gets its entry of `message_map`, else the next of `messages`, else `message`. `on_result` is
        called on this thread, in order of arrival.
        """
        return self.base.call_group(
            self.name, group, standard_name(channel_name), message=message or Message(args or {}, payloads or {}),
            message_map=message_map, messages=messages, on_result=on_result, on_error=on_error, timeout=timeout,
        )

    def call_task_group(
        self, group: Iterable[RoleInstanceID], channel_name: str, args: Args | None = None,
        payloads: Payloads | None = None, *, message_map: Mapping[RoleInstanceID, Message] | None = None,
        message: Message | None = None, messages: Iterable[Message] | None = None,
        on_call_error: ErrorHandlingStrategy = RAISE_FIRST,
        on_result: Callable[[RoleInstanceID, TaskInvocation], Any] | None = None,
    ) -> list[tuple[RoleInstanceID, TaskInvocation]]:
        """Call a task of many roles and go on; the invocations in the order of the group."""
        return self.base.call_task_group(
            self.name, group, standard_name(channel_name), message=message or Message(args or {}, payloads or {}),
            message_map=message_map, messages=messages, on_call_error=on_call_error, on_result=on_result,
        )

    def subscribe(
        self, target: RoleInstanceID, channel_name: str, handler: Callable[..., Any], *,
        conditions: Mapping[str, Any] | None = None, mode: EventSubscriptionMode = "forever",
    ) -> None:
        """Have ``handler(source, args, payloads)`` called for the events of one role, until `unsubscribe`."""
        self.base.subscribe(
            self.name, target, standard_name(channel_name), handler, conditions=dict(conditions or {}), mode=mode
        )

    def unsubscribe(self, target: RoleInstanceID, channel_name: str) -> None:
        self.base.unsubscribe(self.name, target, standard_name(channel_name))
