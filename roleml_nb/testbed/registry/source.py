"""The text of classes and functions, also if notebook cells define them."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import textwrap
import types
from operator import attrgetter
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
    for filename, line in _method_places(cls) or _cell_places():
        text = "".join(linecache.getlines(filename))
        found = _definition(text, cls.__qualname__, line) if text else ""
        if found:
            return found
    return ""


def _method_places(cls: type) -> list[tuple[str, int]]:
    """Return the file and the line of each method that a class defines."""
    places = []
    for value in vars(cls).values():
        code = getattr(value, "__code__", None)
        if isinstance(code, types.CodeType) and code.co_qualname.startswith(f"{cls.__qualname__}."):
            places.append((code.co_filename, code.co_firstlineno))
    return places


def _cell_places() -> list[tuple[str, int]]:
    """Return the cells, the newest first, with 0 for no line in particular."""
    places = []
    for name in reversed(list(linecache.cache)):
        if not os.path.exists(name):
            places.append((name, 0))
    return places


def _definition(text: str, qualname: str, line: int) -> str:
    """Return the last definition of that name in a text, or the one around `line` (from 1)."""
    try:
        found: ast.AST = ast.parse(text)
    except SyntaxError:
        return ""
    for name in qualname.split("."):
        defined = None
        for node in ast.walk(found):
            if not isinstance(node, ast.ClassDef) or node.name != name:
                continue
            if not line or node.lineno <= line <= (node.end_lineno or 0):
                defined = node
        if defined is None:
            return ""
        found = defined
    assert isinstance(found, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    first = min(map(attrgetter("lineno"), [found, *found.decorator_list]))
    return textwrap.dedent("".join(text.splitlines(keepends=True)[first - 1 : found.end_lineno]))
