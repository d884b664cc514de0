"""The solver of a kernel without what its counts make idle: loops over nothing, and branches that are never taken.

The compiler would find them too, but only after it has given types to every statement, which is what takes it time.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any


def specialised(source: str, constants: Mapping[str, Any]) -> str:
    """Return the source with the loops and branches that these constants leave."""
    return ast.unparse(ast.fix_missing_locations(_Specialised(constants).visit(ast.parse(source))))


class _Specialised(ast.NodeTransformer):
    """Removes ``for _ in range(COUNT)`` where the count is 0, and decides conditions on constants."""

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self.constants = constants

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_For(self, node: ast.For) -> ast.AST | None:
        call = node.iter
        if isinstance(call, ast.Call) and len(call.args) == 1 and self._constant(call.args[0]) == 0:
            return None
        self.generic_visit(node)
        return node if node.body else None

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt] | None:
        decided = self._decided(node.test)
        self.generic_visit(node)
        if decided is not None:
            return node.body if decided else node.orelse
        if not node.body:
            node.body = [ast.Pass()]
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        decided = self._decided(node.test)
        self.generic_visit(node)
        return node if decided is None else node.body if decided else node.orelse

    def _constant(self, node: ast.expr) -> Any:
        return self.constants.get(node.id) if isinstance(node, ast.Name) else None

    def _decided(self, test: ast.expr) -> bool | None:
        """What a condition on constants comes to: a flag, a count above 0, or entries of a table of at least 0."""
        if isinstance(value := self._constant(test), bool):
            return value
        if not (
            isinstance(test, ast.Compare) and isinstance(limit := test.comparators[0], ast.Constant) and limit.value == 0
        ):
            return None
        left, operator = test.left, test.ops[0]
        if isinstance(operator, ast.Gt) and (count := self._constant(left)) is not None:
            return bool(count > 0)
        if isinstance(operator, ast.GtE) and isinstance(left, ast.Subscript):
            signs = {entry >= 0 for entry in self._constant(left.value) or ()}
            return signs.pop() if len(signs) == 1 else None
        return None
