"""The lines of a ``%%rml`` cell: all of them happen, or, where that is possible, none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from roleml_nb.role import RoleMLError
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.snapshot import Snapshot

from .parsing import BadLine, split

__all__ = ["Line", "parse_lines", "run_all"]

LOOKING = frozenset({"status", "roles", "links", "waiting", "runs", "errors", "logs", "help"})
"""What changes nothing."""
UNDONE = LOOKING | {"spawn", "assign", "relate", "unrelate", "wire", "arrange"}
"""What can be taken back; `assign` where it replaces no role."""


class Line(NamedTuple):
    """A line of a cell, by the number of its first one in the cell's text."""

    number: int
    words: list[str]


def parse_lines(text: str) -> Iterator[Line]:
    """Yield what the lines of a cell say; one goes on in the next while a bracket is open."""
    begun, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not begun:
            first, stripped = number, stripped.removeprefix("%rml ")
        more = stripped.endswith("\\")
        begun += stripped.removesuffix("\\") + "\n"
        if more:
            continue
        try:
            words = split(begun)
        except BadLine as error:
            fault = BadLine(f"line {first}: {error} (nothing was changed)")
            continue
        if words:
            yield Line(first, words)
        begun = ""
    if begun.strip():
        raise fault


def run_all(
    given: list[tuple[int, Any]], bed: Callable[[], Testbed | None], carry_out: Callable[[Any], Any]
) -> None:
    """Carry out parsed lines, given with their numbers; `bed` is the testbed that runs now.

    When one fails, those before are taken back, if all of them can be. The error says so, or
    says which lines were done.
    """
    before = bed()
    snapshot = None if before is None else Snapshot(before.deployment)
    for place, (number, line) in enumerate(given):
        try:
            carry_out(line)
        except (BadLine, RoleMLError) as error:
            done = [item for _, item in given[:place]]
            _add_line_number(error, number, _undo(done, before, snapshot, bed()), given[:place])
            raise


def _undo(
    done: list[Any], before: Testbed | None, snapshot: Snapshot | None, now: Testbed | None
) -> bool:
    """Undo what lines have done; False where that cannot be, and nothing was undone."""
    commands = [item.command for item in done]
    if before is None:
        if commands[:1] == ["start"] and set(commands[1:]) <= UNDONE and now is not None:
            now.stop()
            return True
        return not set(commands) - LOOKING
    if snapshot is None or now is not before or set(commands) - UNDONE - {"start"}:
        return False
    return snapshot.restore()


def _add_line_number(
    error: Exception, number: int, undone: bool, done: list[tuple[int, Any]]
) -> None:
    """Have an error tell its line, and what became of those before it."""
    text = str(error.args[0] if error.args else error)
    if done and not undone:
        numbers = ", ".join(str(one) for one, _ in done)
        said = f"line{'s' * (len(done) > 1)} {numbers} {'were' if len(done) > 1 else 'was'} done"
    else:
        said = "nothing was changed"
    error.args = (f"line {number}: {text} ({said})", *error.args[1:])
