"""A handler that failed elsewhere, played again in the notebook's process, on copies of its message
and its role.
"""

from __future__ import annotations

import inspect
from contextvars import copy_context
from typing import Any

from roleml_nb.actor import Actor
from roleml_nb.actor.caller import Caller
from roleml_nb.actor.calls import Invocation
from roleml_nb.actor.errors import own_frames
from roleml_nb.actor.host import ActorHost
from roleml_nb.actor.replay import ReplayState
from roleml_nb.actor.role_table import RoleTable
from roleml_nb.actor.snapshot import rebuild, restore_elements
from roleml_nb.host import engine as remote
from roleml_nb.host.host import Host
from roleml_nb.messaging.serialization.codec import Body
from roleml_nb.role import (
    NATIVE,
    NOTEBOOK,
    ActorProfile,
    Context,
    Message,
    Role,
    RoleInstanceID,
    TestbedError,
)
from roleml_nb.role.channels import Handler
from roleml_nb.role.relationships import Relationships
from roleml_nb.role.running import running
from roleml_nb.testbed.cluster.fleet import Fleet

__all__ = ["Replay", "replay"]

MAX_REPR_LENGTH = 40
"""Characters of an argument in the name of a call."""


class _ReplayHost:
    """The notebook's host, without a log: a role that is replayed prints into the cell."""

    log_buffer = None

    def __init__(self, host: Host):
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


class _ReplayCaller(Caller):
    """Calls in the name of the notebook's own actor."""

    def __init__(
        self, roles: RoleTable, relationships: Relationships, host: ActorHost, notebook: Caller
    ):
        super().__init__(roles, relationships, host)
        self._notebook = notebook

    def request(
        self, kind: str, instance_name: str, target: RoleInstanceID, channel: str, content: Any
    ) -> Invocation:
        return self._notebook.request(kind, NATIVE, target, channel, content)

    def send_group(
        self,
        kind: str,
        instance_name: str,
        group: list[RoleInstanceID],
        channel: str,
        chosen: list[Message],
    ) -> list[Invocation]:
        return self._notebook.send_group(kind, NATIVE, group, channel, chosen)

    def call(
        self,
        instance_name: str,
        target: str | RoleInstanceID,
        channel: str,
        message: Message,
        *,
        timeout: float | None = None,
    ) -> Any:
        return self._notebook.call(NATIVE, self.resolve(target), channel, message, timeout=timeout)


class _ReplayActor(Actor):
    """Stands in for a node: the role knows the same relationships, and calls others in the
    notebook's name. Its events go nowhere.
    """

    def __init__(self, host: Host, given: ReplayState):
        self.name = given.failure.role.actor_name
        self.host = _ReplayHost(host)
        self.profile = ActorProfile(self.name, host.host_id)
        self.ctx = Context.build(
            self.profile,
            initial_relationships=given.relationships,
            initial_contacts=host.directory,
            **given.place,
        )
        self.roles = RoleTable(self.name, self.ctx.workdir, lambda name: None)
        self.roles.update(dict.fromkeys(given.roles))  # type: ignore[arg-type]
        notebook = host.actors[NOTEBOOK].caller
        self.call_with(_ReplayCaller(self.roles, self.ctx.relationships, self.host, notebook))

    def emit(self, instance_name: str, channel: str, message: Message) -> None: ...

    def subscribe(self, *_: Any, **__: Any) -> None: ...

    def unsubscribe(self, *_: Any, **__: Any) -> None: ...


class Replay:
    """A failed handler with all that it needs; `run` raises the exception here, with frames that a
    debugger can look at.

    `role` is a copy, with the state that it had when this was made; the calls that the handler
    makes are made.
    """

    def __init__(self, host: Host, given: ReplayState):
        self._host, self._failed, self._message = host, given.failure, given.message
        self.role: Role = rebuild(given.snapshot)
        name, actor = given.failure.role.instance_name, _ReplayActor(host, given)
        self.role.attach(name, actor)
        actor.roles.add(name, self.role)
        restore_elements(actor.roles, name, given.snapshot)

    @property
    def name(self) -> str:
        """The call, as Python would write it: ``client3/trainer.train(n=7)``."""
        args, payloads = self._message
        given = []
        for key, value in {**args, **payloads}.items():
            text = repr(value)
            given.append(f"{key}={text if len(text) <= MAX_REPR_LENGTH else '…'}")
        return f"{self._failed.role}.{self._failed.attribute}({', '.join(given)})"

    def run(self) -> Any:
        """Call the handler, on this thread; return its result."""
        __tracebackhide__ = True
        method: Any = getattr(self.role, self._failed.attribute, None)
        if method is None:
            raise TestbedError(
                f"{self.name} cannot be played again: the role has no method"
                f" {self._failed.attribute!r} any more"
            )
        try:
            with running(self.role):
                if self._failed.source is None:
                    return method()
                handler = getattr(method, "handler", None) or Handler(
                    self._failed.channel, "event handler", expand=False
                )
                answer = handler.invoke(method, self._failed.source, *self._message)
                if inspect.iscoroutine(answer):
                    return self._host.run_coroutine(answer, copy_context()).result(
                        self._host.call_timeout
                    )
                return answer
        except Exception as error:
            # The handler's own frames, without plumbing.
            raise error.with_traceback(own_frames(error.__traceback__))  # noqa: B904


def replay(fleet: Fleet, where: dict[str, str]) -> Replay:
    """Return the failure that an error tells of; TestbedError, saying why, when it cannot be played
    again.
    """
    host_id, _, number = where.get("kept", "").partition(":")
    if not number:
        raise TestbedError(
            "this error cannot be played again: only those of handlers can, and of main routines"
        )
    if host_id in fleet.lost:
        raise TestbedError(
            f"this error cannot be played again: {host_id} is lost: {fleet.lost[host_id]}"
        )
    frames, refusal = fleet.run(host_id, remote.failure, int(number))
    if refusal:
        raise TestbedError(refusal)
    return Replay(fleet.home, Body.of_frames(frames).decode())
