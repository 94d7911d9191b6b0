"""Roles with a lock."""

from __future__ import annotations

from threading import RLock
from typing import Any

from roleml_nb.role import Role

__all__ = ["GuardedRole"]


class GuardedRole(Role):
    """A role whose handlers share state, guarded by the reentrant `lock`, which does not travel
    with the state.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = RLock()
