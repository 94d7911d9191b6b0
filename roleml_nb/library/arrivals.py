"""Calls on many roles, some of which may fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Any

from roleml_nb.role import (
    CallTimeout,
    ErrorHandlingStrategy,
    Message,
    Role,
    RoleInstanceID,
    RoleMLError,
)
from roleml_nb.role.running import wait

__all__ = ["GRACE_S", "HEDGE_DELAY_S", "Arrivals", "first_answer", "gather", "call_each"]

GRACE_S = 0.5
"""Seconds that late roles get beyond twice the time that enough of the others needed."""
HEDGE_DELAY_S = 1.0
"""Seconds after which the next role of a group is asked the same, if there is no deadline."""

Arrival = tuple[int, RoleInstanceID, Any]


class Arrivals:
    """A queue of calls that have ended; a worker that waits for it serves others meanwhile."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._arrived: list[Arrival] = []
        self._next_arrival: Future[None] = Future()

    def put(self, number: int, client: RoleInstanceID, invocation: Any) -> None:
        """Add a call of round `number` that has ended; may be called on any thread."""
        with self._lock:
            self._arrived.append((number, client, invocation))
            arrival = self._next_arrival
            if not arrival.done():
                arrival.set_result(None)

    def collect(self, timeout: float) -> list[Arrival]:
        """Return all calls that have arrived since, after at most `timeout` seconds without any."""
        with self._lock:
            if not self._arrived:
                self._next_arrival = Future()
            arrival = self._next_arrival
        try:
            if not self._arrived:
                wait(arrival, max(0.0, timeout))
        except TimeoutError:
            pass
        with self._lock:
            arrived, self._arrived = self._arrived, []
            return arrived


def call_each(
    role: Role,
    group: list[RoleInstanceID],
    channel: str,
    update: Any,
    timeout: float | None = None,
) -> tuple[dict[RoleInstanceID, Any], dict[RoleInstanceID, Exception]]:
    """Call a service that takes an update on every role of a group, each of which may fail.

    Return the answers, in the order of the group, and the errors. A role that has not answered
    within `timeout` seconds, or the testbed's limit for calls, has failed with a CallTimeout.
    """
    answers: dict[RoleInstanceID, Any] = {}
    errors: dict[RoleInstanceID, Exception] = {}

    def record_result(client: RoleInstanceID, result: Any) -> None:
        (errors if isinstance(result, RoleMLError) else answers)[client] = result

    try:
        role.call_group(
            group,
            channel,
            payloads={"update": update},
            on_result=record_result,
            on_error=ErrorHandlingStrategy.KEEP,
            timeout=timeout,
        )
    except CallTimeout as error:
        for client in group:
            if client not in answers:
                errors.setdefault(client, error)
    for client, why in errors.items():
        role.logger.warning("%s is left out: %s", client, why)
    return _in_order_of(group, answers), errors


def gather(
    role: Role,
    group: Sequence[RoleInstanceID],
    kind: str,
    channel: str,
    message: Message | None = None,
    *,
    messages: Mapping[RoleInstanceID, Message] | None = None,
    deadline: float | None = None,
    enough: int | None = None,
) -> tuple[dict[RoleInstanceID, Any], dict[RoleInstanceID, Exception]]:
    """Call every role of a group, some of which may not answer in time.

    Return the answers, in the order of the group, and the errors.

    Parameters
    ----------
    kind : {"service", "task"}
        Of the channel.
    messages : mapping, optional
        The message of each role, instead of `message`.
    deadline : float, optional
        Seconds for all of them; the testbed's limit for calls when not given.
    enough : int, optional
        When so many have answered, or all but one, the others get the same time once more, and
        `GRACE_S`.
    """
    arrivals = Arrivals()
    clock = role.base.host.clock
    calls = role.base.call_task_group(
        role.name,
        group,
        channel,
        message=message or Message(),
        message_map=messages,
        kind=kind,
        on_call_error=ErrorHandlingStrategy.KEEP,
        on_result=partial(arrivals.put, 0),
    )
    answers: dict[RoleInstanceID, Any] = {}
    errors: dict[RoleInstanceID, Exception] = {}
    began = clock.now()
    limit = role.base.host.call_timeout if deadline is None else deadline
    while len(answers) + len(errors) < len(calls) and (left := began + limit - clock.now()) > 0:
        for _, client, call in arrivals.collect(left):
            try:
                answers[client] = call.result(0)
            except RoleMLError as error:
                errors[client] = error
        if enough is not None and len(answers) >= min(enough, len(group) - 1):
            limit = min(limit, 2 * (clock.now() - began) + GRACE_S)
    for client, call in calls:
        if client not in answers and client not in errors:
            errors[client] = CallTimeout(
                f"{client}.{channel} has not answered for {clock.now() - began:.1f} s"
            )
            call.cancel()
    return _in_order_of(group, answers), errors


def _in_order_of(
    group: Iterable[RoleInstanceID], answers: Mapping[RoleInstanceID, Any]
) -> dict[RoleInstanceID, Any]:
    return {client: answers[client] for client in group if client in answers}


def first_answer(
    role: Role, group: Sequence[RoleInstanceID], channel: str, hedge_delay_s: float | None
) -> Any:
    """Return the first answer of a group, whose members are asked one after the other.

    The next one is asked when `hedge_delay_s` seconds (`HEDGE_DELAY_S` when None) have passed
    without an answer.
    """
    arrivals = Arrivals()
    left = list(group)
    waiting = 0
    limit = role.base.host.call_timeout
    last: Exception = CallTimeout(
        f"none of {', '.join(map(str, group))} has answered {channel} for {limit:.1f} s"
    )
    while left or waiting:
        if left:
            role.base.call_task_group(
                role.name,
                [left.pop(0)],
                channel,
                message=Message(),
                kind="service",
                on_call_error=ErrorHandlingStrategy.KEEP,
                on_result=partial(arrivals.put, 0),
            )
            waiting += 1
        arrived = arrivals.collect((hedge_delay_s or HEDGE_DELAY_S) if left else limit)
        for _, client, call in arrived:
            try:
                return call.result(0)
            except RoleMLError as error:
                role.logger.warning("%s is not asked any more: %s", client, error)
                last = error
                waiting -= 1
        if not arrived and not left:
            break
    raise last
