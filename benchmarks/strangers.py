"""A million strangers connect to the listening sockets of a host: what that costs it.

Half of them go at once, half stay; every other one speaks ZeroMQ's greeting, and none has a token.
A friend sends all the while, and once more when they have gone. Prints, for each kind of socket,
the memory and the open files of the host's process before, at most and after, the processor time
per connection, how many it turned away, how many lines its log got a minute, and how long the
friend's messages took. Nothing leaves this machine: strangers connect to 127.0.0.1.

    python benchmarks/strangers.py                      # 10⁶ connections each way
    python benchmarks/strangers.py --connections 2000
    python benchmarks/strangers.py --seconds 300  # as many as come within it, in each half
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import queue
import socket
import statistics
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from roleml_nb.messaging.links.transport import DirectTransport

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
STAY = 60
ATTACKERS, HANDS = 2, 8
"""Processes that connect, and threads in each: one whose connection must wait its turn waits for a
second, says TCP.
"""


class Lines(logging.Handler):
    """Counts what is logged."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        Lines.count += 1


def attack(target: str | tuple[str, int], count: int, until: float, made: Any) -> None:
    """Connect so many times, or until then."""
    shares = [len(range(hand, count, HANDS)) for hand in range(HANDS)]
    hands = [
        threading.Thread(target=connect, args=(target, share, until, made)) for share in shares
    ]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()


def connect(target: str | tuple[str, int], count: int, until: float, made: Any) -> None:
    """Every other connection stays until many later ones have come."""
    crowd: list[socket.socket] = []
    for number in range(count):
        if time.time() > until:
            break
        stranger = socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET)
        try:
            # leave no connection in TIME_WAIT behind: there are only 28,000 ports
            if not isinstance(target, str):
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stranger.connect(target)
            if number % 2:
                stranger.send(GREETING)
        except OSError:  # refused, or out of ports: no attempt that counts
            stranger.close()
            continue
        with made.get_lock():
            made.value += 1
        if number % 4 < 2:
            crowd.append(stranger)
        else:
            stranger.close()
        if len(crowd) > STAY:
            crowd.pop(0).close()


def transport(host_id: str, directory: str | None, deliver: Callable) -> DirectTransport:
    return DirectTransport(
        host_id,
        deliver=deliver,
        lost=lambda peer, reason: print("LOST:", peer, reason),
        directory=directory,
        ip="127.0.0.1" if directory is None else None,
        submit=in_background,
    )


def in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def measure(way: str, connections: int, limit: float) -> None:
    """One row for each half: the first fills pools and caches, the second shows what grows."""
    received: queue.Queue = queue.Queue()
    with tempfile.TemporaryDirectory() as directory:
        where = directory if way == "ipc" else None
        host = transport("host", where, lambda peer, frames: received.put(frames[0]))
        friend = transport("friend", where, lambda peer, frames: None)
        host.admit("friend", friend.address.public_key)
        link = friend.connect(host.address)

        def ask() -> float:
            sent = time.monotonic()
            link.send([b"hello"])
            received.get(timeout=60)
            return time.monotonic() - sent

        target = host.address.ipc_path or (
            "127.0.0.1",
            int(host.address.tcp_urls[0].rpartition(":")[2]),
        )
        for _ in range(2):
            row(way, host, target, connections // 2, limit, ask)
        friend.close()
        host.close()


def row(
    way: str,
    host: DirectTransport,
    target: str | tuple[str, int],
    connections: int,
    limit: float,
    ask: Callable[[], float],
) -> None:
    process = psutil.Process()
    files, before, cpu, lines = (
        process.num_fds(),
        process.memory_info().rss,
        sum(process.cpu_times()[:2]),
        Lines.count,
    )
    spawn = multiprocessing.get_context("spawn")
    made = spawn.Value("l", 0)
    most, opened, took, began = 0, 0, [], time.monotonic()
    attackers = [
        spawn.Process(
            target=attack, args=(target, connections // ATTACKERS, time.time() + limit, made)
        )
        for _ in range(ATTACKERS)
    ]
    for attacker in attackers:
        attacker.start()
    while any(attacker.is_alive() for attacker in attackers):
        took.append(ask())
        most, opened = max(most, process.memory_info().rss), max(opened, process.num_fds())
        time.sleep(0.02)
    seconds, cpu = time.monotonic() - began, sum(process.cpu_times()[:2]) - cpu
    while any(door.unauthenticated for door in host.admissions.values()):
        time.sleep(0.1)
    after = ask()
    memory = [f"{size / 1e6:.0f}" for size in (before, most, process.memory_info().rss)]
    away = sum(door.rejected for door in host.admissions.values())
    minutes = max(1.0, (time.monotonic() - began) / 60)
    print(
        f"| {way} | {made.value:,} | {made.value / seconds:,.0f} /s | {' → '.join(memory)} MB |"
        f" {files} → {opened} → {process.num_fds()} | {cpu / max(1, made.value) * 1e6:.0f} µs |"
        f" {away:,} | {(Lines.count - lines) / minutes:.1f} | {statistics.median(took) * 1e3:.1f}"
        f" ms, {max(took) * 1e3:.0f} ms, {after * 1e3:.1f} ms |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--connections", type=int, default=1_000_000, help="on each kind of socket, in two halves"
    )
    parser.add_argument("--sockets", nargs="+", choices=["ipc", "tcp"], default=["ipc", "tcp"])
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="for each half, at most"
    )
    options = parser.parse_args()
    logging.getLogger("roleml_nb").addHandler(Lines())
    print(
        "| socket | connections | rate | memory before → at most → after | open files | processor"
        " time each | turned away in all | log lines a minute | a friend's message: median,"
        " slowest, afterwards |\n|---|---|---|---|---|---|---|---|---|"
    )
    for way in options.sockets:
        measure(way, options.connections, options.seconds)


if __name__ == "__main__":
    main()
