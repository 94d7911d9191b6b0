"""Events of one actor: who listens to its roles, and what its roles listen to."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.codec import Body, encode
from roleml_nb.messaging.router import Target
from roleml_nb.role import (
    CallerError,
    Message,
    NoSuchEventError,
    RoleInstanceID,
    attribute,
    did_you_mean,
)
from roleml_nb.role.channels import Handler, Subscription
from roleml_nb.role.conditions import check_conditions, passes
from roleml_nb.role.running import running

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Events"]


@dataclass
class Listener:
    """A handler of one of our roles for one channel of one other role. Events wait here for their turn."""

    handler: Handler
    method: Callable[..., Any]
    mode: str
    waiting: deque[Body] = field(default_factory=deque)
    running: bool = False


class Events:
    """Subscriptions in both directions. Events of one emitter and channel reach a handler in order, one at a time."""

    def __init__(self, actor: Actor):
        self._actor = actor
        self._subscribers: dict[tuple[str, str], dict[RoleInstanceID, tuple[dict[str, Any], str]]] = {}
        self._listeners: dict[tuple[str, RoleInstanceID, str], Listener] = {}
        self._emitted: dict[tuple[str, str], int] = {}
        self._emitting = threading.RLock()  # never taken while holding the other: two emitters cannot block each other
        self._lock = threading.RLock()
        actor.ctx.relationships.listeners.append(self._relationship_changed)

    # emitting

    def emit(self, instance_name: str, channel: str, message: Message) -> None:
        key = (instance_name, channel)
        source = RoleInstanceID(self._actor.name, instance_name)
        with self._emitting:  # held while sending: the order of emission is the order on the link
            step = self._emitted[key] = self._emitted.get(key, 0) + 1
            self._actor.host.note_metrics(source, channel, message.args, step)
            subscribers = self._subscribers.get(key, {})
            wanted = [item for item, (conditions, _) in subscribers.items() if passes(conditions, message.args)]
            for item in wanted:
                if subscribers[item][1] == "once":
                    del subscribers[item]
            if not wanted:
                return
            lost = self._actor.host.router.send(
                "event", source, [Target(*item) for item in wanted], channel, encode((message.args, message.payloads)))
            for target, _ in lost:
                subscribers.pop(target.instance, None)

    def accept_subscriber(self, subscriber: RoleInstanceID, instance_name: str, channel: str, body: Body) -> None:
        """Another role subscribes to one of ours, which may be assigned later."""
        conditions, mode = body.decode()
        role = self._actor.roles.get(instance_name)
        if role is not None and channel not in role.events:
            raise NoSuchEventError(
                f"{self._actor.name}/{instance_name} emits no '{channel}'; {did_you_mean(channel, role.events)}")
        with self._emitting:
            self._subscribers.setdefault((instance_name, channel), {})[subscriber] = (conditions, mode)

    def drop_subscriber(self, subscriber: RoleInstanceID, instance_name: str, channel: str) -> None:
        with self._emitting:
            self._subscribers.get((instance_name, channel), {}).pop(subscriber, None)

    # listening

    def receive(self, source: RoleInstanceID, instance_name: str, channel: str, body: Body) -> None:
        """Called on the link's thread."""
        with self._lock:
            listener = self._listeners.get((instance_name, source, channel))
            if listener is None:
                return
            listener.waiting.append(body)
            if listener.running:
                return
            listener.running = True
        self._actor.host.submit(lambda: self._drain(instance_name, source, channel, listener))

    def _drain(self, instance_name: str, source: RoleInstanceID, channel: str, listener: Listener) -> None:
        while True:
            with self._lock:
                if not listener.waiting:
                    listener.running = False
                    return
                body = listener.waiting.popleft()
            where = RoleInstanceID(self._actor.name, instance_name)
            try:
                with self._actor.lifecycle(instance_name).execution(), running(self._actor.roles[instance_name]):
                    args, payloads = body.decode()
                    listener.handler.invoke(listener.method, source, args, payloads)
            except Exception as error:  # nobody waits for it: the notebook is told
                self._actor.host.report(self._actor.describe(error, where, f"on {source}.{channel}"))
            if listener.mode == "once":
                with self._lock:
                    self._listeners.pop((instance_name, source, channel), None)

    def subscribe(
        self, instance_name: str, target: RoleInstanceID, channel: str, handler: Handler,
        method: Callable[..., Any], conditions: dict[str, Any], mode: str,
    ) -> None:
        """Subscribe one of our roles; returns when the emitter has taken note."""
        check_conditions(conditions)
        role = self._actor.roles[instance_name]
        wanted = {k: getattr(role, v.name) if isinstance(v, attribute) else v for k, v in conditions.items()}
        key = (instance_name, target, channel)
        with self._lock:
            self._listeners.setdefault(key, Listener(handler, method, mode))
        try:
            self._actor.request("subscribe", instance_name, target, channel, (wanted, mode)).result()
        except Exception:
            with self._lock:
                self._listeners.pop(key, None)
            raise

    def unsubscribe(self, instance_name: str, target: RoleInstanceID, channel: str) -> None:
        with self._lock:
            listener = self._listeners.pop((instance_name, target, channel), None)
        if listener is None:
            raise CallerError(f"{self._actor.name}/{instance_name} is not subscribed to {target}.{channel}")
        self._actor.request("unsubscribe", instance_name, target, channel, None).result()

    # subscriptions that follow relationships

    def add_role(self, instance_name: str) -> None:
        """Subscribe a new role to the members of the relationships that its event handlers name."""
        for relationship in {item.relationship for item, _ in self._declared(instance_name)}:
            members = self._actor.ctx.relationships.members(relationship)
            self._follow(instance_name, relationship, "add", tuple(members))

    def remove_role(self, instance_name: str) -> None:
        """End what a role subscribed to. Its own subscribers stay, for a role that takes its place."""
        with self._lock:
            keys = [key for key in self._listeners if key[0] == instance_name]
        for _, target, channel in keys:
            try:
                self.unsubscribe(instance_name, target, channel)
            except Exception as error:  # an emitter that is gone keeps nobody from leaving
                self._actor.logger.info("unsubscribe from %s.%s: %s", target, channel, error)

    def _declared(self, instance_name: str) -> list[tuple[Subscription, str]]:
        role = self._actor.roles[instance_name]
        return [(getattr(type(role), name).handler, name) for name in sorted(role.subscriptions)]

    def _relationship_changed(self, relationship: str, operation: str, instances: tuple[RoleInstanceID, ...]) -> None:
        for instance_name in list(self._actor.roles):
            self._follow(instance_name, relationship, operation, instances)

    def _follow(
        self, instance_name: str, relationship: str, operation: str, instances: tuple[RoleInstanceID, ...]
    ) -> None:
        role = self._actor.roles[instance_name]
        for item, name in self._declared(instance_name):
            if item.relationship != relationship:
                continue
            for target in instances:
                if operation == "remove":
                    if (instance_name, target, item.channel) in self._listeners:
                        self.unsubscribe(instance_name, target, item.channel)
                elif item.extra_filter is None or item.extra_filter(target):
                    self.subscribe(instance_name, target, item.channel, item, getattr(role, name),
                                   item.conditions, item.mode)
