"""RoleML's own service call over gRPC between two processes in ms, within one in µs, then with
arrays; prints medians as JSON.

See messages.py.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time

from roleml.essentials import ActorBuilder, Role, RoleInstanceID, Service

GRPC = "roleml.extensions.messaging.comb.grpc.component.GRPCMessagingComponent"


class Server(Role):
    @Service(expand=True)
    def take(self, caller, data=None):
        return None


class Client(Role):
    @Service(expand=True)
    def take(self, caller, data=None):
        return None


def build(name: str, ports: dict[str, int], role: type[Role]):
    builder = ActorBuilder()
    builder.load_config(
        {
            "name": name,
            "address": f"127.0.0.1:{ports[name]}",
            "messaging_component": GRPC,
            "contacts": {
                other: f"127.0.0.1:{port}" for other, port in ports.items() if other != name
            },
            "roles": {name: {"class": role}},
            "workdir": tempfile.mkdtemp(),
        }
    )
    return builder.build()


def serve(ports: dict[str, int]) -> None:
    build("server", ports, Server).run()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(calls: int, *megabytes: int) -> None:
    import threading

    import numpy as np

    ports = {"server": free_port(), "client": free_port()}
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(ports,), daemon=True)
    process.start()
    actor = build("client", ports, Client)
    threading.Thread(target=actor.run, daemon=True).start()
    target = RoleInstanceID("server", "server")
    from roleml.essentials import Message

    def medians(message, times, target=target):
        taken = []
        for _ in range(times + 10):
            start = time.perf_counter()
            actor.call("client", target, "take", message)
            taken.append((time.perf_counter() - start) * 1000)
        return statistics.median(taken[10:])

    deadline = time.monotonic() + 30
    while True:
        try:
            actor.call("client", target, "take", Message({}, {}))
            break
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    small = medians(Message({}, {}), calls)
    here = medians(Message({}, {}), calls, RoleInstanceID("client", "client")) * 1000
    large = [
        medians(Message({}, {"data": np.zeros(size * 1_000_000 // 8)}), max(5, calls // 50))
        for size in megabytes
    ]
    print(json.dumps([small, here, *large]), flush=True)
    process.kill()
    import os

    os._exit(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
