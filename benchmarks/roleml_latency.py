"""RoleML's own service call between two processes over gRPC; prints the medians in ms as JSON. See message_latency.py."""

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
    pass


def build(name: str, ports: dict[str, int], role: type[Role]):
    builder = ActorBuilder()
    builder.load_config({
        "name": name, "address": f"127.0.0.1:{ports[name]}", "messaging_component": GRPC,
        "contacts": {other: f"127.0.0.1:{port}" for other, port in ports.items() if other != name},
        "roles": {name: {"class": role}}, "workdir": tempfile.mkdtemp()})
    return builder.build()


def serve(ports: dict[str, int]) -> None:
    build("server", ports, Server).run()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(calls: int, megabytes: int) -> None:
    import threading

    import numpy as np

    ports = {"server": free_port(), "client": free_port()}
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(ports,), daemon=True)
    process.start()
    actor = build("client", ports, Client)
    threading.Thread(target=actor.run, daemon=True).start()
    target = RoleInstanceID("server", "server")
    role = actor.roles["client"] if hasattr(actor, "roles") else actor.role_status_manager  # noqa: F841
    from roleml.essentials import Message

    def medians(message, times):
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
    large = medians(Message({}, {"data": np.zeros(megabytes * 1_000_000 // 8)}), max(20, calls // 10))
    print(json.dumps([small, large]), flush=True)
    process.kill()
    import os

    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
