"""One host's end of all its direct links: by `ipc://` on one machine, by TCP with CurveZMQ between machines.

Links are one-way. A host receives on its ROUTER sockets and sends on one DEALER per peer. A DEALER is used under its link's
lock by whoever sends; all other sockets belong to the transport's one thread. Nothing is handed on, let alone unpickled,
that did not come from a peer which presented its token.
"""

from __future__ import annotations

import hmac
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq

from ..role.errors import LinkFailed
from .addresses import Address, local_addresses, socket_path
from .direct import FAILURES, WELCOME, DirectLink, close_watched, read_event, wait_for_welcome
from .door import Door

__all__ = ["DirectTransport"]

HELLO = b"roleml_nb 1"
"""What a host says first: the protocol and its version."""
HANDSHAKE_MS = 5000
"""A connection that has not shaken hands by then is closed."""
LOOK_MS = 500
"""How often those are looked at that have not shown who they are."""
SILENT = 60.0
"""Seconds between two log lines about the same stranger."""
STRANGERS = 256
"""Strangers that are told apart."""

logger = logging.getLogger(__name__)


class DirectTransport:
    """One host's end of all its direct links.

    Parameters
    ----------
    deliver
        Called as ``deliver(peer, frames)`` on the transport's thread; must not block. ``frames[0]`` is bytes, the others are
        writable memoryviews that belong to the receiver.
    lost
        Called once as ``lost(peer, reason)`` on the transport's thread when the connection of a link ends, not after `close`.
    directory
        A directory of mode 0700 for the socket file, which is named `host_id`; None for no ``ipc://``.
    run_in_background
        Called as ``run_in_background(function, name)``; starts the one thread.
    tcp, ip
        Whether to listen on TCP too, with CurveZMQ, and on which interface (all by default).
    """

    def __init__(
        self,
        host_id: str,
        *,
        deliver: Callable[[str, list[Any]], None],
        lost: Callable[[str, str], None],
        directory: str | None,
        run_in_background: Callable[[Callable[[], None], str], Any],
        tcp: bool = False,
        ip: str = "*",
    ) -> None:
        if directory is None and not tcp:
            raise LinkFailed(f"host {host_id!r} has no way to listen: give a directory for ipc sockets, or tcp=True")
        ipc_path = None if directory is None else socket_path(directory, host_id)
        self.host_id = host_id
        self.refused: Counter[str] = Counter()
        self._strangers: dict[str, float] = {}
        self._deliver, self._lost = deliver, lost
        self._admitted: dict[str, bytes] = {}
        self._peers: dict[bytes, str] = {}
        self._links: dict[zmq.Socket, DirectLink] = {}
        self._new_links: queue.SimpleQueue[DirectLink] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closing = False
        self._ended = threading.Event()
        self._thread_id: int | None = None
        self._public_key, self._secret_key = zmq.curve_keypair()
        self._context = zmq.Context()
        self._context.setsockopt(zmq.LINGER, 0)
        self.doors: dict[zmq.Socket, Door] = {}
        """Of each listening socket."""
        try:
            self.address = Address(host_id, ipc_path, *self._bind(ipc_path, ip if tcp else None))
            self._waking, self._wake = self._context.socket(zmq.PAIR), self._context.socket(zmq.PAIR)
            self._waking.bind("inproc://wake")
            self._wake.connect("inproc://wake")
            run_in_background(self._run, f"direct-{host_id}")
        except BaseException:
            self._context.destroy(0)
            raise

    def admit(self, host_id: str, token: bytes) -> None:
        """Let that host talk to us if it presents `token`."""
        self._admitted[host_id] = bytes(token)

    def connect(self, address: Address, token: bytes, *, timeout: float = 2.0) -> DirectLink:
        """Open a link to the host at `address`, which must have admitted us with `token`.

        Raises
        ------
        LinkFailed
            Nobody there welcomed us within `timeout` seconds; the message has every address tried, and why it failed.
        """
        urls = list(address.tcp_urls)
        if address.ipc_path is not None and os.path.exists(address.ipc_path):
            urls.insert(0, f"ipc://{address.ipc_path}")
        deadline = time.monotonic() + timeout
        failures = [] if urls else [f"no socket {address.ipc_path} on this machine, and the host does not listen on TCP"]
        for number, url in enumerate(urls):
            share = max(0.0, deadline - time.monotonic()) / (len(urls) - number)
            try:
                return self._connect(address, url, token, share)
            except (LinkFailed, zmq.ZMQError) as error:
                failures.append(f"{url}: {error}")
        raise LinkFailed(f"no direct link from {self.host_id!r} to {address.host_id!r}: " + "; ".join(failures))

    def close(self) -> None:
        """End the thread, all links and sockets, and remove the socket file. Does nothing the second time."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._wake.send(b"")
        if threading.get_ident() != self._thread_id and not self._ended.wait(1.0):
            logger.warning("the thread of direct transport %s did not end in time: deliver() is blocked", self.host_id)

    def _bind(self, ipc_path: str | None, ip: str | None) -> tuple[tuple[str, ...], bytes | None]:
        if ipc_path is not None:
            self._router().bind(f"ipc://{ipc_path}")
        if ip is None:
            return (), None
        router = self._router()
        router.curve_server = True
        router.curve_publickey, router.curve_secretkey = self._public_key, self._secret_key
        router.ipv6 = ":" in ip
        port = router.bind_to_random_port(f"tcp://[{ip}]" if ":" in ip else f"tcp://{ip}")
        addresses = local_addresses() if ip == "*" else [ip]
        return tuple(f"tcp://[{a}]:{port}" if ":" in a else f"tcp://{a}:{port}" for a in addresses), self._public_key

    def _router(self) -> zmq.Socket:
        router = self._context.socket(zmq.ROUTER)
        router.rcvhwm = router.sndhwm = 0
        router.handshake_ivl = HANDSHAKE_MS
        self.doors[router] = Door(self._context, router, self.host_id)
        return router

    def _connect(self, address: Address, url: str, token: bytes, timeout: float) -> DirectLink:
        with self._lock:
            if self._closing:
                raise LinkFailed("this transport is closed")
            dealer, monitor = self._context.socket(zmq.DEALER), self._context.socket(zmq.PAIR)
        try:
            dealer.rcvhwm = dealer.sndhwm = 0
            dealer.reconnect_ivl = -1  # a lost connection is reported, not mended behind our back
            if url.startswith("tcp:"):
                if address.curve_public_key is None:
                    raise LinkFailed("the address has no public key for CurveZMQ")
                dealer.ipv6 = "[" in url
                dealer.curve_serverkey = address.curve_public_key
                dealer.curve_publickey, dealer.curve_secretkey = self._public_key, self._secret_key
                dealer.heartbeat_ivl, dealer.heartbeat_timeout = 1000, 5000  # a machine that vanishes sends no FIN
            dealer.monitor(f"inproc://monitor-{id(dealer)}", sum(FAILURES) | zmq.EVENT_MONITOR_STOPPED)
            monitor.connect(f"inproc://monitor-{id(dealer)}")
            dealer.connect(url)
            with suppress(zmq.Again):  # refused already: the monitor says why, and a blocking send would never return
                dealer.send_multipart([HELLO, self.host_id.encode(), token], zmq.NOBLOCK)
            wait_for_welcome(dealer, monitor, timeout)
            link = DirectLink(address.host_id, url, dealer, monitor)
            with self._lock:
                if self._closing:
                    raise LinkFailed("this transport is closed")
                self._new_links.put(link)
                self._wake.send(b"")
            return link
        except BaseException:
            close_watched(dealer)
            monitor.close(0)
            raise

    def _run(self) -> None:
        self._thread_id = threading.get_ident()
        poller = zmq.Poller()
        for socket in (*self.doors, self._waking):
            poller.register(socket, zmq.POLLIN)
        doors = {door.monitor: door for door in self.doors.values()}
        for monitor in doors:
            poller.register(monitor, zmq.POLLIN)
        try:
            while not self._closing:
                guests = any(door.guests for door in doors.values())
                for socket, _ in poller.poll(LOOK_MS if guests else None):
                    if socket in self.doors:
                        self._receive(socket)
                    elif socket in self._links:
                        self._read_monitor(socket, poller)
                    elif socket in doors:
                        doors[socket].look()
                    else:
                        self._take_new_links(poller)
                if guests:
                    for door in doors.values():
                        door.look()
        except Exception:
            # whatever it was, the other hosts learn of it by their connections ending
            logger.exception("direct transport %s ended", self.host_id)
        finally:
            self._clean_up()

    def _take_new_links(self, poller: zmq.Poller) -> None:
        self._waking.recv()
        while not self._new_links.empty():
            link = self._new_links.get()
            self._links[link._monitor] = link
            poller.register(link._monitor, zmq.POLLIN)

    def _read_monitor(self, monitor: zmq.Socket, poller: zmq.Poller) -> None:
        event = read_event(monitor)
        link = self._links[monitor]
        reason = f"the connection to {link.url} ended: {FAILURES.get(event, 'unknown reason')}"
        if event != zmq.EVENT_MONITOR_STOPPED and link.end(reason):
            self._call(self._lost, link.peer, reason)
        poller.unregister(monitor)
        del self._links[monitor]
        monitor.close(0)

    def _receive(self, router: zmq.Socket) -> None:
        # one at a time: whoever it is for may go on as soon as this thread waits again
        try:
            sender = router.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        part = router.recv(copy=False)
        parts = [part]
        while part.more:
            part = router.recv(copy=False)
            parts.append(part)
        peer = self._peers.get(sender)
        if peer is None:
            self._greet(router, sender, parts)
        else:
            self._call(self._deliver, peer, [parts[0].bytes, *[part.buffer for part in parts[1:]]])

    def _greet(self, router: zmq.Socket, sender: bytes, parts: list[zmq.Frame]) -> None:
        """A stranger: it is a host that shows its token, or nobody. Nothing of what nobody sends is looked at further."""
        self.doors[router].look()  # it came before it spoke
        said = [bytes(part.buffer[:256]) for part in parts[:3]]
        # ids given by our own socket start with a zero byte; one chosen by the other side could be a dead peer's
        if len(parts) != 3 or sender[:1] != b"\0" or said[0].split(b" ")[0] != HELLO.split(b" ")[0]:
            self._refuse("not authenticated", parts[0])
        elif said[0] != HELLO:
            self._refuse("wrong version", parts[0])
        else:
            host_id = said[1].decode(errors="replace")
            token = self._admitted.get(host_id)
            if token is None:
                self._refuse("host not admitted", parts[0])
            elif not hmac.compare_digest(token, said[2]):
                self._refuse("wrong token", parts[0])
            else:
                self._peers[sender] = host_id
                self.doors[router].welcome(parts[0].get(zmq.SRCFD))
                router.send_multipart([sender, WELCOME], zmq.NOBLOCK)

    def _refuse(self, reason: str, part: zmq.Frame) -> None:
        self.refused[reason] += 1
        try:
            stranger = str(part.get("Peer-Address")) or "a local process"
        except zmq.ZMQError:
            stranger = "a local process"
        if stranger not in self._strangers and len(self._strangers) >= STRANGERS:
            stranger = "others"
        now = time.monotonic()
        if now >= self._strangers.get(stranger, 0.0):
            self._strangers[stranger] = now + SILENT
            logger.warning("%s refused a message from %s: %s (%d refused in all)", self.host_id, stranger, reason,
                           self.refused.total())

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            # a fault of one message must not cut off all the others
            logger.exception("direct transport %s: %s failed", self.host_id, getattr(function, "__name__", function))

    def _clean_up(self) -> None:
        with self._lock:
            self._closing = True
        links = list(self._links.values())
        while not self._new_links.empty():
            links.append(self._new_links.get())
        for link in links:
            link.close()
            link._monitor.close(0)
        for door in self.doors.values():
            door.close()
        for socket in (self._waking, self._wake):
            socket.close(0)
        self._context.term()
        if self.address.ipc_path is not None:
            Path(self.address.ipc_path).unlink(missing_ok=True)
        self._ended.set()
