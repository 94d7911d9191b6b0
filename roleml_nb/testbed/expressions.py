"""Values as the notebook writes them: Python expressions, in which i, n and node stand for a node
of a selection.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, TypeGuard

from roleml_nb.role import Role, did_you_mean
from roleml_nb.spec.per_node import Each, impl

__all__ = [
    "BadLine",
    "element",
    "evaluate",
    "is_made_there",
    "library_names",
    "parse",
    "ready_names",
    "role_classes",
    "used",
]

PER_NODE = {"i", "n", "node"}


class BadLine(ValueError):
    """The text cannot be understood; the message is one line, with advice."""


def evaluate(source: str, names: Mapping[str, Any], nodes: list[str] | None = None) -> Any:
    """Return the value of a Python expression; an `Each` where it mentions i, n or node (for a
    selection of nodes).
    """
    tree = parse(source)
    if nodes is not None and used(tree) & PER_NODE:
        values = []
        for index, node in enumerate(nodes):
            own = {**names, "i": index, "n": len(nodes), "node": node}
            values.append(_run(tree, own, source))
        return Each(values)
    return _run(tree, names, source)


def element(source: str, names: Mapping[str, Any], nodes: list[str]) -> Any:
    """Evaluate as `evaluate` does, but turn a call into `impl`, which is made on the node."""
    body = parse(source).body
    if not is_made_there(body):
        return evaluate(source, names, nodes)
    starred = any(isinstance(item, ast.Starred) for item in body.args)
    if starred or any(item.arg is None for item in body.keywords):
        raise BadLine(f"{source}: name each argument, * and ** cannot be used here")
    function = evaluate(ast.unparse(body.func), names)
    if not callable(function):
        raise BadLine(
            f"{source}: {ast.unparse(body.func)} is no function but {type(function).__name__}"
        )
    args = [evaluate(ast.unparse(item), names, nodes) for item in body.args]
    kwargs = {}
    for keyword in body.keywords:
        kwargs[str(keyword.arg)] = evaluate(ast.unparse(keyword.value), names, nodes)
    return impl(function, *args, **kwargs)


def is_made_there(body: ast.expr) -> TypeGuard[ast.Call]:
    """Return True for a call that is left to the node: any but one of `Each`."""
    return isinstance(body, ast.Call) and not (
        isinstance(body.func, ast.Name) and body.func.id == Each.__name__
    )


def ready_names(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names for expressions: the given ones first, then `Each`, library's and
    workload's.
    """
    ready: dict[str, Any] = {"Each": Each}
    for offered in library_names().values():
        ready |= offered
    return ready | dict(names)


def library_names() -> dict[str, dict[str, Any]]:
    """Return {module: {name: object}} of the library's and workload's public names."""
    from roleml_nb import library, workload

    found = {}
    for room in (workload, library):
        found[room.__name__] = {key: getattr(room, key) for key in room.__all__}
    return found


def role_classes(names: Mapping[str, Any]) -> dict[str, type[Role]]:
    """Return the role classes of the library, and of the notebook's `names`, which come first."""
    classes = {}
    for key, value in ready_names(names).items():
        if key.startswith("_") or not isinstance(value, type):
            continue
        if issubclass(value, Role) and value is not Role:
            classes[key] = value
    return classes


def parse(source: str) -> ast.Expression:
    """Return the expression; BadLine when it is none."""
    try:
        return ast.parse(source.strip(), mode="eval")
    except SyntaxError as error:
        raise BadLine(f"{source!r} is not a Python expression: {error.msg}") from None


def used(tree: ast.AST) -> set[str]:
    """Return the names that code mentions."""
    return {item.id for item in ast.walk(tree) if isinstance(item, ast.Name)}


def _run(tree: ast.Expression, names: Mapping[str, Any], source: str) -> Any:
    try:
        return eval(compile(tree, "<rml>", "eval"), dict(names))
    except NameError as error:
        raise BadLine(f"{source}: {error}; {did_you_mean(str(error.name), names)}") from None
    except Exception as error:  # whatever the user's expression raises is the user's to see
        raise BadLine(f"{source}: {type(error).__name__}: {error}") from None
