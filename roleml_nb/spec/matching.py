"""Regular expressions of configurations, matched in linear time.

Python's own matcher backtracks, for ``(a+)+$`` as often as 2 to the number of letters. RE2 does
not; in return it has neither look-around nor back-references.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["matching"]

MAX_PATTERN_LENGTH = 1000
UNICODE = re.compile(r"\\[wdsbWDSB]|\(\?[a-z]*i")
OPEN_BEGINNING = re.compile(r"\{,(\d+)\}")


def matching(pattern: str, names: Iterable[str], trust: bool = False) -> list[str]:
    """Return the names that a pattern matches as a whole; ValueError when it cannot be matched.

    Parameters
    ----------
    trust
        True gives patterns that RE2 does not know to Python's matcher, which may not end.
    """
    import re2  # not before there is a pattern

    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(
            f"{pattern[:50]!r}… has {len(pattern):,} letters, and a pattern at most"
            f" {MAX_PATTERN_LENGTH:,}"
        )
    options = re2.Options()
    options.log_errors = False  # to the standard error, from C++
    try:
        made = re2.compile(OPEN_BEGINNING.sub(r"{0,\1}", pattern), options=options)
    except re2.error as error:
        text = error.args[0]
        reason = text.decode(errors="replace") if isinstance(text, bytes) else str(error)
        made = _python(pattern, reason, trust)
    names = list(names)
    odd = next((name for name in (pattern, *names) if not name.isascii()), None)
    if odd is not None and UNICODE.search(pattern) and not isinstance(made, re.Pattern):
        raise ValueError(
            f"{pattern!r}: \\w, \\d, \\s, \\b and (?i) know ASCII alone, which {odd!r} is not;"
            " write \\p{L} for a letter, \\p{N} for a digit"
        )
    return list(filter(made.fullmatch, names))


def _python(pattern: str, reason: str, trust: bool) -> re.Pattern[str]:
    try:
        made = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if not trust:
        raise ValueError(
            f"{pattern!r} is matched without going back ({reason}), so without look-around and"
            " back-references; write it otherwise, or, if you trust who wrote it, load it with"
            " trust=True, or %rml load --trust"
        )
    return made
