"""Names of many nodes at once: ``client{1..8}`` makes them, ``client*`` finds them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from roleml_nb.role import TestbedError, did_you_mean, natural_key

__all__ = ["expand", "match"]

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
MAX_NAMES, MAX_LETTERS, MAX_DIGITS = 100_000, 10_000, 18
"""Of the names that one pattern makes, of what it is written with, and of a number in it."""


def expand(pattern: str) -> list[str]:
    """Return the names that a pattern makes: ``client{1..3}``, ``{alice,bob}``.

    >>> expand("client{1..3}")
    ['client1', 'client2', 'client3']
    """
    if len(pattern) > MAX_LETTERS:
        raise TestbedError(
            f"{pattern[:50]!r}… has {len(pattern):,} letters, and a pattern at most {MAX_LETTERS:,}"
        )
    names, begun, count = [], [pattern], 1
    while begun:
        name = begun.pop()
        found = _RANGE.search(name)
        if found is None:
            if not _NAME.fullmatch(name):
                raise TestbedError(
                    f"{name!r} is not a node name: letters, digits, '_', '-' and '.', a letter"
                    " first; for many write client{1..8}"
                )
            names.append(name)
            continue
        items = _items(found, pattern)
        count += len(items)
        if count > MAX_NAMES:
            raise TestbedError(
                f"{pattern!r} makes more than {MAX_NAMES:,} names, and a pattern makes at most so"
                " many"
            )
        begun += [f"{name[: found.start()]}{item}{name[found.end() :]}" for item in reversed(items)]
    return names


def _items(found: re.Match[str], pattern: str) -> Sequence[int | str]:
    """Return the alternatives of a pattern's first braces."""
    if found[1] is None:
        return [item.strip() for item in found[3].split(",")]
    if max(len(found[1]), len(found[2])) > MAX_DIGITS:
        raise TestbedError(f"{pattern!r}: a number of a range has at most {MAX_DIGITS} digits")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise TestbedError(f"{pattern!r}: the range ends before it begins")
    return range(first, last + 1)


def match(pattern: str | Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the known names that a pattern, or any of several, finds; in natural order.

    TestbedError for none.
    """
    names = sorted(known, key=natural_key)
    # names hold none of the signs of patterns; many of them at once shall not be tried one by one
    exact = set(names)
    chosen: dict[str, None] = {}
    for item in [pattern] if isinstance(pattern, str) else pattern:
        for name in expand(item) if "{" in item else [item]:
            found = (
                [name]
                if name in exact
                else [candidate for candidate in names if fnmatchcase(candidate, name)]
            )
            if not found:
                raise TestbedError(f"no node matches {name!r}; {did_you_mean(name, names)}")
            chosen.update(dict.fromkeys(found))
    return list(chosen)
