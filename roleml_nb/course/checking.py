"""Exercises that say at once how an answer stands: what is right, what is wrong first, and a
hint.
"""

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
"""Where code lies that is not the student's."""
ENDLESS_HINT = (
    "  hint   is there a loop that never ends, or a call that waits for something which comes"
    " after it?"
)


class CourseError(RoleMLError):
    """The course was asked for something that it does not have."""


class NotYet(CourseError):
    """An answer is not right yet; the message says what is right, what is wrong, and a hint."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: what was found, and not where it was looked for."""
        return str(self).splitlines()


class Claim(NamedTuple):
    """Something that a right answer fulfils; the hint is shown when it does not, and does not give
    the answer away.
    """

    text: str
    holds: bool
    hint: str = ""


class Exercise(NamedTuple):
    """An exercise; `claims` yields claims about an answer, and is gone through up to the first that
    does not hold.
    """

    number: str
    title: str
    claims: Callable[[Any], Iterator[Claim]]
    seconds: float


class GivenUp(BaseException):
    """Raised in the thread of an answer that takes too long."""


def exercise(
    number: str, title: str, seconds: float = 20.0
) -> Callable[[Callable[[Any], Iterator[Claim]]], Exercise]:
    """Make an exercise of a generator of claims; an answer has `seconds` for all of them."""
    return lambda claims: Exercise(number, title, claims, seconds)


def find(number: str, known: dict[str, Exercise]) -> Exercise:
    """Return the exercise of that number; CourseError names the nearest ones if there is none."""
    if number not in known:
        raise CourseError(f"there is no exercise {number!r}; {did_you_mean(str(number), known)}")
    return known[number]


def review(one: Exercise, answer: Any) -> str:
    """What is right about an answer, if all of it is; NotYet if not, also when it hangs or raises.

    The answer runs on a thread of its own, so that it can be left to itself when its time is over:
    nothing here relies on an interrupt that the answer may not notice.
    """
    lines: list[str] = []
    wrong: list[str] = []

    def examine() -> None:
        try:
            claims = one.claims(answer)
            for claim in claims:
                if not claim.holds:
                    wrong.append(f"  wrong  {claim.text}")
                    if claim.hint:
                        wrong.append("  hint   " + claim.hint.replace("\n", "\n         "))
                    break
                lines.append(f"  right  {claim.text}")
            claims.close()  # type: ignore[attr-defined]
        except GivenUp:
            pass
        except Exception as error:  # whatever the answer raises is what it is told
            wrong.extend(_lines_of_error(error))

    thread = threading.Thread(target=examine, name=f"exercise {one.number}", daemon=True)
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
        raise NotYet("\n".join([f"{head}: not yet", *lines, *wrong]))
    return "\n".join([f"{head}: right", *lines])


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
    said = str(error.args[0] if isinstance(error, HandlerError) else error)
    shown = said if isinstance(error, HandlerError) else f"{name}: {said}" if said else name
    return [
        f"  wrong  it ends with an error: {shown}",
        *(f"         {line}" for line in _last_own_line(error)),
    ]


def _last_own_line(error: Exception) -> list[str]:
    """Return the last line of the answer's own code that the error went through."""
    if isinstance(error, HandlerError):
        lines = [line.strip() for line in error.remote_traceback.splitlines()]
        mine = [
            at
            for at, line in enumerate(lines)
            if line.startswith('File "') and not line[6:].startswith(LIBRARY_FOLDERS)
        ]
        return (
            [
                lines[mine[-1]],
                *(line for line in lines[mine[-1] + 1 : -1][:1] if not line.startswith('File "')),
            ]
            if mine
            else []
        )
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(LIBRARY_FOLDERS)
    ]
    if not own or own[-1].lineno is None:
        return []
    return [f"line {own[-1].lineno}: {linecache.getline(own[-1].filename, own[-1].lineno).strip()}"]
