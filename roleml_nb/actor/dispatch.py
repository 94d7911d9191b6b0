"""Being called: from a message to the handler, and back with its answer."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

from roleml_nb.messaging.envelope import Envelope, Target, never_begun
from roleml_nb.messaging.executions import Execution, Interrupt, run
from roleml_nb.messaging.requests import NODE_REQUESTS
from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import (
    NATIVE,
    ChannelNotFoundError,
    HandlerError,
    Lifecycle,
    NoSuchRoleError,
    Role,
    RoleInstanceID,
    RoleMoved,
    RunStopped,
    did_you_mean,
)
from roleml_nb.role.channels import Handler
from roleml_nb.role.running import running

from .errors import describe
from .events.subscriptions import Subscriptions
from .host import ActorHost
from .role_table import RoleTable

__all__ = ["Dispatch"]

SLOW_REQUEST = "assign-role"
"""The request to a node that may take long, since it builds elements; others need not wait for
trainers.
"""
ANSWERS_LATER = object()
"""The answer of a handler that goes on in the event loop."""


class Dispatch:
    """Receives the messages for one actor, whose `parts` handle requests to the node itself."""

    def __init__(
        self,
        roles: RoleTable,
        subscriptions: Subscriptions,
        host: ActorHost,
        parts: Mapping[type, Any],
    ):
        self.roles = roles
        self.host = host
        self._subscriptions = subscriptions
        self._parts = parts
        self._logger = host.logger_for(roles.node, "")

    def __call__(self, envelope: Envelope, target: Target, body: Body) -> None:
        """Hand a message over to the worker pool. Called on the link's thread."""
        if envelope.kind == "event":
            self._subscriptions.receive(
                envelope.source, target.instance_name, envelope.channel, body
            )
        elif envelope.kind == "discontinue":
            self._subscriptions.discontinued(
                envelope.source, target.instance_name, envelope.channel
            )
        else:
            queued = envelope.kind == "task" and (
                target.instance_name != NATIVE or envelope.channel == SLOW_REQUEST
            )
            self.host.submit(lambda: self._serve(envelope, target, body), queued=queued)

    def _serve(self, envelope: Envelope, target: Target, body: Body) -> None:
        host = self.host
        token = host.router.executions.begin(
            (envelope.source.actor_name, target.call), host.clock.now()
        )
        try:
            execution = host.router.executions.current
            if execution is not None and execution.forbidden is not None:
                self._fail(envelope, target, execution.forbidden)
            elif (
                execution is not None
                and execution.run_generation < host.router.run_generation
                and target.instance_name != NATIVE
            ):
                self._fail(envelope, target, never_begun(target.instance, envelope.channel))
            else:
                self._answer(envelope, target, body)
        except Interrupt:
            self._fail(
                envelope,
                target,
                RunStopped(f"{target.instance}.{envelope.channel} was interrupted with the run"),
            )
        finally:
            host.router.executions.end(token)

    def _answer(self, envelope: Envelope, target: Target, body: Body) -> None:
        try:
            if envelope.kind in ("service", "task"):
                answer = self._call(envelope, target, body)
            else:
                request = NODE_REQUESTS[envelope.kind]
                answer = request.handle(self._parts, envelope, target, body)
        except RoleMoved as moved:
            self._redirect(envelope, target, body, moved)
        except Interrupt:
            raise
        # every failure is the caller's to see, that of sys.exit() too
        except BaseException as error:
            self._fail(envelope, target, error)
        else:
            if answer is not ANSWERS_LATER:
                self._reply(envelope, target, answer)

    def _call(self, envelope: Envelope, target: Target, body: Body) -> Any:
        lifecycle = self.roles.lifecycle(target.instance_name)
        self._enter(lifecycle)
        try:
            role = self.roles[target.instance_name]
            answer = self._invoke(
                lifecycle, role, self._method(role, envelope), envelope, target, body
            )
        # of another role, which the handler asked for: no reason to send this call elsewhere
        except RoleMoved as error:
            self._exit(lifecycle)
            raise NoSuchRoleError(str(error)) from error
        except BaseException:
            self._exit(lifecycle)
            raise
        if answer is not ANSWERS_LATER:
            self._exit(lifecycle)
        return answer

    def _exit(self, lifecycle: Lifecycle, execution: Execution | None = None) -> None:
        execution = execution or self.host.router.executions.current
        if execution is None or not execution.abandoned:
            lifecycle.exit()

    def _enter(self, lifecycle: Lifecycle) -> None:
        execution = self.host.router.executions.current
        if execution is None or lifecycle.ready:
            lifecycle.enter(self.host.call_timeout)
            return
        execution.held = True
        try:
            lifecycle.enter(self.host.call_timeout)
        finally:
            execution.held = False

    def _method(self, role: Role, envelope: Envelope) -> Any:
        table = role.services if envelope.kind == "service" else role.tasks
        if envelope.channel in table:
            return getattr(role, table[envelope.channel])
        others = role.tasks if table is role.services else role.services
        hint = (
            f"it is a {'task' if envelope.kind == 'service' else 'service'}: use "
            f"{'call_task' if envelope.kind == 'service' else 'call'}"
            if envelope.channel in others
            else did_you_mean(envelope.channel, [*role.services, *role.tasks])
        )
        raise ChannelNotFoundError(
            f"{type(role).__name__} has no {envelope.kind} '{envelope.channel}'; {hint}"
        )

    def _invoke(
        self,
        lifecycle: Lifecycle,
        role: Role,
        method: Any,
        envelope: Envelope,
        target: Target,
        body: Body,
    ) -> Any:
        handler: Handler = method.handler
        args, payloads = body.decode()
        try:
            with running(role):
                execution = self.host.router.executions.current
                answer = run(execution, handler.invoke, method, envelope.source, args, payloads)
                if not inspect.iscoroutine(answer):
                    return answer
                future = self.host.run_coroutine(answer, copy_context())
        except Exception as error:
            self._keep(error, target, method, envelope, args, payloads)
            raise

        def ended(future: Future) -> None:
            self._exit(lifecycle, execution)
            error = future.exception()
            if error is None:
                self._reply(envelope, target, future.result())
            else:
                self._keep(error, target, method, envelope, args, payloads)
                self._fail(envelope, target, error)

        future.add_done_callback(lambda future: self.host.submit(lambda: ended(future)))
        return ANSWERS_LATER

    def _keep(
        self,
        error: BaseException,
        target: Target,
        method: Any,
        envelope: Envelope,
        args: Any,
        payloads: Any,
    ) -> None:
        self.host.failures.keep(
            error,
            target.instance,
            method.__name__,
            envelope.channel,
            envelope.source,
            args,
            payloads,
        )

    # answers

    def _reply(self, envelope: Envelope, target: Target, answer: Any) -> None:
        try:
            body = encode(answer, "the result")
        except Exception as error:  # the result cannot be sent: the caller must know
            self._fail(envelope, target, error)
        else:
            self._send("reply", envelope, target, body)

    def _fail(self, envelope: Envelope, target: Target, error: BaseException) -> None:
        try:
            fault = self.describe(error, target.instance, envelope.channel)
            self.log_failure(fault)
            body = encode(fault)
        except Exception as reason:  # an error that cannot be described or sent is still an answer
            body = encode(
                HandlerError(
                    f"{target.instance}.{envelope.channel} failed on {self.host.label}: "
                    f"{type(error).__name__} (which cannot be sent: {type(reason).__name__})"
                )
            )
        self._send("error", envelope, target, body)

    def describe(self, error: BaseException, role: RoleInstanceID, channel: str) -> Exception:
        """Return the error to send to the caller."""
        return describe(error, role, channel, self.host.label)

    def log_failure(self, error: Exception) -> None:
        """Log the failure of a handler of this node, even if its caller waits for it."""
        if isinstance(error, HandlerError) and "via" not in error.where:
            role = self.roles.get(error.where["role"])
            logger = self._logger if role is None else role.logger
            logger.error("%s\n%s", error, error.remote_traceback.rstrip())

    def _redirect(self, envelope: Envelope, target: Target, body: Body, moved: RoleMoved) -> None:
        """Send the call back, for its caller to follow the role: it was not begun here."""
        content = pickle.dumps((tuple(moved.to), bytes(body.pickled)), 5)
        self._send("moved", envelope, target, Body(content, body.buffers))

    def _send(self, kind: str, envelope: Envelope, target: Target, body: Body) -> None:
        self.host.router.answer(
            kind,
            target.instance,
            Target(*envelope.source, target.call),
            envelope.channel,
            body,
            at_once=envelope.kind != "task" and not self.host.backlog,
        )
