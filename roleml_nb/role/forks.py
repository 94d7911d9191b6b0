"""Forks of a node's process, such as the workers of ``DataLoader(num_workers=1)``.

A fork has copies of all roles, and neither threads nor links of the node.
"""

from __future__ import annotations

import os
from typing import Any, Protocol
from weakref import WeakSet

from .errors import RoleInteractionError

__all__ = ["Forkable", "Origin", "at_fork"]


class Origin:
    """The process that an object was made in."""

    __slots__ = ("_process", "pid")
    _this_process = object()
    """Stands for the process; each fork gets another object.

    Comparing it takes a third of the time of `os.getpid`.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._process = Origin._this_process

    @property
    def in_fork(self) -> bool:
        """True in a fork of that process."""
        return self._process is not Origin._this_process

    def check(self) -> None:
        """Raise RoleInteractionError in a fork of that process."""
        if self._process is not Origin._this_process:
            raise RoleInteractionError(self.error_text())

    def error_text(self) -> str:
        """Return the text of the error for attempts to reach other nodes from a fork."""
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
    """An object, or a module, with a hook for forks."""

    def forked(self) -> None:
        """Adapt to a fork; called in each fork, on its only thread.

        Locks that other threads held at that moment are never released there.
        """


_owners: WeakSet[Forkable] = WeakSet()


def at_fork(owner: Any) -> None:
    """Have ``owner.forked()`` called in each fork of this process; see `Forkable`.

    The owner is referred to weakly.
    """
    _owners.add(owner)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=Origin._forked)
