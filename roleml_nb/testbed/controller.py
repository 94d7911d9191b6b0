"""The controller of an own cluster: which of its processes has ended, and what that breaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import psutil

from .processes import Process, process_of
from .watchdog import marked

__all__ = ["Controller"]

HUB, ORDERS = "hub", "mux"
PARTS = {
    HUB: ("hub", "nobody can attach to this testbed, and signals to engines elsewhere do not arrive"),
    ORDERS: ("scheduler of orders", "orders go over direct links, and the relay does not work"),
    "hb_ping": ("heart monitor", "ipyparallel does not notice engines that fall silent; this testbed does"),
    "control": ("scheduler of control messages", "nothing of this testbed needs it"),
    "task": ("scheduler of tasks", "nothing of this testbed needs it"),
    "iopub": ("scheduler of output", "what engines themselves print is not shown"),
    "broadcast": ("scheduler of broadcasts", "nothing of this testbed needs it"),
}
"""What ipyparallel's connection files call a process's ports: what it is, and what is without it."""


class Part(NamedTuple):
    """One of the controller's processes."""

    name: str
    process: Process

    def __str__(self) -> str:
        return f"the controller's {PARTS[self.name][0]} (process {self.process.pid})"


class Controller:
    """All processes of a controller on this machine. It runs until each of them is known, and then looks at them.

    Parameters
    ----------
    directory
        Of the cluster, where ipyparallel has written which ports there are.
    mark
        What the cluster's processes carry in their environment.
    """

    def __init__(self, directory: str, mark: str):
        self._security, self._mark = Path(directory) / "profile" / "security", mark
        self.parts: list[Part] = []
        self._told: set[Part] = set()

    def find(self) -> None:
        """Find the processes by the ports that they listen on."""
        names = {}
        for who in ("client", "engine"):
            written = json.loads((self._security / f"ipcontroller-{who}.json").read_text(encoding="utf-8"))
            for name in PARTS:
                ports = written.get(name, ())
                names.update(dict.fromkeys(ports if isinstance(ports, list) else [ports], name))
        found = {}
        for process in marked(self._mark):
            try:
                listening = {each.laddr.port for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
                part = next((names[port] for port in listening if port in names), None)
                if part is not None:
                    found[process.pid] = Part(part, process_of(process.pid))
                    found.setdefault(process.ppid(), Part(HUB, process_of(process.ppid())))
            except psutil.Error:
                continue
        self.parts = list(found.values())

    def ended(self, name: str) -> Part | None:
        """Return the process of that name if it has ended."""
        return next((part for part in self.parts if part.name == name and part.process.ended), None)

    def news(self) -> list[str]:
        """Say of each process that has ended since the last time what is without it."""
        ended = [part for part in self.parts if part not in self._told and part.process.ended]
        self._told.update(ended)
        return [f"{part} has ended: {PARTS[part.name][1]}" + (
            "; save what you need (bed.save), stop this testbed and make a new one" if part.name in (HUB, ORDERS) else "")
            for part in ended]
