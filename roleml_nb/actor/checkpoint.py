"""A node's part in a checkpoint: all of it as one body, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.modules.module_versions import module_versions
from roleml_nb.messaging.permissions import Sender
from roleml_nb.messaging.requests import node_request
from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import NATIVE, CallerError, RoleInstanceID

from .snapshot import (
    PREDEFINED,
    Events,
    RoleSnapshot,
    capture,
    restore,
    restore_events,
    waiting_events,
)

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Checkpoint", "Frames"]

Frames = list[bytes]
"""The frames of an encoded body."""


@dataclass
class Kept:
    """One role of a node."""

    snapshot: RoleSnapshot
    events: Events
    heard: set[tuple[RoleInstanceID, str, str]]
    """Events that were listened to once, and have come: emitter, channel, method's name."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore an object; files of earlier versions call the snapshot ``luggage``."""
        if "luggage" in state:
            state["snapshot"] = state.pop("luggage")
        self.__dict__.update(state)


@dataclass
class NodeState:
    """All of a node but its surroundings, which the testbed knows."""

    seed: int
    roles: dict[str, Kept]
    relationships: dict[str, list[RoleInstanceID]]
    links: dict[str, str]
    moved: dict[str, RoleInstanceID]


class Checkpoint:
    """One actor's part.

    The testbed sees to it that all roles are paused, everywhere, and goes from step to step.
    """

    def __init__(self, actor: Actor):
        self._actor = actor
        self._prepared: NodeState | None = None

    @node_request("checkpoint-describe", Sender.NOTEBOOK)
    def describe(
        self,
    ) -> tuple[
        dict[str, type], dict[str, list[RoleInstanceID]], dict[str, str], dict[str, dict[str, str]]
    ]:
        """Return the classes of the roles, relationships, links, and digests of the classes' own
        modules.
        """
        relationships = self._actor.ctx.relationships
        links = relationships.all_links()
        classes = {}
        digests = {}
        for name, role in self._actor.roles.items():
            if name != NATIVE:
                classes[name] = type(role)
                digests[name] = module_versions.digests(type(role))
        return classes, self._relationships(), links, digests

    def _relationships(self) -> dict[str, list[RoleInstanceID]]:
        """Return the members of relationships that are neither predefined nor links."""
        relationships = self._actor.ctx.relationships
        links = relationships.all_links()
        found = {}
        for name in relationships.all_relationships():
            if name not in PREDEFINED and name not in links:
                found[name] = relationships.members(name)
        return found

    @node_request("checkpoint-capture", Sender.NOTEBOOK)
    def capture(self) -> tuple[int, Frames]:
        """Return this node's seed, and its state; CallerError for a role that cannot be kept."""
        actor = self._actor
        roles = {}
        for name in actor.roles:
            if name != NATIVE:
                roles[name] = Kept(
                    capture(actor, name, "keep", "be kept"),
                    waiting_events(actor, name),
                    actor.subscriptions.heard(name),
                )
        links = actor.ctx.relationships.all_links()
        state = NodeState(
            actor.ctx.seed, roles, self._relationships(), links, dict(actor.roles.moved)
        )
        return actor.ctx.seed, list(map(bytes, encode(state).frames()))

    @node_request("checkpoint-prepare", Sender.NOTEBOOK)
    def prepare(self, *, frames: Frames, options: Mapping[str, Any]) -> None:
        """Prepare a state, and change nothing yet; CallerError when this node cannot restore it.

        `frames` are the node's state; `options`, those that each role was given, with which
        `restore` makes the attributes that its class has got since.
        """
        actor = self._actor
        state: NodeState = Body.of_frames(frames).decode()
        if state.seed != actor.ctx.seed:
            raise CallerError(
                f"node '{actor.name}' has seed {actor.ctx.seed}, and the checkpoint's has"
                f" {state.seed}"
            )
        links = actor.ctx.relationships.all_links()
        other = [alias for alias, target in links.items() if state.links.get(alias) != target]
        if other:
            raise CallerError(
                f"node '{actor.name}' has a link {other[0]!r} → {links[other[0]]!r}, and the"
                " checkpoint's has not"
            )
        for name, kept in state.roles.items():
            kept.snapshot.options = options.get(name)
        self._prepared = state

    @node_request("checkpoint-clear", Sender.NOTEBOOK)
    def clear(self) -> None:
        """End all roles here."""
        actor = self._actor
        for name in list(actor.roles):
            if name != NATIVE:
                actor.stop_role(name)
        actor.roles.moved.clear()
        relationships = actor.ctx.relationships
        for name in list(relationships.all_relationships()):
            members = relationships.members(name)
            if members and name not in PREDEFINED:
                relationships.remove_from_relationship(name, *members)

    @node_request("checkpoint-restore", Sender.NOTEBOOK)
    def restore(self) -> None:
        """Restore the prepared state, all roles paused. Called when all nodes are clear."""
        actor, state = self._actor, self._prepared
        if state is None:
            raise CallerError(f"node '{actor.name}' has not been prepared")
        self._prepared = None
        relationships: Mapping[str, Any] = state.relationships
        for name, members in relationships.items():
            if members:
                actor.ctx.relationships.add_to_relationship(name, *members)
        for alias, target in state.links.items():
            if alias not in actor.ctx.relationships.all_links():
                actor.ctx.relationships.link_relationship(alias, target)
        for name, kept in state.roles.items():
            actor.emissions.drop_role(name)  # listeners that were there before it
            restore(actor, name, kept.snapshot)
            restore_events(actor, name, kept.events)
            actor.subscriptions.adopt_heard(name, kept.heard)
        actor.roles.moved.update(state.moved)

    @node_request("checkpoint-discard", Sender.NOTEBOOK)
    def discard(self) -> None:
        """Discard the prepared state."""
        self._prepared = None
