"""The last failures of a host's handlers, kept with their arguments to be replayed elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import NATIVE, CallCancelled, CallerError, RoleInstanceID

from .snapshot import RoleSnapshot, capture_state

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Failure", "FailureStore", "ReplayState", "encode_replay"]

MAX_FAILURES = 16
"""Failures that a host keeps: the last ones."""
MAX_MESSAGE_BYTES = 64 * 1000 * 1000
"""Bytes of their messages, all together."""


@dataclass(frozen=True)
class Failure:
    """A handler that raised an exception, with its message."""

    role: RoleInstanceID
    attribute: str
    """The name of the method, or "run" for the main routine of a `Runnable`."""
    channel: str
    source: RoleInstanceID | None
    message: Body | None
    """Args and payloads; None for a main routine."""
    missing: str = ""
    """Why the message is not here."""


@dataclass(frozen=True)
class ReplayState:
    """All that replays a handler: the role with its state as it is now, and its place."""

    failure: Failure
    message: tuple[Mapping[str, Any], Mapping[str, Any]]
    snapshot: RoleSnapshot
    relationships: dict[str, list[RoleInstanceID]]
    roles: list[str]
    place: dict[str, Any]
    """``workdir``, ``src``, ``seed``, ``testbed_seed`` and ``start_time`` of the node."""


class FailureStore:
    """Numbered from 1; ``engine0:3`` is the third of the host engine0."""

    def __init__(self, host_id: str):
        self._host_id = host_id
        self._kept: dict[int, Failure] = {}
        self._count = 0
        self._lock = threading.Lock()

    def keep(
        self,
        error: BaseException,
        role: RoleInstanceID,
        attribute: str,
        channel: str,
        source: RoleInstanceID | None = None,
        args: Mapping[str, Any] | None = None,
        payloads: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the message of a handler that has just raised `error`, unless the error is another
        role's.
        """
        if (
            getattr(error, "_is_remote", False)
            or not isinstance(error, Exception)
            or hasattr(error, "kept")
            or isinstance(error, CallCancelled)
        ):
            return
        if role.instance_name == NATIVE:  # it has no state, and its handlers change its node
            return
        message: Body | None = None
        missing = ""
        try:
            if args is not None:
                body = encode((args, payloads or {})).snapshot()
                if body.nbytes > MAX_MESSAGE_BYTES:
                    missing = f"it has {body.nbytes / 1e6:.1f} MB, more than is kept"
                else:
                    message = body
        except Exception as fault:  # the handler has put something into it that cannot be sent
            missing = str(fault)
        with self._lock:
            self._count += 1
            self._kept[self._count] = Failure(role, attribute, channel, source, message, missing)
            while (
                len(self._kept) > MAX_FAILURES
                or sum(one.message.nbytes for one in self._kept.values() if one.message)
                > MAX_MESSAGE_BYTES
            ):
                del self._kept[min(self._kept)]
            error.kept = f"{self._host_id}:{self._count}"  # type: ignore[attr-defined]

    def find(self, number: int) -> Failure:
        """Return a failure; CallerError when it is not kept any more."""
        try:
            return self._kept[number]
        except KeyError:
            raise CallerError(
                f"what failed is not kept any more: a host keeps its last {MAX_FAILURES} failures; "
                "have it fail again"
            ) from None


def capture_replay(actors: Mapping[str, Actor], failure: Failure) -> ReplayState:
    """Capture all that replays a failure; CallerError when a part is gone, or cannot be sent."""
    what = f"{failure.role}.{failure.channel}"
    actor = actors.get(failure.role.actor_name)
    if actor is None or failure.role.instance_name not in actor.roles:
        raise CallerError(f"{what} cannot be played again: the role is not there any more")
    if failure.missing:
        raise CallerError(
            f"{what} cannot be played again: its message is not here: {failure.missing}"
        )
    snapshot = capture_state(actor, failure.role.instance_name, "be played again")
    known = actor.ctx.relationships
    message = ({}, {}) if failure.message is None else failure.message.decode()
    return ReplayState(
        replace(failure, message=None),
        message,
        snapshot,
        {name: list(known.members(name)) for name in known.all_relationships()},
        list(actor.roles),
        {
            "workdir": actor.ctx.workdir,
            "src": actor.ctx.src,
            "seed": actor.ctx.seed,
            "testbed_seed": actor.ctx.testbed_seed,
            "start_time": actor.ctx.start_time,
        },
    )


def encode_replay(
    actors: Mapping[str, Actor], failures: FailureStore, number: int
) -> tuple[list[bytes], str]:
    """Encode the `ReplayState` of a failure for the notebook; or return nothing, and the reason."""
    try:
        body = encode(capture_replay(actors, failures.find(number)))
    except CallerError as error:
        return [], str(error)
    return list(map(bytes, body.frames())), ""
