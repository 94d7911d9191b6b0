"""Foreign text made safe to print: without characters that control the terminal."""

from __future__ import annotations

import re

__all__ = ["visible"]

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
"""A terminal's colours: they are removed, since the coloured text is meant to be read."""
_ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
    r"\ufeff\ud800-\udfff\ufffe\uffff]"
)
"""Control characters but tab and line feed, marks of direction, and code points that are no
characters or have no UTF-8.
"""


def visible(text: str) -> str:
    """Return a text with control characters as Python writes them: ``\\x1b``.

    >>> visible("\\x1b[31mred\\x1b[0m \\x1b[2J")
    'red \\\\x1b[2J'
    """
    if text.isascii() and text.isprintable():
        return text
    return _ACTING.sub(lambda found: ascii(found[0])[1:-1], _COLOURS.sub("", text))
