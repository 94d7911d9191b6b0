"""Which process is meant, and whether it has ended; as far as this machine can tell."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

import psutil

__all__ = ["Process"]


class Process(NamedTuple):
    """A process, for others to look after."""

    machine: str
    pid: int
    born: float

    @classmethod
    def here(cls) -> Process:
        """This one."""
        return cls(_machine(), os.getpid(), psutil.Process().create_time())

    @property
    def ended(self) -> bool:
        """Whether it certainly has; False also for one that this machine cannot see."""
        if self.machine != _machine():
            return False
        try:
            process = psutil.Process(self.pid)
            return process.create_time() != self.born or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


def _machine() -> str:
    """The same for all processes that see each other's numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()}/{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()
