"""Roles with a lock."""

from __future__ import annotations

from threading import RLock
from typing import Any

from roleml_nb.role import Role

__all__ = ["GuardedRole"]


class GuardedRole(Role):
    """A role whose handlers share state under the reentrant `lock`, which does not travel."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("lock", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = RLock()
