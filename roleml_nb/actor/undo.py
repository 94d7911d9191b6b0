"""Undo of a role's termination: its state is captured before it ends, and restored with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ParamSpec

from roleml_nb.messaging.permissions import Sender
from roleml_nb.messaging.requests import NodeRequest, node_request, role_request
from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import NATIVE, CallerError, RoleInstanceID, RoleMLError, Status
from roleml_nb.role.channels import Handler

from .snapshot import (
    Events,
    RoleSnapshot,
    capture,
    discard,
    restore,
    restore_events,
    waiting_events,
)

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["TerminationUndo"]

P = ParamSpec("P")

STEP_TIMEOUT_S = 10.0
"""Seconds that running handlers and the main routine get to end."""


@dataclass
class TerminatedRole:
    """A role that was ended, with its state and all that its end takes from others."""

    snapshot: RoleSnapshot
    events: Events
    heard: set[tuple[RoleInstanceID, str, str]]
    """Events that were listened to once, and have come: emitter, channel, method's name."""
    subscribers: list[tuple[RoleInstanceID, str, str, dict[str, Any], str]]
    """Subscribers by hand: subscriber, channel, method's name, conditions, mode."""
    paused: bool


class TerminationUndo:
    """One actor's part in undoing terminations."""

    def __init__(self, actor: Actor):
        self._actor = actor

    @node_request("undo-capture", Sender.NOTEBOOK)
    def capture(self, *, name: str) -> tuple[list[bytes] | None, str, bool]:
        """Pause a role, for it to be ended now, and capture it.

        Returns its state, or None and the reason; and True if it was paused before. StatusError
        when its handlers do not end; it then goes on.
        """
        actor = self._actor
        lifecycle = actor.roles.lifecycle(name)
        with actor.exclusive(name):
            paused = lifecycle.status is Status.PAUSED
            if lifecycle.status not in Status.READY | Status.PAUSED:
                return None, f"it was {lifecycle.status}", False
            try:
                actor.routines.halt(name, STEP_TIMEOUT_S)
                lifecycle.pause(STEP_TIMEOUT_S)
                lifecycle.wait_for_callbacks(STEP_TIMEOUT_S)
            # it is ended all the same, as a main routine that does not stop is
            except TimeoutError as error:
                self._resume(name, paused)
                return None, str(error), paused
            except RoleMLError:
                self._resume(name, paused)
                raise
            try:
                terminated = TerminatedRole(
                    capture(actor, name, "keep", "be kept"),
                    waiting_events(actor, name),
                    actor.subscriptions.heard(name),
                    self._subscribers(name),
                    paused,
                )
                return list(map(bytes, encode(terminated).frames())), "", paused
            except CallerError as error:
                return None, str(error), paused

    def _subscribers(self, name: str) -> list[tuple[RoleInstanceID, str, str, dict[str, Any], str]]:
        found = []
        for event, (_, subscribers) in self._actor.emissions.of_role(name).items():
            for (subscriber, listener), wanted in subscribers.items():
                if wanted.automatic:
                    continue
                method = self._request(
                    TerminationUndo.listener,
                    subscriber,
                    event,
                    emitter=self._actor.roles.instance(name),
                    listener=listener,
                )
                if method:
                    found.append((subscriber, event, method, wanted.conditions, wanted.mode))
        return found

    def _request(
        self,
        request: NodeRequest[P],
        target: RoleInstanceID,
        channel: str,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Any:
        """Ask another node; log and return None if it is gone or refuses."""
        asked = self._actor.ask_role(request, NATIVE, target, channel, *args, **arguments)
        try:
            return asked.result(STEP_TIMEOUT_S)
        except RoleMLError as error:
            self._actor.logger.warning("%s of %s: %s", request.kind, target, error)
            return None

    @node_request("undo-release", Sender.NOTEBOOK)
    def release(self, *, name: str, paused: bool) -> None:
        """Resume a role that was not ended, unless it was `paused` before."""
        if name in self._actor.roles and self._actor.roles.lifecycle(name).status is Status.PAUSED:
            self._resume(name, paused)

    def _resume(self, name: str, paused: bool) -> None:
        if not paused and self._actor.roles.lifecycle(name).status is Status.PAUSED:
            self._actor.roles.lifecycle(name).resume()
        if self._actor.roles.started(name):
            self._actor.routines.restart(name)

    @node_request("undo-restore", Sender.NOTEBOOK)
    def restore(self, *, name: str, frames: list[bytes]) -> None:
        """Restore the role, with its state, its subscriptions and its subscribers.

        CallerError when one is there.
        """
        actor = self._actor
        terminated: TerminatedRole = Body.of_frames(frames).decode()
        with actor.exclusive(name):
            restore(
                actor,
                name,
                replace(
                    terminated.snapshot, listeners=[], emissions=self._emissions(name, terminated)
                ),
            )
            try:
                actor.subscriptions.adopt_heard(name, terminated.heard)
                actor.emissions.add_role(name)
                actor.subscriptions.add_role(name)
            except BaseException:
                actor.subscriptions.remove_role(name)
                discard(actor, name)
                raise
            for (
                emitter,
                event,
                _,
                handler,
                method,
                conditions,
                mode,
                automatic,
            ) in terminated.snapshot.listeners:
                if not automatic:
                    self._subscribe(name, emitter, event, handler, method, conditions, mode)
            restore_events(actor, name, terminated.events)
            for subscriber, event, method, conditions, mode in terminated.subscribers:
                self._request(
                    TerminationUndo.listen,
                    subscriber,
                    event,
                    emitter=actor.roles.instance(name),
                    method=method,
                    conditions=conditions,
                    mode=mode,
                )
            if not terminated.paused:
                actor.roles.lifecycle(name).resume()
                actor.routines.start(name)
        native: Any = actor.roles[NATIVE]
        native.role_assigned.emit({"name": name, "cls": terminated.snapshot.cls.__name__})

    def _emissions(self, name: str, terminated: TerminatedRole) -> dict[str, Any]:
        """Return the counts of emitted events, with the subscribers that have stayed for a
        successor.
        """
        here = self._actor.emissions.of_role(name)
        before = terminated.snapshot.emissions
        found = {}
        for event in {*before, *here}:
            emitted, _ = before.get(event, (0, {}))
            _, subscribers = here.get(event, (0, {}))
            found[event] = emitted, subscribers
        return found

    def _subscribe(
        self,
        name: str,
        emitter: RoleInstanceID,
        event: str,
        handler: Handler,
        method: str,
        conditions: dict[str, Any],
        mode: str,
    ) -> None:
        listening = getattr(self._actor.roles[name], method, None)
        try:
            if listening is None:
                role = self._actor.roles.instance(name)
                raise CallerError(f"{role} has no method {method!r} that could listen to it")
            self._actor.subscriptions.subscribe(
                name, emitter, event, handler, listening, conditions, mode
            )
        except RoleMLError as error:
            self._actor.logger.warning("%s.%s: %s", emitter, event, error)

    # the part of subscribers

    @role_request("undo-listener", Sender.NODE, about=("emitter",))
    def listener(
        self,
        asker: RoleInstanceID,
        instance_name: str,
        channel: str,
        *,
        emitter: RoleInstanceID,
        listener: str,
    ) -> str | None:
        """Return the name of the method by which our role listens to an emitter."""
        inbox = self._actor.subscriptions.of_role(instance_name).get(
            (instance_name, emitter, channel)
        )
        found = None if inbox is None else inbox.listeners.get(listener)
        return None if found is None else getattr(found.method, "__name__", None)

    @role_request("undo-listen", Sender.NODE, about=("emitter",))
    def listen(
        self,
        asker: RoleInstanceID,
        instance_name: str,
        channel: str,
        *,
        emitter: RoleInstanceID,
        method: str,
        conditions: dict[str, Any],
        mode: str,
    ) -> None:
        """Have our role listen as before to an emitter that is back."""
        self._subscribe(
            instance_name,
            emitter,
            channel,
            Handler(channel, "event handler", expand=False),
            method,
            conditions,
            mode,
        )
