"""The text of classes and functions, also of those that notebook cells define."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import textwrap
import types
from typing import Any

__all__ = ["source"]


def source(obj: Any) -> str:
    """Return the text that defines a class or a function, with its decorators; "" where it is not
    to be found.
    """
    if isinstance(obj, type) and obj.__module__ == "__main__":
        return _of_cell(obj) or _of_file(obj)
    return _of_file(obj)


def _of_file(obj: Any) -> str:
    try:
        return inspect.getsource(obj)
    except (OSError, TypeError):  # built in, or typed into something that keeps no text
        return ""


def _of_cell(cls: type) -> str:
    """inspect finds classes by their module's file, and cells have none: look where the methods
    come from.

    A class without methods is taken from the newest cell that defines one of its name.
    """
    methods = [
        code
        for value in vars(cls).values()
        if isinstance(code := getattr(value, "__code__", None), types.CodeType)
        and code.co_qualname.startswith(f"{cls.__qualname__}.")
    ]
    places = [(code.co_filename, code.co_firstlineno) for code in methods] or [
        (name, 0) for name in reversed(list(linecache.cache)) if not os.path.exists(name)
    ]
    for filename, line in places:
        text = "".join(linecache.getlines(filename))
        found = _definition(text, cls.__qualname__, line) if text else ""
        if found:
            return found
    return ""


def _definition(text: str, qualname: str, line: int) -> str:
    """Return the last definition of that name in a text, or the one around `line` (from 1)."""
    try:
        found: ast.AST = ast.parse(text)
    except SyntaxError:
        return ""
    for name in qualname.split("."):
        defined = [
            node
            for node in ast.walk(found)
            if isinstance(node, ast.ClassDef)
            and node.name == name
            and (not line or node.lineno <= line <= (node.end_lineno or 0))
        ]
        if not defined:
            return ""
        found = defined[-1]
    assert isinstance(found, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    first = min([found.lineno, *(item.lineno for item in found.decorator_list)])
    return textwrap.dedent("".join(text.splitlines(keepends=True)[first - 1 : found.end_lineno]))
