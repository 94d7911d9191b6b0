"""Exercises that review an answer at once: the claims that hold, the first that fails, a hint."""

from __future__ import annotations

import ctypes
import linecache
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from roleml_nb.role import CallTimeout, HandlerError, RoleMLError, did_you_mean

__all__ = ["Claim", "CourseError", "Exercise", "NotYet", "exercise", "review"]

LIBRARY_FOLDERS = tuple(
    {str(Path(__file__).parents[1]), *map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))}
)
"""Folders of code that is not the student's."""
ENDLESS_HINT = (
    "  hint   is there a loop that never ends, or a call that waits for something which comes"
    " after it?"
)


class CourseError(RoleMLError):
    """The course does not have an exercise or an architecture of that name."""


class NotYet(CourseError):
    """An answer is not right yet; the message has the claims that hold, one that fails, a hint."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows: the findings, without a traceback."""
        return str(self).splitlines()


class Claim(NamedTuple):
    """A property of right answers; the hint for a wrong one does not give the answer away."""

    text: str
    holds: bool
    hint: str = ""


class Exercise(NamedTuple):
    """An exercise; `claims` yields claims about an answer, up to the first that fails."""

    number: str
    title: str
    claims: Callable[[Any], Iterator[Claim]]
    seconds: float


class GivenUp(BaseException):
    """Ends the thread of an answer that takes too long."""


def exercise(
    number: str, title: str, seconds: float = 20.0
) -> Callable[[Callable[[Any], Iterator[Claim]]], Exercise]:
    """Make an exercise of a generator of claims; an answer has `seconds` for all claims."""
    return lambda claims: Exercise(number, title, claims, seconds)


def find(number: str, known: dict[str, Exercise]) -> Exercise:
    """Return the exercise of that number; CourseError names similar ones if there is none."""
    if number not in known:
        raise CourseError(f"there is no exercise {number!r}; {did_you_mean(str(number), known)}")
    return known[number]


def review(one: Exercise, answer: Any) -> str:
    """Return the claims that hold of a right answer; NotYet when it is wrong, hangs or raises.

    The answer runs on a thread of its own, which is left to itself when its time is over: nothing
    here relies on an interrupt that the answer may not notice.
    """
    right: list[str] = []
    wrong: list[str] = []
    thread = threading.Thread(
        target=_examine,
        args=(one, answer, right, wrong),
        name=f"exercise {one.number}",
        daemon=True,
    )
    thread.start()
    thread.join(one.seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(GivenUp)
        )
        wrong = [
            f"  wrong  it was not done after {one.seconds:g} seconds, and was given up",
            ENDLESS_HINT,
        ]
    head = f"exercise {one.number}, {one.title}"
    if wrong:
        raise NotYet("\n".join([f"{head}: not yet", *right, *wrong]))
    return "\n".join([f"{head}: right", *right])


def _examine(one: Exercise, answer: Any, right: list[str], wrong: list[str]) -> None:
    """Go through the claims up to the first that does not hold; add lines to `right`, `wrong`."""
    try:
        claims = one.claims(answer)
        for claim in claims:
            if not claim.holds:
                wrong.append(f"  wrong  {claim.text}")
                if claim.hint:
                    wrong.append("  hint   " + claim.hint.replace("\n", "\n         "))
                break
            right.append(f"  right  {claim.text}")
        claims.close()  # type: ignore[attr-defined]
    except GivenUp:
        pass
    except Exception as error:  # an answer may raise anything, and the student is told of it
        wrong.extend(_lines_of_error(error))


def _lines_of_error(error: Exception) -> list[str]:
    name = error.where.get("error", "") if isinstance(error, HandlerError) else type(error).__name__
    if name == "NotImplementedError":
        return [
            "  wrong  nothing is written here yet",
            "  hint   write your answer where it says YOUR CODE HERE, and run that cell",
        ]
    if isinstance(error, CallTimeout):
        return [
            f"  wrong  a call of it was given up: {str(error).partition('; wait longer')[0]}",
            ENDLESS_HINT,
        ]
    if isinstance(error, HandlerError):
        text = str(error.args[0])
        place = _last_own_remote_line(error.remote_traceback)
    else:
        text = f"{name}: {error}" if str(error) else name
        place = _last_own_line(error)
    lines = [f"  wrong  it ends with an error: {text}"]
    for line in place:
        lines.append(f"         {line}")
    return lines


def _last_own_line(error: Exception) -> list[str]:
    """Return the last line of the answer's own code that the error went through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(LIBRARY_FOLDERS):
            if frame.lineno is None:
                return []
            source = linecache.getline(frame.filename, frame.lineno).strip()
            return [f"line {frame.lineno}: {source}"]
    return []


def _last_own_remote_line(remote_traceback: str) -> list[str]:
    """Return the last place in the answer's own code, and its source where the text has it."""
    lines = list(map(str.strip, remote_traceback.splitlines()))
    for number in reversed(range(len(lines))):
        if _is_place(lines[number]) and not lines[number][6:].startswith(LIBRARY_FOLDERS):
            source = lines[number + 1 : -1][:1]
            if source and _is_place(source[0]):
                source = []
            return [lines[number], *source]
    return []


def _is_place(line: str) -> bool:
    return line.startswith('File "')
