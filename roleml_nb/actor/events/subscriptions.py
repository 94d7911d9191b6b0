"""Events that the roles of one actor listen to."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Collection
from typing import Any

from roleml_nb.actor.caller import Caller
from roleml_nb.actor.host import ActorHost
from roleml_nb.actor.role_table import RoleTable
from roleml_nb.messaging.serialization.codec import Body
from roleml_nb.role import CallerError, NodeLost, Role, RoleInstanceID, RoleMLError, attribute
from roleml_nb.role.channels import Handler, Subscription
from roleml_nb.role.conditions import check_conditions

from .emissions import Emissions
from .inbox import Inbox, Listener

__all__ = ["Subscriptions"]

Key = tuple[str, RoleInstanceID, str]
"""Our role's name, the emitter, its channel."""


class Subscriptions:
    """The subscriptions of one actor, kept up as roles and relationships change."""

    def __init__(self, roles: RoleTable, caller: Caller, host: ActorHost):
        self._roles = roles
        self._caller = caller
        self._host = host
        self._logger = host.logger_for(roles.node, "")
        self._inboxes: dict[Key, Inbox] = {}
        self._fired: set[tuple[str, RoleInstanceID, str, str]] = set()
        """Events that were wanted once and received, with the listener's name."""
        self._lock = threading.RLock()
        caller.relationships.listeners.append(self._relationship_changed)

    # events

    def receive(self, source: RoleInstanceID, instance_name: str, channel: str, body: Body) -> None:
        """Put an event into its inbox. Called on the link's thread."""
        inbox = self._inboxes.get((instance_name, source, channel))
        if inbox is not None:
            inbox.put(body)

    def wake(self, instance_name: str) -> None:
        """Handle events that have waited for the role to become ready."""
        for inbox in self.of_role(instance_name).values():
            inbox.wake()

    def clear_events(self) -> None:
        """Drop the events that wait for their turn."""
        with self._lock:
            for inbox in self._inboxes.values():
                inbox.clear()

    def discontinued(self, source: RoleInstanceID, instance_name: str, channel: str) -> None:
        """End subscriptions to an emitter that has ended.

        Subscriptions that follow a relationship wait for its successor.
        """
        key = (instance_name, source, channel)
        with self._lock:
            inbox = self._inboxes.get(key)
            ended = False
            for listener in () if inbox is None else inbox.listeners.values():
                if not listener.automatic:
                    self._drop(key, listener)
                    ended = True
        if ended:
            self._logger.info(
                "%s/%s: %s has ended, and with it '%s'",
                self._roles.node,
                instance_name,
                source,
                channel,
            )

    def nodes_removed(self, nodes: Collection[str]) -> None:
        """End subscriptions by hand to nodes that are gone, as `discontinued` does."""
        for instance_name, source, channel in list(self._inboxes):
            if source.actor_name in nodes:
                self.discontinued(source, instance_name, channel)

    def _heard_once(self, inbox: Inbox, listener: Listener) -> None:
        key = (inbox.instance_name, inbox.source, inbox.channel)
        with self._lock:
            self._drop(key, listener)
            self._fired.add((*key, listener.name))

    # subscribing

    def subscribe(
        self,
        instance_name: str,
        target: RoleInstanceID,
        channel: str,
        handler: Handler,
        method: Callable[..., Any],
        conditions: dict[str, Any],
        mode: str,
        *,
        automatic: bool = False,
        name: str = "",
    ) -> None:
        """Subscribe one of our roles; return when the emitter has registered it.

        `name` is the listener's, if it has had one before. ValueError for a condition or mode that
        does not exist. Several handlers of one channel are called in the order of their definition.
        """
        check_conditions(conditions)
        if mode not in ("once", "forever"):
            raise ValueError(f"mode must be 'once' or 'forever', not {mode!r}")
        role = self._roles[instance_name]
        wanted = {}
        for entry, value in conditions.items():
            wanted[entry] = getattr(role, value.name) if isinstance(value, attribute) else value
        key = (instance_name, target, channel)
        with self._lock:
            known = self._inboxes[key].listeners if key in self._inboxes else {}
            if any(listener.method == method for listener in known.values()):
                return
            method_name = getattr(method, "__name__", type(method).__name__)
            name = name or method_name
            if name == method_name and not automatic:
                name = f"{name} {len(known) + 1}"
                while name in known:
                    name += "+"
            listener = Listener(name, handler, method, wanted, mode, automatic)
            self.adopt(key, listener)
        invocation = self._caller.ask_role(
            Emissions.subscribe,
            instance_name,
            target,
            channel,
            listener=name,
            conditions=wanted,
            mode=mode,
            automatic=automatic,
        )
        try:
            invocation.result()
        except Exception:
            with self._lock:
                self._drop(key, listener)
            raise
        if invocation.target != target:  # the emitter has moved, and the request has followed it
            self.repoint(target, invocation.target)

    def unsubscribe(
        self,
        instance_name: str,
        target: RoleInstanceID,
        channel: str,
        *,
        name: str | None = None,
        wait: bool = True,
    ) -> None:
        """End subscriptions, or that of the listener called `name`; CallerError when there is none.

        Returns when the emitter has registered that, unless without `wait`.
        """
        key = (instance_name, target, channel)
        with self._lock:
            inbox = self._inboxes.get(key)
            ended = False
            for listener in () if inbox is None else inbox.listeners.values():
                if name in (None, listener.name):
                    self._drop(key, listener)
                    ended = True
        if not ended:
            raise CallerError(
                f"{self._roles.node}/{instance_name} is not subscribed to {target}.{channel}"
            )
        invocation = self._caller.ask_role(
            Emissions.unsubscribe, instance_name, target, channel, listener=name
        )
        if wait:
            try:
                invocation.result()
            except NodeLost as error:  # it has nothing more to say
                self._logger.info("unsubscribe from %s.%s: %s", target, channel, error)

    def _drop(self, key: Key, listener: Listener) -> None:
        """Remove a listener; events that came for it before are still handled."""
        inbox = self._inboxes.get(key)
        if inbox is None or inbox.listeners.get(listener.name) is not listener:
            return
        remaining = dict(inbox.listeners)  # replaced, not changed: others may go through it
        del remaining[listener.name]
        inbox.listeners = remaining
        if not inbox.listeners:
            del self._inboxes[key]

    def remove_role(self, instance_name: str, *, wait: bool = True) -> None:
        """End the subscriptions of a role."""
        self._clear_fired(instance_name)
        for _, target, channel in self.of_role(instance_name):
            try:
                self.unsubscribe(instance_name, target, channel, wait=wait)
            except RoleMLError as error:  # an emitter that is gone keeps nobody from leaving
                self._logger.info("unsubscribe from %s.%s: %s", target, channel, error)

    def _clear_fired(self, instance_name: str) -> None:
        with self._lock:
            self._fired = {item for item in self._fired if item[0] != instance_name}

    # subscriptions that follow relationships

    def add_role(self, instance_name: str) -> None:
        """Subscribe a role that starts as its event handlers say, and others here that listen to
        its name.
        """
        for item, name in self._declared(instance_name):
            self._subscribe_to(
                instance_name, item, name, self._members(item.relationship), starting=True
            )
        new = (self._roles.instance(instance_name),)
        for other in list(self._roles):
            for item, name in self._declared(other):
                if item.relationship == instance_name and self._members(instance_name) == new:
                    self._subscribe_to(other, item, name, new, starting=True)

    def update_role(self, instance_name: str) -> None:
        """Bind a role's listeners to the handlers of its new class; end those that are gone, begin
        new ones.
        """
        role = self._roles[instance_name]
        declared = {name: item for item, name in self._declared(instance_name)}
        for (_, target, channel), inbox in self.of_role(instance_name).items():
            for name, listener in inbox.listeners.items():
                item = declared.get(name)
                if not listener.automatic:
                    listener.method = getattr(role, listener.method.__name__, listener.method)
                elif item is None or _wish(item) != _wish(listener.handler):
                    self.unsubscribe(instance_name, target, channel, name=name)
                else:
                    listener.handler, listener.method = item, getattr(role, name)
            inbox.listeners = self._in_order(instance_name, inbox.listeners)
        self.add_role(instance_name)

    def _members(self, relationship: str) -> tuple[RoleInstanceID, ...]:
        """Return the members, or else the role of that name on this node."""
        members = tuple(self._caller.relationships.members(relationship))
        if not members and relationship in self._roles:
            return (self._roles.instance(relationship),)
        return members

    def _declared(self, instance_name: str) -> list[tuple[Subscription, str]]:
        """Return the event handlers of a role and their names, in the order of their definition."""
        cls = type(self._roles[instance_name])
        return [(getattr(cls, name).handler, name) for name in _defined(cls)]

    def _in_order(self, instance_name: str, listeners: dict[str, Listener]) -> dict[str, Listener]:
        places = {name: place for place, (_, name) in enumerate(self._declared(instance_name))}
        return dict(sorted(listeners.items(), key=lambda item: places.get(item[0], len(places))))

    def _subscribe_to(
        self,
        instance_name: str,
        item: Subscription,
        name: str,
        targets: tuple[RoleInstanceID, ...],
        *,
        starting: bool = False,
    ) -> None:
        """Subscribe to all targets; raise the first failure in the end.

        A lost emitter keeps no role from starting.
        """
        method = getattr(self._roles[instance_name], name)
        failed: list[Exception] = []
        for target in targets:
            if (instance_name, target, item.channel, name) in self._fired:
                continue
            if item.extra_filter is None or item.extra_filter(target):
                try:
                    self.subscribe(
                        instance_name,
                        target,
                        item.channel,
                        item,
                        method,
                        item.conditions,
                        item.mode,
                        automatic=True,
                    )
                except Exception as error:  # the others are subscribed to all the same
                    if starting and isinstance(error, NodeLost):
                        self._logger.warning("%s: %s", self._roles.instance(instance_name), error)
                    else:
                        failed.append(error)
        if failed:
            raise failed[0]

    def _relationship_changed(
        self, relationship: str, operation: str, instances: tuple[RoleInstanceID, ...]
    ) -> None:
        for instance_name in list(filter(self._roles.started, list(self._roles))):
            for item, name in self._declared(instance_name):
                if item.relationship != relationship:
                    continue
                if operation == "add":
                    self._subscribe_to(instance_name, item, name, instances)
                    continue
                for target in instances:
                    self._fired.discard((instance_name, target, item.channel, name))
                    inbox = self._inboxes.get((instance_name, target, item.channel))
                    if inbox is not None and name in inbox.listeners:
                        self.unsubscribe(instance_name, target, item.channel, name=name)

    # moving

    def of_role(self, instance_name: str) -> dict[Key, Inbox]:
        """Return the inboxes of one role."""
        with self._lock:
            return {key: inbox for key, inbox in self._inboxes.items() if key[0] == instance_name}

    def heard(self, instance_name: str) -> set[tuple[RoleInstanceID, str, str]]:
        """Return the events that a role wanted once, and received: emitter, channel, listener's
        name.
        """
        with self._lock:
            return {item[1:] for item in self._fired if item[0] == instance_name}

    def adopt_heard(self, instance_name: str, heard: set[tuple[RoleInstanceID, str, str]]) -> None:
        with self._lock:
            self._fired |= {(instance_name, *item) for item in heard}

    def at_work(self) -> list[str]:
        """Return the roles that have events to handle, and can."""
        with self._lock:
            found = []
            for (name, source, channel), inbox in self._inboxes.items():
                if inbox.busy:
                    found.append(f"{self._roles.instance(name)} (event {source}.{channel})")
            return found

    def adopt(self, key: Key, listener: Listener) -> None:
        """Add a listener for the events that come from here on; the emitter knows of
        it, or will.
        """
        with self._lock:
            inbox = self._inboxes.setdefault(
                key, Inbox(self._roles, self._host, *key, self._heard_once)
            )
            inbox.listeners = self._in_order(key[0], {**inbox.listeners, listener.name: listener})

    def drop_role(self, instance_name: str) -> None:
        """Remove a role that has taken its listeners to another node, or has given up
        coming here.
        """
        with self._lock:
            for key in self.of_role(instance_name):
                del self._inboxes[key]
        self._clear_fired(instance_name)

    def repoint(self, old: RoleInstanceID, new: RoleInstanceID) -> None:
        """Replace an emitter's address by its new one."""
        with self._lock:
            for name, emitter, channel, listener in list(self._fired):
                if emitter == old:
                    self._fired.remove((name, emitter, channel, listener))
                    self._fired.add((name, new, channel, listener))
            for key in list(self._inboxes):
                if key[1] == old:
                    inbox = self._inboxes[key[0], new, key[2]] = self._inboxes.pop(key)
                    inbox.source = new


def _wish(handler: Handler) -> tuple[Any, ...]:
    """Return the parts of an event handler by which its subscription is told from others."""
    return (
        getattr(handler, "relationship", None),
        handler.channel,
        getattr(handler, "conditions", None),
        getattr(handler, "mode", None),
    )


def _defined(cls: type[Role]) -> list[str]:
    """Return the event handlers of a class, inherited ones first.

    A class that was sent has its attributes in no order of use.
    """

    def line(name: str) -> tuple[int, str]:
        code = getattr(inspect.unwrap(getattr(cls, name)), "__code__", None)
        return (0 if code is None else code.co_firstlineno), name

    names: list[str] = []
    for base in reversed(cls.__mro__):
        names += sorted(cls.subscriptions & vars(base).keys(), key=line)
    return list(dict.fromkeys(names))
