"""Value templates: one text in a configuration with another value on each actor."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

from roleml_nb.spec.entry import Entry

__all__ = ["Templates", "producer"]

_FORM = re.compile(r"(\$[caer]|[$@~^])\[(.*)\]", re.DOTALL)
_RANGE = re.compile(r"(-?\d+)(?:\s*-\s*(-?\d+))?")
_NUMBERS = re.compile(r"[-\d,\s]+")
MAX_DIGITS = 18
"""Digits of a number."""
MAX_VALUES = 1_000_000
"""Values of one template, and of all templates of a run together."""


class Templates:
    """The templates of one rule. Each place has a producer, which yields a value for each actor.

    `written` counts the values that are written out; several may share it.
    """

    def __init__(self, seed: int, written: Counter[str] | None = None):
        self._seed = seed
        self._written = Counter[str]() if written is None else written
        self._producers: dict[tuple[str, ...], Iterator[Any] | None] = {}

    def fill(self, entry: Entry) -> Entry:
        """Return the entry for the next actor."""
        if isinstance(entry.value, dict):
            return entry.with_value({key: self.fill(item) for key, item in entry.value.items()})
        if isinstance(entry.value, list):
            return entry.with_value(list(map(self.fill, entry.value)))
        if not isinstance(entry.value, str):
            return entry
        if entry.path not in self._producers:
            try:
                self._producers[entry.path] = producer(
                    entry.value, f"{self._seed} {'.'.join(entry.path)}"
                )
            except ValueError as error:
                raise entry.fail(error) from None
        values = self._producers[entry.path]
        if values is None:
            return entry
        value = next(values)
        self._written["values"] += len(value) if isinstance(value, list) else 1
        if self._written["values"] > MAX_VALUES:
            raise entry.fail(
                f"with {entry.value!r}, more than {MAX_VALUES:,} values are written out for all"
                " actors"
            )
        return Entry.of(value, entry.path, entry.location)


def producer(text: str, seed: str = "") -> Iterator[Any] | None:
    """Return an endless iterator over a template's values, actor after actor, or None.

    None stands for a text that is no template. Ends of ranges are included, but for ``^`` with a
    step, which is a Python range. Draws depend on ``seed``.

    ==================  =====================  ====================================================
    ``$c[1-3, 7]``      ``$[1-3, 7]``          the next value, again from the first after the last
    ``$a[1-3, 7]``      ``@[1-3, 7]``          the list of all, each time
    ``$e[1-9, 4-8]``                           as ``$c``, without what the later ranges name
    ..                  ``~[1-9, 4-8]``        drawn at random, without what the later ranges name
    ``$r[1, 9]``        ``^[1, 9]``            drawn at random
    ``$r[1, 9, 2]``     ``^[1, 9, 2]``         drawn at random, in steps (1 … 9; 1 … 7)
    ``$r[1, 9, 2, 3]``  ``^[1, 9, 2, 3]``      a list of 3 different ones drawn at random, in steps
    ==================  =====================  ====================================================

    Raises
    ------
    ValueError
        The text looks like a template, but is not well formed.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    kind, inside = found[1], found[2]
    if kind in "@~^" and not _NUMBERS.fullmatch(inside):
        return None  # such as the regular expression ^[a-z]
    parts = list(map(str.strip, inside.split(",")))
    draw = random.Random(seed)
    if kind in ("$r", "^"):
        return _drawn(draw, parts, text, inclusive=kind == "$r")
    first, later = (parts[:1], parts[1:]) if kind in ("$e", "~") else (parts, [])
    values = sorted(_ranges(first, text) - _ranges(later, text))
    if not values:
        raise ValueError(f"the template {text!r} leaves no value")
    if kind == "~":
        return _repeat(partial(draw.choice, values))
    return _repeat(partial(list, values)) if kind in ("$a", "@") else cycle(values)


def _repeat(make: Callable[[], Any]) -> Iterator[Any]:
    while True:
        yield make()


def _ranges(parts: list[str], text: str) -> set[int]:
    values: set[int] = set()
    for part in parts:
        found = _RANGE.fullmatch(part)
        if found is None:
            raise ValueError(
                f"the template {text!r} is not well formed: {part!r} is neither a number nor a"
                " range like 1-10"
            )
        if any(len(number or "") > MAX_DIGITS for number in found.groups()):
            raise ValueError(
                f"the template {text!r} is not well formed: numbers have at most {MAX_DIGITS}"
                " digits"
            )
        wanted = range(int(found[1]), int(found[2] or found[1]) + 1)
        if len(values) + len(wanted) > MAX_VALUES:
            raise ValueError(f"the template {text!r} stands for more than {MAX_VALUES:,} values")
        values.update(wanted)
    return values


def _drawn(draw: random.Random, parts: list[str], text: str, inclusive: bool) -> Iterator[Any]:
    try:
        numbers = [int(part) for part in parts if len(part) <= MAX_DIGITS]
    except ValueError:
        numbers = []
    if len(numbers) < len(parts) or not 2 <= len(numbers) <= 4 or 0 in numbers[2:]:
        raise ValueError(
            f"the template {text!r} is not well formed: write {text.partition('[')[0]}[first,"
            " last], [first, last, step] or [first, last, step, count] with whole numbers"
        )
    first, last, step, count = (*numbers, *(1, -1)[len(numbers) - 2 :])
    values = range(first, last + 1 if inclusive or len(numbers) == 2 else last, step)
    if count > MAX_VALUES:
        raise ValueError(f"the template {text!r} stands for more than {MAX_VALUES:,} values")
    if len(values) < max(1, count):
        raise ValueError(
            f"the template {text!r} cannot draw {max(1, count)} of {len(values)} values"
        )
    if count > 0:
        return _repeat(partial(draw.sample, values, count))
    return _repeat(partial(draw.choice, values))
