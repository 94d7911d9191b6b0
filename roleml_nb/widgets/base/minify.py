"""The minifier of bundles: it removes comments and spaces, and shortens names.

Names are long for those who read the modules, and short in the pages that they travel with. A name
is shortened if the script declares it (after const, let, function or class) and if nothing in the
script can be a property of that name. It gets the same short name wherever it stands, and no other
name becomes that one, so scopes and shadowing stay as they were.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from string import ascii_letters, digits
from typing import NamedTuple

from rjsmin import jsmin

__all__ = ["minify"]

_TOKEN = re.compile(
    r"""
    ( "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
    | [A-Za-z_$][\w$]*
    | \d[\w.]*
    | \?\.(?!\d) | \.\.\. | =>
    | [^\s\w$"'`] )
    \s*
    """,
    re.VERBOSE,
)
_REGEX = re.compile(r"(/(?![*/])(?:[^\\/\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*)\s*")
_TEMPLATE = re.compile(r"([`}](?:[^`\\$]|\\.|\$(?!\{))*(?:`|\$\{))\s*", re.DOTALL)
"""Text of a template literal, from its begin or the end of an expression to the next, or its end.
"""
_ENDS_VALUE = re.compile(r"[\w$)\]}\"'`]$")
_BEFORE_REGEX = frozenset({"return", "typeof", "case", "in", "of"})
_BEFORE_CONDITION = frozenset({"if", "while", "for", "with"})
_NAME = re.compile(r"[A-Za-z_$]")
_DECLARES = frozenset({"const", "let", "class", "function"})
_CLOSES = {")": "(", "]": "[", "}": "{"}
_WORDS = frozenset(
    "as async await break case catch class const continue debugger default delete do else enum"
    " export extends false finally for from function get if import in instanceof let new null of"
    " return set static super switch this throw true try typeof undefined var void while with"
    " yield".split()
)


class _SyntaxUnknown(Exception):
    """Brackets do not match, or a character is none of the language."""


class _Script(NamedTuple):
    """The tokens of a script; per token, the innermost open bracket, and the space behind."""

    tokens: list[str]
    brackets: list[str]
    spaces: list[str]
    methods: set[str]
    """Names before parentheses and a body, unless after "function": perhaps of methods."""


def minify(code: str) -> str:
    """Return a script without comments and spaces, and with short names.

    A script that the minifier cannot take apart keeps its names.
    """
    text = jsmin(code)
    try:
        script = _split(text)
    except _SyntaxUnknown:
        return text
    short = _short_names(script)
    parts = []
    for token, space in zip(script.tokens, script.spaces, strict=True):
        parts.append(short.get(token, token) + space)
    return "".join(parts)


def _split(text: str) -> _Script:
    """Return the tokens of a script that has no comments."""
    script = _Script([], [], [], set())
    tokens = script.tokens
    open_: list[tuple[str, int]] = []
    after_condition = False
    position = len(text) - len(text.lstrip())
    while position < len(text):
        bracket = open_[-1][0] if open_ else ""
        if text[position] in "`}/":
            before = tokens[-1] if tokens and not after_condition else ""
            match = _match(text, position, before, bracket)
        else:
            match = _TOKEN.match(text, position)
        if match is None:
            raise _SyntaxUnknown
        token = match[1]
        after_condition = False
        if token in _CLOSES or token[0] == "}":
            if bracket != ("${" if len(token) > 1 else _CLOSES[token]):
                raise _SyntaxUnknown
            _, opened = open_.pop()
            if token == ")":
                *_, keyword, name = ["", "", *tokens[max(0, opened - 2) : opened]]
                after_condition = name in _BEFORE_CONDITION
                if keyword != "function" and text.startswith("{", match.end()):
                    script.methods.add(name)
        script.brackets.append(open_[-1][0] if open_ else "")
        if token in _CLOSES.values() or token.endswith("${"):
            open_.append((token[-2:], len(tokens)))
        tokens.append(token)
        script.spaces.append(text[match.start(1) + len(token) : match.end()])
        position = match.end()
    if open_:
        raise _SyntaxUnknown
    return script


def _match(text: str, position: int, before: str, bracket: str) -> re.Match[str] | None:
    """Match a token that depends on what is before it.

    A slash begins a regular expression where no value has ended.
    """
    character = text[position]
    if character == "`" or (character == "}" and bracket == "${"):
        return _TEMPLATE.match(text, position)
    if character == "/" and (before in _BEFORE_REGEX or not _ENDS_VALUE.search(before)):
        return _REGEX.match(text, position)
    return _TOKEN.match(text, position)


def _short_names(script: _Script) -> dict[str, str]:
    """Return the short name of each name that is shortened, the shortest for the most frequent."""
    tokens = ["", *script.tokens, ""]
    counts: Counter[str] = Counter()
    declared: set[str] = set()
    kept: set[str] = set()
    for number, bracket in enumerate(script.brackets, start=1):
        token = tokens[number]
        if not _NAME.match(token):
            continue
        counts[token] += 1
        before = tokens[number - 1]
        if before in _DECLARES:
            declared.add(token)
        elif _may_be_property(before, tokens[number + 1], bracket):
            kept.add(token)
    names = declared - kept - script.methods - _WORDS
    long = [name for name in names if len(name) > 2]
    long.sort(key=lambda name: (-counts[name], name))
    return dict(zip(long, _free_names(counts.keys() | _WORDS), strict=False))


def _may_be_property(before: str, after: str, bracket: str) -> bool:
    """Return True after a dot, and for keys of an object, with and without a value."""
    if before in (".", "?."):
        return True
    if after == ":":
        return before != "?"
    return bracket == "{" and before in ("{", ",") and after in (",", "}", "=")


def _free_names(taken: set[str]) -> Iterator[str]:
    """Generate names that are not taken, from the shortest."""
    for length in (1, 2, 3):
        for first, *others in product(ascii_letters, *[ascii_letters + digits] * (length - 1)):
            name = first + "".join(others)
            if name not in taken:
                yield name
