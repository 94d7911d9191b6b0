"""Snapshots of roles: their state, to move them, to keep them in a checkpoint, or to undo their
end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import CodeType
from typing import TYPE_CHECKING, Any

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

from .events.inbox import Contents, Listener
from .update import new_attributes

if TYPE_CHECKING:
    from .actor import Actor

__all__ = [
    "Events",
    "RoleSnapshot",
    "check_sendable",
    "discard",
    "capture",
    "capture_elements",
    "restore_events",
    "restore",
    "waiting_events",
]

PREDEFINED = ("/", "manager")
"""Relationships that every node has by itself, and that no other node changes by the way."""
Events = list[tuple[RoleInstanceID, str, Contents]]
"""Emitter, channel, and the events that wait."""


@dataclass
class RoleSnapshot:
    """A role, with all that belongs to it."""

    old: RoleInstanceID
    cls: type[Role]
    state: Any
    elements: dict[str, tuple[ElementImplementation, tuple[str, Any]]]
    listeners: list[tuple[RoleInstanceID, str, str, Handler, str, dict[str, Any], str, bool]]
    """Emitter, channel, listener's name, handler, method's name, conditions, mode, automatic.
    """
    emissions: dict[str, Any]
    relationships: dict[str, list[RoleInstanceID]]
    """Members of the relationships that the role mentions, on its old node."""
    conflicts: str
    options: Mapping[str, Any] | None = None
    """Options that the role was given, where its class may have new attributes since
    the capture.
    """


def capture(actor: Actor, name: str, conflicts: str = "refuse", verb: str = "move") -> RoleSnapshot:
    """Capture a role that is paused.

    Raises CallerError, with the part that cannot be sent, when the role cannot `verb`.
    """
    role = actor.roles[name]
    state = role.__getstate__()
    elements = capture_elements(role)
    check_sendable(actor.roles.instance(name), state, elements, verb)
    return RoleSnapshot(
        actor.roles.instance(name),
        type(role),
        state,
        elements,
        _listeners(actor, name),
        actor.emissions.of_role(name),
        _relationships_used(actor, name, _names_mentioned(type(role), state)),
        conflicts,
    )


def capture_elements(role: Role) -> dict[str, tuple[ElementImplementation, tuple[str, Any]]]:
    """Return the implementation and the state of each element, by name."""
    found = {}
    for name, element in role.__dict__["_elements"].items():
        found[name] = replace(element.given, impl=None), element.get_state()
    return found


def _listeners(
    actor: Actor, name: str
) -> list[tuple[RoleInstanceID, str, str, Handler, str, dict[str, Any], str, bool]]:
    found = []
    for (_, emitter, channel), inbox in actor.subscriptions.of_role(name).items():
        for listener in inbox.listeners.values():
            found.append(
                (
                    emitter,
                    channel,
                    listener.name,
                    listener.handler,
                    listener.method.__name__,
                    listener.conditions,
                    listener.mode,
                    listener.automatic,
                )
            )
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
        if members and used in mentioned and used not in ("/", "manager"):
            found[used] = members
    return found


def waiting_events(actor: Actor, name: str) -> Events:
    """Return the events that wait for a role that is paused."""
    found = []
    for (_, emitter, channel), inbox in actor.subscriptions.of_role(name).items():
        found.append((emitter, channel, inbox.contents()))
    return found


def restore(actor: Actor, name: str, snapshot: RoleSnapshot) -> None:
    """Restore the role on `actor`, paused, under that name. When it fails, nothing of it stays."""
    role = snapshot.cls.__new__(snapshot.cls)
    if hasattr(role, "__setstate__"):
        role.__setstate__(snapshot.state)
    else:
        role.__dict__.update(snapshot.state or {})
    try:
        role.__dict__.update(
            new_attributes(str(snapshot.old), snapshot.cls, role.__dict__, snapshot.options)
        )
    # it may do without: which attributes it lacks is a guess from the code
    except CallerError as error:
        actor.logger.warning("%s goes on with the attributes that it had: %s", snapshot.old, error)
    actor.add_role(name, role)
    try:
        for item, (given, state) in snapshot.elements.items():
            actor.implement_element(name, item, given)
            element: ElementInstance = role.__dict__["_elements"][item]
            element.set_state(state)
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


def check_sendable(role: RoleInstanceID, state: Any, elements: dict[str, Any], verb: str) -> None:
    """Raise CallerError, with its name, for a part that cannot be sent."""
    parts: dict[str, Any] = {}
    if isinstance(state, dict):
        for name, value in state.items():
            parts[f"attribute {name!r}"] = value
    else:
        parts["state"] = state
    for name, value in elements.items():
        parts[f"element {name!r}"] = value
    for what, value in parts.items():
        try:
            encode(value)
        except Exception as error:  # whatever pickling raises
            raise CallerError(
                f"{role} cannot {verb}: its {what} cannot be sent ({error}); leave it out in"
                " __getstate__ and make it anew in __setstate__, or give the element a serializer"
                " and a deserializer"
            ) from None
