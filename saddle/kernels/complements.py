r"""What averages over weights of :math:`\pm 1` lack to 1, without cancellation.

Where a replica agrees with its teacher but for a few weights, :math:`E \tanh` is a number whose distance to 1 has lost its
digits.  That distance is an average itself:

.. math:: 1 - \tanh h = \frac{2 e^{-h}}{2 \cosh h}, \qquad 1 - \tanh^2 h = \frac{4}{(2 \cosh h)^2}
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from replica.expr import Average, Log2Cosh


def complements(pairs: Iterable[sp.Expr]) -> list[sp.Expr]:
    """What each of these averages lacks to 1; none at all if one of them is not of a hyperbolic tangent or its square."""
    found = [_complement(pair) for pair in pairs]
    return [expr for expr in found if expr is not None] if None not in found else []


def _complement(pair: sp.Expr) -> sp.Expr | None:
    if not isinstance(pair, Average):
        return None
    base, power = pair.body.as_base_exp()
    if not isinstance(base, sp.tanh) or power not in (1, 2):
        return None
    h = base.args[0]
    lacking = 2 * sp.exp(-h - Log2Cosh(h)) if power == 1 else 4 * sp.exp(-2 * Log2Cosh(h))
    return sp.sympify(Average(lacking, pair.variable, pair.variance))
