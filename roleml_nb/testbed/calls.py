"""Calls from the notebook: to one role, or to all that a pattern names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roleml_nb.actor import Actor, Invocation
from roleml_nb.role import (
    NATIVE,
    CallTimeout,
    ErrorHandlingStrategy,
    Message,
    RoleInstanceID,
    TestbedError,
    did_you_mean,
    standard_name,
)

from .failures import fold
from .roster import Roster

__all__ = ["Calls"]


class Calls:
    """Makes calls in the name of the notebook's actor, to the roles of the roster."""

    def __init__(self, actor: Actor, roster: Roster):
        self._actor, self._roster = actor, roster

    def call(
        self, target: str | RoleInstanceID, channel: str, args: Mapping[str, Any] | None,
        payloads: Mapping[str, Any] | None, timeout: float | None,
    ) -> Any:
        """See `Testbed.call`."""
        invocations = self.begin(target, channel, args, payloads)
        try:
            return self.gather(target, channel, invocations, timeout)
        finally:
            for invocation in invocations:
                invocation.forget()

    @staticmethod
    def gather(
        target: str | RoleInstanceID, channel: str, invocations: list[Invocation], timeout: float | None = None
    ) -> Any:
        """The result, or for a pattern {node: result}; failures are folded."""
        results: list[tuple[RoleInstanceID, Any]] = []
        many = any(sign in str(target) for sign in "*?[{")
        for invocation in invocations:
            try:
                results.append((invocation.target, invocation.result(timeout)))
            except CallTimeout:
                raise
            except Exception as error:
                if not many:
                    raise
                results.append((invocation.target, error))
        if not many:
            return results[0][1]
        fold(results, f"call {target} {channel}")
        return {instance.actor_name: result for instance, result in results}

    def call_task(
        self, target: str | RoleInstanceID, channel: str, args: Mapping[str, Any] | None,
        payloads: Mapping[str, Any] | None,
    ) -> Invocation:
        """See `Testbed.call_task`."""
        invocations = self.begin(target, channel, args, payloads)
        if len(invocations) != 1:
            raise TestbedError(f"{target!r} names {len(invocations)} roles; call_task takes one")
        return invocations[0]

    def group(
        self, kind: str, group: list[RoleInstanceID], channel: str, messages: Mapping[RoleInstanceID, Message]
    ) -> list[tuple[RoleInstanceID, Any]]:
        """Call many; an error takes the place of its result."""
        return self._actor.call_group(NATIVE, group, channel, message=Message(), message_map=messages,
                                      on_error=ErrorHandlingStrategy.KEEP, kind=kind)

    def roles_of(self, node: str) -> list[str]:
        """The names of the roles that are on a node now."""
        return list(self._actor.call(NATIVE, RoleInstanceID(node, NATIVE), "get-roles", Message()))

    def begin(
        self, target: str | RoleInstanceID, channel: str, args: Mapping[str, Any] | None,
        payloads: Mapping[str, Any] | None,
    ) -> list[Invocation]:
        """Call all that `target` names, and go on."""
        pattern = str(RoleInstanceID(*target)) if isinstance(target, tuple) else target
        if "/" not in pattern:
            raise TestbedError(f"{pattern!r} names no role; write node/role, as in 'server/coordinator'")
        group = self._roster.instances(pattern)
        channel = standard_name(channel)
        kinds: dict[str, list[RoleInstanceID]] = {}
        for instance in group:
            kinds.setdefault(self._kind(instance, channel), []).append(instance)
        message = Message(dict(args or {}), dict(payloads or {}))
        made: dict[RoleInstanceID, Invocation] = {}
        for kind, members in kinds.items():
            calls = self._actor._group(kind, NATIVE, members, channel, [message] * len(members))
            made.update(zip(members, calls, strict=True))
        return [made[instance] for instance in group]

    def _kind(self, instance: RoleInstanceID, channel: str) -> str:
        known = self._roster.roles.get(instance.actor_name, {}).get(instance.instance_name, {})
        for channels in (known.get("channels", ([], [])), None):  # the role may have another class since it was asked
            services, tasks = channels or self._ask_for_channels(instance, known)
            if channel in tasks:
                return "task"
            if channel in services:
                return "service"
        raise TestbedError(f"{instance} has no channel '{channel}'; {did_you_mean(channel, [*services, *tasks])}")

    def channels(self, target: str | RoleInstanceID) -> list[str]:
        """See `Testbed.channels`."""
        instance = self._roster.instances(target)[0]
        services, tasks = self._ask_for_channels(instance, {})
        return sorted([*services, *tasks])

    def _ask_for_channels(self, instance: RoleInstanceID, known: dict[str, Any]) -> tuple[list[str], list[str]]:
        channels = self._actor.call(NATIVE, RoleInstanceID(instance.actor_name, NATIVE), "get-channels",
                                    Message({"name": instance.instance_name}))
        known["channels"] = channels
        return channels
