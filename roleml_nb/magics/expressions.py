"""Expressions that stand in the names of a line, kept aside while it is made into Python."""

from __future__ import annotations

import ast

__all__ = ["Expressions"]

FIRST_PLACEHOLDER = 74_100_001
"""Numbers that stand for them, since counts must be numbers; no line means these."""


class Expressions:
    """The expressions of one line."""

    def __init__(self) -> None:
        self._sources: dict[str, str] = {}

    def put(self, source: str) -> str:
        """Keep an expression; returns the digits that stand for it."""
        digits = str(FIRST_PLACEHOLDER + len(self._sources))
        self._sources[digits] = source.strip()
        return digits

    def restore(self, code: str) -> str:
        """Return Python code with the expressions in the place of their digits."""
        if not self._sources:
            return code
        return ast.unparse(
            ast.fix_missing_locations(_Restorer(self._sources).visit(ast.parse(code)))
        )


class _Restorer(ast.NodeTransformer):
    def __init__(self, sources: dict[str, str]):
        self._sources = sources

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Put expressions for a number, or into a text."""
        if isinstance(node.value, (int, float)) and str(int(node.value)) in self._sources:
            return self._expression(str(int(node.value)))
        if not isinstance(node.value, str):
            return node
        parts: list[str | ast.expr] = [node.value]
        for digits in self._sources:
            before, parts = parts, []
            for part in before:
                parts += self._split(part, digits)
        if parts == [node.value]:
            return node
        values: list[ast.expr] = []
        for part in parts:
            if isinstance(part, str):
                values.append(ast.Constant(part))
            else:
                values.append(ast.FormattedValue(part, -1))
        return ast.JoinedStr(values)

    def _split(self, part: str | ast.expr, digits: str) -> list[str | ast.expr]:
        """Return a part of a text in up to three: before the digits, their expression, after."""
        if not isinstance(part, str) or digits not in part:
            return [part]
        before, _, after = part.partition(digits)
        found: list[str | ast.expr] = [before, self._expression(digits), after]
        return [item for item in found if item]

    def _expression(self, digits: str) -> ast.expr:
        return ast.parse(self._sources[digits], mode="eval").body
