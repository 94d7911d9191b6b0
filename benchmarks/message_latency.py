"""A service call between two engines, beside a bare ZeroMQ round trip and, where installed, RoleML's gRPC call.

    python benchmarks/message_latency.py [--calls 500]

RoleML is taken from this Python, or from that named by PEER_PYTHON (pip install 'roleml-ai[grpc]').
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import zmq
from peers import machine, median_ms, python_with

from roleml_nb import Role, Service, Testbed

ROLEML = Path(__file__).with_name("roleml_latency.py")
MEGABYTES = 10


class Server(Role):
    @Service(expand=True)
    def take(self, caller, data=None):
        return None


class Client(Role):
    @Service(expand=True)
    def measure(self, caller, calls, bytes):
        import statistics
        import time

        payloads = {"data": __import__("numpy").zeros(bytes // 8)} if bytes else {}
        taken = []
        for _ in range(calls + 20):
            start = time.perf_counter()
            self.call("server", "take", payloads=payloads)
            taken.append((time.perf_counter() - start) * 1000)
        return statistics.median(taken[20:])


def _answer(url: str) -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(url)
    while True:
        sender, *frames = socket.recv_multipart(copy=False)
        if bytes(frames[0]) == b"end":
            return
        socket.send_multipart([sender, b"ok"])


def bare_zeromq(calls: int) -> tuple[float, float]:
    """Small and large round trip in ms: DEALER to ROUTER over ipc, between two processes."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"ipc://{directory}/socket"
        process = multiprocessing.get_context("spawn").Process(target=_answer, args=(url,))
        process.start()
        context = zmq.Context()
        socket = context.socket(zmq.DEALER)
        socket.connect(url)
        large = np.zeros(MEGABYTES * 1_000_000 // 8)

        def round_trip(*frames: object) -> None:
            socket.send_multipart(list(frames))
            socket.recv()

        small_ms = median_ms(lambda: round_trip(b"x"), calls)
        large_ms = median_ms(lambda: round_trip(b"x", large), max(20, calls // 10), 3)
        socket.send(b"end")
        process.join()
        context.destroy(0)
    return small_ms, large_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    calls = parser.parse_args().calls
    with Testbed(engines=2, preload=()) as bed:
        bed.spawn("a", on=0)
        bed.spawn("b", on=1)
        bed.assign("a", "server", Server)
        bed.assign("b", "client", Client)
        bed.relate("b", "server", "a/server")
        own = (bed.call("b/client", "measure", {"calls": calls, "bytes": 0}),
               bed.call("b/client", "measure", {"calls": max(20, calls // 10), "bytes": MEGABYTES * 1_000_000}))
    bare = bare_zeromq(calls)
    rows = {"bare ZeroMQ": bare}
    python = python_with("roleml")
    if python:
        answer = subprocess.run([python, str(ROLEML), str(calls), str(MEGABYTES)], capture_output=True, text=True, timeout=300)
        if answer.returncode:
            print(answer.stderr)
        else:
            rows["RoleML, gRPC"] = tuple(json.loads(answer.stdout.splitlines()[-1]))
    print(f"round trip between two processes, medians; {machine()}")
    print(f"{'':24}{'no payload':>12}{f'{MEGABYTES} MB':>12}")
    print(f"{'roleml_nb':24}{own[0]:>9.3f} ms{own[1]:>9.2f} ms")
    for name, (small, large) in rows.items():
        print(f"{name:24}{small:>9.3f} ms{large:>9.2f} ms   roleml_nb takes {own[0] / small:.2f} × and {own[1] / large:.2f} ×")


if __name__ == "__main__":
    main()
