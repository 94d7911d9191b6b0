"""An actor: a named node with its roles and its context, and the calls that its roles make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

from roleml_nb.messaging.serialization.codec import MESSAGE, encode
from roleml_nb.role import (
    NATIVE,
    ActorProfile,
    CallerError,
    Context,
    ElementError,
    ElementImplementation,
    ElementInstance,
    ErrorHandlingStrategy,
    HandlerError,
    Lifecycle,
    Message,
    NoSuchRoleError,
    Role,
    RoleInstanceID,
    RoleMoved,
    Runnable,
    Status,
    StatusError,
    did_you_mean,
)
from roleml_nb.role.channels import Handler
from roleml_nb.role.running import running

from .calls import Invocation, collect, messages_for
from .checkpoint import Checkpoint
from .dispatch import Dispatch
from .emissions import Emissions
from .errors import describe
from .host import ActorHost
from .inline import ELSEWHERE, call_inline
from .migration import Migration
from .subscriptions import Subscriptions
from .undo import TerminationUndo

__all__ = ["Actor"]

STOP_TIMEOUT_S = 60.0
"""Seconds that running handlers, and the main routine of a `Runnable`, get to end when their role
is stopped.
"""


class Actor:
    """One node. Made by a host; its roles come and go at run time."""

    def __init__(
        self,
        name: str,
        host: ActorHost,
        native_role: Role,
        *,
        workdir: str = ".",
        src: str | None = None,
        seed: int = -1,
        testbed_seed: int = 0,
    ):
        self.name = name
        self.host = host
        self.profile = ActorProfile(name, host.host_id)
        self.ctx = Context.build(
            self.profile,
            workdir=workdir,
            src=src,
            seed=seed,
            testbed_seed=testbed_seed,
            initial_contacts=host.directory,
            start_time=host.clock.now(),
        )
        self.roles: dict[str, Role] = {}
        self.moved: dict[str, RoleInstanceID] = {}
        """New addresses of roles that have moved away: callers are redirected there."""
        self.logger = host.logger_for(name, "")
        self._lifecycles: dict[str, Lifecycle] = {}
        self._running: dict[str, Future] = {}
        self._leaving = False
        self._exclusive_roles: set[str] = set()
        self._exclusive_lock = Lock()
        self.emissions, self.subscriptions, self.migration = (
            Emissions(self),
            Subscriptions(self),
            Migration(self),
        )
        self.checkpoint, self.undo = Checkpoint(self), TerminationUndo(self)
        self.ctx.relationships.add_to_relationship("/", RoleInstanceID(name, NATIVE))
        self.add_role(NATIVE, native_role)
        self.start_role(NATIVE)
        host.router.register(name, Dispatch(self))

    # roles

    def instance(self, instance_name: str) -> RoleInstanceID:
        return RoleInstanceID(self.name, instance_name)

    def lifecycle(self, instance_name: str) -> Lifecycle:
        """Return the lifecycle of a role here.

        Raises NoSuchRoleError, with the nearest names, when there is no such role; RoleMoved when
        there was.
        """
        try:
            return self._lifecycles[instance_name]
        except KeyError:
            pass
        if instance_name in self.moved:
            to = self.moved[instance_name]
            raise RoleMoved(f"{self.name}/{instance_name} has moved to {to}", to)
        raise NoSuchRoleError(
            f"node '{self.name}' has no role '{instance_name}'; "
            + did_you_mean(instance_name, [name for name in self.roles if name != NATIVE])
        )

    def find_lifecycle(self, instance_name: str) -> Lifecycle | None:
        return self._lifecycles.get(instance_name)

    def started(self, instance_name: str) -> bool:
        lifecycle = self._lifecycles.get(instance_name)
        return lifecycle is not None and lifecycle.started

    def add_role(self, instance_name: str, role: Role) -> None:
        """Add a role, which is DECLARED until `start_role`."""
        if instance_name in self.roles:
            raise CallerError(f"node '{self.name}' already has a role '{instance_name}'")
        lifecycle = Lifecycle(
            f"{self.name}/{instance_name}", partial(self._status_changed, instance_name)
        )
        role.attach(instance_name, self)
        role.logger = self.host.logger_for(self.name, instance_name)
        elements = role.__dict__["_elements"] = {}
        for name, attribute in role.elements.items():
            declared = getattr(type(role), attribute)
            elements[name] = ElementInstance(declared, None, lifecycle.where, self.ctx.workdir)
        self.moved.pop(instance_name, None)
        self.roles[instance_name], self._lifecycles[instance_name] = role, lifecycle
        lifecycle.become(Status.DECLARED)

    def statuses(self) -> dict[str, str]:
        """Return the statuses of the roles, but for the native one."""
        found = {}
        for name, lifecycle in list(self._lifecycles.items()):
            if name != NATIVE:
                found[name] = str(lifecycle.status)
        return found

    def implement_element(
        self, instance_name: str, element_name: str, impl: ElementImplementation
    ) -> None:
        """Give an implementation for an element; ElementError when the role has no such element."""
        lifecycle, role = self.lifecycle(instance_name), self.roles[instance_name]
        if element_name not in role.elements:
            raise ElementError(
                f"{lifecycle.where}: {type(role).__name__} has no element {element_name!r}; "
                + did_you_mean(element_name, role.elements)
            )
        declared = getattr(type(role), role.elements[element_name])
        role.__dict__["_elements"][element_name] = ElementInstance(
            declared, impl, lifecycle.where, self.ctx.workdir
        )

    def start_role(self, instance_name: str) -> None:
        """Build what is due, subscribe, and make the role READY.

        ElementError when an element is missing, of the wrong type, or fails to be built.
        """
        lifecycle, role = self.lifecycle(instance_name), self.roles[instance_name]
        lifecycle.become(Status.STARTING)
        for name, element in role.__dict__["_elements"].items():
            if element.implemented:
                with running(role):
                    element.prepare()
            elif not element.element.optional:
                raise ElementError(
                    f"{lifecycle.where}: element {name!r} is not implemented; "
                    f"give it with elements={{{name!r}: …}} or --element {name}=…"
                )
        self.emissions.add_role(instance_name)
        self.subscriptions.add_role(instance_name)
        lifecycle.become(Status.READY)
        self.run_role(instance_name)

    def run_role(self, instance_name: str) -> None:
        """Start the main routine of a `Runnable` on a thread of its own, unless it runs already."""
        role = self.roles[instance_name]
        if isinstance(role, Runnable) and (
            instance_name not in self._running or self._running[instance_name].done()
        ):
            ended = self._running[instance_name] = Future()
            self.host.run_in_background(
                partial(self._run, instance_name, role, ended), f"{self.name}/{instance_name}"
            )

    def routines(self) -> list[str]:
        """Return the roles whose main routine is running."""
        return [name for name, ended in list(self._running.items()) if not ended.done()]

    def run_again(self, instance_name: str) -> None:
        """Run the main routine of a role that was asked to stop: now, or when it has ended."""

        def again(_: Future) -> None:
            if self.started(instance_name):
                self.run_role(instance_name)

        ended = self._running.get(instance_name)
        if ended is None or ended.done():
            self.run_role(instance_name)
        else:
            ended.add_done_callback(again)

    def _run(self, instance_name: str, role: Runnable, ended: Future) -> None:
        try:
            with running(role):  # type: ignore[arg-type]
                role.run()
        except StatusError as error:
            # else it was the last thing that a role did which is being stopped
            if self.started(instance_name):
                self.host.report(self.describe(error, self.instance(instance_name), "run"))
        except BaseException as error:  # nobody waits for it: it is reported
            self.host.failures.keep(error, self.instance(instance_name), "run", "run")
            self.host.report(self.describe(error, self.instance(instance_name), "run"))
        finally:
            ended.set_result(None)

    def halt_role(self, instance_name: str, timeout: float | None) -> None:
        """Ask the main routine of a `Runnable` to stop, and wait for it; TimeoutError after
        `timeout` seconds.
        """
        ended = self._running.pop(instance_name, None)
        if ended is not None:
            role = self.roles[instance_name]
            with running(role):
                role.stop()  # type: ignore[attr-defined]
            try:
                self.host.clock.wait(ended, timeout)
            except TimeoutError:
                self._running[instance_name] = ended
                raise TimeoutError(
                    f"the main routine of {self.name}/{instance_name} has not ended {timeout} s"
                    " after stop()"
                ) from None

    def stop_role(self, instance_name: str, timeout: float | None = STOP_TIMEOUT_S) -> None:
        """Wait for running handlers, end subscriptions both ways, serialize and destroy the
        elements, stop a `Runnable`.

        StatusError when handlers run on after `timeout` seconds: the role is then as before. Faults
        in what comes after are reported, and keep nothing else from being done.
        """
        self.lifecycle(instance_name).terminate(timeout)
        self._finalize(instance_name, timeout)

    def discard_role(self, instance_name: str) -> None:
        """Remove a role whose start failed."""
        if instance_name in self.roles:
            self._finalize(instance_name, STOP_TIMEOUT_S)

    def _finalize(self, instance_name: str, timeout: float | None) -> None:
        role, lifecycle = self.roles[instance_name], self._lifecycles[instance_name]
        self._attempt(
            partial(self.subscriptions.remove_role, instance_name, wait=not self._leaving),
            instance_name,
            "unsubscribe",
        )
        self._attempt(
            partial(self.emissions.remove_role, instance_name), instance_name, "discontinue"
        )
        self._attempt(partial(self.halt_role, instance_name, timeout), instance_name, "stop")
        for name, element in role.__dict__["_elements"].items():
            self._attempt(element.finalize, instance_name, f"element {name}")
        lifecycle.become(Status.TERMINATED)
        self.delete_role(instance_name)

    def delete_role(self, instance_name: str) -> None:
        self._running.pop(instance_name, None)
        del self.roles[instance_name], self._lifecycles[instance_name]

    def _status_changed(self, instance_name: str, status: Status, before: Status) -> None:
        if status is Status.READY:
            self.subscriptions.wake(instance_name)

    def _attempt(self, action: Callable[[], Any], instance_name: str, what: str) -> None:
        try:
            action()
        # one faulty clean-up must not keep the others from theirs: it is reported
        except Exception as error:
            self.host.report(self.describe(error, self.instance(instance_name), what))

    def stop(self) -> None:
        """Stop all roles and leave the host; others are told, and not waited for: they may be about
        to end, too.
        """
        self._leaving = True
        for instance_name in list(self.roles):
            if instance_name != NATIVE:
                stop = partial(self.stop_role, instance_name, timeout=2.0)
                self._attempt(stop, instance_name, "stop")
        self.host.router.unregister(self.name)

    # calling

    def has(self, name: str) -> bool:
        return bool(self.ctx.relationships.members(name)) or name in self.roles

    def resolve(self, target: str | RoleInstanceID | tuple[str, str]) -> RoleInstanceID:
        """Return a relationship's first member, else the local role of that name; an instance is
        itself.
        """
        if not isinstance(target, str):
            return RoleInstanceID(*target)
        if "/" in target.strip("/"):
            return RoleInstanceID.of(target)
        members = self.ctx.relationships.members(target)
        if members:
            return members[0]
        for name in (target, target.replace("-", "_"), target.replace("_", "-")):
            if name in self.roles or name in self.moved:
                return self.instance(name)
        known = {*self.ctx.relationships.all_relationships(), *self.roles} - {
            "/",
            NATIVE,
            "manager",
        }
        raise CallerError(
            f"node '{self.name}' has no relationship or role named '{target}'; "
            + did_you_mean(target, known)
        )

    convert_relationship_to_instance = resolve

    def handshake(self, actor_name: str) -> None:
        """Greet another actor: it answers, so it can be reached.

        Raises what `call` raises when it cannot.
        """
        self.roles[NATIVE].call(
            RoleInstanceID(actor_name, NATIVE), "greet", {"greeting": "handshake"}
        )

    def handwave(self, actor_name: str) -> None:
        """Take leave of another actor, which tells so by its own ``handwave-completed``."""
        self.roles[NATIVE].call(
            RoleInstanceID(actor_name, NATIVE), "greet", {"greeting": "handwave"}
        )

    def members(self, group: Any) -> list[RoleInstanceID]:
        """Return the targets of a group call: of a relationship's name, an `ActorGroup`, or role
        instances.
        """
        if isinstance(group, str):
            return self.ctx.relationships.members(group) or [self.resolve(group)]
        found = []
        for item in group:
            instance = RoleInstanceID.of(item) if isinstance(item, str) else RoleInstanceID(*item)
            found.append(instance)
        return found

    def request(
        self, kind: str, instance_name: str, target: RoleInstanceID, channel: str, content: Any
    ) -> Invocation:
        (pending,) = self.host.router.request(
            kind, self.instance(instance_name), [target], channel, encode(content, MESSAGE)
        )
        return Invocation(pending, self.host, self._lifecycles.get(instance_name))

    def call(
        self,
        instance_name: str,
        target: str | RoleInstanceID,
        channel: str,
        message: Message,
        *,
        timeout: float | None = None,
    ) -> Any:
        executions = self.host.router.executions
        shielded = executions.shield()
        try:
            instance = self.resolve(target)
            if timeout is None:
                answer = call_inline(self, self.instance(instance_name), instance, channel, message)
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

    def _group(
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
            pending = self.host.router.request(
                kind,
                self.instance(instance_name),
                [group[index] for index in indices],
                channel,
                body,
            )
            for index, call in zip(indices, pending, strict=True):
                invocations[index] = Invocation(
                    call, self.host, self._lifecycles.get(instance_name)
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
        invocations = self._group(kind, instance_name, group, channel, chosen)

        def again(index: int) -> Invocation:
            return self.request(kind, instance_name, group[index], channel, tuple(chosen[index]))

        try:
            return collect(
                self.host, group, invocations, again, on_result, on_error, timeout, retries
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
        invocations = self._group(kind, instance_name, group, channel, chosen)
        called = []
        for target, invocation in zip(group, invocations, strict=True):
            failed = invocation.not_made()
            if failed and on_call_error in (
                ErrorHandlingStrategy.RAISE_FIRST,
                ErrorHandlingStrategy.RETRY,
            ):
                invocation.result(0)  # raises what kept the call from being made
            if on_result is not None:
                invocation.add_done_callback(partial(on_result, target))
            if not (failed and on_call_error is ErrorHandlingStrategy.IGNORE):
                called.append((target, invocation))
        return called

    def emit(self, instance_name: str, channel: str, message: Message) -> None:
        executions = self.host.router.executions
        shielded = executions.shield()
        try:
            self.emissions.emit(instance_name, channel, message)
        finally:
            executions.unshield(shielded)

    def subscribe(
        self,
        instance_name: str,
        target: RoleInstanceID,
        channel: str,
        handler: Callable[..., Any],
        *,
        conditions: dict[str, Any],
        mode: str,
    ) -> None:
        taken = Handler(channel, "event handler", expand=False)
        with self.host.router.executions.shielded():
            self.subscriptions.subscribe(
                instance_name, self.resolve(target), channel, taken, handler, conditions, mode
            )

    def unsubscribe(self, instance_name: str, target: RoleInstanceID, channel: str) -> None:
        with self.host.router.executions.shielded():
            self.subscriptions.unsubscribe(instance_name, self.resolve(target), channel)

    @contextmanager
    def exclusive(self, instance_name: str) -> Iterator[None]:
        """Hold a role while it is assigned, updated, ended, moved, or has its status changed.

        One request at a time: StatusError when another one is at it.

        StatusError when another one is at it.
        """
        with self._exclusive_lock:
            if instance_name in self._exclusive_roles:
                raise StatusError(
                    f"{self.name}/{instance_name} is being changed by another order; try again when"
                    " that has ended"
                )
            self._exclusive_roles.add(instance_name)
        try:
            yield
        finally:
            with self._exclusive_lock:
                self._exclusive_roles.discard(instance_name)

    def describe(self, error: BaseException, role: RoleInstanceID, channel: str) -> Exception:
        return describe(error, role, channel, self.host.label)

    def log_failure(self, error: Exception) -> None:
        """Log the failure of a handler of this node, whether its caller waits for it or not."""
        if isinstance(error, HandlerError) and "via" not in error.where:
            role = self.roles.get(error.where["role"])
            (self if role is None else role).logger.error(
                "%s\n%s", error, error.remote_traceback.rstrip()
            )
