"""Collectors: gather the results of many task calls, as they arrive, into one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from threading import RLock
from typing import Any

from roleml_nb.role.checks.names import natural_key

from .errors import RoleInteractionError, RoleMLError, TaskResultTimeoutError
from .identity import RoleInstanceID
from .merging import KeyValueMerger, ValueMerger, make_kv_merger
from .message import ErrorHandlingStrategy, TaskInvocation
from .running import wait, wait_async

__all__ = [
    "AsynchronousKeyValueMerger",
    "DataFilter",
    "FilteredOut",
    "MergerTimeoutError",
    "MergingFailedError",
    "TaskResultCollector",
    "TaskResultFilter",
]

DataFilter = Callable[[Any, Any], tuple[Any, Any]]
"""From a pushed key and value to the key and value to merge; may raise `FilteredOut`."""

AnyMerger = KeyValueMerger[Any, Any, Any] | ValueMerger[Any, Any]
logger = logging.getLogger("roleml_nb.role.collectors")


class MergerTimeoutError(TaskResultTimeoutError):
    """Some values that a merger waits for did not come in time."""


class MergingFailedError(RoleInteractionError):
    """A value could not be obtained or merged."""


class FilteredOut(RoleMLError):
    """Raised by a filter to leave a value out.

    Parameters
    ----------
    still_count : bool
        True: the key counts as heard of. False: another value for it is waited for.
    """

    def __init__(self, still_count: bool = False):
        super().__init__("left out by a filter")
        self.still_count = still_count


class AsynchronousKeyValueMerger(KeyValueMerger[Any, Any, Any]):
    """Merges values that any thread pushes; `result` waits for every target.

    Parameters
    ----------
    targets : iterable, optional
        The keys to wait for; keys equal in value are the same. None: any key is accepted, and
        `result` does not wait.
    merger : KeyValueMerger or ValueMerger
        Makes one value out of many; is called by one thread at a time.
    data_filter : callable
        ``filter(key, value)`` returns the key and value to merge; it may raise `FilteredOut`.
    allow_append : bool
        True: a key may be pushed again, and a push that fails affects no other.
    """

    def __init__(
        self,
        targets: Iterable[Any] | None,
        *,
        merger: AnyMerger,
        data_filter: DataFilter = lambda key, value: (key, value),
        allow_append: bool = False,
    ):
        self._targets = None if targets is None else frozenset(targets)
        self._merger = make_kv_merger(merger) if isinstance(merger, ValueMerger) else merger
        if allow_append and not self._merger.allow_append:
            raise TypeError(
                f"allow_append=True, but {type(merger).__name__} takes each key only once"
            )
        self._filter = data_filter
        self._allow_append = allow_append
        self._heard: set[Any] = set()
        self._lock = RLock()
        # done when every target was heard of, or with the first failure
        self._ready: Future[None] = Future()
        self._failure: Exception | None = None
        self.failed: dict[Any, BaseException] = {}
        """Errors of the targets that were left out: {key: error}."""
        if not self._targets:
            self._ready.set_result(None)

    def push(self, key: Any, value: Any) -> None:
        """Filter a value and merge it.

        KeyError for a key that is no target, TypeError for one that was pushed before. Errors of
        the filter and the merger are raised here, and as MergingFailedError by `result`.
        """
        with self._lock:
            try:
                self._push(key, value)
            except Exception as error:
                if not self._allow_append:
                    self._end(error)
                raise

    def _push(self, key: Any, value: Any) -> None:
        if self._targets is not None and key not in self._targets:
            raise KeyError(f"{key} is none of the targets: {_names(self._targets)}")
        if key in self._heard and not self._allow_append:
            raise TypeError(f"{key} was pushed before, and allow_append is False")
        try:
            key_to_merge, value_to_merge = self._filter(key, value)
        except FilteredOut as out:
            if out.__cause__ is not None:
                if not out.still_count:
                    raise out.__cause__ from None
                self.failed[key] = out.__cause__
            if out.still_count:
                self._count(key)
            return
        self._merger.push(key_to_merge, value_to_merge)
        self._count(key)

    def push_bulk(self, data: Iterable[tuple[Any, Any]]) -> None:
        """Push each pair; return when all are merged."""
        for key, value in data:
            self.push(key, value)

    def _count(self, key: Any) -> None:
        self._heard.add(key)
        if self._targets and len(self._heard) == len(self._targets):
            self._end(None)

    def _end(self, failure: Exception | None) -> None:
        if self._targets is None or not self._ready.done():
            self._failure = self._failure or failure
        if not self._ready.done():
            self._ready.set_result(None)

    def merge(self) -> Any:
        """Return `result()`."""
        return self.result()

    def result(self, timeout: float | None = None, ready_required: bool = True) -> Any:
        """Wait for all targets, and merge. In a handler, the worker serves other tasks meanwhile.

        Parameters
        ----------
        timeout : float, optional
            Seconds; the testbed's limit for calls when not given.
        ready_required : bool
            False: after `timeout`, merge the values that have come.

        Raises
        ------
        MergerTimeoutError
            When targets are missing after `timeout`; names them.
        MergingFailedError
            When a push has failed, or every target was left out because of an error.
        """
        with suppress(TimeoutError):  # `_result` raises its own
            wait(self._ready, timeout)
        return self._result(ready_required)

    async def wait(self, timeout: float | None = None, ready_required: bool = True) -> Any:
        """Wait as `result` does, in ``async def`` handlers; ``await collector`` is short for it."""
        with suppress(TimeoutError):
            await wait_async(self._ready, timeout)
        return self._result(ready_required)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.wait().__await__()

    def _result(self, ready_required: bool) -> Any:
        with self._lock:
            if not self._ready.done() and ready_required:
                missing = _names((self._targets or frozenset()) - self._heard)
                raise MergerTimeoutError(
                    f"no result yet from {missing}; wait longer with result(timeout)"
                )
            if self._failure is not None:
                raise MergingFailedError(
                    f"not all results could be merged: {self._failure}"
                ) from self._failure
            if self._targets and len(self.failed) == len(self._targets):
                last = list(self.failed.values())[-1]
                raise MergingFailedError(
                    f"nothing to merge, all of {_names(self._targets)} failed; "
                    f"the last with: {last}"
                ) from last
            return self._merger.merge()

    @property
    def allow_append(self) -> bool:
        return self._allow_append

    @property
    def disposable(self) -> bool:
        return self._merger.disposable


class TaskResultFilter:
    """A data filter that replaces task invocations by their results.

    Parameters
    ----------
    on_error : ErrorHandlingStrategy
        For a task that failed. IGNORE: leave it out, with a warning in the log. RAISE_FIRST: fail.
        KEEP: merge the exception as the result. RETRY is refused with ValueError: only the caller
        can call again.
    """

    def __init__(self, on_error: ErrorHandlingStrategy = ErrorHandlingStrategy.IGNORE):
        if on_error is ErrorHandlingStrategy.RETRY:
            raise ValueError(
                "on_error=RETRY: a result that was awaited cannot be tried again; "
                "allowed: IGNORE, RAISE_FIRST, KEEP"
            )
        self.on_error = on_error

    def __call__(self, source: RoleInstanceID, task: TaskInvocation) -> tuple[Any, Any]:
        try:
            result = task.result()
        except Exception as error:
            if self.on_error is ErrorHandlingStrategy.KEEP:
                return self.transform_source(source), error
            if self.on_error is ErrorHandlingStrategy.IGNORE:
                logger.warning("the task on %s failed and is left out: %s", source, error)
                raise FilteredOut(still_count=True) from error
            raise
        return self.transform_source(source), result

    def transform_source(self, source: RoleInstanceID) -> Any:
        """Return the key to merge under; override to use another one."""
        return source


class TaskResultCollector(AsynchronousKeyValueMerger):
    """Collects the results of a task group.

    Use: ``call_task_group(group, …, on_result=collector.push)``. A task fails when its node dies,
    so no target is waited for in vain; `failed` has the targets that were left out, with their
    errors.

    Parameters
    ----------
    targets : iterable of RoleInstanceID
        The roles to wait for.
    merger : KeyValueMerger or ValueMerger
        Makes one value out of many.
    on_error : ErrorHandlingStrategy
        For a task that failed: see `TaskResultFilter`.
    """

    def __init__(
        self,
        targets: Iterable[Any] | None,
        *,
        merger: AnyMerger,
        on_error: ErrorHandlingStrategy = ErrorHandlingStrategy.IGNORE,
    ):
        super().__init__(targets, merger=merger, data_filter=TaskResultFilter(on_error))

    def push(self, key: Any, value: TaskInvocation) -> None:
        """Merge the result of an invocation that has ended.

        Errors are raised by `result`, since nobody would see them here.
        """
        try:
            super().push(key, value)
        except Exception as error:
            logger.info("%s: %s", key, error)


def _names(keys: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, keys), key=natural_key))
