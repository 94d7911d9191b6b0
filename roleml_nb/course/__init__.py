"""Checks for the exercises of the course in ``tutorials/``, ``check("03.2", MyAggregator)``, and
what its lessons need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checking import CourseError, Exercise, NotYet, find, review

if TYPE_CHECKING:
    from .architectures import ARCHITECTURES, Deployed, deploy
    from .measure import bytes_through
    from .phone import Phone
    from .power_plug import PowerPlug

__all__ = [
    "ARCHITECTURES",
    "CourseError",
    "Deployed",
    "NotYet",
    "Phone",
    "PowerPlug",
    "bytes_through",
    "check",
    "deploy",
    "exercises",
]

MODULE_OF = {
    "ARCHITECTURES": "architectures",
    "Deployed": "architectures",
    "deploy": "architectures",
    "Phone": "phone",
    "PowerPlug": "power_plug",
    "bytes_through": "measure",
}
"""Which module has what: each is imported when a lesson needs it."""


def __getattr__(name: str) -> Any:
    if name not in MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def exercises() -> dict[str, Exercise]:
    """Return all exercises, by number."""
    from . import (
        lesson_00,
        lesson_01,
        lesson_02,
        lesson_03,
        lesson_04,
        lesson_05,
        lesson_06,
        lesson_07,
        lesson_08,
        lesson_09,
    )

    lessons = (
        lesson_00,
        lesson_01,
        lesson_02,
        lesson_03,
        lesson_04,
        lesson_05,
        lesson_06,
        lesson_07,
        lesson_08,
        lesson_09,
    )
    return {
        one.number: one
        for lesson in lessons
        for one in vars(lesson).values()
        if isinstance(one, Exercise)
    }


def check(number: str, answer: Any) -> None:
    """Say what is right about an answer to an exercise; raise `NotYet` with a hint when something
    is not.

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
    print(review(find(number, exercises()), answer))
