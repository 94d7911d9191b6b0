"""The lines that nodes have logged and printed."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice, starmap
from typing import TYPE_CHECKING, Any, NamedTuple

from roleml_nb.role import ArgumentError, RoleMLError, did_you_mean, natural_key
from roleml_nb.role.checks.arguments import checked_methods
from roleml_nb.role.checks.numbers import check_count
from roleml_nb.role.checks.visible import visible

from .tables import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEVELS", "LogLine", "LogView", "Logs", "rank_of"]

MAX_LINES = 100_000
"""Lines of all nodes together; the oldest go first."""
BYTES_PER_LINE = 200
"""Bytes of a line, without its text."""
LEVELS = {
    "debug": 10,
    "print": 20,
    "info": 20,
    "stderr": 30,
    "warning": 30,
    "error": 40,
    "critical": 50,
}
"""{level: its rank}. A printed line counts as info, and one on the standard error as a warning."""
NAMES_BY_RANK = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"))


def rank_of(level: str) -> int:
    """Return the rank of a level; ValueError, with the nearest name, for an unknown one."""
    try:
        return LEVELS[level.lower()]
    except KeyError:
        raise ArgumentError(f"no level {level!r}; {did_you_mean(level.lower(), LEVELS)}") from None


def level_name(rank: int) -> str:
    """Return the level of a rank of `logging`, whose own names programs may have changed."""
    for least, name in NAMES_BY_RANK:
        if rank >= least:
            return name
    return "debug"


class LogLine(NamedTuple):
    """One line. `role` is empty for lines of the node itself, or of its engine.

    `sent` is in seconds since the epoch.
    """

    sent: float
    node: str
    role: str
    level: str
    text: str

    @property
    def source(self) -> str:
        return f"{self.node}/{self.role}" if self.role else self.node


class Logs(Table):
    """Every line that roles have logged or printed, oldest first.

    The last 100,000 are kept, and an eighth of the limit of the trace; `gone` counts the earlier.
    """

    columns = LogLine._fields
    noun = "lines of logs"

    def __init__(self, start: float, refresh: Callable[[], None], lock: threading.Lock):
        super().__init__(start, refresh, lock)
        self.rows: deque[tuple[float, str, str, str, str]] = deque()
        self._added = 0
        self._bytes = 0

    def add(self, rows: Iterable[tuple[float, str, str, str, str]]) -> None:
        """Add a batch; the caller holds the lock."""
        for row in rows:
            sent, node, role, level, text = row
            text = visible(text)
            self.rows.append((sent, node, role, level if level in LEVELS else "info", text))
            self._added += 1
            self._bytes += BYTES_PER_LINE + sys.getsizeof(text)
        while len(self.rows) > MAX_LINES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._bytes -= BYTES_PER_LINE + sys.getsizeof(self.rows.popleft()[-1])
        self.gone += 1

    def trim(self, limit: float) -> None:
        while self._bytes > limit and self.rows:
            self._drop_oldest()

    def clear(self) -> None:
        self.rows.clear()
        self.gone = 0
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        return self._bytes

    @property
    def single_count(self) -> int:
        return len(self.rows)

    def raw(self) -> pd.DataFrame:
        import pandas as pd

        self._refresh()
        with self._lock:
            rows = list(self.rows)
        return pd.DataFrame.from_records(rows, columns=list(self.columns))

    def since(self, count: int) -> tuple[list[LogLine], int]:
        """Return the lines after the first `count`, as far as they are here, and the new count."""
        with self._lock:
            new = min(self._added - count, len(self.rows))
            newest_first = starmap(LogLine, islice(reversed(self.rows), new))
            return list(newest_first)[::-1], self._added

    def all(self) -> list[LogLine]:
        """Return the lines that are here, by time, after the hosts have been asked for more."""
        self._refresh()
        with self._lock:
            rows = list(self.rows)
        return sorted(starmap(LogLine, rows), key=lambda line: line.sent)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per line, by time.

        Columns: time (seconds since the start), node, role, level, text.
        """
        import pandas as pd

        frame = pd.DataFrame.from_records(self.all(), columns=list(self.columns))
        frame.insert(0, "time", frame.pop("sent") - self._start)
        return frame

    def __repr__(self) -> str:
        return f"<Logs: {len(self)} lines; .to_pandas()>"


@checked_methods
class LogView:
    """The lines of some nodes; reading it asks for the newest.

    Its text has no times, unless asked for with `times`.

    Parameters
    ----------
    nodes
        Patterns of nodes, or of roles: "client3", "client*", "client*/trainer"; empty for all.
    level
        The least level that is shown: "warning".
    tail
        The number of lines that are shown at most, the last ones.
    times
        True shows the time of each line, and orders lines by it rather than by node.
    """

    def __init__(
        self,
        logs: Logs,
        nodes: Iterable[str] = (),
        *,
        level: str = "debug",
        tail: int | None = None,
        times: bool = False,
        pane: Callable[[LogView], Any] | None = None,
    ):
        self._pane = pane
        self._logs = logs
        self.nodes = tuple(nodes)
        self.level = level
        self.times = times
        self.tail = None if tail is None else check_count("tail", tail)
        self._rank = rank_of(level)

    def shows(self, line: LogLine) -> bool:
        """Return True for a line of these nodes, and of the least level or above."""
        if LEVELS[line.level] < self._rank:
            return False
        for pattern in self.nodes:
            if fnmatchcase(line.source if "/" in pattern else line.node, pattern):
                return True
        return not self.nodes

    def lines(self) -> list[LogLine]:
        """Return the lines by time."""
        lines = list(filter(self.shows, self._logs.all()))
        if self.tail is None:
            return lines
        return lines[-self.tail :] if self.tail else []

    def new(self, count: int) -> tuple[list[LogLine], int]:
        """Return the lines that came after the first `count` of all nodes, and the new count.

        The hosts are not asked for more.
        """
        lines, total = self._logs.since(count)
        return list(filter(self.shows, lines)), total

    def text_of(self, line: LogLine) -> str:
        """Return a line as text; its second and later lines are indented."""
        text = line.text.rstrip("\n").replace("\n", "\n    ")
        level = "" if line.level == "print" else f" {line.level}"
        shown = f"{line.source}{level}: {text}"
        return f"{line.sent - self._logs._start:9.3f}  {shown}" if self.times else shown

    def pane(self) -> Any:
        """Return a widget that follows these lines while other cells run."""
        if self._pane is None:
            raise RoleMLError(
                "these lines belong to no testbed, so no new ones will come; print them instead"
            )
        return self._pane(self)

    def __iter__(self) -> Iterator[LogLine]:
        return iter(self.lines())

    def __len__(self) -> int:
        return len(self.lines())

    def __str__(self) -> str:
        lines = self.lines()
        if not self.times:
            lines.sort(key=lambda line: natural_key(line.node))
        shown = list(map(self.text_of, lines)) or ["nothing was logged"]
        gone = self._logs.gone
        if gone:
            shown.insert(0, f"({gone} earlier lines of all nodes are no longer here)")
        return "\n".join(shown)

    def __repr__(self) -> str:
        return str(self)
