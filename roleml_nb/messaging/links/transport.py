"""One host's end of all its direct links: by `ipc://` on one machine, by TCP with CurveZMQ between
machines.

Links are one-way. A host receives on its ROUTER sockets and sends on one DEALER per peer. A DEALER
is used by any sender under its link's lock; all other sockets are used by one thread of the
`ReceiverPool` at a time. Nothing is handed on, let alone unpickled, that does not come from an
authenticated peer: over TCP it shows its key, over `ipc://` a token.
"""

from __future__ import annotations

import hmac
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import zmq

from roleml_nb.messaging.serialization.shared_memory import can_open_sample, sample
from roleml_nb.role.errors import LinkFailed

from .addresses import Address, local_addresses, network, socket_path
from .admission import AdmissionControl
from .authenticator import KeyAuthenticator
from .control_channel import CONTROL, ControlChannel
from .direct import (
    FAILURES,
    SHARED,
    WELCOME,
    YES,
    DirectLink,
    close_watched,
    read_event,
    wait_for_welcome,
    with_shared,
)
from .keys import KeyPair
from .receiver_pool import Call, ReceiverPool
from .refusals import Refusals, stranger

__all__ = ["DirectTransport"]

HELLO = b"roleml_nb 5"
"""The first words of a host: the protocol and its version."""
HANDSHAKE_MS = 5000
"""A connection that has not shaken hands by then is closed."""
HEARTBEATS_MS = {"tcp": (1000, 5000), "ipc": (5000, 55_000)}
"""Milliseconds between two heartbeats, which ZeroMQ answers without the interpreter; and until a
silent connection ends: one to a machine that has vanished, and one to a process that gets no turn.
"""
ADMISSION_POLL_S = 0.5
"""Seconds between two checks of connections that are not authenticated."""
MAX_MESSAGES_PER_READ = 100
"""Messages that are read from one socket before the others are checked again."""

logger = logging.getLogger(__name__)


class DirectTransport:
    """One host's end of all its direct links.

    Parameters
    ----------
    deliver
        Called as ``deliver(peer, frames)`` on the thread that receives; must not block.
        ``frames[0]`` is bytes, the others are writable memoryviews that belong to the receiver. It
        may return functions to be called for it, which may take their time: the first by this same
        thread, while another one receives.
    lost
        Called once as ``lost(peer, reason)`` on the thread that receives when the connection of a
        link ends, not after `close`.
    on_control_reply
        Called as ``on_control_reply(peer, data)`` on the thread that receives, with a peer's reply
        on its control channel.
    directory
        A directory of mode 0700 for the socket file, which is named `host_id`; None for no
        ``ipc://``.
    submit
        Called as ``submit(function)``; has it called by a thread that is idle, or a new one. One of
        them receives at a time.
    backlog
        Returns the number of submitted functions that wait for a thread.
    ip
        The interface to listen on over TCP, too, from the start; None for none, see `listen`.
    log
        Logger for refusals and failures.
    """

    def __init__(
        self,
        host_id: str,
        *,
        deliver: Callable[[str, list[Any]], list[Callable[[], Any]] | None],
        lost: Callable[[str, str], None],
        on_control_reply: Callable[[str, bytes], None] = lambda peer, data: None,
        directory: str | None,
        submit: Callable[[Callable[[], None]], Any],
        backlog: Callable[[], int] = lambda: 0,
        ip: str | None = None,
        log: logging.Logger = logger,
    ) -> None:
        if directory is None and ip is None:
            raise LinkFailed(
                f"host {host_id!r} has no way to listen: give a directory for ipc sockets, or an ip"
            )
        ipc_path = None if directory is None else socket_path(directory, host_id)
        self.host_id, self._log = host_id, log
        self._refusals = Refusals(host_id, log)
        self.refused = self._refusals.counts
        self._deliver, self._lost, self._on_control_reply = deliver, lost, on_control_reply
        self._admitted: dict[str, bytes] = {}
        """{host: its public key}."""
        self._tokens: dict[str, bytes] = {}
        """{host: the token that it shows on our ``ipc://`` socket}."""
        self._peers: dict[bytes, str] = {}
        """Authenticated links of peers to us: {id of the connection: host}."""
        self._control_connections: dict[str, tuple[zmq.Socket, bytes]] = {}
        """Control channels of peers to us: {host: our socket, id of the connection}."""
        self._control_peers: dict[bytes, str] = {}
        self._links: list[DirectLink] = []
        self._lock = threading.Lock()
        self._closing = False
        self._ended = threading.Event()
        self._reading = 0
        """The thread that reads messages; 0 while none does."""
        self._keys = KeyPair()
        self._context = zmq.Context()
        self._context.setsockopt(zmq.LINGER, 0)
        self.admissions: dict[zmq.Socket, AdmissionControl] = {}
        """The admission control of each listening socket."""
        self._tcp: zmq.Socket | None = None
        self._authenticator: KeyAuthenticator | None = None
        self.address = Address(host_id, self._keys.public, ipc_path, network=network())
        self._receivers = ReceiverPool(
            self._read, self._poll_timeout, submit, backlog, self._clean_up
        )
        try:
            if ipc_path is not None:
                self._open(self._router(), f"ipc://{ipc_path}")
            if ip is not None:
                self.listen(ip)
            self._receivers.start()
        except BaseException:
            self._context.destroy(0)
            raise

    def listen(self, ip: str = "*") -> Address:
        """Listen on TCP, too, with CurveZMQ: on that interface, or on all.

        Returns the address, which has the TCP URLs then. A second call changes nothing.
        """
        with self._receivers.exclusive() as closed:
            if closed:
                raise LinkFailed("this transport is closed")
            if self._tcp is None:
                self.address = replace(self.address, tcp_urls=self._listen(ip))
        return self.address

    def admit(self, host_id: str, public_key: bytes) -> None:
        """Admit the host with that key, under that name alone; a key that the name had before is
        no longer admitted.
        """
        self._tokens[host_id] = self._keys.token(public_key, host_id, self.host_id)
        self._admitted[host_id] = bytes(public_key)

    def connect(self, address: Address, *, timeout: float = 2.0) -> DirectLink:
        """Open a link to the host at `address`, which must have admitted us.

        Raises
        ------
        LinkFailed
            Nobody there welcomed us within `timeout` seconds; the message has every address tried,
            and why it failed.
        """
        urls = list(address.tcp_urls)
        if address.ipc_path is not None and os.path.exists(address.ipc_path):
            urls.insert(0, f"ipc://{address.ipc_path}")
        deadline = time.monotonic() + timeout
        failures = (
            []
            if urls
            else [
                f"no socket {address.ipc_path} on this machine, and the host does not listen on TCP"
            ]
        )
        for number, url in enumerate(urls):
            # the best comes first; of the others, most are refused at once where they do not lead
            # there
            share = max(0.0, deadline - time.monotonic()) / (1 if number == len(urls) - 1 else 2)
            try:
                return self._connect(address, url, share)
            except (LinkFailed, zmq.ZMQError) as error:
                failures.append(f"{url}: {error}")
        raise LinkFailed(
            f"no direct link from {self.host_id!r} to {address.host_id!r}: " + "; ".join(failures)
        )

    def open_control_channel(
        self, address: Address, url: str, *, timeout: float = 1.0
    ) -> ControlChannel:
        """Open a channel on which the host at `address` can `send_control` messages to us.

        `url` is the address of a link to it. The caller has a thread `listen` to the returned
        channel. LinkFailed as from `connect`.
        """
        dealer, monitor = self._dealer(address, url)
        try:
            self._greet_host(dealer, monitor, self._token(address, url), CONTROL, timeout)
            dealer.disable_monitor()
        except BaseException:
            close_watched(dealer)
            raise
        finally:
            monitor.close(0)
        return ControlChannel(address.host_id, dealer)

    def send_control(self, peer: str, data: bytes) -> None:
        """Send a message to a peer on its control channel to us.

        Raises LinkFailed if there was none.
        """
        with self._receivers.exclusive() as closed:
            if closed or peer not in self._control_connections:
                raise LinkFailed(f"{peer} has no control channel to {self.host_id!r}")
            router, connection = self._control_connections[peer]
            try:
                router.send_multipart([connection, data], zmq.NOBLOCK)
            except zmq.ZMQError as error:
                raise LinkFailed(f"cannot tell {peer}: {error}") from error

    def close(self) -> None:
        """End the thread, all links and sockets, and remove the socket file.

        Does nothing the second time.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._receivers.stop()
        if threading.get_ident() != self._reading and not self._ended.wait(1.0):
            self._log.warning(
                "the threads of direct transport %s did not end in time: deliver() is blocked",
                self.host_id,
            )

    def wait(self, call: Call, timeout: float | None) -> bool:
        """Receive on this thread until the call has ended, or `timeout` seconds are over; False at
        once if another one does.
        """
        return self._receivers.wait(call, timeout)

    def _listen(self, ip: str) -> tuple[str, ...]:
        self._authenticator = KeyAuthenticator(
            self._context,
            lambda key: key in self._admitted.values(),
            partial(self._refusals.add, "key not admitted"),
        )
        self._receivers.poller.add(self._authenticator.bell, self._authenticator.answer)
        router = self._tcp = self._router()
        self._authenticator.secure(router)
        self._keys.secure(router)
        router.ipv6 = ip == "*" or ":" in ip
        self._open(router, f"tcp://[{ip}]:*" if ":" in ip else f"tcp://{ip}:*")
        port = router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0").rpartition(":")[2]
        addresses = local_addresses() if ip == "*" else [ip]
        return tuple(f"tcp://[{a}]:{port}" if ":" in a else f"tcp://{a}:{port}" for a in addresses)

    def _open(self, router: zmq.Socket, url: str) -> None:
        router.bind(url)
        admission = self.admissions[router]
        self._receivers.poller.add(router.FD, _read_later)
        self._receivers.poller.add(admission.monitor.FD, admission.poll)

    def _router(self) -> zmq.Socket:
        router = self._context.socket(zmq.ROUTER)
        router.rcvhwm = router.sndhwm = 0
        router.handshake_ivl = HANDSHAKE_MS
        admission = AdmissionControl(self._context, router, self.host_id, self._log)
        # replaced, not changed: another thread may be going through it
        self.admissions = {**self.admissions, router: admission}
        return router

    def _connect(self, address: Address, url: str, timeout: float) -> DirectLink:
        dealer, monitor = self._dealer(address, url)
        try:
            token = self._token(address, url)
            shared = sample(token) if token else None
            can_open = self._greet_host(
                dealer, monitor, token, shared.place.path.encode() if shared else b"", timeout
            )
            link = DirectLink(address.host_id, url, dealer, monitor, can_open)
            with self._lock:
                if self._closing:
                    raise LinkFailed("this transport is closed")
                self._links.append(link)
            self._receivers.watch(monitor.FD, partial(self._read_monitor, link))
            return link
        except BaseException:
            close_watched(dealer)
            monitor.close(0)
            raise

    def _dealer(self, address: Address, url: str) -> tuple[zmq.Socket, zmq.Socket]:
        """Return a socket that connects to a host, and its monitor."""
        with self._lock:
            if self._closing:
                raise LinkFailed("this transport is closed")
            dealer, monitor = self._context.socket(zmq.DEALER), self._context.socket(zmq.PAIR)
        try:
            dealer.rcvhwm = dealer.sndhwm = 0
            dealer.reconnect_ivl = -1  # a lost connection is reported, not mended behind our back
            if url.startswith("tcp:"):
                dealer.ipv6 = "[" in url
                dealer.curve_serverkey = address.public_key
                self._keys.secure(dealer)
            dealer.heartbeat_ivl, dealer.heartbeat_timeout = HEARTBEATS_MS[url.partition(":")[0]]
            dealer.monitor(
                f"inproc://monitor-{id(dealer)}", sum(FAILURES) | zmq.EVENT_MONITOR_STOPPED
            )
            monitor.connect(f"inproc://monitor-{id(dealer)}")
            dealer.connect(url)
        except BaseException:
            close_watched(dealer)
            monitor.close(0)
            raise
        return dealer, monitor

    def _token(self, address: Address, url: str) -> bytes:
        """Return the token that authenticates us there; empty over TCP, where CurveZMQ has shown
        our key.
        """
        return (
            self._keys.token(address.public_key, self.host_id, address.host_id)
            if url.startswith("ipc:")
            else b""
        )

    def _greet_host(
        self, dealer: zmq.Socket, monitor: zmq.Socket, token: bytes, what: bytes, timeout: float
    ) -> bool:
        """Greet a host and wait for its welcome; return True when it can open memory
        that we share.
        """
        # refused already: the monitor says why, and a blocking send would never return
        with suppress(zmq.Again):
            dealer.send_multipart([HELLO, self.host_id.encode(), token, what], zmq.NOBLOCK)
        return wait_for_welcome(dealer, monitor, timeout)

    def _poll_timeout(self) -> float | None:
        """Return the seconds until admission must be checked; None when all connections are
        authenticated.
        """
        return (
            ADMISSION_POLL_S
            if any(admission.unauthenticated for admission in self.admissions.values())
            else None
        )

    def _read(self) -> tuple[list[Callable[[], Any]], bool]:
        """Read messages; return the work to be done for them, and True if there may be more."""
        self._reading = threading.get_ident()
        works: list[Callable[[], Any]] = []
        more = False
        for router, admission in self.admissions.items():
            for _ in range(MAX_MESSAGES_PER_READ):
                try:
                    sender = router.recv(zmq.NOBLOCK)
                except zmq.Again:
                    break
                works += self._receive(router, sender)
            else:
                more = True
            if admission.unauthenticated:
                admission.poll()
        self._reading = 0
        return works, more

    def _read_monitor(self, link: DirectLink) -> None:
        """End a link when its monitor reports an event: each one means that the connection has
        ended.
        """
        if link not in self._links:
            return  # another thread has read it
        try:
            event = read_event(link._monitor, zmq.NOBLOCK)
        except zmq.Again:
            return
        reason = f"the connection to {link.url} ended: {FAILURES.get(event, 'unknown reason')}"
        if event != zmq.EVENT_MONITOR_STOPPED and link.end(reason):
            self._call(self._lost, link.peer, reason)
        self._receivers.poller.remove(link._monitor.FD)
        self._links.remove(link)
        link._monitor.close(0)

    def _receive(self, router: zmq.Socket, sender: bytes) -> list[Callable[[], Any]]:
        peer = self._peers.get(sender)
        if peer is None:
            parts = _parts(router)
            if sender in self._control_peers:
                self._call(
                    self._on_control_reply, self._control_peers[sender], bytes(parts[0].buffer)
                )
            else:
                self._greet(router, sender, parts)
            return []
        head = router.recv()
        frames = (
            [head, *(part.buffer for part in _parts(router))]
            if router.getsockopt(zmq.RCVMORE)
            else [head]
        )
        regions = None
        if head.startswith(SHARED):
            try:
                frames, regions = with_shared(frames)
            # the other side notices that these are missing, and sends them as bytes
            except OSError as error:
                self._log.warning(
                    "%s cannot open the memory that %s shares: %s", self.host_id, peer, error
                )
                return []
        works = self._call(self._deliver, peer, frames) or []
        del regions  # until then, whoever takes the frames can map them once more
        return works

    def _greet(self, router: zmq.Socket, sender: bytes, parts: list[zmq.Frame]) -> None:
        """Handle the first message of a connection: authenticate it, or refuse it.

        Further messages of a refused connection are not read.
        """
        self.admissions[router].poll()  # it came before it spoke
        greeting = [bytes(part.buffer[:256]) for part in parts[:4]]
        reason = self._refusal(router, sender, parts, greeting)
        if reason:
            self._refusals.add(reason, stranger(parts[0]))
            return
        host_id = greeting[1].decode()
        self.admissions[router].accept(parts[0].get(zmq.SRCFD))
        if greeting[3] == CONTROL:
            self._control_connections[host_id] = router, sender
            self._control_peers[sender] = host_id
            can_open = False
        else:
            self._peers[sender] = host_id
            can_open = (
                router is not self._tcp
                and bool(greeting[3])
                and can_open_sample(greeting[3].decode(errors="replace"), greeting[2])
            )
        router.send_multipart([sender, WELCOME, YES if can_open else b""], zmq.NOBLOCK)

    def _refusal(
        self, router: zmq.Socket, sender: bytes, parts: list[zmq.Frame], greeting: list[bytes]
    ) -> str:
        """Return the reason to refuse a greeting; empty when it is that of the host
        that it names.
        """
        # ids given by our own socket start with a zero byte; one chosen by the other side could be
        # a dead peer's
        if sender[:1] != b"\0" or greeting[0].split(b" ")[0] != HELLO.split(b" ")[0]:
            return "not authenticated"
        if greeting[0] != HELLO:
            return "wrong version"
        if len(parts) != 4:
            return "not authenticated"
        host_id = greeting[1].decode(errors="replace")
        if host_id not in self._admitted:
            return "host not admitted"
        if router is self._tcp:
            return (
                "" if parts[0].get("User-Id") == self._admitted[host_id].decode() else "wrong key"
            )
        return "" if hmac.compare_digest(self._tokens[host_id], greeting[2]) else "wrong token"

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception:
            # a fault of one message must not cut off all the others
            self._log.exception(
                "direct transport %s: %s failed",
                self.host_id,
                getattr(function, "__name__", function),
            )
            return None

    def _clean_up(self) -> None:
        with self._lock:
            self._closing = True
        for link in list(self._links):
            link.close()
            link._monitor.close(0)
        for admission in self.admissions.values():
            admission.close()
        if self._authenticator is not None:
            self._authenticator.close()
        self._context.term()
        if self.address.ipc_path is not None:
            Path(self.address.ipc_path).unlink(missing_ok=True)
        self._ended.set()


def _parts(router: zmq.Socket) -> list[zmq.Frame]:
    """Return the remaining frames of a message, without a copy."""
    part = router.recv(copy=False)
    parts = [part]
    while part.more:
        part = router.recv(copy=False)
        parts.append(part)
    return parts


def _read_later() -> None:
    """Do nothing: a ROUTER is read after all other handlers were called."""
