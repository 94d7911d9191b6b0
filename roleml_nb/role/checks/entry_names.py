"""The difference between the names of two state dicts, in one short line."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["difference_of_names"]

MAX_SHOWN_NAMES = 4
"""Names that are printed of each side; the others are counted."""


def difference_of_names(given: Iterable[str], expected: Iterable[str]) -> str | None:
    """Return the missing and unexpected names of a state dict in words; None if there are none.

    A prefix that all names of one side have, such as ``module.`` or ``_orig_mod.`` of a wrapped
    module, is reported as such.
    """
    ours = list(map(str, given))
    theirs = list(map(str, expected))
    if set(ours) == set(theirs):
        return None
    prefix = _prefix(ours, theirs)
    if prefix:
        return (
            f"all its names begin with {prefix!r}, which is the mark of a wrapped module: "
            "hand over the state dict of the module inside, or take the prefix off"
        )
    prefix = _prefix(theirs, ours)
    if prefix:
        return (
            f"none of its names begins with {prefix!r}, as they must here, where a module is "
            "wrapped: wrap none, or all alike"
        )
    parts = []
    if missing := set(theirs).difference(ours):
        parts.append(f"missing {_enumerate(sorted(missing))}")
    if unexpected := set(ours).difference(theirs):
        parts.append(f"unexpected {_enumerate(sorted(unexpected))}")
    return "; ".join(parts)


def _prefix(names: list[str], others: list[str]) -> str:
    """Return the prefix that makes `names` of the others; "" if no prefix does."""
    for name in names:
        if others and name.endswith(others[0]):
            prefix = name.removesuffix(others[0])
            return prefix if set(names) == {prefix + other for other in others} else ""
    return ""


def _enumerate(names: list[str]) -> str:
    more = len(names) - MAX_SHOWN_NAMES
    return ", ".join(names[:MAX_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
