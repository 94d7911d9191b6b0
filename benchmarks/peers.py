"""What the benchmarks have in common: medians, the machine, and where peers that are not installed
here can be found.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import zmq

__all__ = ["BareZeroMQ", "machine", "median_ms", "python_with"]


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def median_ms(work: Callable[[], object], times: int, warmup: int = 20) -> float:
    """Median wall time of a call, in ms."""
    for _ in range(warmup):
        work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def python_with(module: str) -> str | None:
    """A Python that can import `module`: this one, or that named by the variable PEER_PYTHON."""
    for python in (sys.executable, os.environ.get("PEER_PYTHON")):
        if (
            python
            and subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode
            == 0
        ):
            return python
    return None


class BareZeroMQ:
    """DEALER to ROUTER over ipc, between this process and another; a context manager."""

    def __enter__(self) -> BareZeroMQ:
        self._directory = tempfile.TemporaryDirectory()
        url = f"ipc://{self._directory.name}/socket"
        self._process = multiprocessing.get_context("spawn").Process(target=_answer, args=(url,))
        self._process.start()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.connect(url)
        return self

    def round_trip(self, calls: int, size: int = 0) -> float:
        """Median ms of a message with so many bytes and its small answer."""
        large = [np.zeros(size // 8)] if size else []

        def once() -> None:
            self._socket.send_multipart([b"x", *large])
            self._socket.recv()

        return median_ms(once, calls, 5)

    def __exit__(self, *_: object) -> None:
        self._socket.send(b"end")
        self._process.join(10)
        self._context.destroy(0)
        self._directory.cleanup()


def _answer(url: str) -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(url)
    while True:
        sender, *frames = socket.recv_multipart(copy=False)
        if bytes(frames[0]) == b"end":
            return
        socket.send_multipart([sender, b"ok"])
