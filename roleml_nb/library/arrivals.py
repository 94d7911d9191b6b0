"""Calls of many that end one after the other, and those of which some may fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Any

from roleml_nb.role import CallTimeout, ErrorHandlingStrategy, Message, Role, RoleInstanceID, RoleMLError
from roleml_nb.role.running import wait

__all__ = ["Arrivals", "reach"]

Arrival = tuple[int, RoleInstanceID, Any]


class Arrivals:
    """Calls that have ended, and a wait for the next one, which leaves the worker to others meanwhile."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._arrived: list[Arrival] = []
        self._bell: Future[None] = Future()

    def put(self, number: int, client: RoleInstanceID, invocation: Any) -> None:
        """Called on any thread when a call of round `number` has ended."""
        with self._lock:
            self._arrived.append((number, client, invocation))
            bell = self._bell
            if not bell.done():
                bell.set_result(None)

    def take(self, timeout: float) -> list[Arrival]:
        """All that have arrived since; waits up to `timeout` seconds for the first one."""
        with self._lock:
            if not self._arrived:
                self._bell = Future()
            bell = self._bell
        try:
            if not self._arrived:
                wait(bell, max(0.0, timeout))
        except TimeoutError:
            pass
        with self._lock:
            arrived, self._arrived = self._arrived, []
            return arrived


def reach(
    role: Role, group: list[RoleInstanceID], channel: str, updates: Sequence[Any],
    places: Mapping[RoleInstanceID, int] | None = None, timeout: float | None = None,
) -> tuple[dict[RoleInstanceID, Any], dict[RoleInstanceID, Exception]]:
    """Call a service of many, each of which may fail: what they returned, and the errors of the others.

    Each gets the one of `updates` that `places` says, or else the first.

    Who has not answered within `timeout` seconds, or the testbed's limit for calls, has failed, too, with a CallTimeout.
    """
    answers: dict[RoleInstanceID, Any] = {}
    errors: dict[RoleInstanceID, Exception] = {}
    messages = [Message({}, {"update": update}) for update in updates]  # one object per update: it crosses each link once

    def note(client: RoleInstanceID, result: Any) -> None:
        (errors if isinstance(result, RoleMLError) else answers)[client] = result

    try:
        role.call_group(group, channel, message_map={client: messages[(places or {}).get(client, 0)] for client in group},
                        on_result=note, on_error=ErrorHandlingStrategy.KEEP, timeout=timeout)
    except CallTimeout as error:
        errors.update({client: error for client in group if client not in answers and client not in errors})
    for client, why in errors.items():
        role.logger.warning("%s is left out: %s", client, why)
    return {client: answers[client] for client in group if client in answers}, errors
