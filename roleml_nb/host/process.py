"""Identity of a process, and its end, as far as this machine can tell.

Nothing here is read from the system clock, which a time server or a resumed laptop may move at any
moment.
"""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["Process", "machine_name", "process_from", "process_of"]

PROC = Path("/proc")
ZOMBIE_STATE = "Z"
PS_TIMEOUT_S = 10.0


class Process(NamedTuple):
    """A process, for others to look after."""

    machine: str
    pid: int
    born: str
    """When it began, as the kernel wrote it down then; empty if that is not known."""

    @classmethod
    def here(cls) -> Process:
        """Return this process."""
        return process_of(os.getpid())

    @classmethod
    def nobody(cls) -> Process:
        """Return a process of this machine that has ended."""
        return cls(_machine(), 0, "")

    @property
    def ended(self) -> bool:
        """True when the process has certainly ended; False also for one that this machine cannot
        see.
        """
        if self.machine != _machine():
            return False
        if not self.pid:
            return True
        try:
            state = _read_state(self.pid)
        except OSError:
            return False
        return state is None or state.zombie or bool(self.born and state.born != self.born)


def process_of(pid: int) -> Process:
    """Return the process of this machine that has that number now."""
    try:
        state = _read_state(pid)
    except OSError:
        state = None
    return Process(_machine(), pid, state.born if state else "")


def machine_name(host: object = None) -> str:
    """Return the name of this machine."""
    return platform.node()


def process_from(written: list) -> Process:
    """Read a process from a file.

    Files of earlier versions have its birth in seconds of the system clock, which prove nothing:
    such a process has ended when no process has its number.
    """
    machine, pid, born = written
    if not isinstance(machine, str) or not isinstance(pid, int):
        raise ValueError(f"no process: {written!r}")
    if isinstance(born, str):
        return Process(machine, pid, born)
    # after the name of the machine, which can change while it runs
    boot = machine.partition("/")[2]
    if not boot:  # there was no /proc
        boot = _machine() if machine == platform.node() else machine
    return Process(boot, pid if born else 0, "")


class _State(NamedTuple):
    born: str
    zombie: bool


def _read_state(pid: int, proc: Path | None = None) -> _State | None:
    """Return the state of a process; None if there is none. OSError where it cannot be read."""
    proc = proc or PROC
    if not (proc / "self" / "stat").exists():
        return _read_state_with_ps(pid)
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # its name comes before, which may hold anything; then, as the 22nd field, ticks since the
    # machine was started
    state, *rest = text.rpartition(")")[2].split()
    return _State(rest[18], state == ZOMBIE_STATE)


def _read_state_with_ps(pid: int) -> _State | None:
    """Return the state of a process as `_read_state` does, where there is no /proc, as on macOS.

    That kernel writes down the time at which a process begins, and corrects it no more. psutil
    does.
    """
    try:
        done = subprocess.run(
            ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=PS_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"ps does not answer: {error}") from error
    state, _, born = done.stdout.strip().partition(" ")
    return _State(born.strip(), state.startswith(ZOMBIE_STATE)) if state else None


@cache
def _machine() -> str:
    """Return the same for all processes that see each other's numbers, until the machine starts
    anew.
    """
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        pass
    try:  # macOS
        done = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"],
            capture_output=True,
            text=True,
            timeout=PS_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return platform.node()
    return done.stdout.strip() or platform.node()
