"""Lines that the roles of one host log and print, until they are shipped to the notebook."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, cast

from roleml_nb.role.checks.names import valid_text
from roleml_nb.role.forks import Origin, at_fork
from roleml_nb.trace.logs import level_name

from .fork_lines import ForkLines

__all__ = ["LogBuffer", "RoleLogger"]

MAX_LINES = 5000
"""Lines between two shipments, which are a twentieth of a second apart; further ones are counted.
"""
MAX_LINE_CHARACTERS = 10_000
"""Characters of a line; further ones are counted."""
MAX_UNENDED_S = 0.5
"""Seconds after which printed text becomes a line, though it has no end."""

Row = tuple[float, str, str, str, str]
"""Time, node, role, level, text: see `roleml_nb.trace.logs.LogLine`."""
Writer = tuple[int, str, str, str]
"""Thread, node, role, level."""


class LogBuffer:
    """Takes lines from any thread, and from forks of this process, without waiting for anything."""

    def __init__(self, now: Callable[[], float]):
        self.echo = False
        """True when lines go to the streams and loggers of the process, too: where they disturb no
        cells.
        """
        self._now = now
        self._rows: deque[Row] = deque()
        self._omitted: Counter[tuple[str, str]] = Counter()
        self._unended: dict[Writer, tuple[str, float]] = {}
        """Lines without an end, and when they began."""
        self._lock = threading.RLock()
        self._origin, self._of_forks = Origin(), ForkLines()
        at_fork(self)

    def forked(self) -> None:
        self._lock, self._unended = threading.RLock(), {}

    def add_line(self, node: str, role: str, level: str, text: str) -> None:
        """Add a line, whose text may hold several."""
        if self._origin.in_fork:
            self._of_forks.put((self._now(), node, role, level, text))
            return
        if len(self._rows) >= MAX_LINES:
            with self._lock:
                self._omitted[node, role] += 1
            return
        if len(text) > MAX_LINE_CHARACTERS:
            text = (
                f"{text[:MAX_LINE_CHARACTERS]}… ({len(text) - MAX_LINE_CHARACTERS} characters more)"
            )
        self._rows.append((self._now(), node, role, level, valid_text(text)))

    def write(self, node: str, role: str, level: str, text: str) -> None:
        """Add characters of a stream; they become lines at each line's end."""
        writer = (threading.get_ident(), node, role, level)
        with self._lock:
            before, begun = self._unended.pop(writer, ("", self._now()))
            *lines, rest = (before + text).split("\n")
            for line in lines:
                self.add_line(node, role, level, _overwritten(line))
            if rest:
                self._unended[writer] = (
                    rest[-MAX_LINE_CHARACTERS:],
                    self._now() if lines else begun,
                )

    def drain(self, everything: bool = False) -> list[Row]:
        """Return the lines so far and remove them; `everything`: those without an end, too."""
        if self._unended:
            with self._lock:
                now = self._now()
                for writer, (text, begun) in list(self._unended.items()):
                    if everything or now - begun > MAX_UNENDED_S:
                        del self._unended[writer]
                        self.add_line(*writer[1:], _overwritten(text))
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        rows += cast("list[Row]", self._of_forks.drain())
        if self._omitted:
            with self._lock:
                omitted, self._omitted = self._omitted, Counter()
            for (node, role), count in omitted.items():
                text = f"({count} lines left out: they came faster than they can be shipped)"
                rows.append((self._now(), node, role, "warning", text))
        return rows

    def close(self) -> None:
        """Take nothing from forks any more."""
        self._of_forks.close()

    def logger(self, node: str, role: str = "") -> RoleLogger:
        """Return a logger whose records are lines of a role."""
        return RoleLogger(
            ".".join(filter(None, ("roleml_nb", "role" if role else "node", node, role))),
            lambda level, text: self.add_line(node, role, level, text),
            lambda: self.echo,
        )


def _unformatted(record: logging.LogRecord, error: Exception) -> str:
    try:
        return f"{record.msg!r} with {record.args!r}, which cannot be formatted: {error}"
    except Exception as other:  # not even they can be formatted
        return (
            f"a record of {record.funcName}, line {record.lineno}, cannot be formatted:"
            f" {type(other).__name__}"
        )


def _overwritten(line: str) -> str:
    """Return the visible rest of a line that returns to its beginning, as progress bars do."""
    return line.rstrip("\r").rpartition("\r")[2]


class RoleLogger(logging.Logger):
    """The logger of one role on one node of one testbed; `logging`, and so other testbeds, do not
    know it.

    From level INFO on unless ``setLevel`` says otherwise. Handlers that are added to it get its
    records, too.
    """

    def __init__(self, name: str, add_line: Callable[[str, str], None], echo: Callable[[], bool]):
        super().__init__(name, logging.INFO)
        self.propagate = False
        self._add_line, self._echo = add_line, echo

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return not self.disabled and level >= self.level and level > self.manager.disable

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802
        try:
            text = logging.Formatter().format(record)
        # arguments that do not fit: the handler goes on, and its author sees it
        except Exception as error:
            text = _unformatted(record, error)
        self._add_line(level_name(record.levelno), text)
        if self.hasHandlers():
            super().callHandlers(record)
        if self._echo():
            logging.getLogger(self.name).handle(record)

    def __reduce__(self) -> tuple[Any, ...]:
        return logging.getLogger, (self.name,)
