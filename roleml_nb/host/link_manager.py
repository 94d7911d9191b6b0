"""Link selection per peer: use the best working link, fail over to the relay, fail back when the
direct link works again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from roleml_nb.messaging.links.addresses import Address
from roleml_nb.messaging.links.control_channel import ControlChannel
from roleml_nb.messaging.links.direct import DirectLink
from roleml_nb.messaging.links.transport import DirectTransport
from roleml_nb.messaging.router import Router
from roleml_nb.messaging.session import Link, Session
from roleml_nb.role import LinkFailed
from roleml_nb.role.host import Host

__all__ = ["LinkManager"]

EXIT_CHECKS = 5
"""Checks for the end of a peer's process, before its link is made again: its connections end a
little earlier.
"""
EXIT_CHECK_INTERVAL_S = 0.01
CONNECT_TIMEOUT_S = 1.0
"""Seconds for a new direct link to be made."""
FIRST_FAILBACK_S, MAX_FAILBACK_S = 2.0, 60.0
"""Seconds between attempts to fail back; each waits twice as long as the one before."""


@dataclass
class Outage:
    """A peer with a direct route that is reached over the relay."""

    why: str
    since: float
    delay: float
    due: float


class LinkedHost(Host, Protocol):
    """A host whose links are managed."""

    router: Router
    transport: DirectTransport | None
    relay: Callable[[str], Link] | None
    """Makes a relay link to a peer; None where none is wanted."""
    control_handlers: dict[str, Callable[[ControlChannel, bytes], None]]
    """Handlers of the control channels to peers."""
    process_ended: Callable[[str], bool]
    """Returns True when a peer's process has certainly ended."""
    on_link_changed: Callable[[str, str, str], None]
    """Called with peer, kind and reason."""

    def host_lost(self, host_id: str, reason: str) -> None:
        """Fail all calls that wait for a host that is gone."""
        ...


class LinkManager:
    """Chooses the link to each other host.

    `connect` makes links; `link_failed` and `connection_ended` are told which ones break later.
    """

    def __init__(self, host: LinkedHost, stopping: threading.Event):
        self._host, self._stopping = host, stopping
        self.routes: dict[str, Address] = {}
        """The addresses at which other hosts listen."""
        self._control_channels: dict[str, ControlChannel] = {}
        self._outages: dict[str, Outage] = {}
        self._failbacks: dict[str, tuple[float, float]] = {}
        """{peer: the delay of its last outage, and when it ended}."""
        self._lock = threading.Lock()
        self._outage_added = threading.Event()
        self._probing = False

    def connect(self, address: Address, links: tuple[str, ...]) -> tuple[str, str]:
        """Link to a peer over the best of `links` that works; return the link's kind, and why it is
        no better.
        """
        host, peer = self._host, address.host_id
        session, why = host.router.session(peer), "as asked"
        if "direct" in links and host.transport is not None:
            host.transport.admit(peer, address.public_key)
            self.routes[peer] = address
            try:
                session.attach(self._direct_link(peer))
                return session.kind, ""
            except LinkFailed as error:
                why = str(error)
        if "relay" not in links or host.relay is None:
            raise LinkFailed(why)
        session.attach(host.relay(peer), why)
        self._schedule_failback(peer, why)
        return session.kind, why

    def _direct_link(self, peer: str, timeout: float = 2.0) -> DirectLink:
        """Make a direct link, and a control channel to peers that send on one."""
        host, address = self._host, self.routes[peer]
        assert host.transport is not None
        link = host.transport.connect(address, timeout=timeout)
        if peer in host.control_handlers:
            try:
                channel = host.transport.open_control_channel(address, link.url)
            except LinkFailed as error:
                host.logger.info("%s is heard over its link alone: %s", peer, error)
                return link
            former = self._control_channels.pop(peer, None)
            if former is not None:
                former.close()
            self._control_channels[peer] = channel
            host.run_in_background(
                lambda: channel.listen(host.control_handlers[peer]), f"{host.host_id} hears {peer}"
            )
        return link

    def connection_ended(self, peer: str, reason: str) -> None:
        session = self._host.router.links.get(peer)
        if session is not None and session.link is not None and session.link.kind == "direct":
            session.detach(session.link, reason)

    def link_failed(self, session: Session, reason: str) -> None:
        if not self._stopping.is_set():
            self._host.run_in_background(
                lambda: self._fail_over(session, reason), f"mend {session.peer}"
            )

    def _fail_over(self, session: Session, reason: str) -> None:
        """Fail over after a link has failed: to a new direct one, else to the relay, unless the
        peer has ended.
        """
        host, peer = self._host, session.peer
        for _ in range(EXIT_CHECKS):
            if self._stopping.is_set() or session.closed is not None or session.link is not None:
                return
            if host.process_ended(peer):
                host.host_lost(peer, "its process has ended")
                return
            host.clock.sleep(EXIT_CHECK_INTERVAL_S)
        try:
            session.attach(self._direct_link(peer, CONNECT_TIMEOUT_S))
            host.on_link_changed(peer, "direct", f"made anew: {reason}")
        except (KeyError, LinkFailed) as error:
            if host.relay is None:
                host.host_lost(peer, reason)
                return
            why = reason if isinstance(error, KeyError) else f"{reason}; {error}"
            try:
                session.attach(host.relay(peer), why)
            except LinkFailed:  # all is being stopped, this session too
                return
            host.on_link_changed(peer, "relay", why)
            self._schedule_failback(peer, why)

    # the way back

    def _schedule_failback(self, peer: str, why: str) -> None:
        """Schedule attempts to return from the relay to a direct link."""
        if peer not in self.routes:
            return
        now = self._host.clock.now()
        with self._lock:
            delay, ended = self._failbacks.get(peer, (0.0, 0.0))
            # a way that works now and then is not tried as often as one that broke once
            delay = (
                min(2 * delay, MAX_FAILBACK_S) if now - ended < MAX_FAILBACK_S else FIRST_FAILBACK_S
            )
            self._outages[peer] = Outage(why, now, delay, now + delay)
            self._outage_added.set()
            if self._probing:
                return
            self._probing = True
        self._host.run_in_background(self._probe, f"{self._host.host_id} probes")

    def _probe(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                self._outage_added.clear()
                if not self._outages:
                    self._probing = False
                    return
                peer, outage = min(self._outages.items(), key=lambda item: item[1].due)
            wait = outage.due - self._host.clock.now()
            if wait <= 0:
                self._attempt(peer, outage)
            else:
                self._outage_added.wait(min(wait, FIRST_FAILBACK_S / 2))

    def _attempt(self, peer: str, outage: Outage) -> None:
        host = self._host
        session = host.router.links[peer]
        if session.closed is not None or session.kind != "relay":
            # one with no link is being mended
            done = session.closed is not None or session.kind == "direct"
        else:
            done = self._fail_back(session, outage)
        with self._lock:
            if done:
                if self._outages.get(peer) is outage:
                    del self._outages[peer]
                self._failbacks[peer] = outage.delay, host.clock.now()
            else:
                outage.delay = min(2 * outage.delay, MAX_FAILBACK_S)
                outage.due = host.clock.now() + outage.delay

    def _fail_back(self, session: Session, outage: Outage) -> bool:
        host = self._host
        try:
            link = self._direct_link(session.peer, CONNECT_TIMEOUT_S)
        except LinkFailed as error:
            host.logger.info("%s is still reached over the relay: %s", session.peer, error)
            return False
        session.attach(link)
        if session.link is not link:
            return False
        seconds = host.clock.now() - outage.since
        host.on_link_changed(
            session.peer, "direct", f"again, after {seconds:.0f} s over the relay: {outage.why}"
        )
        return True
