"""Service calls within one host, made on the caller's own thread: no thread is woken, nothing waits
in a queue.

They differ in nothing else: arguments are values, not references; calls are recorded in the trace
and shown by ``bed.waiting()``.
"""

from __future__ import annotations

import inspect
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from roleml_nb.messaging.executions import Execution, Interrupt, run
from roleml_nb.messaging.serialization.codec import MESSAGE, copy_of
from roleml_nb.role import (
    Lifecycle,
    Message,
    NoSuchRoleError,
    Role,
    RoleInstanceID,
    RoleMoved,
    RunStopped,
)
from roleml_nb.role.running import running

from .errors import remote
from .host import ActorHost

if TYPE_CHECKING:
    from .dispatch import Dispatch

__all__ = ["ELSEWHERE", "call_inline"]

ELSEWHERE = object()
"""The call was not made: it must go through the worker pool, or to another host."""
MAX_INLINE_DEPTH = 20
"""Calls within calls on one stack; beyond, the pool's threads share the depth."""


def call_inline(
    host: ActorHost,
    source: RoleInstanceID,
    target: RoleInstanceID,
    channel: str,
    message: Message,
) -> Any:
    """Call a service on this thread and return its result, or `ELSEWHERE`.

    Not for roles that are at work further up on this stack, which could wait for themselves; nor
    for those not ready.
    """
    dispatch: Dispatch | None = host.router.receiver(target.actor_name)
    if dispatch is None:
        return ELSEWHERE
    role = dispatch.roles.get(target.instance_name)
    lifecycle = dispatch.roles.find_lifecycle(target.instance_name)
    if role is None or lifecycle is None or channel not in role.services:
        return ELSEWHERE
    within = host.router.executions.current
    if within is not None and (within.inline >= MAX_INLINE_DEPTH or within.runs(target)):
        return ELSEWHERE
    depth, trail = host.router.executions.nested(target, channel)
    (args, payloads), size = copy_of(tuple(message), MESSAGE)
    if not lifecycle.try_enter():
        return ELSEWHERE
    execution = host.router.begin_inline(source, target, channel, size, depth, trail)
    try:
        answer, size = copy_of(
            _handle(dispatch, role, lifecycle, execution, args, payloads), "the result"
        )
    except Exception as error:
        if isinstance(error, RoleMoved):  # another role, which the handler asked for
            error = NoSuchRoleError(str(error))
        described = dispatch.describe(error, target, channel)
        dispatch.log_failure(described)
        fault, size = copy_of(described)
        host.router.end_inline(execution, "error", size)
        raise remote(fault) from None
    except Interrupt as interrupt:
        host.router.end_inline(execution)
        if within is not None:
            raise
        # no handler has made it, and the end of a run ends handlers alone
        raise RunStopped(f"{execution.name} was interrupted with the run") from interrupt
    except BaseException:  # there is no answer
        host.router.end_inline(execution)
        raise
    host.router.end_inline(execution, "reply", size)
    return answer


def _handle(
    dispatch: Dispatch,
    role: Role,
    lifecycle: Lifecycle,
    execution: Execution,
    args: dict[str, Any],
    payloads: dict[str, Any],
) -> Any:
    method = getattr(role, role.services[execution.channel])
    host = dispatch.host
    try:
        with running(role):
            answer = run(execution, method.handler.invoke, method, execution.source, args, payloads)
            if inspect.iscoroutine(answer):
                return host.clock.wait(
                    host.run_coroutine(answer, copy_context()), host.call_timeout
                )
            return answer
    except Exception as error:
        host.failures.keep(
            error,
            execution.target,
            method.__name__,
            execution.channel,
            execution.source,
            args,
            payloads,
        )
        raise
    finally:
        if not execution.abandoned:
            lifecycle.exit()
