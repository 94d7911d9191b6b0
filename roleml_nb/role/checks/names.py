"""Names: their standard spelling, and suggestions for mistyped ones."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from roleml_nb.role.checks.numbers import short
from roleml_nb.role.errors import ArgumentError

__all__ = [
    "check_choice",
    "check_file_name",
    "check_name",
    "did_you_mean",
    "natural_key",
    "pluralize",
    "shorten",
    "standard_name",
    "valid_text",
]

MAX_DIGITS = 1000
"""Digits of a number in a name that are compared as a number; Python reads no more than 4300."""
MAX_COMPARED_LETTERS = 100
"""Length of the names that are compared: the time grows with its square."""
MAX_COMPARED_NAMES = 5000
LIKENESS_MARGIN = 0.15
"""Names whose likeness to a mistyped one differs by less are offered together."""
MAX_SHOWN_NAMES = 12

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
    """Raise ArgumentError for a name that no file can have: empty, or not encodable."""
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
    """Return the sort key under which ``client2`` comes before ``client10``."""
    return _natural_key(str(name))


@lru_cache(maxsize=4096)
def _natural_key(name: str) -> tuple:
    key: list[tuple[int, int, str]] = []
    for part in filter(None, re.split(r"(\d+)", name)):
        number = part.isdecimal() and len(part) <= MAX_DIGITS
        key.append((0, int(part), "") if number else (1, 0, part))
    return tuple(key)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the texts that are allowed; ArgumentError if not."""
    if value not in allowed:
        *others, last = map(repr, allowed)
        raise ArgumentError(f"{name} must be {', '.join(others)} or {last}, got {short(value)}")
    return value


def shorten(text: str, length: int) -> str:
    """Return a text of at most `length` letters, with an ellipsis where it goes on."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun: 1 node, 2 nodes."""
    return f"{number} {noun}{'s' * (number != 1)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error's message: the nearest known names, or all of them.

    >>> did_you_mean("trian", ["train", "test"])
    "did you mean 'train'?"
    """
    names = sorted(set(known), key=natural_key)
    if not names:
        return "there are none"
    near = [] if len(name) > MAX_COMPARED_LETTERS else _nearest(name, names)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    more = ", …" if len(names) > MAX_SHOWN_NAMES else ""
    return f"known: {', '.join(names[:MAX_SHOWN_NAMES])}{more}"


def _nearest(name: str, names: list[str]) -> list[str]:
    """Return the names most like a mistyped one: the nearest, and those about as near."""
    if len(names) > MAX_COMPARED_NAMES:
        names = [item for item in names if item[:1] == name[:1]][:MAX_COMPARED_NAMES]
    found: list[str] = []
    best = 0.0
    for item in difflib.get_close_matches(name, names, n=3, cutoff=0.5):
        likeness = difflib.SequenceMatcher(None, item, name).ratio()
        best = max(best, likeness)
        if likeness >= best - LIKENESS_MARGIN:
            found.append(item)
    return found


def valid_text(text: str) -> str:
    r"""Replace lone surrogates, which no file and no page takes, by their escapes.

    >>> valid_text("a\udcffb") == "a" + chr(92) + "udcffb"
    True
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
