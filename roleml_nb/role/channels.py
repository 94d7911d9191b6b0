"""Channels, as a role's definition declares them: services, tasks, events and subscriptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from roleml_nb.role.checks.arguments import checked, checked_methods, wrong_argument
from roleml_nb.role.checks.names import check_name, did_you_mean, standard_name

from .errors import ArgumentError, CallerError, RoleDefinitionError
from .identity import RoleInstanceID
from .message import Args, EventSubscriptionMode, Message, Payloads

__all__ = ["Event", "EventHandler", "Handler", "Service", "Subscription", "Task", "attribute"]


@dataclass
class Handler:
    """Declares a method as the handler of a channel, and knows the arguments it takes."""

    channel: str
    kind: str
    expand: bool
    names: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    open: bool = False
    caller: str = ""
    """Name of the handler's parameter for the caller."""
    own: frozenset[str] = frozenset()
    """Names of the parameters that are not arguments: the role itself, and the caller."""
    typed: bool = False
    """True when arguments must fit the annotations; `check_types` sets it for our own roles."""

    def inspect(self, function: Callable) -> None:
        """Check the signature where the role is defined, and keep the channel's arguments."""
        by_kind: dict[Any, list[Parameter]] = defaultdict(list)
        for parameter in signature(function).parameters.values():
            by_kind[parameter.kind].append(parameter)
        unnamed = by_kind[Parameter.POSITIONAL_ONLY]
        positional = unnamed + by_kind[Parameter.POSITIONAL_OR_KEYWORD]
        fixed = 2 if self.expand else 4
        self._check_positional(function, positional, fixed, bool(by_kind[Parameter.VAR_POSITIONAL]))
        if self.expand and len(unnamed) > fixed:
            names = ", ".join(parameter.name for parameter in unnamed[fixed:])
            raise RoleDefinitionError(
                f"{self.kind} {function.__qualname__} is called with its arguments by name, and"
                f" {names} can be given by position only: move the / to behind the caller, or"
                " leave it out"
            )
        named = by_kind[Parameter.KEYWORD_ONLY] + positional[fixed:]
        self.own = _names(positional[len(unnamed) : 2])
        self.caller = positional[1].name if len(positional) > 1 else ""
        self.names = _names(named)
        self.required = _names(filter(_is_required, named))
        self.open = bool(by_kind[Parameter.VAR_KEYWORD])

    def _check_positional(
        self,
        function: Callable,
        positional: list[Parameter],
        fixed: int,
        takes_more: bool,
    ) -> None:
        """Raise RoleDefinitionError unless the positional parameters are those of a handler."""
        too_few = len(positional) < fixed and not takes_more
        too_many = not self.expand and sum(map(_is_required, positional)) > fixed
        if not (too_few or too_many):
            return
        takes = "(self, caller, …)" if self.expand else "(self, caller, args, payloads)"
        advice = "; or declare it with expand=True to receive named arguments"
        raise RoleDefinitionError(
            f"{self.kind} {function.__qualname__} must take {takes}, not"
            f" {signature(function)}{'' if self.expand else advice}"
        )

    def invoke(
        self, method: Callable, caller: RoleInstanceID, args: Args, payloads: Payloads
    ) -> Any:
        """Call the bound method; CallerError when the arguments do not fit the channel."""
        if not self.expand:
            return method(caller, args, payloads)
        given = {**args, **payloads}
        for name in given:
            if name in self.names or (self.open and isinstance(name, str) and name not in self.own):
                continue
            if name == self.caller:
                hint = f"its first parameter, {name!r}, is who calls"
            else:
                hint = did_you_mean(str(name), self.names)
            raise CallerError(f"{self.kind} '{self.channel}' takes no {name!r}; {hint}")
        missing = self.required - given.keys()
        if missing:
            raise CallerError(f"{self.kind} '{self.channel}' needs {', '.join(sorted(missing))}")
        if self.typed:
            wrong = wrong_argument(getattr(method, "__func__", method), given)
            if wrong is not None:
                raise CallerError(wrong)
        return method(caller, **given)


def _names(parameters: Iterable[Parameter]) -> frozenset[str]:
    return frozenset(parameter.name for parameter in parameters)


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is parameter.empty


@dataclass
class Subscription(Handler):
    """A handler of the events that members of a relationship emit."""

    relationship: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)
    mode: EventSubscriptionMode = "forever"
    extra_filter: Callable[[RoleInstanceID], bool] | None = None


def _declare(kind: str, channel: str | Callable | None, expand: bool) -> Any:
    def decorate(function: Callable) -> Callable:
        name = channel if isinstance(channel, str) else function.__name__
        handler = Handler(standard_name(name), kind, expand)
        handler.inspect(function)
        function.handler = handler  # type: ignore[attr-defined]
        return function

    if callable(channel):
        return decorate(channel)
    return decorate


@checked
def Service(  # noqa: N802
    channel_name: str | Callable | None = None, *, expand: bool = False
) -> Any:
    """Declare a method as a service: a channel that is called and answers at once.

    The handler is ``handler(self, caller, args, payloads)``; with ``expand=True`` it is
    ``handler(self, caller, **arguments)``. Usable with and without parentheses. The channel is
    named after the method unless `channel_name` is given; ``_`` and ``-`` are the same.
    """
    return _declare("service", channel_name, expand)


@checked
def Task(channel_name: str | Callable | None = None, *, expand: bool = False) -> Any:  # noqa: N802
    """Declare a method as a task: its caller goes on with a `TaskInvocation`.

    `TaskInvocation.result` waits for the result. Else as `Service`.
    """
    return _declare("task", channel_name, expand)


@checked
def EventHandler(  # noqa: N802
    relationship: str,
    channel_name: str,
    *,
    expand: bool = False,
    conditions: Mapping[str, Any] | None = None,
    mode: EventSubscriptionMode = "forever",
    extra_filter: Callable[[RoleInstanceID], bool] | None = None,
) -> Any:
    """Declare a method as a handler of the events that the members of a relationship emit.

    Subscriptions follow the relationship as it changes. `conditions` are compared with the event's
    args on the emitter's side, so events that do not pass are not sent: ``{"loss__lt": 0.5}`` (eq,
    gt, ge, lt, le, contains).
    """

    def decorate(function: Callable) -> Callable:
        try:
            if relationship != "/":  # by this name, a node knows itself
                check_name("relationship", relationship)
        except ArgumentError as error:
            raise RoleDefinitionError(f"{function.__qualname__}: {error}") from None
        subscription = Subscription(
            standard_name(channel_name),
            "event handler",
            expand,
            relationship=relationship,
            conditions=dict(conditions or {}),
            mode=mode,
            extra_filter=extra_filter,
        )
        subscription.inspect(function)
        function.handler = subscription  # type: ignore[attr-defined]
        return function

    return decorate


@dataclass(frozen=True)
class attribute:  # noqa: N801
    """Stands in `conditions` for the role's attribute `name`, read when the role is added."""

    name: str


@checked_methods
class Event:
    """Declares an event channel as a class attribute.

    On an instance: ``role.epoch_completed.emit(args={...})``.
    """

    def __init__(self, channel_name: str | None = None):
        self.channel_name = standard_name(channel_name) if channel_name else ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.channel_name = self.channel_name or standard_name(name)

    def __get__(self, role: Any, owner: type | None = None) -> Any:
        return self if role is None else BoundEvent(role, self.channel_name)


class BoundEvent:
    """An event channel of one role instance."""

    __slots__ = ("channel_name", "role")

    def __init__(self, role: Any, channel_name: str):
        self.role = role
        self.channel_name = channel_name

    def emit(
        self,
        args: Args | None = None,
        payloads: Payloads | None = None,
        *,
        message: Message | None = None,
    ) -> None:
        """Send to all subscribers, in the order of emission; numbers in `args` become metrics."""
        self.role.base.emit(
            self.role.name, self.channel_name, message or Message(args or {}, payloads or {})
        )
