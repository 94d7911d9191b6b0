"""Where hosts listen: socket files on one machine, TCP between machines."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import dataclass

import zmq

from ..role.errors import LinkFailed

__all__ = ["Address", "local_addresses", "socket_path"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host can be reached; it is exchanged over ipyparallel's authenticated channel."""

    host_id: str
    ipc_path: str | None
    tcp_urls: tuple[str, ...] = ()
    curve_public_key: bytes | None = None


def socket_path(directory: str, host_id: str) -> str:
    """The socket file of a host in a directory of mode 0700; LinkFailed when that cannot be."""
    path = os.path.join(os.path.abspath(directory), host_id)
    if os.path.basename(path) != host_id or host_id in ("", ".", ".."):
        raise LinkFailed(f"host id {host_id!r} cannot be the name of a socket file; use a plain name without '/'")
    if (length := len(os.fsencode(path))) > zmq.IPC_PATH_MAX_LEN:
        raise LinkFailed(
            f"the socket path {path} has {length} bytes, the system allows {zmq.IPC_PATH_MAX_LEN}; give a shorter directory"
        )
    if stat.S_IMODE(os.stat(directory).st_mode) & 0o077:
        raise LinkFailed(f"others can reach the sockets in {directory}; it must have mode 0700")
    return path


def local_addresses() -> list[str]:
    """This machine's IPv4 addresses, the one that faces the network first, loopback last."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, only chooses the interface
            found.append(probe.getsockname()[0])
        except OSError:
            pass
    try:
        found += socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        pass
    return [*dict.fromkeys(a for a in found if not a.startswith("127.")), "127.0.0.1"]
