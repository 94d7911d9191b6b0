"""Attempts: calls that belong together, and are cancelled when one of them fails."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any
from weakref import ref

from roleml_nb.role import ChannelNotFoundError, Role, TaskInvocation

__all__ = ["Attempt", "restore_trainer", "result_of", "save_trainer"]


class Attempt:
    """Task calls that belong together.

    As a context manager, it cancels those that have not ended when an error occurs. A cancelled
    task that waits for its turn does not begin, so it does not train a model that has been renewed
    meanwhile.
    """

    def __init__(self) -> None:
        # weak: the caller who waits holds the call and its result
        self._calls: list[ref[TaskInvocation]] = []

    def add(self, calls: Iterable[tuple[Any, TaskInvocation]]) -> list[tuple[Any, TaskInvocation]]:
        """Add calls, as ``call_task_group`` returns them, and return them as a list."""
        added = list(calls)
        self._calls += [ref(call) for _, call in added]
        return added

    def cancel(self) -> None:
        """Cancel all calls that have not ended."""
        for reference in self._calls:
            call = reference()
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
    """Save the model of a role's ``trainer``, and all that training changes.

    Pass the result to `restore_trainer`.
    """
    try:
        role.call("trainer", "save")
    except ChannelNotFoundError:  # a trainer of another class, whose model alone is known
        return role.call("trainer", "get-model")
    return None


def restore_trainer(role: Role, saved: Any) -> None:
    """Undo all that a role's ``trainer`` has done since `save_trainer` returned `saved`."""
    if saved is None:
        role.call("trainer", "restore")
    else:
        role.call("trainer", "apply-update", payloads={"update": saved})


def result_of(call: TaskInvocation) -> Any:
    """Return the result of a task; cancel the task if waiting for it fails or takes too long."""
    with Attempt() as attempt:
        attempt.add([(None, call)])
        return call.result()
