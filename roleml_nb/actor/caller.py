"""The calls that the roles of one actor make: names to addresses, messages, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ParamSpec

from roleml_nb.messaging.requests import NodeRequest
from roleml_nb.messaging.serialization.codec import MESSAGE, encode
from roleml_nb.role import (
    NATIVE,
    CallerError,
    ErrorHandlingStrategy,
    Message,
    RoleInstanceID,
    did_you_mean,
)
from roleml_nb.role.relationships import Relationships

from .calls import Invocation, collect, messages_for
from .host import ActorHost
from .inline import ELSEWHERE, call_inline
from .role_table import RoleTable

__all__ = ["Caller"]

P = ParamSpec("P")


class Caller:
    """Calls of one actor's roles to roles of any actor."""

    def __init__(self, roles: RoleTable, relationships: Relationships, host: ActorHost):
        self._roles = roles
        self.relationships = relationships
        self._host = host

    def has(self, name: str) -> bool:
        return bool(self.relationships.members(name)) or name in self._roles

    def resolve(self, target: str | RoleInstanceID | tuple[str, str]) -> RoleInstanceID:
        """Return a relationship's first member, else the local role of that name; an instance is
        itself.
        """
        if not isinstance(target, str):
            return RoleInstanceID(*target)
        if "/" in target.strip("/"):
            return RoleInstanceID.of(target)
        members = self.relationships.members(target)
        if members:
            return members[0]
        for name in (target, target.replace("-", "_"), target.replace("_", "-")):
            if name in self._roles or name in self._roles.moved:
                return self._roles.instance(name)
        known = {*self.relationships.all_relationships(), *self._roles} - {
            "/",
            NATIVE,
            "manager",
        }
        raise CallerError(
            f"node '{self._roles.node}' has no relationship or role named '{target}'; "
            + did_you_mean(target, known)
        )

    convert_relationship_to_instance = resolve

    def handshake(self, actor_name: str) -> None:
        """Greet another actor: it answers, so it can be reached.

        Raises what `call` raises when it cannot.
        """
        self._roles[NATIVE].call(
            RoleInstanceID(actor_name, NATIVE), "greet", {"greeting": "handshake"}
        )

    def handwave(self, actor_name: str) -> None:
        """Take leave of another actor, which tells so by its own ``handwave-completed``."""
        self._roles[NATIVE].call(
            RoleInstanceID(actor_name, NATIVE), "greet", {"greeting": "handwave"}
        )

    def members(self, group: Any) -> list[RoleInstanceID]:
        """Return the targets of a group call: of a relationship's name, an `ActorGroup`, or role
        instances.
        """
        if isinstance(group, str):
            return self.relationships.members(group) or [self.resolve(group)]
        found = []
        for item in group:
            instance = RoleInstanceID.of(item) if isinstance(item, str) else RoleInstanceID(*item)
            found.append(instance)
        return found

    def request(
        self, kind: str, instance_name: str, target: RoleInstanceID, channel: str, content: Any
    ) -> Invocation:
        (pending,) = self._host.router.request(
            kind, self._roles.instance(instance_name), [target], channel, encode(content, MESSAGE)
        )
        return Invocation(pending, self._host, self._roles.find_lifecycle(instance_name))

    def ask_role(
        self,
        request: NodeRequest[P],
        instance_name: str,
        target: RoleInstanceID,
        channel: str,
        *_: P.args,
        **arguments: P.kwargs,
    ) -> Invocation:
        """Ask the node of a role, in the name of one of ours, about a channel of that role."""
        return self.request(request.kind, instance_name, target, channel, arguments)

    def ask_node(
        self, request: NodeRequest[P], node: str, *_: P.args, **arguments: P.kwargs
    ) -> Invocation:
        """Ask a node in the name of ours.

        In the trace and in errors, the channel is the role that it is about, else the kind.
        """
        channel = str(arguments.get("name", request.kind))
        return self.request(request.kind, NATIVE, RoleInstanceID(node, NATIVE), channel, arguments)

    def ask_nodes(
        self, request: NodeRequest[P], nodes: list[str], *_: P.args, **arguments: P.kwargs
    ) -> list[Invocation]:
        """Ask several nodes the same, which is encoded once."""
        natives = [RoleInstanceID(node, NATIVE) for node in nodes]
        pending = self._host.router.request(
            request.kind, self._roles.instance(NATIVE), natives, request.kind, encode(arguments)
        )
        return [Invocation(call, self._host) for call in pending]

    def call(
        self,
        instance_name: str,
        target: str | RoleInstanceID,
        channel: str,
        message: Message,
        *,
        timeout: float | None = None,
    ) -> Any:
        executions = self._host.router.executions
        shielded = executions.shield()
        try:
            instance = self.resolve(target)
            if timeout is None:
                answer = call_inline(
                    self._host, self._roles.instance(instance_name), instance, channel, message
                )
                if answer is not ELSEWHERE:
                    return answer
            invocation = self.request("service", instance_name, instance, channel, tuple(message))
            try:
                return invocation.result(timeout)
            finally:
                invocation.stop_waiting()
        finally:
            executions.unshield(shielded)

    async def call_async(
        self,
        instance_name: str,
        target: str | RoleInstanceID,
        channel: str,
        message: Message,
        *,
        timeout: float | None = None,
    ) -> Any:
        invocation = self.request(
            "service", instance_name, self.resolve(target), channel, tuple(message)
        )
        try:
            return await invocation.wait(timeout)
        finally:
            invocation.stop_waiting()

    def call_task(
        self, instance_name: str, target: str | RoleInstanceID, channel: str, message: Message
    ) -> Invocation:
        return self.request("task", instance_name, self.resolve(target), channel, tuple(message))

    def send_group(
        self,
        kind: str,
        instance_name: str,
        group: list[RoleInstanceID],
        channel: str,
        chosen: list[Message],
    ) -> list[Invocation]:
        """Send one message per distinct content: a broadcast is encoded once and crosses each link
        once.
        """
        by_message: dict[int, list[int]] = {}
        for index, message in enumerate(chosen):
            by_message.setdefault(id(message), []).append(index)
        invocations: list[Any] = [None] * len(group)
        for indices in by_message.values():
            body = encode(tuple(chosen[indices[0]]), MESSAGE)
            pending = self._host.router.request(
                kind,
                self._roles.instance(instance_name),
                [group[index] for index in indices],
                channel,
                body,
            )
            for index, call in zip(indices, pending, strict=True):
                invocations[index] = Invocation(
                    call, self._host, self._roles.find_lifecycle(instance_name)
                )
        return invocations

    def call_group(
        self,
        instance_name: str,
        targets: Any,
        channel: str,
        *,
        message: Message,
        message_map: Mapping[RoleInstanceID, Message] | None = None,
        messages: Iterable[Message] | None = None,
        on_result: Callable[[RoleInstanceID, Any], Any] | None = None,
        on_error: ErrorHandlingStrategy = ErrorHandlingStrategy.RAISE_FIRST,
        retries: int = 2,
        timeout: float | None = None,
        kind: str = "service",
    ) -> list[tuple[RoleInstanceID, Any]]:
        if not isinstance(on_error, ErrorHandlingStrategy):
            raise CallerError(
                f"on_error must be one of {', '.join(each.name for each in ErrorHandlingStrategy)},"
                f" not {on_error!r}"
            )
        group = self.members(targets)
        chosen = messages_for(group, message, message_map, messages)
        invocations = self.send_group(kind, instance_name, group, channel, chosen)

        def again(index: int) -> Invocation:
            return self.request(kind, instance_name, group[index], channel, tuple(chosen[index]))

        try:
            return collect(
                self._host, group, invocations, again, on_result, on_error, timeout, retries
            )
        finally:
            for invocation in invocations:
                invocation.stop_waiting()

    def call_task_group(
        self,
        instance_name: str,
        targets: Any,
        channel: str,
        *,
        message: Message,
        message_map: Mapping[RoleInstanceID, Message] | None = None,
        messages: Iterable[Message] | None = None,
        on_call_error: ErrorHandlingStrategy = ErrorHandlingStrategy.RAISE_FIRST,
        on_result: Callable[[RoleInstanceID, Any], Any] | None = None,
        kind: str = "task",
    ) -> list[tuple[RoleInstanceID, Invocation]]:
        group = self.members(targets)
        chosen = messages_for(group, message, message_map, messages)
        invocations = self.send_group(kind, instance_name, group, channel, chosen)
        called = []
        for target, invocation in zip(group, invocations, strict=True):
            failed = invocation.not_made()
            if failed and on_call_error in (
                ErrorHandlingStrategy.RAISE_FIRST,
                ErrorHandlingStrategy.RETRY,
            ):
                invocation.result(0)  # raises the error that kept the call from being made
            if on_result is not None:
                invocation.add_done_callback(partial(on_result, target))
            if not (failed and on_call_error is ErrorHandlingStrategy.IGNORE):
                called.append((target, invocation))
        return called
