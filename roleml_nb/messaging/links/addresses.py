"""Where hosts listen: socket files on one machine, TCP between machines."""

from __future__ import annotations

import ipaddress
import os
import platform
import socket
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil
import zmq

from roleml_nb.role.errors import LinkFailed

__all__ = ["Address", "answers", "local_addresses", "network", "socket_path"]


BEYOND = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of documentation, which are nobody's."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host can be reached, and the key that it is known by.

    Exchanged over ipyparallel's signed channel; none of it is secret.
    """

    host_id: str
    public_key: bytes
    ipc_path: str | None
    tcp_urls: tuple[str, ...] = ()
    network: str = ""
    """The same for hosts that reach each other's 127.0.0.1."""


def socket_path(directory: str, host_id: str) -> str:
    """Return the path of a host's socket file in a directory of mode 0700; LinkFailed when it
    cannot be used.
    """
    path = os.path.join(os.path.abspath(directory), host_id)
    if os.path.basename(path) != host_id or host_id in ("", ".", ".."):
        raise LinkFailed(
            f"host id {host_id!r} cannot be the name of a socket file; use a plain name without '/'"
        )
    if (length := len(os.fsencode(path))) > zmq.IPC_PATH_MAX_LEN:
        raise LinkFailed(
            f"the socket path {path} has {length} bytes, the system allows {zmq.IPC_PATH_MAX_LEN};"
            " give a shorter directory"
        )
    if stat.S_IMODE(os.stat(directory).st_mode) & 0o077:
        raise LinkFailed(f"others can reach the sockets in {directory}; it must have mode 0700")
    return path


def answers(address: Address) -> bool:
    """Return True when somebody listens at that socket file on this machine; a file that machines
    share does not tell.
    """
    if address.ipc_path is None:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address.ipc_path)
        except OSError:
            return False
    return True


def network() -> str:
    """Return the identity of the network: equal for processes with the same loopback interface."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/net')}"
    except OSError:  # no Linux
        return f"{platform.node()}/{uuid.getnode():x}"


def local_addresses() -> list[str]:
    """Return this machine's IP addresses: those that face the network first, IPv4 before IPv6,
    loopback last.

    All interfaces that are up count, with or without a route beyond the machine. Link-local IPv6
    addresses are left out: they mean nothing without the name of the other machine's interface.
    """
    states = psutil.net_if_stats()
    usable = []
    for name, addresses in psutil.net_if_addrs().items():
        if name not in states or not states[name].isup:
            continue
        for address in addresses:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                ip = ipaddress.ip_address(address.address.partition("%")[0])
                if not (ip.version == 6 and ip.is_link_local):
                    usable.append(ip)
    facing = {_source(family, beyond) for family, beyond in BEYOND.items()}
    usable.sort(
        key=lambda ip: (ip.is_loopback, str(ip) not in facing, ip.is_link_local, ip.version)
    )
    return list(dict.fromkeys(map(str, usable))) or ["127.0.0.1"]


def _source(family: socket.AddressFamily, beyond: str) -> str:
    """Return the address from which this machine would send there; sends nothing.

    Empty where there is no way.
    """
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((beyond, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""
