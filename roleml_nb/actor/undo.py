"""Undo of a role's termination: its state is captured before it ends, and restored with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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

__all__ = ["STEPS", "TerminationUndo"]

STEPS = ("capture", "release", "restore", "listener", "listen")
"""Steps that a node can be asked for."""
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

    def capture(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> tuple[list[bytes] | None, str, bool]:
        """Pause the role `channel`, for it to be ended now, and capture it.

        Returns its state, or None and the reason; and True if it was paused before. StatusError
        when its handlers do not end; it then goes on.
        """
        actor, name = self._actor, channel
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
                    "listener", subscriber, event, (self._actor.roles.instance(name), listener)
                )
                if method:
                    found.append((subscriber, event, method, wanted.conditions, wanted.mode))
        return found

    def _request(self, step: str, target: RoleInstanceID, channel: str, content: Any) -> Any:
        """Request a step of another node; log and return None if it is gone or refuses."""
        try:
            return self._actor.request(f"undo-{step}", NATIVE, target, channel, content).result(
                STEP_TIMEOUT_S
            )
        except RoleMLError as error:
            self._actor.logger.warning("%s of %s: %s", step, target, error)
            return None

    def release(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> None:
        """Resume a role that was not ended, unless it was `paused` before."""
        if (
            channel in self._actor.roles
            and self._actor.roles.lifecycle(channel).status is Status.PAUSED
        ):
            self._resume(channel, content)

    def _resume(self, name: str, paused: bool) -> None:
        if not paused and self._actor.roles.lifecycle(name).status is Status.PAUSED:
            self._actor.roles.lifecycle(name).resume()
        if self._actor.roles.started(name):
            self._actor.routines.restart(name)

    def restore(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> None:
        """Restore the role, with its state, its subscriptions and its subscribers.

        CallerError when one is there.
        """
        actor, name = self._actor, channel
        terminated: TerminatedRole = Body.of_frames(content).decode()
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
            for subscriber, event, *wanted in terminated.subscribers:
                self._request("listen", subscriber, event, (actor.roles.instance(name), *wanted))
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

    def listener(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> str | None:
        """Return the name of the method by which our role listens to an emitter."""
        emitter, name = content
        inbox = self._actor.subscriptions.of_role(instance_name).get(
            (instance_name, RoleInstanceID(*emitter), channel)
        )
        listener = None if inbox is None else inbox.listeners.get(name)
        return None if listener is None else getattr(listener.method, "__name__", None)

    def listen(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> None:
        """Have our role listen as before to an emitter that is back."""
        emitter, method, conditions, mode = content
        self._subscribe(
            instance_name,
            RoleInstanceID(*emitter),
            channel,
            Handler(channel, "event handler", expand=False),
            method,
            conditions,
            mode,
        )
