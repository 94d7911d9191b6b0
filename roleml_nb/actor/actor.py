"""An actor: a named node with its roles and its context, composed of the parts in this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

from roleml_nb.role import (
    NATIVE,
    ActorProfile,
    Context,
    ElementError,
    ElementImplementation,
    Message,
    Role,
    RoleInstanceID,
    Status,
    StatusError,
)
from roleml_nb.role.channels import Handler
from roleml_nb.role.running import running

from .caller import Caller
from .dispatch import Dispatch
from .errors import describe
from .events.emissions import Emissions
from .events.subscriptions import Subscriptions
from .host import ActorHost
from .migration import Migration
from .role_table import RoleTable
from .routines import Routines
from .snapshot import Activity
from .state_requests import StateRequests

__all__ = ["Actor"]

STOP_TIMEOUT_S = 60.0
"""Seconds that running handlers, and the main routine of a `Runnable`, get to end when their role
is stopped.
"""


class Actor:
    """One node. Made by a host; its roles come and go at run time.

    `call` and its like are those of its `Caller`.
    """

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
        self.logger = host.logger_for(name, "")
        self._leaving = False
        self._exclusive_roles: set[str] = set()
        self._exclusive_lock = Lock()
        self.roles = RoleTable(name, self.ctx.workdir, self._role_ready)
        self.routines = Routines(self.roles, host)
        self.call_with(Caller(self.roles, self.ctx.relationships, host))
        self.migration = Migration(self)
        self.emissions = Emissions(self.roles, host, self.migration.wait_until_settled)
        self.subscriptions = Subscriptions(self.roles, self.caller, host)
        self.states = StateRequests(self)
        self.ctx.relationships.add_to_relationship("/", RoleInstanceID(name, NATIVE))
        self.add_role(NATIVE, native_role)
        self.start_role(NATIVE)
        parts = (self.emissions, self.migration, self.states)
        host.router.register(
            name,
            Dispatch(self.roles, self.subscriptions, host, {type(part): part for part in parts}),
        )

    def call_with(self, caller: Caller) -> None:
        """Have the roles make their calls with `caller`: its methods are the actor's, too."""
        self.caller = caller
        self.call = caller.call
        self.call_async = caller.call_async
        self.call_task = caller.call_task
        self.call_group = caller.call_group
        self.call_task_group = caller.call_task_group
        self.ask_node = caller.ask_node
        self.ask_role = caller.ask_role
        self.resolve = self.convert_relationship_to_instance = caller.resolve
        self.has = caller.has
        self.handshake = caller.handshake
        self.handwave = caller.handwave

    # roles

    def add_role(self, instance_name: str, role: Role) -> None:
        """Add a role, which is DECLARED until `start_role`."""
        self.roles.check_free(instance_name)
        role.attach(instance_name, self)
        role.logger = self.host.logger_for(self.name, instance_name)
        self.roles.add(instance_name, role)

    def implement_element(
        self, instance_name: str, element_name: str, impl: ElementImplementation
    ) -> None:
        """Give an implementation for an element; ElementError when the role has no such element."""
        self.roles.implement_element(instance_name, element_name, impl)

    def start_role(self, instance_name: str) -> None:
        """Build the role's elements, subscribe, and make the role READY.

        ElementError when an element is missing, of the wrong type, or fails to be built.
        """
        lifecycle, role = self.roles.lifecycle(instance_name), self.roles[instance_name]
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
        self.routines.start(instance_name)

    def stop_role(self, instance_name: str, timeout: float | None = STOP_TIMEOUT_S) -> None:
        """Wait for running handlers, end subscriptions both ways, serialize and destroy the
        elements, stop a `Runnable`.

        StatusError when handlers run on after `timeout` seconds: the role is then as before. Faults
        in later steps are reported, and keep no other step from being done.
        """
        self.roles.lifecycle(instance_name).terminate(timeout)
        self._finalize(instance_name, timeout)

    def halt_role(self, instance_name: str, timeout: float | None) -> Activity:
        """Stop a role's main routine and pause it; return the activity that `resume_role` brings
        it back to.

        It goes on when that takes longer than `timeout` seconds: StatusError of handlers,
        TimeoutError of the main routine.
        """
        lifecycle = self.roles.lifecycle(instance_name)
        running = instance_name in self.routines.running()
        activity = Activity(lifecycle.status is Status.PAUSED, running)
        try:
            self.routines.halt(instance_name, timeout)
            lifecycle.pause(timeout)
            lifecycle.wait_for_callbacks(timeout)
        except Exception:
            self.resume_role(instance_name, activity)
            raise
        return activity

    def resume_role(self, instance_name: str, activity: Activity) -> None:
        """Have a role go on as it did before `halt_role`."""
        lifecycle = self.roles.lifecycle(instance_name)
        if not activity.paused and lifecycle.status is Status.PAUSED:
            lifecycle.resume()
        if activity.running:
            self.routines.restart(instance_name)

    def discard_role(self, instance_name: str) -> None:
        """Remove a role whose start failed."""
        if instance_name in self.roles:
            self._finalize(instance_name, STOP_TIMEOUT_S)

    def _finalize(self, instance_name: str, timeout: float | None) -> None:
        role, lifecycle = self.roles[instance_name], self.roles.lifecycle(instance_name)
        self._attempt(
            partial(self.subscriptions.remove_role, instance_name, wait=not self._leaving),
            instance_name,
            "unsubscribe",
        )
        self._attempt(
            partial(self.emissions.remove_role, instance_name), instance_name, "discontinue"
        )
        self._attempt(partial(self.routines.halt, instance_name, timeout), instance_name, "stop")
        for name, element in role.__dict__["_elements"].items():
            self._attempt(element.finalize, instance_name, f"element {name}")
        lifecycle.become(Status.TERMINATED)
        self.delete_role(instance_name)

    def delete_role(self, instance_name: str) -> None:
        """Remove a role without ending it."""
        self.routines.discard(instance_name)
        self.roles.remove(instance_name)

    def _role_ready(self, instance_name: str) -> None:
        self.subscriptions.wake(instance_name)

    def _attempt(self, action: Callable[[], Any], instance_name: str, what: str) -> None:
        try:
            action()
        # one faulty clean-up must not keep the others from theirs: it is reported
        except Exception as error:
            self.host.report(
                describe(error, self.roles.instance(instance_name), what, self.host.label)
            )

    def stop(self) -> None:
        """Stop all roles and leave the host; others are told, and not waited for: they may be about
        to end, too.
        """
        self._leaving = True
        for instance_name in self.roles.names():
            stop = partial(self.stop_role, instance_name, timeout=2.0)
            self._attempt(stop, instance_name, "stop")
        self.host.router.unregister(self.name)

    # events

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
                instance_name,
                self.caller.resolve(target),
                channel,
                taken,
                handler,
                conditions,
                mode,
            )

    def unsubscribe(self, instance_name: str, target: RoleInstanceID, channel: str) -> None:
        with self.host.router.executions.shielded():
            self.subscriptions.unsubscribe(instance_name, self.caller.resolve(target), channel)

    @contextmanager
    def exclusive(self, instance_name: str) -> Iterator[None]:
        """Hold a role while it is assigned, updated, ended, moved, or has its status changed.

        One request at a time: StatusError when another one is at it.
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
