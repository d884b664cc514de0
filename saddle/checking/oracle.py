r"""Numbers of expressions for comparisons: as many digits as a nest of averages can be given in seconds.

Differences in a parameter need digits of the arithmetic and of the range, so that no node enters or leaves between two
evaluations; the nodes themselves may be fewer, since their error is common to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy as sp

_AFFORDABLE = {0: 30, 1: 30, 2: 17, 3: 9}
"""Digits that the nodes are chosen for, by the number of averages inside each other."""


def nesting(expr: sp.Expr) -> int:
    """Return how many averages are inside each other at most."""
    from replica.expr import Average

    return int(isinstance(expr, Average)) + max((nesting(arg) for arg in expr.args), default=0)


def affordable(*exprs: sp.Expr) -> int:
    """Return the digits that all of these expressions can be given."""
    return min(_AFFORDABLE.get(nesting(expr), 7) for expr in exprs)


def number(expr: sp.Expr, values: Mapping[str, Any], definitions: Mapping[sp.Symbol, sp.Expr], digits: int) -> Any:
    """Return the number of an expression (an mpf)."""
    import sympy as sp

    from replica.evaluation import OracleRule, evaluate

    expr = sp.sympify(expr)
    range_, nodes = OracleRule.for_digits(digits), OracleRule.for_digits(min(digits, affordable(expr)))
    return evaluate(expr, values, dict(definitions), digits, OracleRule(digits, nodes.step, range_.reach))
