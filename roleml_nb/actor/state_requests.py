"""Requests of the notebook for the state of a node, or of one of its roles: take it, give it back.

A checkpoint captures and restores nodes; undoing a termination, roles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.modules.module_versions import module_versions
from roleml_nb.messaging.permissions import Sender
from roleml_nb.messaging.requests import node_request, role_request
from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import NATIVE, CallerError, RoleInstanceID, RoleMLError, Status
from roleml_nb.role.channels import Handler

from .snapshot import (
    PREDEFINED,
    Activity,
    Emitted,
    NodeSnapshot,
    RoleSnapshot,
    capture,
    discard,
    restore,
    restore_events,
)

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Frames", "StateRequests"]

Frames = list[bytes]
"""The frames of an encoded body."""
Moves = Sequence[tuple[RoleInstanceID, RoleInstanceID]]
"""Old and new addresses of roles, in the order of their moves."""
STEP_TIMEOUT_S = 10.0
"""Seconds that running handlers and the main routine get to end, and other nodes to answer."""


class StateRequests:
    """One actor's part in captures and restores."""

    def __init__(self, actor: Actor):
        self._actor = actor
        self._prepared: NodeSnapshot | None = None

    @node_request("describe", Sender.NOTEBOOK)
    def describe(
        self,
    ) -> tuple[
        dict[str, type], dict[str, list[RoleInstanceID]], dict[str, str], dict[str, dict[str, str]]
    ]:
        """Return the classes of the roles, relationships, links, and digests of the classes' own
        modules.
        """
        classes = {}
        digests = {}
        for name in self._actor.roles.names():
            classes[name] = type(self._actor.roles[name])
            digests[name] = module_versions.digests(classes[name])
        return classes, self._relationships(), self._actor.ctx.relationships.all_links(), digests

    def _relationships(self) -> dict[str, list[RoleInstanceID]]:
        """Return the members of relationships that are neither predefined nor links."""
        relationships = self._actor.ctx.relationships
        links = relationships.all_links()
        found = {}
        for name in relationships.all_relationships():
            if name not in PREDEFINED and name not in links:
                found[name] = relationships.members(name)
        return found

    @node_request("capture", Sender.NOTEBOOK)
    def capture(self, *, name: str | None = None) -> tuple[Any, ...]:
        """Capture a role, or all of the node, whose roles are paused; see below."""
        return self._capture_node() if name is None else self._capture_role(name)

    @node_request("restore", Sender.NOTEBOOK)
    def restore(
        self, *, name: str | None = None, frames: Frames | None = None, moves: Moves = ()
    ) -> None:
        """Restore a role, or all of the node as it was prepared; see below."""
        if name is None or frames is None:
            self._restore_node()
        else:
            self._restore_role(name, frames, moves)

    @node_request("release", Sender.NOTEBOOK)
    def release(self, *, name: str | None = None, activity: Activity | None = None) -> None:
        """Have a role that was captured and not ended go on, or discard the prepared state of the
        node.
        """
        if name is None:
            self._prepared = None
        elif activity is not None and name in self._actor.roles:
            self._actor.resume_role(name, activity)

    # nodes

    def _capture_node(self) -> tuple[int, Frames]:
        """Return this node's seed, and its state; CallerError for a role that cannot be kept."""
        actor = self._actor
        roles = {name: capture(actor, name) for name in actor.roles.names()}
        emissions = {}
        for name in actor.emissions.names() - roles.keys():
            emissions[name] = actor.emissions.of_role(name)
        state = NodeSnapshot(
            actor.ctx.seed,
            roles,
            self._relationships(),
            actor.ctx.relationships.all_links(),
            dict(actor.roles.moved),
            emissions,
        )
        return actor.ctx.seed, list(map(bytes, encode(state).frames()))

    @node_request("prepare", Sender.NOTEBOOK)
    def prepare(self, *, frames: Frames, options: Mapping[str, Any]) -> None:
        """Prepare a node's state, and change nothing yet; CallerError when it cannot be restored.

        `options` are those that each role was given, with which `restore` makes the attributes that
        its class has got since.
        """
        actor = self._actor
        prepared: NodeSnapshot = Body.of_frames(frames).decode()
        if prepared.seed != actor.ctx.seed:
            raise CallerError(
                f"node '{actor.name}' has seed {actor.ctx.seed}, and the checkpoint's has"
                f" {prepared.seed}"
            )
        for alias, target in actor.ctx.relationships.all_links().items():
            if prepared.links.get(alias) != target:
                raise CallerError(
                    f"node '{actor.name}' has a link {alias!r} → {target!r}, and the"
                    " checkpoint's has not"
                )
        for name, role in prepared.roles.items():
            role.options = options.get(name)
        self._prepared = prepared

    def _restore_node(self) -> None:
        """Become as prepared, all roles paused.

        Roles that are here end without a word to others, which become others themselves.
        """
        actor, state = self._actor, self._prepared
        if state is None:
            raise CallerError(f"node '{actor.name}' has not been prepared")
        self._prepared = None
        self._clear()
        relationships = actor.ctx.relationships
        for name, members in state.relationships.items():
            if members:
                relationships.add_to_relationship(name, *members)
        for alias, target in state.links.items():
            if alias not in relationships.all_links():
                relationships.link_relationship(alias, target)
        for name, role in state.roles.items():
            restore(actor, name, role)
            restore_events(actor, name, role.events)
        for name, emitted in state.emissions.items():
            actor.emissions.adopt(name, emitted)
        actor.roles.moved.update(state.moved)

    def _clear(self) -> None:
        actor, relationships = self._actor, self._actor.ctx.relationships
        for name in actor.emissions.names():
            actor.emissions.drop_role(name)
        for name in actor.roles.names():
            actor.subscriptions.drop_role(name)
            actor.stop_role(name)
        actor.roles.moved.clear()
        for name in list(relationships.all_relationships()):
            members = relationships.members(name)
            if members and name not in PREDEFINED:
                relationships.remove_from_relationship(name, *members)

    # roles

    def _capture_role(self, name: str) -> tuple[Frames | None, str, Activity | None]:
        """Pause a role, for it to be ended now, and capture it.

        Returns its state, or None and the reason; and its activity, if it was paused for this.
        StatusError when its handlers do not end; it then goes on.
        """
        actor = self._actor
        with actor.exclusive(name):
            status = actor.roles.lifecycle(name).status
            if status not in Status.READY | Status.PAUSED:
                return None, f"it was {status}", None
            try:
                activity = actor.halt_role(name, STEP_TIMEOUT_S)
            # it is ended all the same, as a main routine that does not stop is
            except TimeoutError as error:
                return None, str(error), None
            try:
                snapshot = capture(actor, name, activity=activity)
            except CallerError as error:
                return None, str(error), activity
            return list(map(bytes, encode(snapshot).frames())), "", activity

    def _restore_role(self, name: str, frames: Frames, moves: Moves) -> None:
        """Restore a role, with its subscriptions and its subscribers, at the addresses that these
        have moved to since.

        CallerError when one of its name is there.
        """
        actor = self._actor
        snapshot: RoleSnapshot = Body.of_frames(frames).decode()
        for old, new in moves:
            snapshot.readdress(old, new)
        with actor.exclusive(name):
            emissions = self._emissions(name, snapshot)
            restore(actor, name, replace(snapshot, listeners=[], emissions=emissions))
            try:
                actor.emissions.add_role(name)
                actor.subscriptions.add_role(name)
            except BaseException:
                actor.subscriptions.remove_role(name)
                discard(actor, name)
                raise
            for emitter, event, listener, _, _, conditions, mode, automatic in snapshot.listeners:
                if not automatic:
                    self._subscribe(name, emitter, event, listener, conditions, mode)
            restore_events(actor, name, snapshot.events)
            self._ask_to_listen(snapshot)
            actor.resume_role(name, snapshot.activity)
        native: Any = actor.roles[NATIVE]
        native.role_assigned.emit({"name": name, "cls": snapshot.cls.__name__})

    def _emissions(self, name: str, snapshot: RoleSnapshot) -> Emitted:
        """Return the counts of emitted events, with the subscribers that have stayed for a
        successor.
        """
        here = self._actor.emissions.of_role(name)
        found = {}
        for event in {*snapshot.emissions, *here}:
            emitted, _ = snapshot.emissions.get(event, (0, {}))
            _, subscribers = here.get(event, (0, {}))
            found[event] = emitted, subscribers
        return found

    def _ask_to_listen(self, snapshot: RoleSnapshot) -> None:
        """Ask subscribers by hand, which its end has ended, to subscribe to a role again."""
        for event, (_, subscribers) in snapshot.emissions.items():
            for (subscriber, listener), wanted in subscribers.items():
                if wanted.automatic:
                    continue
                try:
                    self._actor.ask_role(
                        StateRequests.listen,
                        NATIVE,
                        subscriber,
                        event,
                        emitter=snapshot.old,
                        listener=listener,
                        conditions=wanted.conditions,
                        mode=wanted.mode,
                    ).result(STEP_TIMEOUT_S)
                except RoleMLError as error:  # one that is gone, or refuses, does without
                    self._actor.logger.warning("%s of %s: %s", listener, subscriber, error)

    @role_request("listen", Sender.NODE, about=("emitter",))
    def listen(
        self,
        asker: RoleInstanceID,
        instance_name: str,
        channel: str,
        *,
        emitter: RoleInstanceID,
        listener: str,
        conditions: dict[str, Any],
        mode: str,
    ) -> None:
        """Have our role listen as before to an emitter that is back; RoleMoved if it has moved."""
        self._actor.roles.lifecycle(instance_name)
        self._subscribe(instance_name, emitter, channel, listener, conditions, mode)

    def _subscribe(
        self,
        name: str,
        emitter: RoleInstanceID,
        event: str,
        listener: str,
        conditions: dict[str, Any],
        mode: str,
    ) -> None:
        """Subscribe by hand, under the name that the listener had."""
        actor, method = self._actor, listener.partition(" ")[0]
        listening = getattr(actor.roles[name], method, None)
        handler = Handler(event, "event handler", expand=False)
        try:
            if listening is None:
                role = actor.roles.instance(name)
                raise CallerError(f"{role} has no method {method!r} that could listen to it")
            actor.subscriptions.subscribe(
                name, emitter, event, handler, listening, conditions, mode, name=listener
            )
        except RoleMLError as error:
            actor.logger.warning("%s.%s: %s", emitter, event, error)
