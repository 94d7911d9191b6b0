"""Names: the standard spelling of channels, and what the user may have meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from functools import lru_cache

from roleml_nb.role.errors import ArgumentError

__all__ = [
    "check_file_name",
    "check_name",
    "did_you_mean",
    "natural_key",
    "standard_name",
    "valid_text",
]

MAX_DIGITS = 1000
"""Of a number in a name: Python reads no more than 4300."""
MAX_COMPARED_LETTERS, MAX_COMPARED_NAMES = 100, 5000
"""Letters of a name, and known names, that are compared: the time grows with their square."""


_NAME = re.compile(r"[^\W\d][\w.-]*")


def check_name(noun: str, name: object) -> None:
    """Raise ArgumentError unless `name` can name a role or a relationship (`noun`)."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = (
            f"{name:.50}…" if isinstance(name, str) and len(name) > MAX_COMPARED_LETTERS else name
        )
        raise ArgumentError(
            f"{shown!r} cannot be the name of a {noun}: letters, digits, '_', '-' and '.', a letter"
            " first"
        )


def check_file_name(name: str) -> None:
    """ArgumentError for a name that no file can have: an empty one, or with what is no text."""
    try:
        valid = bool(os.fsencode(name)) and "\0" not in name
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise ArgumentError(f"{name!r} cannot be the name of a file")


def standard_name(name: str) -> str:
    """Return the spelling of a channel or element: ``accept_gossip`` → ``accept-gossip``."""
    return name.replace("_", "-")


def natural_key(name: object) -> tuple:
    """Sort key under which ``client2`` comes before ``client10``."""
    return _natural_key(str(name))


@lru_cache(maxsize=4096)
def _natural_key(name: str) -> tuple:
    parts = re.split(r"(\d+)", name)
    return tuple(
        (0, int(part), "") if part.isdecimal() and len(part) <= MAX_DIGITS else (1, 0, part)
        for part in parts
        if part
    )


LIKENESS_MARGIN = 0.15
"""Names whose likeness to a mistyped one differs by less are offered together."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A half sentence for error messages: the nearest known names, or all of them.

    >>> did_you_mean("trian", ["train", "test"])
    "did you mean 'train'?"
    """
    names = sorted(set(known), key=natural_key)
    if not names:
        return "there are none"
    compared = (
        names
        if len(names) <= MAX_COMPARED_NAMES
        else [item for item in names if item[:1] == name[:1]][:MAX_COMPARED_NAMES]
    )
    near = [] if len(name) > MAX_COMPARED_LETTERS else _nearest(name, compared)
    if near:
        return "did you mean " + " or ".join(repr(item) for item in near) + "?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"known: {shown}"


def _nearest(name: str, names: list[str]) -> list[str]:
    """Return those of `names` that are about as near to `name` as the nearest one."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    alike = [difflib.SequenceMatcher(None, item, name).ratio() for item in near]
    return [
        item for item, ratio in zip(near, alike, strict=True) if ratio >= alike[0] - LIKENESS_MARGIN
    ]


def valid_text(text: str) -> str:
    r"""Replace lone surrogates, which no file and no page takes, by their escapes.

    >>> valid_text("a\udcffb") == "a" + chr(92) + "udcffb"
    True
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
