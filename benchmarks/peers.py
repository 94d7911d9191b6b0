"""What the benchmarks have in common: medians, the machine, and where peers that are not installed here can be found."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

__all__ = ["machine", "median_ms", "python_with"]


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
        if python and subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0:
            return python
    return None
