"""The notes of a trace. They travel as plain tuples of these fields, in this order."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MessageNote", "MetricNote"]


class MessageNote(NamedTuple):
    """One message to one receiver."""

    id: int
    """Number of the call, the same for a call and its reply; 0 for events."""
    kind: str
    """service, task, reply, error or event."""
    source: str
    """node/role"""
    target: str
    """node/role"""
    channel: str
    bytes: int
    link: str
    """local, direct or relay; none when it was not sent."""
    sent: float
    """Seconds since the epoch."""
    received: float
    outcome: str
    """"delivered", or "lost: " and the reason."""


class MetricNote(NamedTuple):
    """One number in an event's args."""

    sent: float
    """Seconds since the epoch."""
    node: str
    role: str
    channel: str
    metric: str
    value: float
    step: int
    """Emissions of the channel by the role so far, from 1."""
