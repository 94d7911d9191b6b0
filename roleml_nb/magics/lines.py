"""The lines of a ``%%rml`` cell: all are carried out, or, where they can be undone, none."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from roleml_nb.role import RoleMLError
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.operations.snapshot import Snapshot

from .context import Context
from .parsing import BadLine, split
from .subcommands import Subcommand

__all__ = ["CheckedLine", "Line", "check_lines", "parse_lines", "run_all"]


class Line(NamedTuple):
    """A line of a cell, by the number of its first one in the cell's text."""

    number: int
    words: list[str]


class CheckedLine(NamedTuple):
    """A line that has a sub-command and the arguments for it."""

    number: int
    words: list[str]
    subcommand: Subcommand


def parse_lines(text: str) -> Iterator[Line]:
    """Yield the lines of a cell; one goes on in the next while a bracket is open."""
    begun = ""
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not begun:
            first = number
            stripped = stripped.removeprefix("%rml ")
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


def check_lines(text: str, parse: Callable[[list[str]], Namespace]) -> list[CheckedLine]:
    """Return the lines of a cell; BadLine with the number of one that is not understood."""
    checked = []
    for number, words in parse_lines(text):
        try:
            arguments = parse(words)
        except BadLine as error:
            raise BadLine(f"line {number}: {error} (nothing was changed)") from None
        checked.append(CheckedLine(number, words, arguments.subcommand))
    return checked


def run_all(
    lines: list[CheckedLine], context: Context, carry_out: Callable[[list[str]], Any]
) -> None:
    """Carry out lines of a cell.

    When one fails, those before are undone, if all of them can be. The error says so, or says
    which lines were done.
    """
    __tracebackhide__ = True
    before = context.running_bed
    snapshot = None if before is None else Snapshot(before.deployment)
    for place, line in enumerate(lines):
        try:
            carry_out(line.words)
        except (BadLine, RoleMLError) as error:
            done = lines[:place]
            undone = _undo(done, before, snapshot, context.running_bed)
            _add_line_number(error, line.number, [] if undone else done)
            raise


def _undo(
    done: list[CheckedLine], before: Testbed | None, snapshot: Snapshot | None, now: Testbed | None
) -> bool:
    """Undo lines; return False where that cannot be, and nothing was undone.

    `before` is the testbed that ran before the first line, `now` the one that runs now.
    """
    effects = [line.subcommand.effect for line in done]
    if before is None:
        if not done or done[0].subcommand.name != "start" or now is None:
            return set(effects) <= {"none"}
        if "lasting" in effects[1:]:
            return False
        now.stop()
        return True
    lasting = [line for line in done if line.subcommand.effect == "lasting"]
    # of a testbed that runs, start changes nothing
    harmless = all(line.subcommand.name == "start" for line in lasting)
    if snapshot is None or now is not before or not harmless:
        return False
    return snapshot.restore()


def _add_line_number(error: Exception, number: int, done: list[CheckedLine]) -> None:
    """Have an error name its line, and the lines before it that stay done."""
    text = str(error.args[0] if error.args else error)
    outcome = "nothing was changed"
    if done:
        numbers = ", ".join(str(line.number) for line in done)
        verb = "were" if len(done) > 1 else "was"
        outcome = f"line{'s' * (len(done) > 1)} {numbers} {verb} done"
    error.args = (f"line {number}: {text} ({outcome})", *error.args[1:])
