"""Claims that many exercises make, and predicates for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np

from roleml_nb.role import Role

from .checking import Claim

__all__ = ["equals", "is_function", "is_list", "is_role", "returned"]


def is_role(answer: Any, **channels: str) -> Iterator[Claim]:
    """Claim that the answer is a role class and has channels, named with spaces between.

    For example, ``yield from is_role(Counter, services="add get", tasks="run")``.
    """
    yield Claim(
        "it is a role",
        isinstance(answer, type) and issubclass(answer, Role),
        _hint_at_role(answer),
    )
    for kind, names in channels.items():
        for name in names.split():
            yield Claim(
                f"it has the {kind.removesuffix('s')} {name}",
                name in getattr(answer, kind),
                f"its {kind} are: {', '.join(sorted(getattr(answer, kind))) or 'none'}; what makes"
                " a method one?",
            )


def _hint_at_role(answer: Any) -> str:
    if isinstance(answer, Role):
        return (
            f"it is an instance: hand over the class itself, {type(answer).__name__}, without"
            " brackets behind its name"
        )
    if isinstance(answer, type):
        return f"a role inherits from Role: class {answer.__name__}(Role)"
    return f"it is of type {type(answer).__name__}: hand over a class that inherits from Role"


def is_function(answer: Any) -> Claim:
    return Claim(
        "it can be called",
        callable(answer),
        "hand over the function itself, without brackets behind its name",
    )


def equals(found: Any, right: float) -> bool:
    """Return True if `found`, which may be anything, is a number close to `right`."""
    return isinstance(found, Real) and bool(np.isclose(float(found), right))


def is_list(found: Any) -> bool:
    """Return True for a list, another sequence or an array, but not for a text."""
    return isinstance(found, Sequence | np.ndarray) and not isinstance(found, str)


def returned(found: Any) -> str:
    """Return the beginning of a hint, which names the value returned."""
    if found is None:
        return "it returned None, as a function does that has no return"
    return f"it returned {found!r}"
