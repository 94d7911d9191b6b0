"""Python within braces in the words of a line: ``client{1..clients}``, ``{name}/a``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from roleml_nb.testbed.expressions import BadLine, evaluate

from .subcommands import subcommands

__all__ = ["fill", "fill_by"]

PAIRS = {"(": ")", "[": "]", "{": "}"}
HINT = "braces hold a range {1..8}, names {alice,bob}, or Python: {name}, client{1..count}"

Filled = Callable[[str], str]
"""Makes the text that stands for the source of an expression."""


def fill(words: list[str], names: Mapping[str, Any]) -> list[str]:
    """Return the words of a line with values in the place of the expressions in braces.

    Ranges of numbers and lists of names stay as they are, as do Python (after ``=`` or within
    brackets) and texts in quotes.
    """
    return fill_by(
        words, lambda source: _text(source, names), lambda source: _number(source, names)
    )


def fill_by(words: list[str], text: Filled, number: Filled) -> list[str]:
    """Return the words of a line with the texts that `text` and `number` make of the expressions.

    `number` makes the ends of ranges, `text` all others.
    """
    subcommand = subcommands().get(words[0]) if words else None
    names_everywhere = subcommand is not None and subcommand.names_after_equals
    filled: list[str] = []
    for word in words:
        if word.startswith("--element="):
            filled.append(word)
            continue
        end = len(word) if names_everywhere or word.startswith("--") else _names_end(word)
        head = word[:end]
        filled.append(_fill(head, text, number) + word[len(head) :])
    return filled


def _names_end(word: str) -> int:
    """Return the place where the names of a word end, and Python begins."""
    for place, sign, depth in _outside_quotes(word):
        if depth == 0 and sign in "=('\"":
            return place
    return len(word)


def _outside_quotes(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield (place, sign, depth of brackets before it) for each sign that no quotes hold."""
    quote = ""
    depth = 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
            continue
        yield place, sign, depth
        if sign in "'\"":
            quote = sign
        elif sign in PAIRS:
            depth += 1
        elif sign in PAIRS.values():
            depth -= 1


def _fill(text: str, value: Filled, number: Filled) -> str:
    """Return a text with its outermost braces filled."""
    if "{" not in text:
        return text
    made = ""
    begin = 0
    opened = -1
    for place, sign, depth in _outside_quotes(text):
        if sign == "{" and depth == 0:
            made += text[begin:place]
            opened = place
        elif sign == "}" and depth == 1 and opened >= 0:
            made += _brace(text[opened + 1 : place], value, number)
            begin = place + 1
            opened = -1
    return made + text[begin if opened < 0 else opened :]


def _brace(inner: str, value: Filled, number: Filled) -> str:
    """Return the text for braces that hold `inner`."""
    if not inner.strip():
        return f"{{{inner}}}"
    is_list = any(sign == "," and depth == 0 for _, sign, depth in _outside_quotes(inner))
    if is_list:
        return f"{{{_fill(inner, value, number)}}}"
    first, dots, last = inner.partition("..")
    if dots:
        return f"{{{_range_end(first, number)}..{_range_end(last, number)}}}"
    return value(inner)


def _range_end(source: str, number: Filled) -> str:
    digits = source.strip()
    return source if not digits or digits.isdecimal() else number(source)


def _text(source: str, names: Mapping[str, Any]) -> str:
    value = _evaluate(source, names)
    if not isinstance(value, str):
        try:
            value = str(operator.index(value))
        except TypeError:
            raise BadLine(
                f"{{{source}}} must be a text or a whole number, not {type(value).__name__}"
            ) from None
    return value


def _number(source: str, names: Mapping[str, Any]) -> str:
    value = _evaluate(source, names)
    try:
        return str(operator.index(value))
    except TypeError:
        raise BadLine(
            f"{source.strip()} must be a whole number in a range, not {value!r:.50}"
        ) from None


def _evaluate(source: str, names: Mapping[str, Any]) -> Any:
    try:
        return evaluate(source, names)
    except BadLine as error:
        raise BadLine(f"{error}; {HINT}") from None
