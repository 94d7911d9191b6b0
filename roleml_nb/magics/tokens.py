"""Words and values of a magic's line."""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from glob import escape, glob
from typing import Any

from roleml_nb.role import did_you_mean
from roleml_nb.testbed import Each, impl

__all__ = ["BadLine", "element", "evaluate", "file_name", "files", "graph", "split"]

PER_NODE = {"i", "n", "node"}


class BadLine(ValueError):
    """The line cannot be understood; the message is one line that says what to do."""


def split(line: str) -> list[str]:
    """Cut at white space outside of brackets and quotes; quotes stay, since values are Python.

    >>> split("client* --element model=mlp(64, 10)")
    ['client*', '--element', 'model=mlp(64, 10)']
    """
    words, word, closing, quote, escaped = [], "", [], "", False
    pairs = {"(": ")", "[": "]", "{": "}"}
    for sign in line:
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
    """The file that a word of the line names, with or without quotes; ~ is the home directory."""
    if word[:1] in ("'", '"'):
        word = ast.literal_eval(word)
    return os.path.expanduser(word)


def files(begun: str) -> list[str]:
    """Configuration files, checkpoints and folders, whose names go on as `begun`."""
    found = glob(f"{escape(begun)}*")
    return sorted(f"{name}/" if os.path.isdir(name) else name for name in found
                  if os.path.isdir(name) or name.endswith((".yaml", ".yml", ".json", ".checkpoint")))


def evaluate(source: str, names: Mapping[str, Any], nodes: list[str] | None = None) -> Any:
    """The value of a Python expression; an `Each` where it mentions i, n or node (for a selection of nodes)."""
    tree = _parse(source)
    if nodes is not None and _used(tree) & PER_NODE:
        return Each([_run(tree, {**names, "i": index, "n": len(nodes), "node": node}, source)
                     for index, node in enumerate(nodes)])
    return _run(tree, names, source)


def element(source: str, names: Mapping[str, Any], nodes: list[str]) -> Any:
    """As `evaluate`, but a call is not made here: it becomes `impl`, made on the node."""
    body = _parse(source).body
    if not isinstance(body, ast.Call):
        return evaluate(source, names, nodes)
    if any(isinstance(item, ast.Starred) for item in body.args) or any(item.arg is None for item in body.keywords):
        raise BadLine(f"{source}: name each argument, * and ** cannot be used here")
    function = evaluate(ast.unparse(body.func), names)
    if not callable(function):
        raise BadLine(f"{source}: {ast.unparse(body.func)} is no function but {type(function).__name__}")
    return impl(function, *(evaluate(ast.unparse(item), names, nodes) for item in body.args),
                **{str(item.arg): evaluate(ast.unparse(item.value), names, nodes) for item in body.keywords})


def graph(source: str, names: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A graph and its options: a variable, or the name of a graph, as it is or called with options.

    >>> graph("small-world(degree=4)", {})
    ('small-world', {'degree': 4})
    """
    name, bracket, rest = source.partition("(")
    if name in names or not name.replace("-", "_").isidentifier():
        return evaluate(source, names), {}
    if not bracket:
        return name, {}
    body = _parse(f"graph({rest}").body
    if not isinstance(body, ast.Call) or body.args or any(item.arg is None for item in body.keywords):
        raise BadLine(f"{source}: name the options, as in {name}(degree=4)")
    return name, {str(item.arg): evaluate(ast.unparse(item.value), names) for item in body.keywords}


def _parse(source: str) -> ast.Expression:
    try:
        return ast.parse(source.strip(), mode="eval")
    except SyntaxError as error:
        raise BadLine(f"{source!r} is not a Python expression: {error.msg}") from None


def _used(tree: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(tree) if isinstance(item, ast.Name)}


def _run(tree: ast.Expression, names: Mapping[str, Any], source: str) -> Any:
    try:
        return eval(compile(tree, "<rml>", "eval"), dict(names))
    except NameError as error:
        raise BadLine(f"{source}: {error}; {did_you_mean(str(error.name), names)}") from None
    except Exception as error:  # whatever the user's expression raises is the user's to see
        raise BadLine(f"{source}: {type(error).__name__}: {error}") from None
