"""Permissions inside a testbed: one rule for each kind of message, and for each control from host
to host.

A message that has no rule is refused. The host that a message comes from is certain (see
`transport`), and so are the nodes that live there: a host speaks for all of its nodes, and a node's
native role for all roles of that node.
"""

from __future__ import annotations

from enum import Enum

from roleml_nb.role import NATIVE, NOTEBOOK, RoleInstanceID

__all__ = ["HOST_MESSAGES", "KINDS", "ROLES", "Sender", "host_refusal", "refusal"]


class Sender(Enum):
    """Who may send it. The value completes the sentence "only … may"."""

    ROLE = "any role"
    CALLED = "who was called"
    """The call that it answers is looked up by whom it was made to; see `Router`."""
    NODE = "a node's native role"
    """For its own node: see `NodeRequest.check`."""
    NOTEBOOK = "the notebook"
    HOST = "any host"
    ENGINE = "an engine"


KINDS = {
    "service": Sender.ROLE,
    "task": Sender.ROLE,
    "event": Sender.ROLE,
    "discontinue": Sender.ROLE,
    "reply": Sender.CALLED,
    "error": Sender.CALLED,
    "moved": Sender.CALLED,
}
"""Of messages between roles; requests between nodes join them where they are declared: see
`messaging.requests`.

A role's services, tasks and events have their own rules: see `require_relationship`.
"""

HOST_MESSAGES = {
    "inquire": Sender.HOST,
    "answer": Sender.HOST,
    "cancel": Sender.HOST,
    "bye": Sender.HOST,
    "lost": Sender.NOTEBOOK,
    "given-up": Sender.NOTEBOOK,
    "deadlock": Sender.NOTEBOOK,
    "stop": Sender.NOTEBOOK,
    "order": Sender.NOTEBOOK,
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
