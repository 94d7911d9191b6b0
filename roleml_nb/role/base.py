"""The base class of all roles."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from roleml_nb.role.checks.names import standard_name
from roleml_nb.role.checks.reserved_names import check_class, check_instance
from roleml_nb.role.randomness.seeds import generator

from .channels import Event, Handler, Subscription
from .elements import Element
from .errors import ArgumentTypeError, CallerError, RoleDefinitionError, StatusError
from .identity import ActorProfile, RoleInstanceID
from .interfaces import PluginAttribute
from .message import (
    Args,
    ErrorHandlingStrategy,
    EventSubscriptionMode,
    Message,
    Payloads,
    TaskInvocation,
)

if TYPE_CHECKING:
    import numpy as np

    from .context import Context

__all__ = ["Role"]

RAISE_FIRST = ErrorHandlingStrategy.RAISE_FIRST
Result = tuple[RoleInstanceID, Any]
Group = str | Iterable[RoleInstanceID] | Any
"""A relationship's name, an `ActorGroup`, or role instances."""


class Role:
    """A functional component with one responsibility.

    Subclasses declare channels (`Service`, `Task`, `Event`, `EventHandler`) and elements
    (`Element`). They are collected, inheritance included, in the class attributes `services`,
    `tasks`, `events` (channel → attribute), `subscriptions` (attributes), `elements` (element →
    attribute) and `plugin_attributes` (plugin → attributes).

    Examples
    --------
    A role with a service, and one that calls it through a relationship:

    >>> from roleml_nb import Role, Service, Testbed
    >>> class Counter(Role):
    ...     total = 0
    ...     @Service(expand=True)
    ...     def add(self, caller, number):
    ...         self.total += number
    ...         return self.total
    >>> class Client(Role):
    ...     @Service
    ...     def work(self, caller, args, payloads):
    ...         return self.call("counter", "add", number=2)
    >>> with Testbed(engines=0) as bed:
    ...     server = bed.spawn("server").assign("counter", Counter)
    ...     client = bed.spawn("client").assign("client", Client)
    ...     client = client.relate("counter", "server/counter")
    ...     print([bed.call("client/client", "work") for _ in range(2)])
    [2, 4]
    """

    services: ClassVar[dict[str, str]] = {}
    tasks: ClassVar[dict[str, str]] = {}
    events: ClassVar[dict[str, str]] = {}
    subscriptions: ClassVar[set[str]] = set()
    elements: ClassVar[dict[str, str]] = {}
    plugin_attributes: ClassVar[dict[str, list[str]]] = {}

    def __init__(self, **kwargs: Any):
        if kwargs:
            raise TypeError(f"{type(self).__name__} takes no option {', '.join(sorted(kwargs))}")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_class(cls, vars(cls))
        cls.services = dict(cls.services)
        cls.tasks = dict(cls.tasks)
        cls.events = dict(cls.events)
        cls.subscriptions = set(cls.subscriptions)
        cls.elements = dict(cls.elements)
        cls.plugin_attributes = copy.deepcopy(cls.plugin_attributes)
        seen: dict[str, dict[str, str]] = {}
        for attribute, value in list(cls.__dict__.items()):
            cls._inherit_handler(attribute, value)
            cls._declare(attribute, value, seen)

    @classmethod
    def _inherit_handler(cls, attribute: str, value: Any) -> None:
        """Let an undecorated method that overrides a handler handle the same channel.

        None removes the channel.
        """
        inherited = None
        for base in cls.__mro__[1:]:
            if attribute in vars(base):
                inherited = vars(base)[attribute]
                break
        handler = getattr(inherited, "handler", None)
        if not isinstance(handler, Handler) or hasattr(value, "handler"):
            return
        if value is None:
            cls.subscriptions.discard(attribute)
            (cls.services if handler.kind == "service" else cls.tasks).pop(handler.channel, None)
        elif callable(value):
            value.handler = replace(handler)
            value.handler.inspect(value)

    @classmethod
    def _declare(cls, attribute: str, value: Any, seen: dict[str, dict[str, str]]) -> None:
        handler = getattr(value, "handler", None)
        if attribute in vars(Role) and isinstance(
            value if handler is None else handler, (Element, Event, Handler)
        ):
            raise RoleDefinitionError(
                f"{cls.__name__}.{attribute}: every role has a {attribute!r} of its own; call the "
                f"attribute otherwise (a channel may be named so: @Service({attribute!r}))"
            )
        if isinstance(handler, Subscription):
            cls.subscriptions.add(attribute)
        elif isinstance(value, PluginAttribute):
            cls.plugin_attributes.setdefault(value.PLUGIN_NAME, []).append(attribute)
        elif isinstance(value, Element):
            cls.elements[value.name] = attribute
        elif isinstance(value, Event) or isinstance(handler, Handler):
            if isinstance(handler, Handler):
                kind, channel = handler.kind, handler.channel
            else:
                kind, channel = "event", value.channel_name
            declared = seen.setdefault(channel, {})
            # a service and a task may share a name
            if kind in declared or declared and "event" in (kind, *declared):
                raise RoleDefinitionError(
                    f"{cls.__name__}: '{channel}' is declared by {next(iter(declared.values()))}"
                    f" and {attribute}"
                )
            declared[kind] = attribute
            tables = {"service": cls.services, "task": cls.tasks, "event": cls.events}
            for inherited in tables.keys() - declared.keys():
                tables[inherited].pop(channel, None)
            tables[kind][channel] = attribute

    # set by the actor when the role is added to it
    name: str = ""
    _base: Any = None
    logger: logging.Logger = logging.getLogger("roleml_nb.role")
    """Logger of the role: its records are in the log of its node, ``bed.logs("client3")``."""

    def attach(self, name: str, base: Any) -> None:
        """Bind the role to its actor, which calls this when the role is added to it."""
        if self._base is not None:
            raise StatusError(
                f"this {type(self).__name__} is already on {self.id}; make another one"
            )
        check_instance(self, vars(self))
        self.name, self._base = name, base

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for attribute in ("name", "_base", "logger", "_elements"):
            state.pop(attribute, None)
        return state

    @property
    def base(self) -> Any:
        """The actor that the role is on."""
        if self._base is None:
            raise StatusError(
                f"this {type(self).__name__} is on no node yet, or is a copy in another process:"
                " what needs its node is done in the process of the node, by a role that was"
                " assigned to it"
            )
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

    def rng(self, *path: str | int) -> np.random.Generator:
        """Return the generator at `path` in this role's branch of the seed tree.

        ``self.rng(round)`` gives the same numbers for the same ``ctx.seed``, node, role and path,
        on any engine; each call begins them anew.
        """
        return generator(self.ctx.seed, self.id.actor_name, self.id.instance_name, *path)

    def has(self, name: str) -> bool:
        """Return whether `name` is a relationship with members, or a role on this node."""
        return self.base.has(name)

    def require(self, condition: Any, message: str = "handler assertion failed") -> None:
        """Refuse the caller's message with a CallerError unless `condition` holds."""
        if not condition:
            raise CallerError(message)

    def call(
        self,
        target: str | RoleInstanceID,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message: Message | None = None,
        timeout: float | None = None,
        **arguments: Any,
    ) -> Any:
        """Call a service and return its result.

        `target` is a relationship (any one member; else a role on this node of that name) or a
        `RoleInstanceID`. Keywords are added to `args`: ``self.call("trainer", "get-model",
        layer=2)``. Raises HandlerError, CallerError, ChannelNotFoundError, NodeLost or CallTimeout
        (after `timeout` seconds, or the testbed's limit).
        """
        content = _message(args, payloads, message, arguments)
        return self.base.call(
            self.name, target, standard_name(channel_name), content, timeout=timeout
        )

    async def call_async(
        self,
        target: str | RoleInstanceID,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message: Message | None = None,
        timeout: float | None = None,
        **arguments: Any,
    ) -> Any:
        """Call as `call` does, in an ``async def`` handler: other handlers go on meanwhile.

        A task is awaited with `call_task`.
        """
        content = _message(args, payloads, message, arguments)
        return await self.base.call_async(
            self.name, target, standard_name(channel_name), content, timeout=timeout
        )

    def call_task(
        self,
        target: str | RoleInstanceID,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message: Message | None = None,
        **arguments: Any,
    ) -> TaskInvocation:
        """Call a task and return its invocation at once.

        Its `result(timeout)`, or ``await`` on it, raises as `call` does.
        """
        content = _message(args, payloads, message, arguments)
        return self.base.call_task(self.name, target, standard_name(channel_name), content)

    def call_group(
        self,
        group: Group,
        channel_name: str,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message_map: Mapping[RoleInstanceID, Message] | None = None,
        message: Message | None = None,
        messages: Iterable[Message] | None = None,
        on_result: Callable[[RoleInstanceID, Any], Any] | None = None,
        on_error: ErrorHandlingStrategy = RAISE_FIRST,
        retries: int = 2,
        timeout: float | None = None,
    ) -> list[Result]:
        """Call a service of many roles at the same time; return results in the group's order.

        `group` is a relationship's name, an `ActorGroup`, or role instances. Each target gets its
        entry of `message_map`, else the next of `messages`, else `message`. `on_result` is called
        on this thread, in order of arrival. When a call fails, `on_error` says: RAISE_FIRST, at
        once; IGNORE, leave it out; KEEP, the error is the result; RETRY, call again, up to
        `retries` times and with growing pauses, but never after a CallerError.
        """
        return self.base.call_group(
            self.name,
            group,
            standard_name(channel_name),
            message=_message(args, payloads, message, {}),
            message_map=message_map,
            messages=messages,
            on_result=on_result,
            on_error=on_error,
            retries=retries,
            timeout=timeout,
        )

    def call_task_group(
        self,
        group: Group,
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
        """Call a task of many roles; return the invocations at once, in the group's order.

        `on_result` is called on a worker thread with each invocation that has ended, in order of
        arrival; ask it for its `result()`. `on_call_error` is about calls that could not be made,
        such as to a lost node: RAISE_FIRST and RETRY raise; with IGNORE and KEEP, `on_result` gets
        the failed invocation, and IGNORE leaves it out of the list.
        """
        return self.base.call_task_group(
            self.name,
            group,
            standard_name(channel_name),
            message=_message(args, payloads, message, {}),
            message_map=message_map,
            messages=messages,
            on_call_error=on_call_error,
            on_result=on_result,
        )

    def subscribe(
        self,
        target: RoleInstanceID,
        channel_name: str,
        handler: Callable[..., Any],
        *,
        conditions: Mapping[str, Any] | None = None,
        mode: EventSubscriptionMode = "forever",
    ) -> None:
        """Call ``handler(source, args, payloads)`` for events of one role, until `unsubscribe`.

        Other handlers of that event are called, too, in the order of their definition, then of
        subscription. `conditions` and `mode` are those of `EventHandler`. NoSuchEventError when the
        role has no such event.
        """
        self.base.subscribe(
            self.name,
            target,
            standard_name(channel_name),
            handler,
            conditions=dict(conditions or {}),
            mode=mode,
        )

    def unsubscribe(self, target: RoleInstanceID, channel_name: str) -> None:
        """End this role's subscription there, made by hand or by an `EventHandler`.

        CallerError when there is none.
        """
        self.base.unsubscribe(self.name, target, standard_name(channel_name))


def _message(
    args: Args | None, payloads: Payloads | None, message: Message | None, arguments: dict[str, Any]
) -> Message:
    if message is None:
        return Message({**(args or {}), **arguments}, payloads or {})
    if args or payloads or arguments:
        raise ArgumentTypeError("give either message= or args, payloads and keywords, not both")
    return message
