"""Permissions inside a testbed: one rule for each kind of message, and for each control from host
to host.

A message that has no rule is refused. The host that a message comes from is certain (see
`transport`), and so are the nodes that live there: a host speaks for all of its nodes, and a node's
native role for all roles of that node.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from roleml_nb.role import NATIVE, NOTEBOOK, CallerError, RoleInstanceID

__all__ = ["HOST_MESSAGES", "KINDS", "ROLES", "Sender", "check_content", "host_refusal", "refusal"]


class Sender(Enum):
    """Who may send it. The value completes the sentence "only … may"."""

    ROLE = "any role"
    CALLED = "who was called"
    """The call that it answers is looked up by whom it was made to; see `Router`."""
    NODE = "a node's native role"
    """For its own node: see `check_content`."""
    NOTEBOOK = "the notebook"
    HOST = "any host"
    ENGINE = "an engine"


KINDS = {
    "service": Sender.ROLE,
    "task": Sender.ROLE,
    "event": Sender.ROLE,
    "subscribe": Sender.ROLE,
    "unsubscribe": Sender.ROLE,
    "discontinue": Sender.ROLE,
    "reply": Sender.CALLED,
    "error": Sender.CALLED,
    "moved": Sender.CALLED,
    "resubscribe": Sender.NODE,
    "adopt": Sender.NODE,
    "adopted": Sender.NODE,
    "abandon": Sender.NODE,
    "repoint": Sender.NODE,
    "checkpoint-describe": Sender.NOTEBOOK,
    "checkpoint-capture": Sender.NOTEBOOK,
    "checkpoint-prepare": Sender.NOTEBOOK,
    "checkpoint-clear": Sender.NOTEBOOK,
    "checkpoint-restore": Sender.NOTEBOOK,
    "checkpoint-discard": Sender.NOTEBOOK,
    "undo-capture": Sender.NOTEBOOK,
    "undo-release": Sender.NOTEBOOK,
    "undo-restore": Sender.NOTEBOOK,
    "undo-listener": Sender.NODE,
    "undo-listen": Sender.NODE,
}
"""Of messages between roles.

A role's services, tasks and events have their own rules: see `require_relationship`.
"""

HOST_MESSAGES = {
    "inquire": Sender.HOST,
    "inquiry-answer": Sender.HOST,
    "cancel": Sender.HOST,
    "bye": Sender.HOST,
    "lost": Sender.NOTEBOOK,
    "given-up": Sender.NOTEBOOK,
    "deadlock": Sender.NOTEBOOK,
    "stop": Sender.NOTEBOOK,
    "order": Sender.NOTEBOOK,
    "ordered": Sender.ENGINE,
    "stopping": Sender.ENGINE,
    "stopped": Sender.ENGINE,
    "pulse": Sender.ENGINE,
    "link": Sender.ENGINE,
    "trace": Sender.ENGINE,
    "error": Sender.ENGINE,
}
"""Rules for messages between hosts; an engine may send its own to the notebook alone, and the other
way round.
"""

ROLES = frozenset(kind for kind, sender in KINDS.items() if sender is Sender.ROLE)

OWN: dict[str, Callable[[Any], tuple[RoleInstanceID, ...]]] = {
    "resubscribe": lambda content: (content[0],),
    "adopt": lambda snapshot: (snapshot.old,),
    "adopted": lambda content: (content[0],),
    "abandon": lambda old: (old,),
    "repoint": lambda content: (content[0], content[1]),
    "undo-listener": lambda content: (content[0],),
    "undo-listen": lambda content: (content[0],),
}
"""The roles that it is about, one of which must be of the sender's node."""
PREDEFINED = ("/", "manager")
"""Relationships that no other node changes by the way."""


def refusal(kind: str, source: RoleInstanceID, peer: str) -> str:
    """Return why that role, on the host `peer`, may not send a message of that kind; empty if it
    may.
    """
    allowed = KINDS.get(kind)
    match allowed:
        case None:
            return f"{source} sent a message of the unknown kind {kind!r}"
        case Sender.NODE:
            may = source.instance_name == NATIVE
        case Sender.NOTEBOOK:
            may = (*source, peer) == (NOTEBOOK, NATIVE, NOTEBOOK)
        case _:
            may = True
    return "" if may else f"only {allowed.value} may send {kind!r}, and {source} (on {peer}) is not"


def check_content(kind: str, source: RoleInstanceID, content: Any) -> None:
    """Refuse statements of a node about roles that are not its own.

    Raises
    ------
    CallerError
        With the sender, and whose roles it speaks of.
    """
    about = OWN.get(kind)
    if about is None:
        return
    nodes = [RoleInstanceID(*role).actor_name for role in about(content)]
    if source.actor_name not in nodes:
        raise CallerError(
            f"{kind!r} is for a node's own roles, and {source} sent it about one of"
            f" {' or '.join(nodes)}"
        )
    if kind == "repoint":
        for changes in content[2:]:
            for node, names in changes.items():
                if node not in nodes or set(PREDEFINED) & set(names):
                    raise CallerError(
                        f"a move between {nodes[0]} and {nodes[1]} changes no relationship "
                        f"{', '.join(names)} of {node}"
                    )


def host_refusal(channel: str, peer: str, here: str) -> str:
    """Return why the host `peer` may not send that control to the host `here`; empty if it may."""
    allowed = HOST_MESSAGES.get(channel)
    match allowed:
        case None:
            return f"{peer} sent the unknown control {channel!r}"
        case Sender.NOTEBOOK:
            may = peer == NOTEBOOK != here
        case Sender.ENGINE:
            may = peer != NOTEBOOK == here
        case _:
            may = True
    return (
        "" if may else f"{here} takes {channel!r} from {allowed.value} alone, and not from {peer}"
    )
