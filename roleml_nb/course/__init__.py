"""Checks for the exercises of the course in ``tutorials/``: ``check("03.2", MyAggregator)``.

The architectures and roles that its lessons use are here, too.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
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
"""Modules of the public names; each is imported when a lesson needs it."""


def __getattr__(name: str) -> Any:
    if name not in MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def exercises() -> dict[str, Exercise]:
    """Return all exercises, by number, from each module ``lesson_NN.py`` of this folder."""
    found = {}
    for module in iter_modules(__path__):
        if module.name.startswith("lesson_"):
            lesson = import_module(f".{module.name}", __name__)
            for value in vars(lesson).values():
                if isinstance(value, Exercise):
                    found[value.number] = value
    return found


def check(number: str, answer: Any) -> None:
    """Print the claims that hold of a right answer; raise `NotYet` with a hint for a wrong one.

    Parameters
    ----------
    number : str
        Number of the exercise, such as "03.2".
    answer
        A role class, a function or a value, as the exercise asks for.

    Raises
    ------
    NotYet
        When the answer is wrong, raises, or is not done in time.
    CourseError
        When there is no such exercise; the message has the nearest numbers.
    """
    print(review(find(number, exercises()), answer))
