"""Code generation for commands: names of nodes, values, and per-node values."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from roleml_nb.role import natural_key
from roleml_nb.spec.per_node import Each, Impl, impl
from roleml_nb.testbed.expressions import is_made_there, library_names, parse, used

__all__ = ["argument", "arguments", "imports", "pattern", "source", "value"]

_NUMBERED = re.compile(r"(.*?)(\d+)")
_WORDS = (
    ast.Attribute,
    ast.Call,
    ast.Constant,
    ast.Dict,
    ast.List,
    ast.Name,
    ast.Set,
    ast.Subscript,
    ast.Tuple,
)
"""Expressions without white space outside of brackets and quotes."""


def pattern(names: Sequence[str]) -> str:
    """Return one pattern for nodes: ``client{1..8}``, ``{alice,bob}``, in this order."""
    if len(names) == 1:
        return names[0]
    return _range(names) or f"{{{','.join(names)}}}"


def _range(names: Sequence[str]) -> str | None:
    """Return the pattern of names that count up, as client1 and client2 do; None for others."""
    matches = list(map(_NUMBERED.fullmatch, names))
    first = matches[0]
    if first is None:
        return None
    for offset, match in enumerate(matches):
        if match is None or match[1] != first[1] or match[2] != str(int(first[2]) + offset):
            return None
    return f"{first[1]}{{{first[2]}..{int(first[2]) + len(names) - 1}}}"


def value(text: str, nodes: Sequence[str], *, element: bool = False) -> str:
    """Return the Python for an expression in which i, n and node stand for a node; a call for an
    element becomes `impl`.
    """
    body = parse(text).body
    if element and is_made_there(body):
        given = [ast.unparse(body.func)]
        for item in body.args:
            given.append(_each(item, nodes))
        for keyword in body.keywords:
            given.append(f"{keyword.arg}={_each(keyword.value, nodes)}")
        return f"impl({', '.join(given)})"
    return _each(body, nodes)


def _each(tree: ast.expr, nodes: Sequence[str]) -> str:
    text, mentioned = ast.unparse(tree), used(tree)
    if "n" in mentioned:
        text = ast.unparse(_Count(len(nodes)).visit(ast.parse(text, mode="eval").body))
    if mentioned & {"i", "node"} == {"i"}:
        return f"Each({text} for i in range({len(nodes)}))"
    if "node" in mentioned:
        named = f"bed.select({pattern(nodes)!r})"
        return (
            f"Each({text} for i, node in enumerate({named}))"
            if "i" in mentioned
            else f"Each({text} for node in {named})"
        )
    return text


class _Count(ast.NodeTransformer):
    """Puts the number of nodes in the place of n."""

    def __init__(self, count: int):
        self.count = count

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(self.count) if node.id == "n" else node


def argument(text: str) -> str:
    """Return an expression as a word of a magic's line: without white space outside of brackets and
    quotes.
    """
    word = ast.unparse(parse(text))
    return word if " " not in word or isinstance(parse(word).body, _WORDS) else f"({word})"


def arguments(texts: Mapping[str, str]) -> list[str]:
    """Return named expressions as words of a magic's line."""
    return [f"{key}={argument(text)}" for key, text in texts.items()]


def source(given: Any, names: Mapping[str, Any]) -> str | None:
    """Return an expression that makes such a value, as far as there is one: plain values, named
    objects, and calls of them.
    """
    if isinstance(given, Impl):
        return _call(given, names)
    if isinstance(given, Each):
        return None
    try:
        if ast.literal_eval(repr(given)) == given:
            return repr(given)
    except (ValueError, SyntaxError, TypeError):
        pass
    return _name(given, names)


def _call(made: Impl, names: Mapping[str, Any]) -> str | None:
    function = _name(made.function, names)
    given = []
    for item in made.args:
        given.append(source(item, names))
    for key, item in made.kwargs.items():
        text = source(item, names)
        given.append(text and f"{key}={text}")
    if function is None or None in given:
        return None
    return f"{function}({', '.join(map(str, given))})"


def _name(given: Any, names: Mapping[str, Any]) -> str | None:
    own = getattr(given, "__name__", None)
    if own is not None and names.get(own) is given:
        return str(own)
    found = []
    for key, item in names.items():
        if item is given and not key.startswith("_"):
            found.append(key)
    return min(found, key=natural_key, default=None)


def imports(code: Sequence[str], names: Mapping[str, Any]) -> list[str]:
    """Return the lines that import the names of roleml_nb which Python uses, for a kernel that has
    imported none; the notebook's own objects of these names are left to it.
    """
    try:
        mentioned = used(ast.parse("\n".join(code)))
    except SyntaxError:  # a form that is half filled
        return []
    found = []
    ours: dict[str, Any] = {"Each": Each, "impl": impl}
    for module, offered in ({"roleml_nb": ours} | library_names()).items():
        wanted = []
        for key in sorted(mentioned & offered.keys()):
            if names.get(key, offered[key]) is offered[key]:
                wanted.append(key)
        if wanted:
            found.append(f"from {module} import {', '.join(wanted)}")
    return found
