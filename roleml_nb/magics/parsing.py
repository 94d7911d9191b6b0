"""Words and values of a magic's line."""

from __future__ import annotations

import ast
import math
import os
from argparse import ArgumentTypeError
from collections.abc import Mapping
from glob import escape, glob
from typing import Any

from roleml_nb.role import check_file_name
from roleml_nb.testbed.expressions import BadLine, element, evaluate, parse

__all__ = [
    "BadLine",
    "element",
    "evaluate",
    "file_name",
    "files",
    "graph",
    "pair",
    "seconds",
    "split",
]

MAX_WAIT_S = 100_000_000
"""Three years; threads wait no longer than 292."""
FILE_ENDINGS = (".yaml", ".yml", ".json", ".checkpoint")


def split(line: str) -> list[str]:
    """Cut at white space outside of brackets and quotes; quotes stay, since values are Python.

    A # where a word would begin, and the rest of its line, is a comment.

    >>> split("client* --element model=mlp(64, 10)")
    ['client*', '--element', 'model=mlp(64, 10)']
    """
    words: list[str] = []
    closing: list[str] = []
    word = ""
    quote = ""
    escaped = False
    pairs = {"(": ")", "[": "]", "{": "}"}
    comment = False
    for sign in line:
        if comment:
            comment = sign != "\n"
            continue
        if sign == "#" and not (quote or closing or word):
            comment = True
            continue
        if quote:
            quote = "" if sign == quote and not escaped else quote
            escaped = sign == "\\" and not escaped
        elif sign in "'\"":
            quote = sign
        elif sign in pairs:
            closing.append(pairs[sign])
        elif closing and sign == closing[-1]:
            closing.pop()
        elif sign.isspace() and not closing:
            if word:
                words.append(word)
            word = ""
            continue
        word += sign
    if quote or closing:
        raise BadLine(f"something is not closed: {quote or closing[-1]} is missing at the end")
    return [*words, word] if word else words


def file_name(word: str) -> str:
    """Return the file that a word names, with or without quotes; ~ is the home directory."""
    if word[:1] in ("'", '"'):
        try:
            word = ast.literal_eval(word)
        except (ValueError, SyntaxError):
            word = "\0"
    if not isinstance(word, str):
        raise BadLine(f"{word!r} cannot be the name of a file")
    check_file_name(word)
    return os.path.expanduser(word)


def pair(item: str, form: str) -> tuple[str, str]:
    """Return name and source of ``name=value``; BadLine names `form`, as a line writes it."""
    name, sign, value = item.partition("=")
    if not sign or not name.replace("-", "_").isidentifier() or not value:
        raise BadLine(f"{item!r} is not of the form {form}")
    return name, value


def seconds(word: str) -> float:
    """Return the seconds that an option gives. A type of argparse."""
    try:
        given = float(word)
    except ValueError:
        given = math.nan
    if not 0 <= given <= MAX_WAIT_S:
        raise ArgumentTypeError(f"{word!r} is no time: seconds, from 0 to {MAX_WAIT_S:,}")
    return given


def files(begun: str) -> list[str]:
    """Return the configuration files, checkpoints and folders whose names begin with `begun`."""
    found = []
    for name in glob(f"{escape(begun)}*"):
        if os.path.isdir(name):
            found.append(f"{name}/")
        elif name.endswith(FILE_ENDINGS):
            found.append(name)
    return sorted(found)


def graph(source: str, names: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a graph, and its options: a variable's value, or a name, as it is or called.

    >>> graph("small-world(degree=4)", {})
    ('small-world', {'degree': 4})
    """
    name, bracket, rest = source.partition("(")
    if name in names or not name.replace("-", "_").isidentifier():
        return evaluate(source, names), {}
    if not bracket:
        return name, {}
    body = parse(f"graph({rest}").body
    if (
        not isinstance(body, ast.Call)
        or body.args
        or any(item.arg is None for item in body.keywords)
    ):
        raise BadLine(f"{source}: name the options, as in {name}(degree=4)")
    options = {}
    for item in body.keywords:
        options[str(item.arg)] = evaluate(ast.unparse(item.value), names)
    return name, options
