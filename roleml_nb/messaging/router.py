"""The router carries messages between role instances, and keeps the calls that wait for answers."""

from __future__ import annotations

import itertools
import pickle
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from roleml_nb.messaging.serialization.codec import OUT_OF_BAND_BYTES, Body, encode
from roleml_nb.messaging.serialization.shared_memory import Region
from roleml_nb.role import (
    NATIVE,
    ActorNotFoundError,
    CallerError,
    Contacts,
    LinkFailed,
    NodeLost,
    RoleInstanceID,
    RoleMLError,
    RunStopped,
    did_you_mean,
)
from roleml_nb.role.host import Host

from .call_sites import CallSites
from .envelope import ANSWERS, FENCED, FLOW_CONTROLLED, Envelope, Target, make_envelope, never_begun
from .executions import Execution, Executions, Working
from .flow_control import Credit, Window
from .host_messages import HostMessages
from .inquiries import Inquiries
from .pending import Pending
from .permissions import ROLES, refusal
from .session import Item, Link, Session

__all__ = ["Link", "Pending", "Router"]

MESSAGE_OVERHEAD_BYTES = 256
"""Bytes that a message takes besides its body."""


Receiver = Callable[[Envelope, Target, Body], None]
Recorder = Callable[[tuple], None]


class Router:
    """Carries the messages of one host.

    `send` is safe from any thread; receivers are called on the link's thread and must not block.

    `record` is called with a tuple per message, as `records.columns` reads it. `broken(session,
    reason)` is called when the link of a session fails.
    """

    def __init__(
        self,
        host: Host,
        directory: Contacts,
        record: Recorder | None,
        broken: Callable[[Session, str], None] = lambda session, reason: None,
    ):
        self.host = host
        self.directory = directory
        self.links: dict[str, Session] = {}
        """The session with each other host."""
        self.lost: dict[str, str] = {}
        self.from_lost: Callable[[str], None] = lambda peer: None
        """Called, and must not block, when a host sends that was lost."""
        self.executions = Executions()
        self.run_generation = 0
        """Number of stops of the run so far.

        Messages of earlier generations begin no handlers.
        """
        self._record = record
        self._call_sites = CallSites()
        self._broken = broken
        self._receivers: dict[str, Receiver] = {}
        self._pending: dict[int, Pending] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._window = Window()
        self._delivering = threading.local()
        self._flushing = False
        self._flush_requests: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.host_messages = HostMessages(self)
        self.host_messages.serve("cancel", self._on_cancel)
        self.inquiries = Inquiries(self)

    def register(self, actor_name: str, receiver: Receiver) -> None:
        self._receivers[actor_name] = receiver

    def unregister(self, actor_name: str) -> None:
        self._receivers.pop(actor_name, None)

    def session(self, host_id: str) -> Session:
        """Return the session with that host, made when first asked for."""
        with self._lock:
            if host_id not in self.links:
                self.links[host_id] = Session(host_id, self._broken)
            return self.links[host_id]

    # sending

    def request(
        self,
        kind: str,
        source: RoleInstanceID,
        targets: Iterable[RoleInstanceID],
        channel: str,
        body: Body,
    ) -> list[Pending]:
        """Send one message to all targets; one pending answer each.

        A call that cannot be sent is answered with NodeLost.
        """
        shielded = self.executions.shield()
        try:
            call_site = "" if self._record is None else self._call_sites.current()
            return self._request(kind, source, list(targets), channel, body, call_site)
        finally:
            self.executions.unshield(shielded)

    def _request(
        self,
        kind: str,
        source: RoleInstanceID,
        targets: list[RoleInstanceID],
        channel: str,
        body: Body,
        call_site: str,
    ) -> list[Pending]:
        by = self.executions.current
        addresses = [
            self.directory.get_actor_profile(target.actor_name).address for target in targets
        ]
        depth, trail = self.executions.nested(targets[0], channel) if targets else (0, ())
        envelope = Envelope(
            kind,
            source,
            tuple(Target(*target, next(self._numbers)) for target in targets),
            channel,
            self.host.clock.now(),
            depth,
            trail,
            call_site,
            self._generation_of(by),
        )
        calls = [
            Pending(envelope, target, address, number.call, self._pending, by)
            for target, address, number in zip(targets, addresses, envelope.targets, strict=True)
        ]
        try:
            self._send(envelope, body, at_once=kind not in FLOW_CONTROLLED)
        except BaseException:
            for call in calls:
                call.cancel()
            raise
        return calls

    def send(
        self,
        kind: str,
        source: RoleInstanceID,
        targets: Iterable[Target],
        channel: str,
        body: Body,
        *,
        at_once: bool = True,
    ) -> list[tuple[Target, str]]:
        """Send without waiting for an answer; return targets that cannot be reached, with the
        reason.

        Without `at_once` it travels with messages that follow within moments: for messages that
        many others follow, such as answers to tasks.
        """
        # an interrupt would leave the sending of all threads half done
        shielded = self.executions.shield()
        try:
            targets = tuple(targets)
            if kind in ANSWERS:
                for target in targets:
                    self.executions.table.pop((target.actor_name, target.call), None)
            traced = kind == "event" and self._record is not None
            envelope = Envelope(
                kind,
                source,
                targets,
                channel,
                self.host.clock.now(),
                call_site=self._call_sites.current() if traced else "",
                run_generation=self._generation_of(self.executions.current),
            )
            return self._send(envelope, body, at_once=at_once and kind not in FLOW_CONTROLLED)
        finally:
            self.executions.unshield(shielded)

    def answer(
        self,
        kind: str,
        source: RoleInstanceID,
        target: Target,
        channel: str,
        body: Body,
        *,
        at_once: bool = True,
    ) -> None:
        """Answer a call, at less cost where the caller lives here and nothing is to be copied."""
        if body.buffers or kind == "moved" or target.actor_name not in self._receivers:
            self.send(kind, source, [target], channel, body, at_once=at_once)
            return
        self.executions.table.pop((target.actor_name, target.call), None)
        envelope = Envelope(kind, source, (target,), channel, self.host.clock.now())
        outcome = self._end_call(envelope, target, body)
        if self._record is not None:
            self._record(
                (envelope, target, target.call, body.nbytes, "local", envelope.sent, outcome)
            )

    def _end_call(self, envelope: Envelope, target: Target, body: Body) -> str:
        call = self._pending.get(target.call)
        if call is None or call.target != envelope.source:
            return "lost: nobody waits for it any more"
        if not call.set_result((envelope.kind, body)):
            return "lost: nobody waits for it any more"
        return "delivered"

    def _send(self, envelope: Envelope, body: Body, at_once: bool) -> list[tuple[Target, str]]:
        """Send a message to the hosts of its targets; return those that cannot be reached."""
        by_host: dict[str, list[Target]] = {}
        lost: list[tuple[Target, str]] = []
        for target in envelope.targets:
            try:
                address = self.directory.get_actor_profile(target.actor_name).address
            except ActorNotFoundError as error:
                lost.append((target, str(error)))
            else:
                by_host.setdefault(address, []).append(target)
        here = len(by_host.get(self.host.host_id, ()))
        shared = bool(body.buffers) and any(
            host_id in self.links and self.links[host_id].shares for host_id in by_host
        )
        body = body.snapshot(here, shared)
        wait = 0.0
        if envelope.kind in FLOW_CONTROLLED and not getattr(self._delivering, "on", False):
            wait = self.host.call_timeout
        own = by_host.pop(self.host.host_id, None)
        for host_id, group in by_host.items():
            try:
                self._send_there(
                    self._link(host_id), envelope.to(group), body, wait, at_once=at_once
                )
            except LinkFailed as error:
                lost.extend((target, str(error)) for target in group)
        if own is not None:  # after the others, who are at work meanwhile
            self._send_here(envelope.to(own), body, wait, kept=bool(by_host))
        for target, reason in lost:
            if self._record is not None:
                nbytes, now = body.nbytes, envelope.sent
                outcome = f"lost: {reason}"
                self._record((envelope, target, target.call, nbytes, "none", now, outcome))
            self._fail(target.call, envelope.kind, reason)
        return lost

    def _send_here(self, envelope: Envelope, body: Body, wait: float, kept: bool) -> None:
        credit = None
        if envelope.kind in FLOW_CONTROLLED:
            size = body.nbytes + MESSAGE_OVERHEAD_BYTES
            self._window.acquire(size, wait, self.host.host_id)
            credit = Credit(self._window.release, size)
        body = body.here(credit, kept)
        del credit  # the bodies alone hold it
        self._distribute(envelope, body, self.host.host_id, "local", envelope.sent)

    def _send_there(
        self, session: Session, envelope: Envelope, body: Body, wait: float, at_once: bool = True
    ) -> None:
        pickled, buffers = body.pickled, body.buffers
        if len(pickled) >= OUT_OF_BAND_BYTES:
            pickled, buffers = None, [pickled, *buffers]
        counted = 0
        if envelope.kind in FLOW_CONTROLLED:
            counted = body.nbytes + MESSAGE_OVERHEAD_BYTES
        item = (*envelope.plain(), pickled, len(buffers))
        session.post(item, buffers, counted, wait, at_once)
        if not at_once:
            self.flush_soon()

    def flush_soon(self) -> None:
        """Have queued messages sent soon, together with those that follow within moments."""
        if not self._flushing:
            self._flushing = True
            self._flush_requests.put(None)

    def flush(self) -> None:
        """Wait for queued messages, and send them; a thread of the host does nothing else."""
        self._flush_requests.get()
        self._flushing = False
        for session in list(self.links.values()):
            session.flush()

    def _generation_of(self, by: Execution | None) -> int:
        """Return the run generation of messages that a handler sends now.

        Messages of code that is no handler, and orders to nodes, belong to the current one: they go
        on after a stop.
        """
        return (
            self.run_generation
            if by is None or by.target.instance_name == NATIVE
            else by.run_generation
        )

    def send_to_host(self, host_id: str, channel: str, value: Any) -> None:
        """Send a message for `HostMessages`; LinkFailed when there is no link."""
        source = RoleInstanceID(self.host.host_id, "")
        envelope = Envelope("host", source, (), channel, self.host.clock.now())
        self._send_there(self._link(host_id), envelope, encode(value).snapshot(), 0.0)

    def _link(self, host_id: str) -> Session:
        if host_id in self.lost:
            raise LinkFailed(f"{host_id} is lost: {self.lost[host_id]}")
        try:
            return self.links[host_id]
        except KeyError:
            raise LinkFailed(f"there is no link to {host_id}") from None

    def _fail(self, number: int, kind: str, reason: str) -> None:
        call = self._pending.get(number) if kind not in ANSWERS else None
        if call is not None:
            call.set_exception(NodeLost(f"{call.target}.{call.channel} was not called: {reason}"))

    # calls made on the caller's own thread

    def receiver(self, actor_name: str) -> Any:
        """Return the receiver of messages for an actor of this host; None for any other."""
        return self._receivers.get(actor_name)

    def begin_inline(
        self,
        source: RoleInstanceID,
        target: RoleInstanceID,
        channel: str,
        size: int,
        depth: int,
        trail: tuple[str, ...],
    ) -> Execution:
        """Begin a call on the thread that makes it."""
        call_site = "" if self._record is None else self._call_sites.current()
        generation, now = self._generation_of(self.executions.current), self.host.clock.now()
        envelope = make_envelope(
            ("service", source, (), channel, now, depth, trail, call_site, generation)
        )
        execution = self._begin_here(envelope, target)
        execution.called = True
        if self._record is not None:
            self._record((envelope, target, execution.key[1], size, "local", now, "delivered"))
        return execution

    def begin_event(
        self, source: RoleInstanceID, target: RoleInstanceID, channel: str, run_generation: int
    ) -> Execution:
        """Begin an event's handler on the current thread; `executions.end_inline` must follow."""
        now = self.host.clock.now()
        envelope = Envelope("event", source, (), channel, now, run_generation=run_generation)
        return self._begin_here(envelope, target)

    def _begin_here(self, envelope: Envelope, target: RoleInstanceID) -> Execution:
        key = self.host.host_id, next(self._numbers)
        execution = Execution(key, envelope, target, envelope.sent)
        self.executions.begin_inline(execution)
        return execution

    def abandon(self, execution: Execution) -> None:
        """Answer for a handler that does not end: nobody waits any more for it, or for
        its result.
        """
        execution.abandoned = True
        error = execution.forbidden or RunStopped(f"{execution.name} was left alone")
        for actor_name in (execution.source.actor_name, execution.target.actor_name):
            self.executions.table.pop((actor_name, execution.number), None)
        self.send(
            "error",
            execution.target,
            [Target(*execution.source, execution.number)],
            execution.channel,
            encode(error),
        )

    def end_inline(self, execution: Execution, kind: str = "", size: int = 0) -> None:
        """End a call of this thread, answered (kind: reply or error) or not."""
        self.executions.end_inline(execution)
        if kind and self._record is not None:
            call, now = execution.envelope, self.host.clock.now()
            envelope = make_envelope(
                (kind, execution.target, (), call.channel, now, 0, (), "", call.run_generation)
            )
            number = execution.key[1]
            self._record((envelope, call.source, number, size, "local", now, "delivered"))

    # receiving

    def deliver(self, peer: str, frames: list[Any], link: str = "direct") -> None:
        """Deliver frames from the host that the link has authenticated; drop frames of a lost
        host.
        """
        if peer in self.lost:
            self.from_lost(peer)
            return
        self._delivering.on = True  # this thread must not be held back until it is done
        try:
            (self.links.get(peer) or self.session(peer)).receive(
                frames, partial(self._receive_item, peer, link)
            )
        finally:
            self._delivering.on = False

    def _receive_item(
        self, peer: str, link: str, item: Item, buffers: list[Any], credit: Credit | None
    ) -> None:
        envelope = Envelope.of_plain(item)
        pickled = item[-2]
        if pickled is None:
            pickled, buffers = buffers[0], buffers[1:]
        body = Body(pickled, buffers, True, credit if envelope.kind in FLOW_CONTROLLED else None)
        body.region = Region.of(buffers[0]) if buffers else None
        if envelope.kind == "host":
            self.host_messages.receive(peer, envelope.channel, lambda: body.decode(own=True))
            return
        try:
            self._authenticate(peer, envelope)
            self._distribute(envelope, body, peer, link, self.host.clock.now())
        except RoleMLError as error:  # one bad message must not cut off those that came with it
            self.host.logger.warning("%s", error)

    def _authenticate(self, peer: str, envelope: Envelope) -> None:
        """Refuse a message whose sender does not live on the host that it came from.

        A name in a message proves nothing.
        """
        home = self.directory.get_actor_profile(envelope.source.actor_name).address
        if home != peer:
            raise RoleMLError(
                f"{peer} sent a message in the name of {envelope.source}, which lives on {home}:"
                " dropped"
            )

    def _distribute(self, envelope: Envelope, body: Body, peer: str, link: str, now: float) -> None:
        nbytes, record = body.nbytes, self._record
        parts = body.shares(len(envelope.targets))
        for target, part in zip(envelope.targets, parts, strict=True):
            outcome = self._receive(envelope, target, part, peer, now)
            if record is not None:
                record((envelope, target, target.call, nbytes, link, now, outcome))

    def _receive(
        self, envelope: Envelope, target: Target, body: Body, peer: str, now: float
    ) -> str:
        if envelope.kind in ANSWERS:
            if envelope.kind != "moved":
                return self._end_call(envelope, target, body)
            call = self._pending.get(target.call)
            if call is None or call.target != envelope.source:
                return "lost: nobody waits for it any more"
            self.host.submit(partial(self._follow, call, body))
            return "delivered"
        receiver = self._receivers.get(target.actor_name)
        if receiver is None:
            self._refuse(
                envelope,
                target,
                NodeLost(
                    f"no node named {target.actor_name!r} on {self.host.host_id}; "
                    + did_you_mean(target.actor_name, self._receivers)
                ),
            )
            return f"lost: no node {target.actor_name}"
        if envelope.kind not in ROLES and (reason := refusal(envelope.kind, envelope.source, peer)):
            self.host.logger.warning("%s: dropped", reason)
            self._refuse(envelope, target, CallerError(reason))
            return f"lost: {reason}"
        if (
            envelope.run_generation < self.run_generation
            and envelope.kind in FENCED
            and target.instance_name != NATIVE
        ):
            self._refuse(envelope, target, never_begun(target.instance, envelope.channel))
            return "lost: the run was stopped before it began"
        if target.call:
            self.executions.table[envelope.source.actor_name, target.call] = Execution(
                (peer, target.call), envelope, target.instance, now
            )
        receiver(envelope, target, body)
        return "delivered"

    def _follow(self, call: Pending, body: Body) -> None:
        """Call a role at its new address: it was not called where it was."""
        if call.ended:
            return
        to, pickled = pickle.loads(body.pickled)
        call.target = RoleInstanceID(*to)
        call.host_id = self.directory.get_actor_profile(call.target.actor_name).address
        envelope = call.envelope._replace(
            targets=(Target(*call.target, call.number),), sent=self.host.clock.now()
        )
        self._send(envelope, Body(pickled, body.buffers, body.owned), at_once=True)

    def _refuse(self, envelope: Envelope, target: Target, error: Exception) -> None:
        if target.call:
            answer = Target(*envelope.source, target.call)
            self.send("error", target.instance, [answer], envelope.channel, encode(error))

    # calls that wait

    def working(self) -> list[Working]:
        """Return the handlers at work here, and the calls that wait here."""
        return self.executions.working(self.host.host_id, self.host.clock.now(), self.pending())

    def end_calls(self, numbers: Iterable[int], error: Exception) -> None:
        """Have calls that wait here fail with `error`."""
        for number in numbers:
            call = self._pending.get(number)
            if call is not None:
                call.set_exception(error)

    # cancelling

    def cancel(self, call: Pending) -> None:
        """Cancel a call: the other side does not begin it, or makes no more calls for it.

        Calls that it makes then raise CallCancelled.
        """
        if call.ended:
            return
        if call.host_id == self.host.host_id:
            self._on_cancel(self.host.host_id, call.number)
            return
        with suppress(LinkFailed):  # who is lost, or not linked, does not go on with it
            self.host_messages.send(call.host_id, "cancel", number=call.number)

    def _on_cancel(self, peer: str, number: int) -> None:
        """Cancel the executions of a call that another host has cancelled, and the calls that they
        wait for.
        """
        for execution, error in self.executions.cancel((peer, number)):
            for call in self.pending():
                if call.by is execution:
                    self.cancel(call)
                    call.set_exception(error)

    # faults

    def host_lost(self, host_id: str, reason: str) -> None:
        """Fail every call that waits for a lost host with NodeLost; later messages to it fail at
        once.
        """
        self.lost[host_id] = reason
        session = self.links.get(host_id)
        if session is not None:
            session.close(reason)
        for call in self.pending():
            if call.host_id == host_id:
                call.set_exception(
                    NodeLost(
                        f"{call.target}.{call.channel} was not answered: {host_id} is lost"
                        f" ({reason})"
                    )
                )

    def restart_host(self, host_id: str) -> None:
        """Begin anew with a host of that name, which knows nothing of its former state."""
        self.host_lost(host_id, "it has begun anew")
        with self._lock:
            self.links.pop(host_id, None)
            self.lost.pop(host_id, None)

    def count_from(self, number: int) -> None:
        """Number calls from `number` on: this host takes the place of one whose calls may not have
        ended.
        """
        self._numbers = itertools.count(number)

    def pending(self) -> list[Pending]:
        """Return the calls that wait, oldest first."""
        return sorted(list(self._pending.values()), key=lambda call: call.sent)
