"""Names of many nodes at once: ``client{1..8}`` makes them, ``client*`` finds them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from roleml_nb.role import TestbedError, did_you_mean, natural_key

__all__ = ["expand", "match"]

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
MAX_NAMES = 100_000
"""Names that one pattern makes."""
MAX_LETTERS = 10_000
"""Letters of a pattern."""
MAX_DIGITS = 18
"""Digits of a number in a pattern."""


def expand(pattern: str) -> list[str]:
    """Return the names that a pattern makes: ``client{1..3}``, ``{alice,bob}``.

    >>> expand("client{1..3}")
    ['client1', 'client2', 'client3']
    """
    if len(pattern) > MAX_LETTERS:
        raise TestbedError(
            f"{pattern[:50]!r}… has {len(pattern):,} letters, and a pattern at most {MAX_LETTERS:,}"
        )
    names, begun = [], [pattern]
    count = 1
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
        before, after = name[: found.start()], name[found.end() :]
        begun += [f"{before}{item}{after}" for item in reversed(items)]
    return names


def _items(found: re.Match[str], pattern: str) -> Sequence[int | str]:
    """Return the alternatives of a pattern's first braces."""
    if found[1] is None:
        return list(map(str.strip, found[3].split(",")))
    if max(len(found[1]), len(found[2])) > MAX_DIGITS:
        raise TestbedError(f"{pattern!r}: a number of a range has at most {MAX_DIGITS} digits")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise TestbedError(f"{pattern!r}: the range ends before it begins")
    return range(first, last + 1)


def match(
    pattern: str | Iterable[str], known: Collection[str], hidden: frozenset[str] = frozenset()
) -> list[str]:
    """Return the known names that one of the patterns finds; in natural order.

    Names without wildcards are looked up in `known`, in a time that does not grow with it if it is
    a mapping or a set. Wildcards do not find `hidden` names.

    TestbedError for a pattern that finds none.
    """
    names: list[str] | None = None
    chosen: dict[str, None] = {}
    for item in [pattern] if isinstance(pattern, str) else pattern:
        for name in expand(item) if "{" in item else [item]:
            if name in known:
                chosen[name] = None
                continue
            if names is None:
                names = sorted(set(known) - hidden, key=natural_key)
            found = [candidate for candidate in names if fnmatchcase(candidate, name)]
            if not found:
                raise TestbedError(f"no node matches {name!r}; {did_you_mean(name, names)}")
            chosen.update(dict.fromkeys(found))
    return list(chosen)
