"""The controller of a cluster on this machine: its processes, and the consequences of their
ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil

from roleml_nb.host.process import Process, process_of

from .watchdog import processes_of

__all__ = ["Controller"]

HUB, ORDERS = "hub", "mux"
PARTS = {
    HUB: (
        "hub",
        "nobody can attach to this testbed, and signals to engines elsewhere do not arrive",
    ),
    ORDERS: ("scheduler of orders", "orders go over direct links, and the relay does not work"),
    "hb_ping": (
        "heart monitor",
        "ipyparallel does not notice engines that fall silent; this testbed does",
    ),
    "control": ("scheduler of control messages", "nothing of this testbed needs it"),
    "task": ("scheduler of tasks", "nothing of this testbed needs it"),
    "iopub": ("scheduler of output", "what engines themselves print is not shown"),
    "broadcast": ("scheduler of broadcasts", "nothing of this testbed needs it"),
}
"""{name of a process's ports in ipyparallel's connection files: (its noun, consequence of its
end)}.
"""


class Part(NamedTuple):
    """One of the controller's processes."""

    name: str
    process: Process

    def __str__(self) -> str:
        return f"the controller's {PARTS[self.name][0]} (process {self.process.pid})"


class Controller:
    """All processes of a controller on this machine, once they are found.

    Parameters
    ----------
    advice
        Advice for the end of a process without which the testbed cannot go on.
    """

    def __init__(self, advice: str):
        self.advice = advice
        self.parts: list[Part] = []
        self._reported: set[Part] = set()

    def find_own(self, directory: str, testbed_id: str) -> None:
        """Find the processes of an own cluster, by the ports that they listen on.

        Parameters
        ----------
        directory
            The cluster's, to which ipyparallel has written its ports.
        testbed_id
            Value of a variable in the environment of the cluster's processes.
        """
        names = {}
        for who in ("client", "engine"):
            file = Path(directory) / "profile" / "security" / f"ipcontroller-{who}.json"
            written = json.loads(file.read_text(encoding="utf-8"))
            for name in PARTS:
                ports = written.get(name, ())
                names.update(dict.fromkeys(ports if isinstance(ports, list) else [ports], name))
        found = {}
        for process in processes_of(testbed_id):
            try:
                part = _part_name(process, names)
                if part is not None:
                    found[process.pid] = Part(part, process_of(process.pid))
                    found.setdefault(process.ppid(), Part(HUB, process_of(process.ppid())))
            except psutil.Error:
                continue
        self.parts = list(found.values())

    def find_joined(self, addresses: Mapping[str, Any]) -> None:
        """Find the processes of a cluster that was joined; none if it is another machine's, or
        somebody else's.

        Parameters
        ----------
        addresses
            Addresses of ipyparallel's client, by service: ``{"mux": "tcp://127.0.0.1:5001", …}``.
        """
        here = _own_addresses()
        names = {}
        for key in ("registration", *PARTS):
            address = urlsplit(str(addresses.get(key, "")))
            if address.hostname in here and address.port is not None:
                names[address.port] = HUB if key == "registration" else key
        try:
            listening = psutil.net_connections("tcp") if names else []
        except psutil.AccessDenied:  # on macOS
            return
        parts = []
        for socket in listening:
            port = socket.laddr.port
            if socket.status == psutil.CONN_LISTEN and socket.pid and port in names:
                parts.append(Part(names[port], process_of(socket.pid)))
        self.parts = parts  # at once: others read it meanwhile

    def ended(self, name: str) -> Part | None:
        """Return the process of that name if it has ended."""
        for part in self.parts:
            if part.name == name and part.process.ended:
                return part
        return None

    def new_failures(self) -> list[str]:
        """Return the consequence of each process's end since the last call."""
        lines = []
        for part in self.parts:
            if part not in self._reported and part.process.ended:
                self._reported.add(part)
                advice = f"; {self.advice}" if part.name in (HUB, ORDERS) else ""
                lines.append(f"{part} has ended: {PARTS[part.name][1]}{advice}")
        return lines


def _part_name(process: psutil.Process, names: Mapping[int, str]) -> str | None:
    """Return the name of the first port that a process listens on and that has one."""
    for socket in process.net_connections("tcp"):
        if socket.status == psutil.CONN_LISTEN and socket.laddr.port in names:
            return names[socket.laddr.port]
    return None


def _own_addresses() -> set[str]:
    """Return the addresses of all network interfaces of this machine."""
    found = set()
    for interface in psutil.net_if_addrs().values():
        for item in interface:
            found.add(item.address)
    return found
