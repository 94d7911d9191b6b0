"""The message of a channel, and the future of a task call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, Literal, NamedTuple, Protocol

__all__ = [
    "Args",
    "ErrorHandlingStrategy",
    "EventSubscriptionMode",
    "Message",
    "MyArgs",
    "MyPayloads",
    "Payloads",
    "TaskInvocation",
    "scatter_arg",
    "scatter_args_and_payloads",
    "scatter_payloads",
]

Args = Mapping[str, Any]
Payloads = Mapping[str, Any]
MyArgs = dict[str, Any]
MyPayloads = dict[str, Any]
EventSubscriptionMode = Literal["once", "forever"]


class Message(NamedTuple):
    """A small readable part (`args`) and a large part (`payloads`)."""

    args: Args = {}
    payloads: Payloads = {}

    @staticmethod
    def empty() -> Message:
        return Message({}, {})


class TaskInvocation(Protocol):
    """Future of a task call."""

    def result(self, timeout: float | None = None) -> Any: ...

    def exception(self, timeout: float | None = None) -> BaseException | None: ...

    def add_done_callback(self, func: Callable[[TaskInvocation], Any]) -> None: ...

    def done(self) -> bool: ...

    def cancel(self) -> None:
        """Cancel the task: it does not begin, or, if it runs, makes no more calls.

        The same holds for tasks that it has called. It ends with `CallCancelled`, unless it ends
        otherwise before the cancellation reaches it.
        """


class ErrorHandlingStrategy(Enum):
    """The reaction of a group call to the failure of one of its targets."""

    IGNORE = auto()
    RAISE_FIRST = auto()
    RETRY = auto()
    KEEP = auto()


def scatter_arg(
    args_to_scatter: Iterable[Args], *, payloads: Payloads | None = None
) -> Iterator[Message]:
    """Return one message per item of `args_to_scatter`, all with the same payloads."""
    return (Message(args, payloads or {}) for args in args_to_scatter)


def scatter_payloads(
    payloads_to_scatter: Iterable[Payloads], *, args: Args | None = None
) -> Iterator[Message]:
    """Return one message per item of `payloads_to_scatter`, all with the same args."""
    return (Message(args or {}, payloads) for payloads in payloads_to_scatter)


def scatter_args_and_payloads(
    args_to_scatter: Iterable[Args], payloads_to_scatter: Iterable[Payloads]
) -> Iterator[Message]:
    """Return one message per pair; ValueError when the two differ in length."""
    return map(Message._make, zip(args_to_scatter, payloads_to_scatter, strict=True))
