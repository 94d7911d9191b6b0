"""What the roles of one actor listen to."""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.codec import Body
from roleml_nb.messaging.executions import Execution, Interrupt
from roleml_nb.role import CallerError, Lifecycle, NodeLost, RoleInstanceID, RoleMLError, RunStopped, attribute
from roleml_nb.role.channels import Handler, Subscription
from roleml_nb.role.conditions import check_conditions
from roleml_nb.role.running import running

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Listener", "Subscriptions"]

Key = tuple[str, RoleInstanceID, str]
"""Our role's name, the emitter, its channel."""


@dataclass
class Listener:
    """A handler of one of our roles for one channel of one other role. Events wait here for their turn."""

    handler: Handler
    method: Callable[..., Any]
    mode: str
    automatic: bool
    waiting: deque[Body] = field(default_factory=deque)
    running: bool = False


class Subscriptions:
    """Hands events to handlers: those of one emitter and channel in order, one at a time, while the role is ready."""

    def __init__(self, actor: Actor):
        self._actor = actor
        self._listeners: dict[Key, Listener] = {}
        self._fired: set[tuple[str, RoleInstanceID, str, str]] = set()
        """What has been heard once, by the method of that name."""
        self._lock = threading.RLock()
        actor.ctx.relationships.listeners.append(self._relationship_changed)

    # events

    def receive(self, source: RoleInstanceID, instance_name: str, channel: str, body: Body) -> None:
        """Called on the link's thread."""
        key = (instance_name, source, channel)
        with self._lock:
            listener = self._listeners.get(key)
            if listener is None:
                return
            listener.waiting.append(body)
            if listener.running:
                return
            listener.running = True
        self._actor.host.submit(partial(self._drain, key, listener))

    def wake(self, instance_name: str) -> None:
        """The role is ready: hand over what has waited for that."""
        with self._lock:
            waiting = [(key, listener) for key, listener in self._listeners.items()
                       if key[0] == instance_name and listener.waiting and not listener.running]
            for _, listener in waiting:
                listener.running = True
        for key, listener in waiting:
            self._actor.host.submit(partial(self._drain, key, listener))

    def _drain(self, key: Key, listener: Listener) -> None:
        while True:
            lifecycle = self._actor.find_lifecycle(key[0])
            entered = lifecycle is not None and lifecycle.try_enter()
            with self._lock:  # taken from the queue by a running handler only: a paused role has all its events there
                body = listener.waiting.popleft() if entered and listener.waiting else None
                listener.running = body is not None
            if lifecycle is None:
                return
            if body is None:
                if entered:
                    lifecycle.leave()
                elif lifecycle.ready:  # since when we looked
                    self.wake(key[0])
                return
            going_on = self._handle(key, listener, lifecycle, body)
            if going_on is not None:
                going_on.add_done_callback(
                    lambda _: self._actor.host.submit(partial(self._drain, key, listener)))
                return

    def _handle(self, key: Key, listener: Listener, lifecycle: Lifecycle, body: Body) -> Future | None:
        """Run the handler; the future of one that goes on in the event loop."""
        instance_name, source, _ = key
        if listener.mode == "once":
            with self._lock:
                self._listeners.pop(key, None)
                self._fired.add((*key, listener.method.__name__))
        answer: Any = None
        message: tuple[Any, Any] = {}, {}
        router = self._actor.host.router
        execution = router.begin_event(source, self._actor.instance(instance_name), key[2])
        try:
            with running(self._actor.roles[instance_name]):
                message = body.decode()
                answer = listener.handler.invoke(listener.method, source, *message)
                if inspect.iscoroutine(answer):
                    future = self._actor.host.run_coroutine(answer, copy_context())
                    router.executions.leave_inline(execution)
                    future.add_done_callback(partial(self._ended, key, listener, lifecycle, execution, message))
                    return future
        except Interrupt:
            self._report(key, RunStopped(f"{execution.name} was interrupted with the run"))
        except BaseException as error:  # nobody waits for it: the notebook is told
            self._keep(key, listener, message, error)
            self._report(key, error)
        router.executions.end_inline(execution)
        if not execution.abandoned:
            lifecycle.leave()
        return None

    def forget_events(self) -> None:
        """Drop the events that wait for their turn."""
        with self._lock:
            for listener in self._listeners.values():
                listener.waiting.clear()

    def _ended(
        self, key: Key, listener: Listener, lifecycle: Lifecycle, execution: Execution, message: tuple, future: Future
    ) -> None:
        self._actor.host.router.executions.ended(execution)
        if not execution.abandoned:
            lifecycle.leave()
        error = future.exception()
        if isinstance(error, Exception):
            self._keep(key, listener, message, error)
            self._report(key, error)

    def _keep(self, key: Key, listener: Listener, message: tuple, error: BaseException) -> None:
        instance_name, source, channel = key
        attribute = getattr(listener.method, "__name__", "")
        self._actor.host.failures.keep(error, self._actor.instance(instance_name), attribute, channel, source, *message)

    def _report(self, key: Key, error: BaseException) -> None:
        instance_name, source, channel = key
        where = self._actor.instance(instance_name)
        self._actor.host.report(self._actor.describe(error, where, f"on {source}.{channel}"))

    def discontinued(self, source: RoleInstanceID, instance_name: str, channel: str) -> None:
        """The emitter has ended. Subscriptions that follow a relationship wait for its successor."""
        with self._lock:
            listener = self._listeners.get((instance_name, source, channel))
            if listener is None or listener.automatic:
                return
            del self._listeners[instance_name, source, channel]
        self._actor.logger.info("%s/%s: %s has ended, and with it '%s'", self._actor.name, instance_name, source, channel)

    # subscribing

    def subscribe(
        self, instance_name: str, target: RoleInstanceID, channel: str, handler: Handler,
        method: Callable[..., Any], conditions: dict[str, Any], mode: str, *, automatic: bool = False,
    ) -> None:
        """Subscribe one of our roles; returns when the emitter has taken note. ValueError for a condition or mode
        that does not exist."""
        check_conditions(conditions)
        if mode not in ("once", "forever"):
            raise ValueError(f"mode must be 'once' or 'forever', not {mode!r}")
        role = self._actor.roles[instance_name]
        wanted = {k: getattr(role, v.name) if isinstance(v, attribute) else v for k, v in conditions.items()}
        key = (instance_name, target, channel)
        with self._lock:
            known = self._listeners.get(key)
            if known is not None and known.method == method:
                return
            if known is not None:
                raise CallerError(f"{self._actor.name}/{instance_name} has {target}.{channel} handled by "
                                  f"{known.method.__name__} already: unsubscribe first, or handle it there")
            self._listeners[key] = Listener(handler, method, mode, automatic)
        invocation = self._actor.request("subscribe", instance_name, target, channel, (wanted, mode, automatic))
        try:
            invocation.result()
        except Exception:
            with self._lock:
                self._listeners.pop(key, None)
            raise
        if invocation.target != target:  # the emitter has moved, and the request has followed it
            self.repoint(target, invocation.target)

    def unsubscribe(self, instance_name: str, target: RoleInstanceID, channel: str, *, wait: bool = True) -> None:
        """End a subscription; CallerError when there is none. Returns when the emitter has taken note, unless without `wait`."""
        with self._lock:
            listener = self._listeners.pop((instance_name, target, channel), None)
        if listener is None:
            raise CallerError(f"{self._actor.name}/{instance_name} is not subscribed to {target}.{channel}")
        invocation = self._actor.request("unsubscribe", instance_name, target, channel, None)
        if wait:
            try:
                invocation.result()
            except NodeLost as error:  # it has nothing more to say
                self._actor.logger.info("unsubscribe from %s.%s: %s", target, channel, error)

    def remove_role(self, instance_name: str, *, wait: bool = True) -> None:
        """End what a role subscribed to."""
        self._forget_fired(instance_name)
        for _, target, channel in self.of_role(instance_name):
            try:
                self.unsubscribe(instance_name, target, channel, wait=wait)
            except RoleMLError as error:  # an emitter that is gone keeps nobody from leaving
                self._actor.logger.info("unsubscribe from %s.%s: %s", target, channel, error)

    def _forget_fired(self, instance_name: str) -> None:
        with self._lock:
            self._fired = {item for item in self._fired if item[0] != instance_name}

    # subscriptions that follow relationships

    def add_role(self, instance_name: str) -> None:
        """A role starts: subscribe it as its event handlers say, and others here that listen to a role of its name."""
        for item, name in self._declared(instance_name):
            self._subscribe_to(instance_name, item, name, self._members(item.relationship), starting=True)
        new = (self._actor.instance(instance_name),)
        for other in list(self._actor.roles):
            for item, name in self._declared(other):
                if item.relationship == instance_name and self._members(instance_name) == new:
                    self._subscribe_to(other, item, name, new, starting=True)

    def update_role(self, instance_name: str) -> None:
        """A role has a new class: bind its listeners to the new handlers, end those it has no more, begin new ones."""
        role = self._actor.roles[instance_name]
        declared: dict[str, Any] = {name: item for item, name in self._declared(instance_name)}
        for key, listener in self.of_role(instance_name).items():
            _, target, channel = key
            if not listener.automatic:
                listener.method = getattr(role, listener.method.__name__, listener.method)
                continue
            name = listener.method.__name__
            item = declared.get(name)
            if item is None or _wish(item) != _wish(listener.handler):
                self.unsubscribe(instance_name, target, channel)
            else:
                listener.handler, listener.method = item, getattr(role, name)
        self.add_role(instance_name)

    def _members(self, relationship: str) -> tuple[RoleInstanceID, ...]:
        """The members, or else the role of that name on this node."""
        members = tuple(self._actor.ctx.relationships.members(relationship))
        if not members and relationship in self._actor.roles:
            return (self._actor.instance(relationship),)
        return members

    def _declared(self, instance_name: str) -> list[tuple[Subscription, str]]:
        role = self._actor.roles[instance_name]
        return [(getattr(type(role), name).handler, name) for name in sorted(role.subscriptions)]

    def _subscribe_to(
        self, instance_name: str, item: Subscription, name: str, targets: tuple[RoleInstanceID, ...], *,
        starting: bool = False,
    ) -> None:
        """Subscribe to all of them; the first failure is raised in the end. A lost emitter keeps no role from starting."""
        method = getattr(self._actor.roles[instance_name], name)
        failed: list[Exception] = []
        for target in targets:
            if (instance_name, target, item.channel, name) in self._fired:
                continue
            if item.extra_filter is None or item.extra_filter(target):
                try:
                    self.subscribe(instance_name, target, item.channel, item, method, item.conditions, item.mode,
                                   automatic=True)
                except Exception as error:  # the others are subscribed to all the same
                    if starting and isinstance(error, NodeLost):
                        self._actor.logger.warning("%s: %s", self._actor.instance(instance_name), error)
                    else:
                        failed.append(error)
        if failed:
            raise failed[0]

    def _relationship_changed(self, relationship: str, operation: str, instances: tuple[RoleInstanceID, ...]) -> None:
        for instance_name in [name for name in self._actor.roles if self._actor.started(name)]:
            for item, name in self._declared(instance_name):
                if item.relationship != relationship:
                    continue
                if operation == "add":
                    self._subscribe_to(instance_name, item, name, instances)
                    continue
                for target in instances:
                    self._fired.discard((instance_name, target, item.channel, name))
                    if (instance_name, target, item.channel) in self._listeners:
                        self.unsubscribe(instance_name, target, item.channel)

    # moving

    def of_role(self, instance_name: str) -> dict[Key, Listener]:
        """The listeners of one role."""
        with self._lock:
            return {key: listener for key, listener in self._listeners.items() if key[0] == instance_name}

    def heard(self, instance_name: str) -> set[tuple[RoleInstanceID, str, str]]:
        """What one role has listened to once, and heard: emitter, channel, method's name."""
        with self._lock:
            return {item[1:] for item in self._fired if item[0] == instance_name}

    def adopt_heard(self, instance_name: str, heard: set[tuple[RoleInstanceID, str, str]]) -> None:
        with self._lock:
            self._fired |= {(instance_name, *item) for item in heard}

    def at_work(self) -> list[str]:
        """The roles that have events to handle, and can."""
        with self._lock:
            return [f"{self._actor.instance(name)} (event {source}.{channel})"
                    for (name, source, channel), listener in self._listeners.items()
                    if listener.running or listener.waiting and self._actor.lifecycle(name).ready]

    def adopt(self, key: Key, listener: Listener) -> None:
        """Take a listener over from another node: its events come here from now on."""
        with self._lock:
            self._listeners[key] = listener

    def forget(self, instance_name: str) -> None:
        """The role has taken its listeners to another node, or has given up coming here."""
        with self._lock:
            for key in self.of_role(instance_name):
                del self._listeners[key]
        self._forget_fired(instance_name)

    def repoint(self, old: RoleInstanceID, new: RoleInstanceID) -> None:
        """An emitter has moved."""
        with self._lock:
            for key in [key for key in self._listeners if key[1] == old]:
                self._listeners[key[0], new, key[2]] = self._listeners.pop(key)


def _wish(handler: Handler) -> tuple[Any, ...]:
    """What an event handler wants to hear."""
    return tuple(getattr(handler, name, None) for name in ("relationship", "channel", "conditions", "mode"))
