r"""Numbers of expressions for comparisons: as many digits as a nest of averages can be given in seconds.

Differences in a parameter need digits of the arithmetic and of the range, so that no node enters or leaves between two
evaluations; the nodes themselves may be fewer, since their error is common to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saddle.checking.grid import nesting, on_grid

if TYPE_CHECKING:
    import sympy as sp

_AFFORDABLE = {0: 30, 1: 30, 2: 17}
"""Digits that the nodes are chosen for, by the number of averages inside each other."""
_ON_GRID = 10
"""Digits of deeper nests, which are left to a grid in double precision (:mod:`saddle.checking.grid`)."""


def affordable(*exprs: sp.Expr) -> int:
    """Return the digits that all of these expressions can be given."""
    return min(_ON_GRID if is_deep(expr) else _AFFORDABLE[nesting(expr)] for expr in exprs)


def is_deep(expr: sp.Expr) -> bool:
    """Return whether an expression is left to the grid: many averages, or the noise in front of a loss inside of others."""
    from replica.parts.noisy_losses import COSTS, NOISY

    return nesting(expr) not in _AFFORDABLE or expr.has(*NOISY, *COSTS)


def number(expr: sp.Expr, values: Mapping[str, Any], definitions: Mapping[sp.Symbol, sp.Expr], digits: int) -> Any:
    """Return the number of an expression (an mpf; a float where many averages are inside each other)."""
    import sympy as sp

    from replica.evaluation import OracleRule, evaluate

    expr = sp.sympify(expr)
    if is_deep(expr):
        return on_grid(expr, {name: float(value) for name, value in values.items()}, definitions)
    range_, nodes = OracleRule.for_digits(digits), OracleRule.for_digits(min(digits, affordable(expr)))
    return evaluate(expr, values, dict(definitions), digits, OracleRule(digits, nodes.step, range_.reach))
