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

from .inbox import Contents, Listener
from .update import new_attributes

if TYPE_CHECKING:
    from .actor import Actor

__all__ = [
    "Events",
    "RoleSnapshot",
    "check_sendable",
    "discard",
    "capture",
    "restore_events",
    "restore",
    "waiting_events",
]

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
    """Emitter, channel, listener's name, handler, method's name, conditions, mode, whether
    automatic.
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

    Raises CallerError, with what cannot be sent, when the role cannot `verb`.
    """
    role = actor.roles[name]
    state = role.__getstate__()
    elements = {
        item: (replace(element.given, impl=None), element.take_state())
        for item, element in role.__dict__["_elements"].items()
    }
    check_sendable(actor.instance(name), state, elements, verb)
    local = {other: [actor.instance(other)] for other in actor.roles if other not in (NATIVE, name)}
    known = {
        **local,
        **{
            relationship: actor.ctx.relationships.members(relationship)
            for relationship in actor.ctx.relationships.all_relationships()
        },
    }
    mentioned = _names_mentioned(type(role), state)
    return RoleSnapshot(
        actor.instance(name),
        type(role),
        state,
        elements,
        [
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
            for (_, emitter, channel), inbox in actor.subscriptions.of_role(name).items()
            for listener in inbox.listeners.values()
        ],
        actor.emissions.of_role(name),
        {
            relationship: members
            for relationship, members in known.items()
            if members and relationship in mentioned and relationship not in ("/", "manager")
        },
        conflicts,
    )


def waiting_events(actor: Actor, name: str) -> Events:
    """Return the events that wait for a role that is paused."""
    return [
        (emitter, channel, inbox.contents())
        for (_, emitter, channel), inbox in actor.subscriptions.of_role(name).items()
    ]


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
            element.give_state(state)
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
        actor.lifecycle(name).become(Status.PAUSED)
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
    """Discard a role without ending it: what it holds lives on elsewhere."""
    actor.subscriptions.drop_role(name)
    actor.emissions.drop_role(name)
    actor.delete_role(name)


def _names_mentioned(cls: type[Role], state: Any) -> set[str]:
    """Return the texts in a role's code and state, among which are the relationships
    that it uses.
    """
    found = {getattr(cls, name).handler.relationship for name in cls.subscriptions}
    codes = [
        code
        for base in cls.__mro__[:-1]
        if base is not Role
        for value in vars(base).values()
        if isinstance(code := getattr(value, "__code__", None), CodeType)
    ]
    while codes:
        for constant in codes.pop().co_consts:
            if isinstance(constant, str):
                found.add(constant)
            elif isinstance(constant, CodeType):
                codes.append(constant)
    values = state.values() if isinstance(state, dict) else ()
    return found | {value for value in values if isinstance(value, str)}


def check_sendable(role: RoleInstanceID, state: Any, elements: dict[str, Any], verb: str) -> None:
    """Raise CallerError, with its name, for a part that cannot be sent."""
    parts = (
        {f"attribute {name!r}": value for name, value in state.items()}
        if isinstance(state, dict)
        else {"state": state}
    )
    parts.update({f"element {name!r}": value for name, value in elements.items()})
    for what, value in parts.items():
        try:
            encode(value)
        except Exception as error:  # whatever pickling raises
            raise CallerError(
                f"{role} cannot {verb}: its {what} cannot be sent ({error}); leave it out in"
                " __getstate__ and make it anew in __setstate__, or give the element a serializer"
                " and a deserializer"
            ) from None
