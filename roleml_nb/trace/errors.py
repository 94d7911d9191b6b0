"""Errors that nobody waited for: a record of each, and one line that reports new ones."""

from __future__ import annotations

import html
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from roleml_nb.role import RunStopped, natural_key
from roleml_nb.role.checks.names import pluralize

__all__ = ["Errors", "Failure"]

MAX_ERRORS = 1000
"""Errors that are kept; the oldest go first."""
MAX_NODES = 4
"""Nodes that one line names."""
MAX_KINDS = 2
"""Kinds of errors that a report names."""


class Failure:
    """One error, with its place and time.

    ``str()`` is its text, with the traceback.

    Attributes
    ----------
    error
        The exception, as the notebook has it.
    time
        Seconds since the start of the testbed.
    run
        The number of the run that was under way, if there was one (see `Testbed.runs`).
    """

    def __init__(self, number: int, error: Exception, time: float, run: int | None = None):
        self.number, self.error, self.time, self.run = number, error, time, run
        self.reported = isinstance(error, RunStopped)
        """True once the notebook has shown the error; errors of stopped runs are never shown."""
        self.where: dict[str, str] = getattr(error, "where", {})
        """``node``, ``role``, ``channel``, ``engine`` and ``error``, the exception's type, as far
        as they are known.
        """
        self.remote_traceback: str = getattr(error, "remote_traceback", "")

    @property
    def node(self) -> str:
        return self.where.get("node", "")

    @property
    def role(self) -> str:
        return self.where.get("role", "")

    @property
    def channel(self) -> str:
        return self.where.get("channel", "")

    @property
    def engine(self) -> str:
        return self.where.get("engine", "")

    @property
    def text(self) -> str:
        """One line: where it happened, and the exception."""
        return str(self.error.args[0] if self.error.args else self.error).splitlines()[0]

    @property
    def kind(self) -> tuple[str, ...]:
        """Equal for equal errors of different nodes."""
        if not self.where:
            return type(self.error).__name__, self.text
        channel = re.sub(r"\S+/", "", self.channel)
        return self.role, channel, self.where.get("error", ""), self.remote_traceback

    def __str__(self) -> str:
        traceback = self.remote_traceback.rstrip()
        return f"{self.text}\n{traceback}" if self.remote_traceback else self.text

    def __repr__(self) -> str:
        return f"<error {self.number}: {self.text}>"


class Errors(Sequence[Failure]):
    """The errors of a testbed that nobody waited for, oldest first.

    They are those of event handlers, `Runnable`s, callbacks and clean-ups.
    """

    def __init__(self, now: Callable[[], float], run: Callable[[], int | None] = lambda: None):
        self._start, self._now, self.run = now(), now, run
        self._failures: list[Failure] = []
        self._count = 0
        self._lock = threading.Lock()
        self._when_added: list[Callable[[], None]] = []

    def append(self, error: Exception) -> None:
        """Record an error. May be called on any thread."""
        with self._lock:
            self._count += 1
            self._failures.append(
                Failure(self._count, error, self._now() - self._start, self.run())
            )
            del self._failures[:-MAX_ERRORS]
        for callback in self._when_added:
            callback()

    def when_added(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each error from now on, on whichever thread; it must not wait."""
        self._when_added.append(callback)

    def clear(self) -> None:
        """Drop all errors."""
        with self._lock:
            self._failures.clear()

    def numbered(self, number: int) -> Failure | None:
        """Return the first error under this number, from 1, of the text, or None."""
        kinds = group_equal(list(self))
        return kinds[number - 1][0] if 1 <= number <= len(kinds) else None

    def unreported(self) -> list[Failure]:
        """Return the errors that the notebook has not shown yet."""
        found = []
        with self._lock:
            for failure in self._failures:
                if not failure.reported:
                    found.append(failure)
        return found

    def report(self) -> str:
        """Return one line about the errors that were not reported yet, and mark them as reported.

        The line is empty when there are none.
        """
        new = self.unreported()
        for failure in new:
            failure.reported = True
        return summary(new) if new else ""

    def news(self) -> str:
        """Report errors under the former name of `report`, which warns."""
        warnings.warn(
            "roleml_nb: bed.errors.news is called bed.errors.report now",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.report()

    # as a sequence

    @overload
    def __getitem__(self, index: int) -> Failure: ...

    @overload
    def __getitem__(self, index: slice) -> list[Failure]: ...

    def __getitem__(self, index: int | slice) -> Failure | list[Failure]:
        return self._failures[index]

    def __len__(self) -> int:
        return len(self._failures)

    def __iter__(self) -> Iterator[Failure]:
        return iter(list(self._failures))

    def __eq__(self, other: object) -> bool:
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]

    # as text

    def __str__(self) -> str:
        gone = self._count - len(self)
        lines = []
        if gone and len(self) == MAX_ERRORS:
            lines.append(f"({gone} earlier ones are no longer here)")
        for number, kind in enumerate(group_equal(list(self)), 1):
            lines.append(f"[{number}] {headline(kind)}")
            for line in kind[0].remote_traceback.rstrip().splitlines():
                lines.append(f"    {line}")
        return "\n".join(lines) or "no errors"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        parts = []
        for number, kind in enumerate(group_equal(list(self)), 1):
            heading = html.escape(headline(kind))
            text = html.escape(kind[0].remote_traceback.rstrip() or kind[0].text)
            parts.append(
                f"<details><summary><b>[{number}]</b> {heading}</summary>"
                f"<pre>{text}</pre></details>"
            )
        return "".join(parts) or "no errors"

    def to_pandas(self) -> Any:
        """Return one row per error.

        Columns: number, time (seconds since the start), run, node, role, channel, engine, error,
        text.
        """
        import pandas as pd

        columns = ["number", "time", "run", "node", "role", "channel", "engine", "error", "text"]
        rows = []
        for one in self:
            error = one.where.get("error", type(one.error).__name__)
            where = (one.node, one.role, one.channel, one.engine)
            rows.append((one.number, one.time, one.run, *where, error, one.text))
        return pd.DataFrame.from_records(rows, columns=columns)


def group_equal(failures: Sequence[Failure]) -> list[list[Failure]]:
    """Group equal failures, those of one kind by node; kinds by the time of their first failure."""
    kinds: dict[tuple[str, ...], list[Failure]] = {}
    for failure in failures:
        kinds.setdefault(failure.kind, []).append(failure)
    for kind in kinds.values():
        kind.sort(key=lambda one: (natural_key(one.node), one.number))
    return list(kinds.values())


def summary(failures: Sequence[Failure]) -> str:
    """Return one line about new failures, equal ones together."""
    kinds = group_equal(failures)
    heads = list(map(headline, kinds[:MAX_KINDS]))
    if len(kinds) > MAX_KINDS:
        heads.append("…")
    return f"{pluralize(len(failures), 'new error')}: {'; '.join(heads)}; see %rml errors"


def headline(kind: Sequence[Failure]) -> str:
    """Return one line about equal failures: the text and place of the first, and their nodes."""
    nodes = list(dict.fromkeys(failure.node for failure in kind))
    text = kind[0].text
    if len(nodes) > 1:
        named = ", ".join(nodes[:MAX_NODES])
        more = ", …" if len(nodes) > MAX_NODES else ""
        text += f" (same on {len(nodes)} nodes: {named}{more})"
    times = len(kind) - len(nodes)
    return f"{text}, {len(kind)} times" if times else text
