"""Errors that nobody waited for: what the notebook knows of them, and how it tells."""

from __future__ import annotations

import html
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from roleml_nb.role import RunStopped, natural_key

__all__ = ["Errors", "Failure"]

MAX_ERRORS = 1000
"""Errors that are kept; of more, the last ones."""
MAX_NODES, MAX_KINDS = 4, 2
"""Nodes, and kinds of errors, that are named where there are more."""


class Failure:
    """One error: where and when it happened, and what it was.

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
        """What it has in common with the same error of other nodes."""
        if not self.where:
            return type(self.error).__name__, self.text
        channel = re.sub(r"\S+/", "", self.channel)
        return self.role, channel, self.where.get("error", ""), self.remote_traceback

    def __str__(self) -> str:
        return (
            f"{self.text}\n{self.remote_traceback.rstrip()}" if self.remote_traceback else self.text
        )

    def __repr__(self) -> str:
        return f"<error {self.number}: {self.text}>"


class Errors(Sequence[Failure]):
    """The errors of a testbed that nobody waited for, oldest first: of event handlers, `Runnable`s,
    callbacks, clean-ups.
    """

    def __init__(self, now: Callable[[], float], run: Callable[[], int | None] = lambda: None):
        self._start, self._now, self.run = now(), now, run
        self._failures: list[Failure] = []
        self._count = 0
        self._lock = threading.Lock()

    def append(self, error: Exception) -> None:
        """Take note of an error. From any thread."""
        with self._lock:
            self._count += 1
            self._failures.append(
                Failure(self._count, error, self._now() - self._start, self.run())
            )
            del self._failures[:-MAX_ERRORS]

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._failures.clear()

    def numbered(self, number: int) -> Failure | None:
        """The first of the equal errors that have this number in the text, counted from 1; None
        when there are none.
        """
        kinds = group_equal(list(self))
        return kinds[number - 1][0] if 1 <= number <= len(kinds) else None

    def unreported(self) -> list[Failure]:
        """Return the errors that the notebook has not shown yet."""
        with self._lock:
            return [failure for failure in self._failures if not failure.reported]

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
        lines = (
            [f"({gone} earlier ones are no longer here)"]
            if gone and len(self) == MAX_ERRORS
            else []
        )
        for number, kind in enumerate(group_equal(list(self)), 1):
            lines.append(f"[{number}] {headline(kind)}")
            lines += [f"    {line}" for line in kind[0].remote_traceback.rstrip().splitlines()]
        return "\n".join(lines) or "no errors"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        parts = [
            f"<details><summary><b>[{number}]</b> {html.escape(headline(kind))}</summary>"
            f"<pre>{html.escape(kind[0].remote_traceback.rstrip() or kind[0].text)}</pre></details>"
            for number, kind in enumerate(group_equal(list(self)), 1)
        ]
        return "".join(parts) or "no errors"

    def to_pandas(self) -> Any:
        """One row per error.

        Columns: number, time (seconds since the start), run, node, role, channel, engine, error,
        text.
        """
        import pandas as pd

        columns = ["number", "time", "run", "node", "role", "channel", "engine", "error", "text"]
        return pd.DataFrame.from_records(
            [
                (
                    one.number,
                    one.time,
                    one.run,
                    one.node,
                    one.role,
                    one.channel,
                    one.engine,
                    one.where.get("error", type(one.error).__name__),
                    one.text,
                )
                for one in self
            ],
            columns=columns,
        )


def group_equal(failures: Sequence[Failure]) -> list[list[Failure]]:
    """Equal ones together, by node; in the order in which the first of each came."""
    kinds: dict[tuple[str, ...], list[Failure]] = {}
    for failure in failures:
        kinds.setdefault(failure.kind, []).append(failure)
    return [
        sorted(kind, key=lambda one: (natural_key(one.node), one.number)) for kind in kinds.values()
    ]


def summary(failures: Sequence[Failure]) -> str:
    """One line about new failures, equal ones together."""
    kinds = group_equal(failures)
    heads = [headline(kind) for kind in kinds[:MAX_KINDS]] + (
        ["…"] if len(kinds) > MAX_KINDS else []
    )
    return (
        f"{len(failures)} new error{'s' * (len(failures) != 1)}: {'; '.join(heads)}; see %rml"
        " errors"
    )


def headline(kind: Sequence[Failure]) -> str:
    """One line about equal failures: where the first happened, and on how many nodes."""
    nodes = list(dict.fromkeys(failure.node for failure in kind))
    text = kind[0].text
    if len(nodes) > 1:
        text += (
            f" (same on {len(nodes)} nodes:"
            f" {', '.join(nodes[:MAX_NODES])}{', …' if len(nodes) > MAX_NODES else ''})"
        )
    times = len(kind) - len(nodes)
    return f"{text}, {len(kind)} times" if times else text
