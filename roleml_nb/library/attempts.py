"""Attempts: calls that are made for one thing, and cancelled when nothing comes of it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any
from weakref import ref

from roleml_nb.role import ChannelNotFoundError, Role, TaskInvocation

__all__ = ["Attempt", "restore_trainer", "result_of", "save_trainer"]


class Attempt:
    """Tasks that were called for one thing: used as a context manager, an error cancels all that
    have not ended.

    What waits for its turn does not begin then, and so does not train a model that has been renewed
    meanwhile.
    """

    def __init__(self) -> None:
        # whoever waits for a call holds it, and its result
        self._calls: list[ref[TaskInvocation]] = []

    def add(self, calls: Iterable[tuple[Any, TaskInvocation]]) -> list[tuple[Any, TaskInvocation]]:
        """Have these calls belong to it, as ``call_task_group`` returns them; returns them."""
        added = list(calls)
        self._calls += [ref(call) for _, call in added]
        return added

    def cancel(self) -> None:
        """Cancel all that have not ended."""
        for call in (each() for each in self._calls):
            if call is not None:
                call.cancel()

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.cancel()


def save_trainer(role: Role) -> Any:
    """Have a role's ``trainer`` keep its model, and all that training changes; what it returns is
    for `restore_trainer`.
    """
    try:
        role.call("trainer", "save")
    except ChannelNotFoundError:  # a trainer of the user's, of which the model is known
        return role.call("trainer", "get-model")
    return None


def restore_trainer(role: Role, saved: Any) -> None:
    """Have it take back what it has done since."""
    if saved is None:
        role.call("trainer", "restore")
    else:
        role.call("trainer", "apply-update", payloads={"update": saved})


def result_of(call: TaskInvocation) -> Any:
    """Wait for the result of a task, which is cancelled when that cannot be had, as when it takes
    too long.
    """
    with Attempt() as attempt:
        attempt.add([(None, call)])
        return call.result()
