"""How the names of two state dicts differ, in one short line."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["difference_of_names"]

MAX_SHOWN_NAMES = 4
"""Names of each side that are told; of the others, how many there are."""


def difference_of_names(given: Iterable[str], expected: Iterable[str]) -> str | None:
    """Say what the names of a state dict lack, or have that is not expected; None when they are the
    same.

    A prefix that all names of one side have, such as ``module.`` or ``_orig_mod.`` of a wrapped
    module, is said as such.
    """
    ours, theirs = [str(name) for name in given], [str(name) for name in expected]
    if set(ours) == set(theirs):
        return None
    for names, others, said in (
        (
            ours,
            theirs,
            "all its names begin with {!r}, which is the mark of a wrapped module: "
            "hand over the state dict of the module inside, or take the prefix off",
        ),
        (
            theirs,
            ours,
            "none of its names begins with {!r}, as they must here, where a module is "
            "wrapped: wrap none, or all alike",
        ),
    ):
        prefix = _prefix(names, others)
        if prefix:
            return said.format(prefix)
    missing, unexpected = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
    return "; ".join(
        f"{what} {_some(found)}"
        for what, found in (("missing", missing), ("unexpected", unexpected))
        if found
    )


def _prefix(names: list[str], others: list[str]) -> str:
    """What all of `names` have before what are the names of the others; "" when that is not the
    difference.
    """
    first = next((name for name in names if others and name.endswith(others[0])), "")
    prefix = first.removesuffix(others[0]) if first else ""
    return prefix if prefix and set(names) == {prefix + other for other in others} else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:MAX_SHOWN_NAMES]) + (
        f" and {len(names) - MAX_SHOWN_NAMES} more" if len(names) > MAX_SHOWN_NAMES else ""
    )
