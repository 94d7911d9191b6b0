"""A call that waits for its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from roleml_nb.role import RoleInstanceID

from .envelope import Envelope

if TYPE_CHECKING:
    from .executions import Execution

__all__ = ["Pending"]


class Pending:
    """Ends once: with a result, with an exception, or cancelled.

    Thread-safe, without a lock that is ever contended.

    `concurrent.futures.Future` does the same in five times the time, which is a tenth of a call
    between two engines.
    """

    __slots__ = (
        "_callbacks",
        "_claim",
        "_error",
        "_latch",
        "_table",
        "_value",
        "by",
        "ended",
        "envelope",
        "host_id",
        "number",
        "target",
    )

    def __init__(
        self,
        envelope: Envelope,
        target: RoleInstanceID,
        host_id: str,
        number: int = 0,
        table: dict[int, Pending] | None = None,
        by: Execution | None = None,
    ):
        self.envelope, self.target, self.host_id, self.number = envelope, target, host_id, number
        self.by = by
        """The handler that made the call, or None."""
        self.ended = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._table = table
        self._callbacks: list[Callable[[Pending], Any]] = []
        self._claim = threading.Lock()
        self._latch = threading.Lock()
        self._latch.acquire()
        if table is not None:
            table[number] = self

    @property
    def kind(self) -> str:
        return self.envelope.kind

    @property
    def source(self) -> RoleInstanceID:
        return self.envelope.source

    @property
    def channel(self) -> str:
        return self.envelope.channel

    @property
    def sent(self) -> float:
        return self.envelope.sent

    def done(self) -> bool:
        return self.ended

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result and return it, or raise its error; TimeoutError after `timeout`
        seconds.
        """
        if not self.ended:
            if not self._latch.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
                raise TimeoutError
            self._latch.release()
        if self._error is not None:
            # it may be other calls' error, too, and keeps no frames of theirs
            raise self._error.with_traceback(None)
        return self._value

    def exception(self) -> BaseException | None:
        """Return the error that the call has ended with, if it has."""
        return self._error

    def set_result(self, value: Any) -> bool:
        """End with a result; False when it had ended already."""
        return self._end(value, None)

    def set_exception(self, error: BaseException) -> bool:
        return self._end(None, error)

    def cancel(self) -> bool:
        """End with CancelledError; return False when it had ended already."""
        return self._end(None, CancelledError())

    def add_done_callback(self, function: Callable[[Pending], Any]) -> None:
        """Have ``function(self)`` called when the call ends, on the thread that ends it; at once if
        it has ended.
        """
        self._callbacks.append(function)
        if self.ended:
            self._call_back()

    def _end(self, value: Any, error: BaseException | None) -> bool:
        if not self._claim.acquire(blocking=False):
            return False
        self._value, self._error = value, error
        if self._table is not None:
            self._table.pop(self.number, None)
        self.ended = True
        self._latch.release()
        self._call_back()
        return True

    def _call_back(self) -> None:
        while True:
            try:
                function = self._callbacks.pop(0)  # atomic: whoever gets it calls it
            except IndexError:
                return
            function(self)
