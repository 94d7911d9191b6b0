"""The router: carries messages between role instances over the best link there is, and keeps the pending calls."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, Protocol

from roleml_nb.role import (
    ActorNotFoundError,
    Contacts,
    LinkFailed,
    NodeLost,
    RoleInstanceID,
    RoleMLError,
    did_you_mean,
)
from roleml_nb.role.host import Host

from .codec import Body, encode

__all__ = ["Envelope", "Link", "Pending", "Router"]


class Target(NamedTuple):
    """Whom a message is for, and the number of the call that it makes or answers (0: none)."""

    actor_name: str
    instance_name: str
    call: int = 0

    @property
    def instance(self) -> RoleInstanceID:
        return RoleInstanceID(self.actor_name, self.instance_name)


class Envelope(NamedTuple):
    """The header of a message.

    `kind`: service, task or event; subscribe, unsubscribe, discontinue; adopt, adopted, repoint and resubscribe when a
    role moves; reply, error or moved, which answer a call; host.
    """

    kind: str
    source: RoleInstanceID
    targets: tuple[Target, ...]
    channel: str
    sent: float


class Link(Protocol):
    """Carries frames to one other host. A wrapper may delay, shape or lose them without either end knowing."""

    kind: str
    peer: str

    def send(self, frames: list[Any]) -> None: ...

    def close(self) -> None: ...


ANSWERS = ("reply", "error", "moved")

Receiver = Callable[[Envelope, Target, Body], None]
Note = Callable[[tuple], None]


class Pending(Future):
    """A call that waits for its answer: resolves to the envelope's kind and the body."""

    def __init__(
        self, kind: str, source: RoleInstanceID, target: RoleInstanceID, channel: str, host_id: str, sent: float
    ):
        super().__init__()
        self.kind, self.source, self.target, self.channel = kind, source, target, channel
        self.host_id, self.sent = host_id, sent


class Router:
    """One per host. `send` is safe from any thread; receivers are called on the link's thread and must not block."""

    def __init__(self, host: Host, directory: Contacts, note: Note):
        self.host = host
        self.directory = directory
        self.links: dict[str, Link] = {}
        self.lost: dict[str, str] = {}
        self.controls: dict[str, Callable[[str, Any], None]] = {}
        self._note = note
        self._receivers: dict[str, Receiver] = {}
        self._pending: dict[int, Pending] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def register(self, actor_name: str, receiver: Receiver) -> None:
        self._receivers[actor_name] = receiver

    def unregister(self, actor_name: str) -> None:
        self._receivers.pop(actor_name, None)

    # sending

    def request(
        self, kind: str, source: RoleInstanceID, targets: Iterable[RoleInstanceID], channel: str, body: Body
    ) -> list[Pending]:
        """Send one message to all targets; one pending answer each. What cannot be sent is answered with NodeLost."""
        now = self.host.clock.now()
        calls: list[Pending] = []
        numbered: list[Target] = []
        for target in targets:
            address = self.directory.get_actor_profile(target.actor_name).address
            call = Pending(kind, source, target, channel, address, now)
            number = next(self._numbers)
            with self._lock:
                self._pending[number] = call
            call.add_done_callback(partial(self._forget, number))
            numbered.append(Target(target.actor_name, target.instance_name, number))
            calls.append(call)
        self._send(kind, source, numbered, channel, body, now)
        return calls

    def _forget(self, number: int, _: Future) -> None:
        self._pending.pop(number, None)

    def send(
        self, kind: str, source: RoleInstanceID, targets: Iterable[Target], channel: str, body: Body
    ) -> list[tuple[Target, str]]:
        """Send without waiting; returns what is lost already, with the reason."""
        return self._send(kind, source, list(targets), channel, body, self.host.clock.now())

    def _send(
        self, kind: str, source: RoleInstanceID, targets: list[Target], channel: str, body: Body, now: float
    ) -> list[tuple[Target, str]]:
        by_host: dict[str, list[Target]] = {}
        lost: list[tuple[Target, str]] = []
        for target in targets:
            try:
                address = self.directory.get_actor_profile(target.actor_name).address
            except ActorNotFoundError as error:
                lost.append((target, str(error)))
            else:
                by_host.setdefault(address, []).append(target)
        for host_id, group in by_host.items():
            envelope = Envelope(kind, source, tuple(group), channel, now)
            if host_id == self.host.host_id:
                for target in group:
                    self._receive(envelope, target, body.snapshot(), "local", now)
                continue
            try:
                self._link(host_id).send([pickle.dumps(tuple(envelope), 5), *body.frames()])
            except LinkFailed as error:
                lost.extend((target, str(error)) for target in group)
        for target, reason in lost:
            self._note((target.call, kind, str(source), str(target.instance), channel, body.nbytes, "none",
                        now, now, f"lost: {reason}"))
            self._fail(target.call, kind, reason)
        return lost

    def control(self, host_id: str, channel: str, value: Any) -> None:
        """Send a message from host to host; LinkFailed when there is no link."""
        envelope = Envelope("host", RoleInstanceID(self.host.host_id, ""), (), channel, self.host.clock.now())
        self._link(host_id).send([pickle.dumps(tuple(envelope), 5), *encode(value).frames()])

    def _link(self, host_id: str) -> Link:
        if host_id in self.lost:
            raise LinkFailed(f"{host_id} is lost: {self.lost[host_id]}")
        try:
            return self.links[host_id]
        except KeyError:
            raise LinkFailed(f"there is no link to {host_id}") from None

    def _fail(self, number: int, kind: str, reason: str) -> None:
        if kind in ANSWERS:
            return
        call = self._pending.get(number)
        if call is not None and not call.done():
            call.set_exception(NodeLost(f"{call.target}.{call.channel} was not called: {reason}"))

    # receiving

    def deliver(self, peer: str, frames: list[Any], link: str = "direct") -> None:
        """Take what a link received from the host that the link has authenticated."""
        kind, source, targets, channel, sent = pickle.loads(frames[0])
        body = Body.of_frames(frames[1:])
        if kind == "host":
            control = self.controls.get(channel)
            if control is not None:
                control(peer, body.decode())
            return
        envelope = Envelope(kind, RoleInstanceID(*source), tuple(Target(*item) for item in targets), channel, sent)
        self._authenticate(peer, envelope)
        now = self.host.clock.now()
        for target in envelope.targets:
            self._receive(envelope, target, body, link, now)

    def _authenticate(self, peer: str, envelope: Envelope) -> None:
        """The sender must live on the host that the message came from: a name in a message proves nothing."""
        home = self.directory.get_actor_profile(envelope.source.actor_name).address
        if home != peer:
            raise RoleMLError(f"{peer} sent a message in the name of {envelope.source}, which lives on {home}: dropped")

    def _receive(self, envelope: Envelope, target: Target, body: Body, link: str, now: float) -> None:
        outcome = "delivered"
        if envelope.kind in ANSWERS:
            call = self._pending.get(target.call)
            if call is None or call.target != envelope.source or call.cancelled():
                outcome = "lost: nobody waits for it any more"
            elif envelope.kind == "moved":
                self.host.submit(partial(self._follow, target.call, call, body))
            elif not call.set_running_or_notify_cancel():
                outcome = "lost: nobody waits for it any more"
            else:
                call.set_result((envelope.kind, body))
        else:
            receiver = self._receivers.get(target.actor_name)
            if receiver is None:
                outcome = f"lost: no node {target.actor_name}"
                self._refuse(envelope, target)
            else:
                receiver(envelope, target, body)
        self._note((target.call, envelope.kind, str(envelope.source), str(target.instance), envelope.channel,
                    body.nbytes, link, envelope.sent, now, outcome))

    def _follow(self, number: int, call: Pending, body: Body) -> None:
        """The role is elsewhere now, and was not called where it was: call it there."""
        to, pickled = pickle.loads(body.pickled)
        call.target = RoleInstanceID(*to)
        call.host_id = self.directory.get_actor_profile(call.target.actor_name).address
        self._send(call.kind, call.source, [Target(*call.target, number)], call.channel, Body(pickled, body.buffers),
                   self.host.clock.now())

    def _refuse(self, envelope: Envelope, target: Target) -> None:
        if target.call:
            error = NodeLost(f"no node named {target.actor_name!r} on {self.host.host_id}; "
                             + did_you_mean(target.actor_name, self._receivers))
            answer = Target(*envelope.source, target.call)
            self.send("error", target.instance, [answer], envelope.channel, encode(error))

    # faults

    def host_lost(self, host_id: str, reason: str) -> None:
        """Every call that waits for that host fails with NodeLost; later messages to it do so at once."""
        self.lost[host_id] = reason
        link = self.links.pop(host_id, None)
        if link is not None:
            link.close()
        with self._lock:
            calls = [call for call in self._pending.values() if call.host_id == host_id]
        for call in calls:
            if not call.done():
                call.set_exception(NodeLost(
                    f"{call.target}.{call.channel} was not answered: {host_id} is lost ({reason})"))

    def pending(self) -> list[Pending]:
        """The calls that wait, oldest first."""
        with self._lock:
            return sorted(self._pending.values(), key=lambda call: call.sent)
