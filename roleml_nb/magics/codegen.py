"""Calls and values as Python code, for `%rml export`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from roleml_nb.testbed.expressions import PER_NODE, used

__all__ = [
    "call_code",
    "call_options",
    "dict_code",
    "element_code",
    "literals",
    "per_node_code",
    "show_code",
]


def call_code(function: str, *args: str, **options: str) -> str:
    """Return the code of a call; its arguments are code, too."""
    named = [f"{name}={code}" for name, code in options.items()]
    return f"{function}({', '.join([*args, *named])})"


def show_code(code: str, value_wanted: bool) -> str:
    """Return code that prints a value unless the line assigns it."""
    return code if value_wanted else f"print({code})"


def literals(**options: Any) -> dict[str, str]:
    """Return the code of those options that are given, which are not None."""
    return {name: repr(value) for name, value in options.items() if value is not None}


def dict_code(items: Mapping[str, str]) -> str:
    """Return the code of a dict whose values are code."""
    entries = [f"{key!r}: {code}" for key, code in items.items()]
    return "{" + ", ".join(entries) + "}"


def call_options(source: str) -> dict[str, ast.expr]:
    """Return the keyword arguments of a call, ``Class(option=value)``; none of a plain name."""
    body = ast.parse(source, mode="eval").body
    if not isinstance(body, ast.Call):
        return {}
    return {str(word.arg): word.value for word in body.keywords}


def per_node_code(tree: ast.expr) -> str:
    """Return the code of an expression, an `Each` when it mentions i, n or node."""
    mentioned = used(tree) & PER_NODE
    source = ast.unparse(tree)
    if not mentioned:
        return source
    size = "for n in [len(selected)] " if "n" in mentioned else ""
    return f"Each([{source} {size}for i, node in enumerate(selected)])"


def element_code(source: str) -> str:
    """Return the code of an element's value: `impl` of a call, which is made on the node."""
    tree = ast.parse(source.strip(), mode="eval").body
    if not isinstance(tree, ast.Call):
        return per_node_code(tree)
    options = {}
    for word in tree.keywords:
        options[str(word.arg)] = per_node_code(word.value)
    return call_code("impl", ast.unparse(tree.func), *map(per_node_code, tree.args), **options)
