"""A small process beside an owned cluster: when the kernel dies, however it dies, the cluster ends
with it.

Run as ``python -P watchdog.py ID PATH...``, for it needs nothing of the package, with a pipe as
standard input, whose other end the kernel holds: end of file means that the kernel is gone. ID is
the testbed's, the value of `ENV_VAR`, which the controller, the engines and all that they started
have inherited. Each PATH is a folder or a file to remove.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

__all__ = ["ENV_VAR", "Watchdog", "is_alive", "processes_of", "still_alive"]

ENV_VAR = "ROLEML_NB_TESTBED"
NANNY = "ipyparallel.engine.nanny"


class Watchdog:
    """The kernel's handle on the watchdog process."""

    def __init__(self, testbed_id: str, directories: list[str]):
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, testbed_id, *directories],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def release(self) -> None:
        """Release the watchdog of a cluster that has ended in good order: it sweeps the rest, and
        ends.
        """
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def dismiss(self) -> None:
        """Dismiss the watchdog, so that the cluster outlives the kernel."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def processes_of(testbed_id: str) -> Iterator[psutil.Process]:
    """Return the processes that carry the testbed_id, except this one."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(ENV_VAR) == testbed_id:
                yield process
        except psutil.Error:
            continue


def still_alive(processes: list[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Return the processes that have not ended within `timeout` seconds.

    One that has ended but that its parent has not asked for yet, which some containers' first
    process never does, is no longer alive; `psutil.wait_procs` would wait for it.
    """
    deadline = time.monotonic() + timeout
    while alive := [process for process in processes if is_alive(process)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(0.01)
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Return True for a process that runs; one that has ended may be there until its parent asks
    for it.
    """
    try:
        return process.is_running() and process.status() not in (
            psutil.STATUS_ZOMBIE,
            psutil.STATUS_DEAD,
        )
    except psutil.NoSuchProcess:
        return False


def _is_nanny(process: psutil.Process) -> bool:
    """Return True for ipyparallel's nanny, which looks after an engine, and takes more than a
    second to find that it has ended.
    """
    return NANNY in process.cmdline()


def _sweep(testbed_id: str) -> None:
    for sign, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
        left = list(processes_of(testbed_id))
        for process in left:
            try:
                process.send_signal(signal.SIGKILL if _is_nanny(process) else sign)
            except psutil.Error:
                continue
        still_alive(left, patience)
        if not left:
            return


def main(testbed_id: str, directories: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the kernel
    while sys.stdin.buffer.read(1):
        pass
    _sweep(testbed_id)
    time.sleep(0.05)
    _sweep(testbed_id)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
        if os.path.isfile(directory):
            os.remove(directory)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
