"""``r = %rml call …``: a line whose value is used returns it."""

from __future__ import annotations

import ast

__all__ = ["VALUE_MAGIC", "ValueTransformer"]

VALUE_MAGIC = "rml_value"
"""The magic that a line of ``%rml`` calls where its value is used."""


class ValueTransformer(ast.NodeTransformer):
    """Tell lines whose value is used from those that stand alone, which show it themselves.

    A magic cannot see which it is, and its value is shown once more at the end of a cell.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        """Leave a line that stands alone as it is."""
        if not _is_line(node.value):
            self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Name the magic that returns a value."""
        if _is_line(node):
            node.args[0] = ast.copy_location(ast.Constant(VALUE_MAGIC), node.args[0])
        return self.generic_visit(node)


def _is_line(node: ast.expr) -> bool:
    """Return True for ``get_ipython().run_line_magic('rml', …)``, as IPython writes a line."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "run_line_magic"
        and isinstance(node.func.value, ast.Call)
        and isinstance(node.func.value.func, ast.Name)
        and node.func.value.func.id == "get_ipython"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == "rml"
    )
