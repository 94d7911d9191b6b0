"""Names of many nodes at once: ``client{1..8}`` makes them, ``client*`` finds them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from roleml_nb.role import TestbedError, did_you_mean, natural_key

__all__ = ["expand", "match"]

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def expand(pattern: str) -> list[str]:
    """The names that a pattern makes: ``client{1..3}``, ``{alice,bob}``.

    >>> expand("client{1..3}")
    ['client1', 'client2', 'client3']
    """
    found = _RANGE.search(pattern)
    if found is None:
        if not _NAME.fullmatch(pattern):
            raise TestbedError(f"{pattern!r} is not a node name: letters, digits, '_', '-' and '.', a letter first; "
                               "for many write client{1..8}")
        return [pattern]
    if found[1] is not None:
        first, last = int(found[1]), int(found[2])
        if last < first:
            raise TestbedError(f"{pattern!r}: the range ends before it begins")
        items = [str(number) for number in range(first, last + 1)]
    else:
        items = [item.strip() for item in found[3].split(",")]
    return [name for item in items for name in expand(pattern[:found.start()] + item + pattern[found.end():])]


def match(pattern: str | Iterable[str], known: Iterable[str]) -> list[str]:
    """The known names that a pattern, or any of several, finds; in natural order. TestbedError for none."""
    names = sorted(known, key=natural_key)
    exact = set(names)  # names hold none of the signs of patterns; many of them at once shall not be tried one by one
    chosen: dict[str, None] = {}
    for item in [pattern] if isinstance(pattern, str) else pattern:
        for name in expand(item) if "{" in item else [item]:
            found = [name] if name in exact else [candidate for candidate in names if fnmatchcase(candidate, name)]
            if not found:
                raise TestbedError(f"no node matches {name!r}; {did_you_mean(name, names)}")
            chosen.update(dict.fromkeys(found))
    return list(chosen)
