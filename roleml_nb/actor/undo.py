"""Roles that are ended and may come back: who ends them keeps their state, and has them put back
with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import NATIVE, CallerError, RoleInstanceID, RoleMLError, Status
from roleml_nb.role.channels import Handler

from .snapshot import Events, Luggage, drop, pack, take_events, unpack, waiting_events

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["STEPS", "Keeping"]

STEPS = ("take", "leave", "put", "listener", "listen")
"""What a node can be asked for."""
PATIENCE = 10.0
"""Seconds that running handlers and the main routine get to end."""


@dataclass
class Keepsake:
    """A role with all that belongs to it, and what its end takes from others."""

    luggage: Luggage
    events: Events
    heard: set[tuple[RoleInstanceID, str, str]]
    """Events that were listened to once, and have come: emitter, channel, method's name."""
    audience: list[tuple[RoleInstanceID, str, str, dict[str, Any], str]]
    """Who subscribed to it by hand: subscriber, channel, method's name, conditions, mode."""
    paused: bool


class Keeping:
    """One actor's part in it."""

    def __init__(self, actor: Actor):
        self._actor = actor

    def take(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> tuple[list[bytes] | None, str, bool]:
        """Pause the role `channel`, for it to be ended now: its state, or else why there is none;
        and whether it was paused before. StatusError when its handlers do not end; it then goes on.
        """
        actor, name = self._actor, channel
        lifecycle = actor.lifecycle(name)
        with actor.steering(name):
            paused = lifecycle.status is Status.PAUSED
            if lifecycle.status not in Status.READY | Status.PAUSED:
                return None, f"it was {lifecycle.status}", False
            try:
                actor.halt_role(name, PATIENCE)
                lifecycle.pause(PATIENCE)
                lifecycle.wait_for_callbacks(PATIENCE)
            # it is ended all the same, as a main routine that does not stop is
            except TimeoutError as error:
                self._go_on(name, paused)
                return None, str(error), paused
            except RoleMLError:
                self._go_on(name, paused)
                raise
            try:
                keepsake = Keepsake(
                    pack(actor, name, "keep", "be kept"),
                    waiting_events(actor, name),
                    actor.subscriptions.heard(name),
                    self._audience(name),
                    paused,
                )
                return [bytes(frame) for frame in encode(keepsake).frames()], "", paused
            except CallerError as error:
                return None, str(error), paused

    def _audience(self, name: str) -> list[tuple[RoleInstanceID, str, str, dict[str, Any], str]]:
        found = []
        for event, (_, subscribers) in self._actor.emissions.of_role(name).items():
            for (subscriber, listener), wish in subscribers.items():
                if not wish.automatic:
                    method = self._ask(
                        "listener", subscriber, event, (self._actor.instance(name), listener)
                    )
                    found += (
                        [(subscriber, event, method, wish.conditions, wish.mode)] if method else []
                    )
        return found

    def _ask(self, step: str, target: RoleInstanceID, channel: str, content: Any) -> Any:
        """Ask another node; one that is gone, or has changed, keeps nobody from anything."""
        try:
            return self._actor.request(f"keeping-{step}", NATIVE, target, channel, content).result(
                PATIENCE
            )
        except RoleMLError as error:
            self._actor.logger.warning("%s of %s: %s", step, target, error)
            return None

    def leave(self, source: RoleInstanceID, instance_name: str, channel: str, content: Any) -> None:
        """The role was not ended: let it go on, unless it was `paused` before."""
        if channel in self._actor.roles and self._actor.lifecycle(channel).status is Status.PAUSED:
            self._go_on(channel, content)

    def _go_on(self, name: str, paused: bool) -> None:
        if not paused and self._actor.lifecycle(name).status is Status.PAUSED:
            self._actor.lifecycle(name).resume()
        if self._actor.started(name):
            self._actor.run_again(name)

    def put(self, source: RoleInstanceID, instance_name: str, channel: str, content: Any) -> None:
        """Have the role back, with its state, its subscriptions and its subscribers.

        CallerError when one is there.
        """
        actor, name = self._actor, channel
        keepsake: Keepsake = Body.of_frames(content).decode()
        with actor.steering(name):
            unpack(
                actor,
                name,
                replace(keepsake.luggage, listeners=[], emissions=self._emissions(name, keepsake)),
            )
            try:
                actor.subscriptions.adopt_heard(name, keepsake.heard)
                actor.emissions.add_role(name)
                actor.subscriptions.add_role(name)
            except BaseException:
                actor.subscriptions.remove_role(name)
                drop(actor, name)
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
            ) in keepsake.luggage.listeners:
                if not automatic:
                    self._subscribe(name, emitter, event, handler, method, conditions, mode)
            take_events(actor, name, keepsake.events)
            for subscriber, event, *wish in keepsake.audience:
                self._ask("listen", subscriber, event, (actor.instance(name), *wish))
            if not keepsake.paused:
                actor.lifecycle(name).resume()
                actor.run_role(name)
        native: Any = actor.roles[NATIVE]
        native.role_assigned.emit({"name": name, "cls": keepsake.luggage.cls.__name__})

    def _emissions(self, name: str, keepsake: Keepsake) -> dict[str, Any]:
        """How many events it has emitted, and who has stayed for whoever takes its place."""
        here = self._actor.emissions.of_role(name)
        kept = {event: emitted for event, (emitted, _) in keepsake.luggage.emissions.items()}
        return {
            event: (kept.get(event, 0), here.get(event, (0, {}))[1]) for event in {*kept, *here}
        }

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
                raise CallerError(
                    f"{self._actor.instance(name)} has no method {method!r} that could listen to it"
                )
            self._actor.subscriptions.subscribe(
                name, emitter, event, handler, listening, conditions, mode
            )
        except RoleMLError as error:
            self._actor.logger.warning("%s.%s: %s", emitter, event, error)

    # the part of subscribers

    def listener(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> str | None:
        """The name of the method by which our role listens to an emitter."""
        emitter, name = content
        inbox = self._actor.subscriptions.of_role(instance_name).get(
            (instance_name, RoleInstanceID(*emitter), channel)
        )
        listener = None if inbox is None else inbox.listeners.get(name)
        return None if listener is None else getattr(listener.method, "__name__", None)

    def listen(
        self, source: RoleInstanceID, instance_name: str, channel: str, content: Any
    ) -> None:
        """An emitter is back: have our role listen to it as before."""
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
