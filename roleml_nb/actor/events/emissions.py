"""Events that the roles of one actor emit, and their subscribers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from roleml_nb.actor.host import ActorHost
from roleml_nb.actor.role_table import RoleTable
from roleml_nb.messaging.envelope import Target
from roleml_nb.messaging.permissions import Sender
from roleml_nb.messaging.requests import role_request
from roleml_nb.messaging.serialization.codec import MESSAGE, encode
from roleml_nb.role import Message, NoSuchEventError, RoleInstanceID, did_you_mean
from roleml_nb.role.conditions import passes

__all__ = ["Emissions", "Subscriber"]

ListenerKey = tuple[RoleInstanceID, str]
"""A role that listens, and the name of its listener: it may have several."""


@dataclass
class Subscriber:
    """The conditions and mode of a listener.

    `automatic`: it follows a relationship, so it is there for the role's successor too.
    """

    conditions: dict[str, Any]
    mode: str
    automatic: bool


class Emissions:
    """Sends events to their subscribers, in the order of emission."""

    def __init__(
        self, roles: RoleTable, host: ActorHost, wait_until_settled: Callable[[str], None]
    ):
        self._roles = roles
        self._host = host
        self._wait_until_settled = wait_until_settled
        """Waits until a role is not about to move."""
        self._subscribers: dict[tuple[str, str], dict[ListenerKey, Subscriber]] = {}
        self._emitted: dict[tuple[str, str], int] = {}
        self._order: dict[tuple[str, str], threading.RLock] = {}
        self._lock = threading.RLock()

    def emit(self, instance_name: str, channel: str, message: Message) -> None:
        """Emit an event; wait while the role is paused, StatusError when it was not started, or
        ends.
        """
        host = self._host
        self._roles.lifecycle(instance_name).wait_to_emit(channel, host.call_timeout)
        key = (instance_name, channel)
        source = self._roles.instance(instance_name)
        with self._lock:
            order = self._order.setdefault(key, threading.RLock())
        # held while sending: the order of emission is the order on the link; a channel that is held
        # back
        with order:
            wanted = self._wanted(key, source, message)  # holds back no other
            if not wanted:
                return
            lost = host.router.send(
                "event",
                source,
                [Target(*item) for item in wanted],
                channel,
                encode((message.args, message.payloads), MESSAGE),
            )
        for target, _ in lost:
            self._drop(key, target.instance)

    def _wanted(
        self, key: tuple[str, str], source: RoleInstanceID, message: Message
    ) -> list[RoleInstanceID]:
        """Count the emission, and return the distinct roles that get it."""
        with self._lock:
            step = self._emitted[key] = self._emitted.get(key, 0) + 1
            self._host.record_metrics(source, key[1], message.args, step)
            subscribers = self._subscribers.get(key, {})
            wanted = [
                item
                for item, given in subscribers.items()
                if passes(given.conditions, message.args)
            ]
            for item in wanted:
                if subscribers[item].mode == "once":
                    del subscribers[item]
            return _roles(wanted)

    def _drop(
        self, key: tuple[str, str], subscriber: RoleInstanceID, name: str | None = None
    ) -> None:
        """Remove a subscriber, or one of its listeners."""
        with self._lock:
            subscribers = self._subscribers.get(key, {})
            for listener in list(subscribers):
                if listener[0] == subscriber and name in (None, listener[1]):
                    del subscribers[listener]

    def has_subscribers(self, instance_name: str, channel: str) -> bool:
        return bool(self._subscribers.get((instance_name, channel)))

    def add_role(self, instance_name: str) -> None:
        """Report subscribers that were there before a role that starts, to events that it does not
        have.
        """
        role = self._roles[instance_name]
        with self._lock:
            wrong = []
            for (name, channel), subscribers in self._subscribers.items():
                if name == instance_name and subscribers and channel not in role.events:
                    wrong.append((channel, subscribers))
        for channel, subscribers in wrong:
            self._host.report(
                NoSuchEventError(
                    f"{', '.join(map(str, _roles(subscribers)))} listen to"
                    f" {self._roles.node}/{instance_name}, which emits no '{channel}';"
                    f" {did_you_mean(channel, role.events)}"
                )
            )

    def remove_role(self, instance_name: str) -> None:
        """Tell subscribers that a role ends.

        Those that follow a relationship stay, for a role that takes its place.
        """
        source = self._roles.instance(instance_name)
        with self._lock:
            for (name, channel), subscribers in self._subscribers.items():
                if name != instance_name or not subscribers:
                    continue
                self._host.router.send(
                    "discontinue",
                    source,
                    [Target(*item) for item in _roles(subscribers)],
                    channel,
                    encode(None),
                )
                for listener, wanted in list(subscribers.items()):
                    if not wanted.automatic:
                        del subscribers[listener]

    # messages from subscribers

    @role_request("subscribe", Sender.ROLE)
    def subscribe(
        self,
        subscriber: RoleInstanceID,
        instance_name: str,
        channel: str,
        *,
        listener: str,
        conditions: dict[str, Any],
        mode: str,
        automatic: bool,
    ) -> None:
        """Subscribe another role to one of ours, which may be assigned later."""
        self._follow(instance_name)
        role = self._roles.get(instance_name)
        if role is not None and channel not in role.events:
            raise NoSuchEventError(
                f"{self._roles.node}/{instance_name} emits no '{channel}';"
                f" {did_you_mean(channel, role.events)}"
            )
        with self._lock:
            subscribers = self._subscribers.setdefault((instance_name, channel), {})
            subscribers[subscriber, listener] = Subscriber(conditions, mode, automatic)

    def _follow(self, instance_name: str) -> None:
        """Wait while the role is about to be elsewhere; RoleMoved when it is."""
        self._wait_until_settled(instance_name)
        if instance_name not in self._roles and instance_name in self._roles.moved:
            self._roles.lifecycle(instance_name)

    @role_request("unsubscribe", Sender.ROLE)
    def unsubscribe(
        self, subscriber: RoleInstanceID, instance_name: str, channel: str, *, listener: str | None
    ) -> None:
        """End one subscription of another role, or all (None)."""
        self._follow(instance_name)
        self._drop((instance_name, channel), subscriber, listener)

    @role_request("resubscribe", Sender.NODE, about=("old",))
    def resubscribe(
        self,
        asker: RoleInstanceID,
        instance_name: str,
        channel: str,
        *,
        old: RoleInstanceID,
        new: RoleInstanceID,
    ) -> None:
        """Send a listener's events to its new address from here on."""
        self._follow(instance_name)
        with self._lock:
            subscribers = self._subscribers.get((instance_name, channel), {})
            for listener in list(subscribers):
                if listener[0] == old:
                    subscribers[RoleInstanceID(*new), listener[1]] = subscribers.pop(listener)

    # moving

    def names(self) -> set[str]:
        """Return the names of roles that have emitted, or have subscribers."""
        with self._lock:
            return {name for name, _ in (*self._subscribers, *self._emitted)}

    def of_role(self, instance_name: str) -> dict[str, tuple[int, dict[ListenerKey, Subscriber]]]:
        """Return the emissions that travel with a role: {channel: (events so far, subscribers)}."""
        with self._lock:
            found = {}
            for key in {*self._subscribers, *self._emitted}:
                name, channel = key
                if name == instance_name:
                    subscribers = dict(self._subscribers.get(key, {}))
                    found[channel] = self._emitted.get(key, 0), subscribers
            return found

    def adopt(
        self, instance_name: str, given: dict[str, tuple[int, dict[ListenerKey, Subscriber]]]
    ) -> None:
        with self._lock:
            for channel, (emitted, subscribers) in given.items():
                self._emitted[instance_name, channel] = emitted
                self._subscribers[instance_name, channel] = dict(subscribers)

    def drop_role(self, instance_name: str) -> None:
        """Remove a role that has taken its subscribers to another node."""
        with self._lock:
            for table in (self._subscribers, self._emitted, self._order):
                for key in list(table):
                    if key[0] == instance_name:
                        del table[key]


def _roles(subscribers: Iterable[ListenerKey]) -> list[RoleInstanceID]:
    """Return the distinct roles, in order."""
    return list(dict.fromkeys(role for role, _ in subscribers))
