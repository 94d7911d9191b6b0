"""How what a hand does is said as code: names of nodes, values, and per-node values."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from roleml_nb.role import natural_key
from roleml_nb.spec.per_node import Each, Impl
from roleml_nb.testbed.expressions import is_made_there, parse, used

__all__ = ["argument", "pattern", "source", "value"]

_NUMBERED = re.compile(r"(.*?)(\d+)")


def pattern(names: Sequence[str]) -> str:
    """Return one pattern for nodes: ``client{1..8}``, ``{alice,bob}``, in this order."""
    if len(names) == 1:
        return names[0]
    parts = [_NUMBERED.fullmatch(name) for name in names]
    if all(parts) and len({part[1] for part in parts if part}) == 1:
        numbers = [part[2] for part in parts if part]
        if numbers == [str(int(numbers[0]) + offset) for offset in range(len(names))]:
            return f"{parts[0][1]}{{{numbers[0]}..{numbers[-1]}}}"  # type: ignore[index]
    return f"{{{','.join(names)}}}"


def value(text: str, nodes: Sequence[str], *, element: bool = False) -> str:
    """Return the Python for an expression in which i, n and node stand for a node; a call for an
    element becomes `impl`.
    """
    body = parse(text).body
    if element and is_made_there(body):
        given = [
            ast.unparse(body.func),
            *(_each(item, nodes) for item in body.args),
            *(f"{item.arg}={_each(item.value, nodes)}" for item in body.keywords),
        ]
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
    said = ast.unparse(parse(text))
    body = parse(said).body
    return (
        said
        if isinstance(
            body,
            (
                ast.Call,
                ast.Constant,
                ast.Name,
                ast.Attribute,
                ast.List,
                ast.Dict,
                ast.Tuple,
                ast.Set,
                ast.Subscript,
            ),
        )
        or " " not in said
        else f"({said})"
    )


def source(given: Any, names: Mapping[str, Any]) -> str | None:
    """Return an expression that makes such a value, as far as there is one: plain values, what has
    a name, and calls of it.
    """
    if isinstance(given, Impl):
        function = _name(given.function, names)
        parts = [source(item, names) for item in given.args]
        named = {key: source(item, names) for key, item in given.kwargs.items()}
        if function is None or None in parts or None in named.values():
            return None
        keywords = [f"{key}={item}" for key, item in named.items()]
        return f"{function}({', '.join([*map(str, parts), *keywords])})"
    if isinstance(given, Each):
        return None
    try:
        if ast.literal_eval(repr(given)) == given:
            return repr(given)
    except (ValueError, SyntaxError, TypeError):
        pass
    return _name(given, names)


def _name(given: Any, names: Mapping[str, Any]) -> str | None:
    own = getattr(given, "__name__", None)
    if own is not None and names.get(own) is given:
        return str(own)
    found = [key for key, item in names.items() if item is given and not key.startswith("_")]
    return min(found, key=natural_key) if found else None
