"""Checks for the exercises of the course in ``tutorials/``: ``check("03.2", MyAggregator)``."""

from __future__ import annotations

from typing import Any

from .checking import CourseError, Exercise, NotYet, find, look_at
from .measure import bytes_through
from .phone import Phone

__all__ = ["CourseError", "NotYet", "Phone", "bytes_through", "check", "exercises"]


def exercises() -> dict[str, Exercise]:
    """All exercises, by number."""
    from . import lesson_00, lesson_01, lesson_02, lesson_03, lesson_04, lesson_05, lesson_06

    lessons = [lesson_00, lesson_01, lesson_02, lesson_03, lesson_04, lesson_05, lesson_06]
    return {one.number: one for lesson in lessons for one in vars(lesson).values() if isinstance(one, Exercise)}


def check(number: str, answer: Any) -> None:
    """Say what is right about an answer to an exercise; raise `NotYet` with a hint when something is not.

    Parameters
    ----------
    number : str
        Of the exercise, such as "03.2".
    answer
        What the exercise asks for: a role class, a function, a value.

    Raises
    ------
    NotYet
        When the answer is wrong, raises, or is not done in time.
    CourseError
        When there is no such exercise; the message has the nearest numbers.
    """
    print(look_at(find(number, exercises()), answer))
