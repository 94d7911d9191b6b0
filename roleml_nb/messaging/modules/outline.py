"""The outline of a module's text: its definitions by name, and the edits that can be made in place.

`%autoreload` replaces functions, constants and imports one by one, in the module that is there.
The rest of a text, such as bases of classes, fields of data classes and statements, takes effect
only when the module is executed anew.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Expression", "Import", "Outline", "Path", "fingerprint", "functions", "outline"]

Path = tuple[str, ...]
CO_OPTIMIZED = inspect.CO_OPTIMIZED
RECOMPILED = "__autoreload_class__"
"""The class in which IPython's autoreload compiles a method anew, whose name private names then
bear.
"""
FIELDS = ("NamedTuple", "TypedDict")
"""Bases that make methods of the fields of a class, as decorators may do."""


class Import(NamedTuple):
    """An import's value of a name: a module, or a member of one."""

    module: str
    level: int
    member: str | None


class Expression(NamedTuple):
    """A value that is not written out."""

    source: str


class Outline(NamedTuple):
    """The definitions of a text, by path, but for the code of its `functions`."""

    headers: dict[Path, list[str]]
    """Decorators, defaults and annotations of functions."""
    names: dict[Path, list[Any]]
    """Values of names: constants, `Import` and `Expression`."""
    fields: set[Path]
    """Names that have an annotation."""
    fixed: dict[Path, list[str]]
    """Parts that only an execution of the module changes: of the module itself, at (), and of each
    class.
    """


@functools.lru_cache(maxsize=256)
def outline(text: str, filename: str) -> Outline | None:
    """Return the outline of a text; None if it cannot be compiled."""
    if functions(text, filename) is None:
        return None
    found = Outline({}, {}, set(), {(): []})
    _add(found, ast.parse(text).body, (), whole=False)
    return found


@functools.lru_cache(maxsize=256)
def functions(
    text: str, filename: str, *, apart: bool = False
) -> dict[Path, list[tuple[Any, ...]]] | None:
    """Return the fingerprints of a text's functions, one for each definition; None if the text
    cannot be compiled.

    `apart`: as compiled one by one, without the imports of the module, of which Python makes other
    code: it calls a function of a module that it sees imported in another way than a method.
    """
    try:
        tree = ast.parse(text)
        if apart:
            _WithoutImports().visit(tree)
        compiled = compile(tree, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    found: dict[Path, list[tuple[Any, ...]]] = {}
    for path, code in _codes(compiled, ()):
        found.setdefault(path, []).append(fingerprint(code, path))
    return found


class _WithoutImports(ast.NodeTransformer):
    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return node
        if (
            isinstance(node, ast.Import)
            or isinstance(node, ast.ImportFrom)
            and node.module != "__future__"
        ):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


def fingerprint(code: types.CodeType, path: Path = ()) -> tuple[Any, ...]:
    """Return a function's code as plain values: equal for equal code on whichever lines."""
    private = f"_{path[-2].lstrip('_')}__" if len(path) > 1 else ""

    def plain(name: str) -> str:
        for prefix in (f"_{RECOMPILED.lstrip('_')}__", private):
            if prefix and name.startswith(prefix):
                return name[len(prefix) - 2 :]
        return name

    def names(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(plain, given))

    return (
        code.co_code,
        names(code.co_names),
        names(code.co_varnames),
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        tuple(_constant(value, path) for value in code.co_consts),
    )


def _constant(value: Any, path: Path) -> Any:
    if isinstance(value, types.CodeType):
        return fingerprint(value, path)
    if isinstance(value, str):  # a text of several lines is indented anew by autoreload
        return " ".join(value.split())
    if isinstance(value, tuple):
        return tuple(_constant(item, path) for item in value)
    return type(value).__name__, repr(value)


def _codes(code: types.CodeType, path: Path) -> Iterator[tuple[Path, types.CodeType]]:
    for constant in code.co_consts:
        if not isinstance(constant, types.CodeType) or constant.co_name.startswith("<"):
            continue
        inner = (*path, constant.co_name)
        if constant.co_flags & CO_OPTIMIZED:
            yield inner, constant
        else:  # the body of a class
            yield from _codes(constant, inner)


def _add(found: Outline, body: list[ast.stmt], path: Path, *, whole: bool) -> None:
    """Add statements of a module or a class; `whole`: of a class whose methods are made of its
    fields.
    """
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            header = [node.args, *node.decorator_list, *([node.returns] if node.returns else [])]
            found.headers.setdefault((*path, node.name), []).append(
                "\n".join(map(ast.dump, header))
            )
        elif isinstance(node, ast.ClassDef):
            _add_class(found, node, (*path, node.name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for name, value in _imported(node):
                found.names.setdefault((*path, name), []).append(value)
        elif isinstance(node, ast.If | ast.With | ast.Try):
            found.fixed[path] += [ast.dump(item) for item in _heads(node)]
            for part in _bodies(node):
                _add(found, part, path, whole=whole)
        elif (
            not whole
            and isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value is not None
            and all(isinstance(target, ast.Name) for target in _targets(node))
        ):
            for target in _targets(node):
                name = target.id  # type: ignore[attr-defined]
                found.names.setdefault((*path, name), []).append(_value(node.value))
            if isinstance(node, ast.AnnAssign):
                found.fields.add((*path, node.target.id))  # type: ignore[union-attr]
        elif not isinstance(node, ast.Pass) and not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            found.fixed[path].append(ast.dump(node))


def _add_class(found: Outline, node: ast.ClassDef, path: Path) -> None:
    found.fixed[path] = [
        ast.dump(item) for item in (*node.bases, *node.keywords, *node.decorator_list)
    ]
    bases = [
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for base in node.bases
    ]
    whole = bool(node.decorator_list or node.keywords or any(name in FIELDS for name in bases))
    _add(found, node.body, path, whole=whole)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Import(node.module or "", node.level, alias.name)
        elif alias.asname:
            yield alias.asname, Import(alias.name, 0, None)
        else:
            top = alias.name.partition(".")[0]
            yield top, Import(top, 0, None)


def _heads(node: ast.If | ast.With | ast.Try) -> list[ast.AST]:
    if isinstance(node, ast.If):
        return [node.test]
    if isinstance(node, ast.With):
        return list(node.items)
    return [handler.type for handler in node.handlers if handler.type is not None]


def _bodies(node: ast.If | ast.With | ast.Try) -> list[list[ast.stmt]]:
    if isinstance(node, ast.Try):
        return [
            node.body,
            *(handler.body for handler in node.handlers),
            node.orelse,
            node.finalbody,
        ]
    return [node.body, node.orelse] if isinstance(node, ast.If) else [node.body]


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Expression(ast.dump(node))
