"""Standard output and error of a process with roles: prints of a role go to its log."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from roleml_nb.role.running import running_role

if TYPE_CHECKING:
    from .host import Host

__all__ = ["Output", "split_output", "unsplit_output"]

_LEVELS = {"stdout": "print", "stderr": "stderr"}
_hosts: WeakSet[Host] = WeakSet()
"""The hosts in this process, of whichever testbeds."""
_lock = threading.Lock()


class Output:
    """A stream that writes text of roles to the logs of their nodes, and all else to the former
    stream.
    """

    def __init__(self, stream: Any, level: str):
        self.stream, self._level = stream, level

    def write(self, text: str) -> int:
        role = running_role()
        log_buffer = (
            None
            if role is None or role._base is None
            else getattr(role._base.host, "log_buffer", None)
        )
        if role is None or log_buffer is None:
            return int(self.stream.write(text) or 0)
        log_buffer.write(role.id.actor_name, role.id.instance_name, self._level, text)
        return int(self.stream.write(text) or 0) if log_buffer.echo else len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def split_output(host: Host) -> None:
    """Send prints of this host's roles to their logs, until `unsplit_output`.

    To be called again by whoever is about to have roles do something: others replace the streams,
    too, as a cell does whose output is captured, and put them back when they are done.
    """
    with _lock:
        _hosts.add(host)
        for name, level in _LEVELS.items():
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, Output):
                setattr(sys, name, Output(stream, level))


def unsplit_output(host: Host) -> None:
    """Redirect the output of a host no longer; with the last host, the streams are as before."""
    with _lock:
        _hosts.discard(host)
        for name in _LEVELS:
            stream = getattr(sys, name)
            if not _hosts and isinstance(stream, Output):
                setattr(sys, name, stream.stream)
