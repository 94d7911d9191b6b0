"""An actor: a named node with its roles, its context, and the dispatch of messages to their handlers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from roleml_nb.messaging.codec import Body, encode
from roleml_nb.messaging.router import Envelope, Router, Target
from roleml_nb.role import (
    NATIVE,
    ActorProfile,
    CallerError,
    ChannelNotFoundError,
    ConstructStrategy,
    Contacts,
    Context,
    ElementError,
    ElementImplementation,
    ElementInstance,
    ErrorHandlingStrategy,
    Lifecycle,
    Message,
    NoSuchRoleError,
    Relationships,
    Role,
    RoleInstanceID,
    Runnable,
    Status,
    did_you_mean,
)
from roleml_nb.role.channels import Handler
from roleml_nb.role.host import Host
from roleml_nb.role.running import running

from .calls import Invocation, collect, messages_for
from .errors import describe
from .events import Events

if TYPE_CHECKING:
    from roleml_nb.role import Args

__all__ = ["Actor", "ActorHost"]


class ActorHost(Host, Protocol):
    """What an actor asks of its host, beside time and threads."""

    router: Router
    directory: Contacts
    label: str

    def note_metrics(self, source: RoleInstanceID, channel: str, args: Args, step: int) -> None: ...


class Actor:
    """One node. Made by a host; its roles come and go at run time."""

    def __init__(self, name: str, host: ActorHost, native_role: Role):
        self.name = name
        self.host = host
        self.profile = ActorProfile(name, host.host_id)
        self.ctx = Context(self.profile, host.directory, Relationships(), host.clock.now())
        self.roles: dict[str, Role] = {}
        self.logger = logging.getLogger(f"roleml_nb.actor.{name}")
        self._lifecycles: dict[str, Lifecycle] = {}
        self.events = Events(self)
        self.ctx.relationships.add_to_relationship("/", RoleInstanceID(name, NATIVE))
        self.add_role(NATIVE, native_role)
        self.start_role(NATIVE)
        host.router.register(name, self._receive)

    # roles

    def lifecycle(self, instance_name: str) -> Lifecycle:
        """NoSuchRoleError, with the nearest names, when there is no such role here."""
        try:
            return self._lifecycles[instance_name]
        except KeyError:
            raise NoSuchRoleError(
                f"node '{self.name}' has no role '{instance_name}'; "
                + did_you_mean(instance_name, [name for name in self.roles if name != NATIVE])
            ) from None

    def add_role(self, instance_name: str, role: Role) -> None:
        """Take a role in; it is DECLARED until `start_role`."""
        if instance_name in self.roles:
            raise CallerError(f"node '{self.name}' already has a role '{instance_name}'")
        lifecycle = Lifecycle(f"{self.name}/{instance_name}")
        role.attach(instance_name, self)
        where = f"{self.name}/{instance_name}"
        role.__dict__["_elements"] = {
            name: ElementInstance(getattr(type(role), attribute), None, where)
            for name, attribute in role.elements.items()
        }
        self.roles[instance_name], self._lifecycles[instance_name] = role, lifecycle
        lifecycle.become(Status.DECLARED)

    def implement_element(self, instance_name: str, element_name: str, impl: ElementImplementation) -> None:
        """Give an implementation for an element; ElementError when the role has no such element."""
        self.lifecycle(instance_name)
        role = self.roles[instance_name]
        where = f"{self.name}/{instance_name}"
        if element_name not in role.elements:
            raise ElementError(f"{where}: {type(role).__name__} has no element {element_name!r}; "
                               + did_you_mean(element_name, role.elements))
        declared = getattr(type(role), role.elements[element_name])
        role.__dict__["_elements"][element_name] = ElementInstance(declared, impl, where)

    def start_role(self, instance_name: str) -> None:
        """Build what is due, subscribe, and make the role READY.

        ElementError when an element is missing, of the wrong type, or fails to be built.
        """
        lifecycle, role = self.lifecycle(instance_name), self.roles[instance_name]
        lifecycle.become(Status.STARTING)
        for name, element in role.__dict__["_elements"].items():
            if not element.implemented:
                if not element.element.optional:
                    raise ElementError(f"{self.name}/{instance_name}: element {name!r} is not implemented; "
                                       f"give it with elements={{{name!r}: …}} or --element {name}=…")
            elif element.strategy is ConstructStrategy.ONCE_EAGER:
                element()
        self.events.add_role(instance_name)
        lifecycle.become(Status.READY)
        if isinstance(role, Runnable):
            self.host.run_in_background(lambda: self._run(instance_name, role), f"{self.name}/{instance_name}")

    def _run(self, instance_name: str, role: Any) -> None:
        try:
            with running(role):
                role.run()
        except Exception as error:  # nobody waits for it: the notebook is told
            self.host.report(self.describe(error, RoleInstanceID(self.name, instance_name), "run"))

    def stop_role(self, instance_name: str, timeout: float | None = 60.0) -> None:
        """Wait for running handlers, unsubscribe, destroy the elements. Faults in these are reported."""
        lifecycle, role = self.lifecycle(instance_name), self.roles[instance_name]
        if isinstance(role, Runnable):
            self._attempt(role.stop, instance_name, "stop")
        lifecycle.terminate(timeout)
        self.events.remove_role(instance_name)
        for name, element in role.__dict__["_elements"].items():
            self._attempt(element.destroy, instance_name, f"element {name}")
        lifecycle.become(Status.TERMINATED)
        del self.roles[instance_name], self._lifecycles[instance_name]

    def discard_role(self, instance_name: str) -> None:
        """Take out a role whose start failed."""
        self.events.remove_role(instance_name)
        self.roles.pop(instance_name, None)
        self._lifecycles.pop(instance_name, None)

    def _attempt(self, action: Callable[[], Any], instance_name: str, what: str) -> None:
        try:
            action()
        except Exception as error:  # one faulty clean-up must not keep the others from theirs
            self.host.report(self.describe(error, RoleInstanceID(self.name, instance_name), what))

    def stop(self) -> None:
        """Stop all roles and leave the host."""
        for instance_name in [name for name in self.roles if name != NATIVE]:
            self._attempt(partial(self.stop_role, instance_name, timeout=2.0), instance_name, "stop")
        self.host.router.unregister(self.name)

    # calling

    def has(self, name: str) -> bool:
        return bool(self.ctx.relationships.members(name)) or name in self.roles

    def resolve(self, target: str | RoleInstanceID | tuple[str, str]) -> RoleInstanceID:
        """A relationship's first member, else the local role of that name; an instance is itself."""
        if not isinstance(target, str):
            return RoleInstanceID(*target)
        if "/" in target.strip("/"):
            return RoleInstanceID.of(target)
        members = self.ctx.relationships.members(target)
        if members:
            return members[0]
        for name in (target, target.replace("-", "_"), target.replace("_", "-")):
            if name in self.roles:
                return RoleInstanceID(self.name, name)
        known = {*self.ctx.relationships.all_relationships(), *self.roles} - {"/", NATIVE, "manager"}
        raise CallerError(f"node '{self.name}' has no relationship or role named '{target}'; "
                          + did_you_mean(target, known))

    def request(
        self, kind: str, instance_name: str, target: RoleInstanceID, channel: str, content: Any
    ) -> Invocation:
        source = RoleInstanceID(self.name, instance_name)
        (pending,) = self.host.router.request(kind, source, [target], channel, encode(content))
        return Invocation(pending, self.host)

    def call(
        self, instance_name: str, target: str | RoleInstanceID, channel: str, message: Message, *,
        timeout: float | None = None,
    ) -> Any:
        invocation = self.request("service", instance_name, self.resolve(target), channel, tuple(message))
        try:
            return invocation.result(timeout)
        finally:
            invocation.forget()

    def call_task(
        self, instance_name: str, target: str | RoleInstanceID, channel: str, message: Message
    ) -> Invocation:
        return self.request("task", instance_name, self.resolve(target), channel, tuple(message))

    def _group(
        self, kind: str, instance_name: str, group: list[RoleInstanceID], channel: str, chosen: list[Message]
    ) -> list[Invocation]:
        """One message per distinct content: a broadcast is encoded once and crosses each link once."""
        source = RoleInstanceID(self.name, instance_name)
        by_message: dict[int, list[int]] = {}
        for index, message in enumerate(chosen):
            by_message.setdefault(id(message), []).append(index)
        invocations: list[Any] = [None] * len(group)
        for indices in by_message.values():
            body = encode(tuple(chosen[indices[0]]))
            pending = self.host.router.request(kind, source, [group[index] for index in indices], channel, body)
            for index, call in zip(indices, pending, strict=True):
                invocations[index] = Invocation(call, self.host)
        return invocations

    def call_group(
        self, instance_name: str, targets: Iterable[RoleInstanceID], channel: str, *, message: Message,
        message_map: Mapping[RoleInstanceID, Message] | None = None, messages: Iterable[Message] | None = None,
        on_result: Callable[[RoleInstanceID, Any], Any] | None = None,
        on_error: ErrorHandlingStrategy = ErrorHandlingStrategy.RAISE_FIRST,
        timeout: float | None = None, kind: str = "service",
    ) -> list[tuple[RoleInstanceID, Any]]:
        group = [RoleInstanceID(*target) for target in targets]
        chosen = messages_for(group, message, message_map, messages)
        invocations = self._group(kind, instance_name, group, channel, chosen)

        def again(index: int) -> Invocation:
            return self.request(kind, instance_name, group[index], channel, tuple(chosen[index]))

        try:
            return collect(self.host, group, invocations, again, on_result, on_error, timeout)
        finally:
            for invocation in invocations:
                invocation.forget()

    def call_task_group(
        self, instance_name: str, targets: Iterable[RoleInstanceID], channel: str, *, message: Message,
        message_map: Mapping[RoleInstanceID, Message] | None = None, messages: Iterable[Message] | None = None,
        on_call_error: ErrorHandlingStrategy = ErrorHandlingStrategy.RAISE_FIRST,
        on_result: Callable[[RoleInstanceID, Any], Any] | None = None,
    ) -> list[tuple[RoleInstanceID, Invocation]]:
        group = [RoleInstanceID(*target) for target in targets]
        invocations = self._group("task", instance_name, group, channel,
                                  messages_for(group, message, message_map, messages))
        for target, invocation in zip(group, invocations, strict=True):
            if on_result is not None:
                invocation.add_done_callback(partial(on_result, target))
        return list(zip(group, invocations, strict=True))

    def emit(self, instance_name: str, channel: str, message: Message) -> None:
        self.events.emit(instance_name, channel, message)

    def subscribe(
        self, instance_name: str, target: RoleInstanceID, channel: str, handler: Callable[..., Any], *,
        conditions: dict[str, Any], mode: str,
    ) -> None:
        taken = Handler(channel, "event handler", expand=False)
        self.events.subscribe(instance_name, target, channel, taken, handler, conditions, mode)

    def unsubscribe(self, instance_name: str, target: RoleInstanceID, channel: str) -> None:
        self.events.unsubscribe(instance_name, target, channel)

    # being called

    def describe(self, error: Exception, role: RoleInstanceID, channel: str) -> Exception:
        return describe(error, role, channel, self.host.label)

    def _receive(self, envelope: Envelope, target: Target, body: Body) -> None:
        """Called on the link's thread: hand over to the worker pool."""
        if envelope.kind == "event":
            self.events.receive(envelope.source, target.instance_name, envelope.channel, body)
        else:
            self.host.submit(lambda: self._serve(envelope, target, body), queued=envelope.kind == "task")

    def _serve(self, envelope: Envelope, target: Target, body: Body) -> None:
        instance = target.instance
        try:
            kind, answer = "reply", encode(self._handle(envelope, instance.instance_name, body))
        except Exception as error:  # every failure is the caller's to see
            kind, answer = "error", encode(self.describe(error, instance, envelope.channel))
        self.host.router.send(
            kind, instance, [Target(*envelope.source, target.call)], envelope.channel, answer)

    def _handle(self, envelope: Envelope, instance_name: str, body: Body) -> Any:
        if envelope.kind == "subscribe":
            return self.events.accept_subscriber(envelope.source, instance_name, envelope.channel, body)
        if envelope.kind == "unsubscribe":
            return self.events.drop_subscriber(envelope.source, instance_name, envelope.channel)
        lifecycle = self.lifecycle(instance_name)
        role = self.roles[instance_name]
        table = role.services if envelope.kind == "service" else role.tasks
        if envelope.channel not in table:
            others = role.tasks if table is role.services else role.services
            hint = (f"it is a {'task' if envelope.kind == 'service' else 'service'}: use "
                    f"{'call_task' if envelope.kind == 'service' else 'call'}" if envelope.channel in others
                    else did_you_mean(envelope.channel, [*role.services, *role.tasks]))
            raise ChannelNotFoundError(f"{type(role).__name__} has no {envelope.kind} '{envelope.channel}'; {hint}")
        method = getattr(role, table[envelope.channel])
        handler: Handler = method.handler
        with lifecycle.execution(self.host.call_timeout), running(role):
            args, payloads = body.decode()
            return handler.invoke(method, envelope.source, args, payloads)
