"""Forks of a node's process, as of ``DataLoader(num_workers=1)``: copies of all roles, with no
thread and no link of the node.
"""

from __future__ import annotations

import os
from typing import Any, Protocol
from weakref import WeakSet

from .errors import RoleInteractionError

__all__ = ["Forkable", "Origin", "at_fork"]


class Origin:
    """The process that something was made in."""

    __slots__ = ("_process", "pid")
    _this_process = object()
    """Another object in each fork.

    Looking at it takes a third of the time that the system takes to tell the process.
    """

    def __init__(self) -> None:
        self.pid, self._process = os.getpid(), Origin._this_process

    @property
    def in_fork(self) -> bool:
        """True in a fork of that process."""
        return self._process is not Origin._this_process

    def check(self) -> None:
        """Raise RoleInteractionError in a fork of that process."""
        if self._process is not Origin._this_process:
            raise RoleInteractionError(self.error_text())

    def error_text(self) -> str:
        """Return what there is to say to whoever wants to reach others from a fork."""
        return (
            f"calls are made in the process of the node ({self.pid}), and this is a fork of it"
            f" ({os.getpid()}), which has copies of its roles and none of its links; make calls,"
            " events and orders before the fork, or do without one: DataLoader(num_workers=0),"
            " threads instead of processes"
        )

    @staticmethod
    def _forked() -> None:
        Origin._this_process = object()
        for owner in list(_owners):
            owner.forked()


class Forkable(Protocol):
    """What does something in forks: an object, or a module with such a function."""

    def forked(self) -> None:
        """Called in each fork, on its only thread.

        Locks that other threads had at that moment are never released there.
        """


_owners: WeakSet[Forkable] = WeakSet()


def at_fork(owner: Any) -> None:
    """Have ``owner.forked()`` called in each fork of this process, as long as it lives; see
    `Forkable`.
    """
    _owners.add(owner)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=Origin._forked)
