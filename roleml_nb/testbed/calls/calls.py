"""Calls from the notebook: to one role, or to all that a pattern names."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from functools import partial
from typing import Any

from roleml_nb.actor import Actor, Invocation
from roleml_nb.messaging.envelope import never_begun
from roleml_nb.role import (
    NATIVE,
    ErrorHandlingStrategy,
    Message,
    RoleInstanceID,
    TestbedError,
    did_you_mean,
    standard_name,
)
from roleml_nb.testbed.registry.registry import Registry

from .failures import raise_combined

__all__ = ["Calls"]

COMBINE_WINDOW_S = 0.2
"""Seconds that equal failures of other nodes get to come in, and be told with the first one."""


def is_pattern(target: str | RoleInstanceID) -> bool:
    """Return True if it may name several roles, and a call to it returns {node: result}."""
    return any(sign in str(target) for sign in "*?[{")


class Calls:
    """Makes calls in the name of the notebook's actor, to the roles of the registry."""

    def __init__(self, actor: Actor, registry: Registry):
        self._actor, self._registry = actor, registry

    def call(
        self,
        target: str | RoleInstanceID,
        channel: str,
        args: Mapping[str, Any] | None,
        payloads: Mapping[str, Any] | None,
        timeout: float | None,
    ) -> Any:
        """See `Testbed.call`."""
        invocations = self.begin(target, channel, args, payloads)
        try:
            return self.gather(target, channel, invocations, timeout)
        finally:
            for invocation in invocations:
                invocation.stop_waiting()

    def gather(
        self,
        target: str | RoleInstanceID,
        channel: str,
        invocations: list[Invocation],
        timeout: float | None = None,
    ) -> Any:
        """Return the result, or for a pattern {node: result}.

        The first failures are told at once, folded, not after the last answer.
        """
        if not is_pattern(target):
            return invocations[0].result(timeout)
        clock = self._actor.host.clock
        deadline = clock.now() + (self._actor.host.call_timeout if timeout is None else timeout)
        arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index, invocation in enumerate(invocations):
            invocation.when_done(partial(arrived.put, index))
        results: dict[int, Any] = {}
        failed = False
        while len(results) < len(invocations):
            try:
                index = arrived.get(timeout=max(0.0, deadline - clock.now()))
            except queue.Empty:
                break
            try:
                results[index] = invocations[index].result(0)
            except Exception as error:  # told below, with its like
                results[index] = error
                if not failed:
                    failed, deadline = True, min(deadline, clock.now() + COMBINE_WINDOW_S)
        answers, left = [], []
        for index, invocation in enumerate(invocations):
            if index in results:
                answers.append((invocation.target, results[index]))
            else:
                left.append(invocation)
        if left and not failed:
            left[0].result(0)  # reports its progress all the time
        raise_combined(answers, f"call {target} {channel}", others=len(left))
        return {instance.actor_name: result for instance, result in answers}

    def call_task(
        self,
        target: str | RoleInstanceID,
        channel: str,
        args: Mapping[str, Any] | None,
        payloads: Mapping[str, Any] | None,
    ) -> Invocation:
        """See `Testbed.call_task`."""
        invocations = self.begin(target, channel, args, payloads)
        if len(invocations) != 1:
            raise TestbedError(f"{target!r} names {len(invocations)} roles; call_task takes one")
        return invocations[0]

    def group(
        self,
        kind: str,
        group: list[RoleInstanceID],
        channel: str,
        messages: Mapping[RoleInstanceID, Message],
    ) -> list[tuple[RoleInstanceID, Any]]:
        """Call many; an error takes the place of its result."""
        return self._actor.call_group(
            NATIVE,
            group,
            channel,
            message=Message(),
            message_map=messages,
            on_error=ErrorHandlingStrategy.KEEP,
            kind=kind,
        )

    def ask_nodes(
        self, kind: str, channel: str, messages: Mapping[str, Message]
    ) -> list[tuple[RoleInstanceID, Any]]:
        """Call the native role of each node, {node: message}; an error takes the place of its
        result.
        """
        by_role = {RoleInstanceID(node, NATIVE): message for node, message in messages.items()}
        return self.group(kind, list(by_role), channel, by_role)

    def roles_of(self, node: str) -> list[str]:
        """Return the names of the roles that are on a node now."""
        return list(self._actor.call(NATIVE, RoleInstanceID(node, NATIVE), "get-roles", Message()))

    def begin(
        self,
        target: str | RoleInstanceID,
        channel: str,
        args: Mapping[str, Any] | None,
        payloads: Mapping[str, Any] | None,
    ) -> list[Invocation]:
        """Call all that `target` names, and go on."""
        pattern = str(RoleInstanceID(*target)) if isinstance(target, tuple) else target
        if "/" not in pattern:
            raise TestbedError(
                f"{pattern!r} names no role; write node/role, as in 'server/coordinator'"
            )
        group = self._registry.instances(pattern)
        generation = self._actor.host.router.run_generation
        channel = standard_name(channel)
        kinds: dict[str, list[RoleInstanceID]] = {}
        for instance in group:
            kinds.setdefault(self._kind(instance, channel), []).append(instance)
        # while the roles were asked for their channels
        if generation != self._actor.host.router.run_generation:
            raise never_begun(group[0], channel)
        message = Message(dict(args or {}), dict(payloads or {}))
        made: dict[RoleInstanceID, Invocation] = {}
        for kind, members in kinds.items():
            calls = self._actor.caller.send_group(
                kind, NATIVE, members, channel, [message] * len(members)
            )
            made.update(zip(members, calls, strict=True))
        return [made[instance] for instance in group]

    def _kind(self, instance: RoleInstanceID, channel: str) -> str:
        known = self._registry.roles.get(instance.actor_name, {}).get(instance.instance_name, {})
        # the role may have another class since it was asked
        for channels in (known.get("channels", ([], [])), None):
            services, tasks = channels or self._ask_for_channels(instance, known)
            if channel in tasks:
                return "task"
            if channel in services:
                return "service"
        raise TestbedError(
            f"{instance} has no channel '{channel}'; {did_you_mean(channel, [*services, *tasks])}"
        )

    def channels(self, target: str | RoleInstanceID) -> list[str]:
        """See `Testbed.channels`."""
        instance = self._registry.instances(target)[0]
        services, tasks = self._ask_for_channels(instance, {})
        return sorted([*services, *tasks])

    def _ask_for_channels(
        self, instance: RoleInstanceID, known: dict[str, Any]
    ) -> tuple[list[str], list[str]]:
        channels = self._actor.call(
            NATIVE,
            RoleInstanceID(instance.actor_name, NATIVE),
            "get-channels",
            Message({"name": instance.instance_name}),
        )
        known["channels"] = channels
        return channels
