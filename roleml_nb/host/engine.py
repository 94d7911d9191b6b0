"""The functions that the notebook runs on an engine, with the engine's host of its testbed.

ipyparallel carries them, by `on_host`; or a message from host to host, when ipyparallel has given
an engine up that lives.
"""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from roleml_nb.actor.replay import encode_replay
from roleml_nb.messaging.executions import Working
from roleml_nb.messaging.host_messages import pack
from roleml_nb.messaging.links.addresses import Address, answers
from roleml_nb.messaging.links.relay import Relayed
from roleml_nb.role import NOTEBOOK, TestbedError

from . import switch_interval
from .host import Host
from .process import Process
from .socket_folder import make_socket_folder
from .stop import BOOST_SIGNAL, serve_stops, stop_work

__all__ = [
    "accept_notebook",
    "admit",
    "at_work",
    "connect",
    "exchange",
    "failure",
    "flush",
    "listen",
    "on_host",
    "reached",
    "run_generation",
    "start_host",
    "stop_host",
]

M_ARENA_MAX, MAX_ARENAS = -8, 2
"""Option number of glibc's ``mallopt``, and the number of arenas: memory freed in one arena is not
used in others.
"""
_hosts: dict[str, Host] = {}
"""The hosts of this engine, by testbed: commands of ipyparallel find their host here."""


def start_host(
    testbed: str,
    host_id: str,
    label: str,
    *,
    directory: str,
    call_timeout: float,
    threads: int,
    workers: int,
    owned: bool,
    owner: Process,
    preload: tuple[str, ...],
    trace: bool,
    relay: bool,
    stays: bool,
    core: int | None,
) -> tuple[Address, Process]:
    """Make this engine's host; return its address and this process."""
    if core is not None:
        _pin_to_core(core)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, MAX_ARENAS)
    own = not os.access(directory, os.W_OK)
    if own:  # on another machine
        directory = make_socket_folder()

    def lost(peer: str, reason: str) -> None:
        if peer == NOTEBOOK and not stays:
            threading.Thread(
                target=end_of_owner, args=(testbed, directory if own else None, owned)
            ).start()

    def given_up(peer: str, useless: bool) -> None:
        """End this host's work; if `useless`, ipyparallel cannot reach the engine either, and it
        ends, too.
        """

        def end() -> None:
            if not (useless or owned):
                stop_work(host, host.router.run_generation + 1)
            end_of_owner(testbed, directory if own else None, useless or owned)

        threading.Thread(target=end).start()

    host = Host(
        host_id, label, call_timeout=call_timeout, workers=workers, directory=directory, trace=trace
    )
    host.on_host_lost, host.buffer_while_detached = lost, stays
    host.process_ended = lambda peer: peer == NOTEBOOK and owner.ended
    messages = host.router.host_messages
    messages.serve("lost", lambda peer, **lost: host.host_lost(**lost))
    messages.serve("given-up", given_up)
    messages.serve("order", lambda peer, function, args: function(host, *args), in_background=True)
    serve_stops(host, NOTEBOOK)
    if not relay:
        host.relay = None
    _hosts[testbed] = host
    if hasattr(signal, BOOST_SIGNAL) and threading.current_thread() is threading.main_thread():
        signal.signal(getattr(signal, BOOST_SIGNAL), switch_interval.boost)
    if owned:
        _freeze_garbage()
    if preload:
        host.run_in_background(lambda: _preload(preload, threads, owned), "preload")
    return host.transport.address, Process.here()  # type: ignore[union-attr]


def _pin_to_core(core: int) -> None:
    """Run all threads on one of this process's cores; a thread that wakes preempts no other."""
    allowed = sorted(os.sched_getaffinity(0))
    for thread in map(int, os.listdir("/proc/self/task")):
        os.sched_setaffinity(thread, {allowed[core % len(allowed)]})
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _freeze_garbage() -> None:
    """Exclude imported objects from garbage collection until the engine ends.

    Collections would go through them each time, which takes a tenth of a second, and much of the
    time of a host that sends many messages.
    """
    gc.collect()
    gc.freeze()


def _preload(modules: tuple[str, ...], threads: int, owned: bool) -> None:
    """Import slow packages while the user still types."""
    import importlib

    for name in modules:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if name == "torch":
            module.set_num_threads(threads)
    if owned:
        _freeze_garbage()


def end_of_owner(testbed: str, directory: str | None, owned: bool) -> None:
    """Leave nothing of a testbed on this engine: its notebook's kernel has ended."""
    if testbed in _hosts:
        stop_host(_hosts[testbed], testbed)
    if directory:
        shutil.rmtree(directory, ignore_errors=True)
    if owned:
        os.kill(os.getpid(), signal.SIGKILL)


def on_host(testbed: str, function: Any, *args: Any) -> Any:
    """Run ``function(host, *args)``; it must be one of a module."""
    try:
        host = _hosts[testbed]
    except KeyError:
        raise TestbedError("this engine has no host of that testbed (was it restarted?)") from None
    return function(host, *args)


def accept_notebook(host: Host, owner: Process, public_key: bytes) -> tuple[Address, Process]:
    """Have another kernel, which has that key, take the place of the notebook; return the same as
    `start_host`.
    """
    host.router.restart_host(NOTEBOOK)
    host.process_ended = lambda peer: peer == NOTEBOOK and owner.ended
    host.shipments = 0
    host.transport.admit(NOTEBOOK, public_key)  # type: ignore[union-attr]
    return host.transport.address, Process.here()  # type: ignore[union-attr]


def reached(host: Host, addresses: list[Address]) -> list[str]:
    """Return the hosts whose ``ipc://`` sockets are on this machine, where this process can reach
    them.
    """
    return [address.host_id for address in addresses if answers(address)]


def listen(host: Host, interfaces: Mapping[str, str]) -> Address:
    """Listen on TCP, too, if this host is among `interfaces`; return its address then."""
    assert host.transport is not None
    if host.host_id in interfaces:
        host.transport.listen(interfaces[host.host_id])
    return host.transport.address


def admit(host: Host, hosts: list[Address]) -> None:
    """Let these hosts in, except itself, each by its key."""
    for peer in hosts:
        if peer.host_id != host.host_id:
            host.transport.admit(peer.host_id, peer.public_key)  # type: ignore[union-attr]


def connect(host: Host, hosts: list[Address], links: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Link to these hosts, except itself; return {peer: (link's kind, why it is no better)}."""
    admit(host, hosts)
    peers = [peer for peer in hosts if peer.host_id != host.host_id]
    return {peer.host_id: host.link_manager.connect(peer, links) for peer in peers}


def flush(host: Host) -> int:
    """Send all records so far to the notebook; return the number of shipments in all."""
    host.flush()
    return host.shipments


def at_work(host: Host) -> tuple[list[Working], dict[str, dict[str, str]]]:
    """Return the handlers at work here, the calls that wait, and the statuses of roles: {node:
    {role: status}}.
    """
    return host.router.working(), host.statuses()


def exchange(host: Host, incoming: list[Relayed], wait: float) -> list[Relayed]:
    """Deliver relayed messages, and return those that this engine sends over the relay."""
    for origin, _, frames in incoming:
        host.deliver(origin, frames, "relay")
    return host.outbox.drain(wait)


def give_up(host: Host, useless: bool) -> None:
    """End this engine's part in a testbed whose notebook counts it as lost; see `start_host`."""
    host.router.host_messages.receive_packed(NOTEBOOK, pack("given-up", useless=useless))


def failure(host: Host, number: int) -> Any:
    """Return a failure kept here, encoded for replay in the notebook; or the reason why it cannot
    be.
    """
    return encode_replay(host.actors, host.failures, number)


def run_generation(host: Host, least: int = 0) -> int:
    """Raise this host's run generation to `least`, and return it."""
    host.router.run_generation = max(host.router.run_generation, least)
    return host.router.run_generation


def stop_host(host: Host, testbed: str) -> int:
    """End the host; return the number of shipments of records in all."""
    _hosts.pop(testbed, None)
    host.stop()
    return host.shipments
