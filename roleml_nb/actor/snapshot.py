"""Snapshots: the state of a role, and of a node, to move it, to keep it in a checkpoint, to undo
its end, or to replay a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

from roleml_nb.messaging.serialization.codec import encode
from roleml_nb.role import (
    NATIVE,
    CallerError,
    ElementImplementation,
    ElementInstance,
    Role,
    RoleInstanceID,
    Status,
)
from roleml_nb.role.channels import Handler

from .events.emissions import ListenerKey, Subscriber
from .events.inbox import Contents, Listener
from .role_table import RoleTable
from .update import new_attributes

if TYPE_CHECKING:
    from .actor import Actor

__all__ = [
    "PREDEFINED",
    "Activity",
    "Emitted",
    "Events",
    "NodeSnapshot",
    "RoleSnapshot",
    "capture",
    "capture_state",
    "discard",
    "rebuild",
    "restore",
    "restore_elements",
    "restore_events",
    "waiting_events",
]

PREDEFINED = ("/", "manager")
"""Relationships that every node has by itself, and that no other node changes by the way."""
Events = list[tuple[RoleInstanceID, str, Contents]]
"""Emitter, channel, and the events that wait."""
Emitted = dict[str, tuple[int, dict[ListenerKey, Subscriber]]]
"""{channel: (events so far, subscribers)}."""


class Activity(NamedTuple):
    """The activity of a role, before it was brought to rest for a snapshot."""

    paused: bool = True
    running: bool = False
    """True when its main routine ran."""


@dataclass
class RoleSnapshot:
    """A role, with all that belongs to it."""

    old: RoleInstanceID
    cls: type[Role]
    state: Any
    elements: dict[str, tuple[ElementImplementation, tuple[Any, ...]]]
    listeners: list[tuple[RoleInstanceID, str, str, Handler, str, dict[str, Any], str, bool]] = (
        field(default_factory=list)
    )
    """Emitter, channel, listener's name, handler, method's name, conditions, mode, automatic.
    """
    emissions: Emitted = field(default_factory=dict)
    relationships: dict[str, list[RoleInstanceID]] = field(default_factory=dict)
    """Members of the relationships that the role mentions, on its old node."""
    conflicts: str = "keep"
    options: Mapping[str, Any] | None = None
    """Options that the role was given, where its class may have new attributes since
    the capture.
    """
    events: Events = field(default_factory=list)
    heard: set[tuple[RoleInstanceID, str, str]] = field(default_factory=set)
    """Events that were listened to once, and have come: emitter, channel, listener's name."""
    activity: Activity = Activity()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore an object, also of a file of an earlier version, which has it in parts."""
        self.__dict__.update({"events": [], "heard": set(), "activity": Activity(), **state})

    def readdress(self, old: RoleInstanceID, new: RoleInstanceID) -> None:
        """Replace the address of another role, which has moved since the capture."""

        def replaced(items: Iterable[tuple]) -> list[tuple]:
            return [(new, *item[1:]) if item[0] == old else item for item in items]

        self.listeners = replaced(self.listeners)
        self.events = replaced(self.events)
        self.heard = set(replaced(self.heard))
        for channel, (count, subscribers) in self.emissions.items():
            pairs = zip(replaced(subscribers), subscribers.values(), strict=True)
            self.emissions[channel] = count, dict(pairs)


@dataclass
class NodeSnapshot:
    """All of a node but its surroundings, which the testbed knows."""

    seed: int
    roles: dict[str, RoleSnapshot]
    relationships: dict[str, list[RoleInstanceID]]
    """Without links, and those that every node has by itself."""
    links: dict[str, str]
    moved: dict[str, RoleInstanceID]
    emissions: dict[str, Emitted] = field(default_factory=dict)
    """Of the native role, and of roles that others listen to and that are not there yet."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore an object; files of earlier versions have a role's events beside its snapshot."""
        self.__dict__.update({"emissions": {}, **state})
        for name, role in self.roles.items():
            if isinstance(role, FormerRole):
                self.roles[name] = role.present()


class FormerRole:
    """A role of a node in a file of an earlier version."""

    def present(self) -> RoleSnapshot:
        parts = vars(self)
        snapshot: RoleSnapshot = parts.get("snapshot") or parts["luggage"]
        return replace(snapshot, events=parts["events"], heard=parts["heard"])


def capture_state(actor: Actor, name: str, verb: str) -> RoleSnapshot:
    """Capture the class of a role, its state and its elements.

    Raises CallerError, with the part that cannot be sent, when the role cannot `verb`.
    """
    role, instance = actor.roles[name], actor.roles.instance(name)
    elements = {}
    for key, element in role.__dict__["_elements"].items():
        elements[key] = replace(element.given, impl=None), element.get_state()
    snapshot = RoleSnapshot(instance, type(role), role.__getstate__(), elements)
    _check_sendable(snapshot, verb)
    return snapshot


def capture(
    actor: Actor,
    name: str,
    verb: str = "be kept",
    conflicts: str = "keep",
    activity: Activity = Activity(),  # noqa: B008
) -> RoleSnapshot:
    """Capture all of a role that is paused; CallerError as of `capture_state`."""
    snapshot = capture_state(actor, name, verb)
    return replace(
        snapshot,
        listeners=_listeners(actor, name, verb),
        emissions=actor.emissions.of_role(name),
        relationships=_relationships_used(
            actor, name, _names_mentioned(snapshot.cls, snapshot.state)
        ),
        conflicts=conflicts,
        events=waiting_events(actor, name),
        heard=actor.subscriptions.heard(name),
        activity=activity,
    )


def _listeners(
    actor: Actor, name: str, verb: str
) -> list[tuple[RoleInstanceID, str, str, Handler, str, dict[str, Any], str, bool]]:
    found = []
    for (_, emitter, channel), inbox in actor.subscriptions.of_role(name).items():
        for item in inbox.listeners.values():
            method = getattr(item.method, "__name__", type(item.method).__name__)
            if getattr(actor.roles[name], method, None) != item.method:
                raise CallerError(
                    f"{actor.roles.instance(name)} cannot {verb}: it listens to"
                    f" {emitter}.{channel} with {method!r}, which is no method of it; subscribe"
                    " with a method"
                )
            wanted = item.handler, method, item.conditions, item.mode, item.automatic
            found.append((emitter, channel, item.name, *wanted))
    return found


def _relationships_used(
    actor: Actor, name: str, mentioned: set[str]
) -> dict[str, list[RoleInstanceID]]:
    """Return the members of those names, which are relationships or other roles of the node."""
    relationships = actor.ctx.relationships
    known = {}
    for other in actor.roles:
        if other not in (NATIVE, name):
            known[other] = [actor.roles.instance(other)]
    for relationship in relationships.all_relationships():
        known[relationship] = relationships.members(relationship)
    found = {}
    for used, members in known.items():
        if members and used in mentioned and used not in PREDEFINED:
            found[used] = members
    return found


def waiting_events(actor: Actor, name: str) -> Events:
    """Return the events that wait for a role that is paused."""
    found = []
    for (_, emitter, channel), inbox in actor.subscriptions.of_role(name).items():
        found.append((emitter, channel, inbox.contents()))
    return found


def rebuild(snapshot: RoleSnapshot) -> Role:
    """Build a role with its state, for it to be put on a node."""
    role = snapshot.cls.__new__(snapshot.cls)
    if hasattr(role, "__setstate__"):
        role.__setstate__(snapshot.state)
    else:
        role.__dict__.update(snapshot.state or {})
    return role


def restore_elements(roles: RoleTable, name: str, snapshot: RoleSnapshot) -> None:
    """Give a role that was added the elements that it had."""
    for item, (given, state) in snapshot.elements.items():
        roles.implement_element(name, item, given)
        element: ElementInstance = roles[name].__dict__["_elements"][item]
        element.set_state(state)


def restore(actor: Actor, name: str, snapshot: RoleSnapshot) -> None:
    """Restore the role on `actor`, paused, under that name; its events are left to
    `restore_events`. When it fails, nothing of it stays.
    """
    role = rebuild(snapshot)
    try:
        role.__dict__.update(
            new_attributes(str(snapshot.old), snapshot.cls, role.__dict__, snapshot.options)
        )
    # it may do without: which attributes it lacks is a guess from the code
    except CallerError as error:
        actor.logger.warning("%s goes on with the attributes that it had: %s", snapshot.old, error)
    actor.add_role(name, role)
    try:
        restore_elements(actor.roles, name, snapshot)
        for (
            emitter,
            event,
            item,
            handler,
            method,
            conditions,
            mode,
            automatic,
        ) in snapshot.listeners:
            listener = Listener(item, handler, getattr(role, method), conditions, mode, automatic)
            actor.subscriptions.adopt((name, emitter, event), listener)
        actor.subscriptions.adopt_heard(name, snapshot.heard)
        actor.emissions.adopt(name, snapshot.emissions)
        actor.roles.lifecycle(name).become(Status.PAUSED)
    except BaseException:
        discard(actor, name)
        raise


def restore_events(actor: Actor, name: str, events: Events) -> None:
    """Put events of `waiting_events` before those that have come since."""
    inboxes = actor.subscriptions.of_role(name)
    for emitter, event, contents in events:
        inbox = inboxes.get((name, emitter, event))
        if inbox is not None:
            inbox.insert(0, contents)


def discard(actor: Actor, name: str) -> None:
    """Discard a role without ending it: its values live on elsewhere."""
    actor.subscriptions.drop_role(name)
    actor.emissions.drop_role(name)
    actor.delete_role(name)


def _names_mentioned(cls: type[Role], state: Any) -> set[str]:
    """Return the texts in a role's code and state, among which are the relationships
    that it uses.
    """
    found = {getattr(cls, name).handler.relationship for name in cls.subscriptions}
    codes = []
    for base in cls.__mro__[:-1]:
        if base is Role:
            continue
        for value in vars(base).values():
            code = getattr(value, "__code__", None)
            if isinstance(code, CodeType):
                codes.append(code)
    while codes:
        for constant in codes.pop().co_consts:
            if isinstance(constant, str):
                found.add(constant)
            elif isinstance(constant, CodeType):
                codes.append(constant)
    for value in state.values() if isinstance(state, dict) else ():
        if isinstance(value, str):
            found.add(value)
    return found


def _check_sendable(snapshot: RoleSnapshot, verb: str) -> None:
    """Raise CallerError, with its name, for a part that cannot be sent."""
    parts: dict[str, Any] = {"state": snapshot.state}
    if isinstance(snapshot.state, dict):
        parts = {f"attribute {name!r}": value for name, value in snapshot.state.items()}
    for name, value in snapshot.elements.items():
        parts[f"element {name!r}"] = value
    for what, value in parts.items():
        try:
            encode(value)
        except Exception as error:  # whatever pickling raises
            raise CallerError(
                f"{snapshot.old} cannot {verb}: its {what} cannot be sent ({error}); leave it out"
                " in __getstate__ and make it anew in __setstate__, or give the element a"
                " serializer and a deserializer"
            ) from None
