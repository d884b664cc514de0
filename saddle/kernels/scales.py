r"""Averages of powers without underflow: accumulators that share a factor :math:`e^{s}` which is never formed.

The average of a large power, :math:`E\,H^y`, may be far below the smallest number.  Its loop subtracts the largest exponent
``s`` that it meets, so that what it accumulates is of order 1.  An expression in such accumulators is homogeneous in
them: a ratio does not feel the factor, a logarithm gets ``s`` as a summand, a power multiplies it.
"""

from __future__ import annotations

from collections.abc import Set

import sympy as sp

Scaled = tuple[sp.Expr, sp.Expr]
"""``(rest, degree)``: the expression is ``rest * exp(degree * s)``."""


def unscaled(expr: sp.Expr, accumulators: Set[sp.Symbol], shift: sp.Symbol) -> Scaled:
    """Return ``(rest, degree)``: the expression is ``rest * exp(degree * shift)``.

    Parameters
    ----------
    expr : sympy expression
        In the names of accumulators, each of which has been divided by ``exp(shift)``.
    accumulators : set of Symbol
        Those that have been divided.
    shift : Symbol
        The logarithm of the common factor.
    """
    if expr in accumulators:
        return expr, sp.Integer(1)
    if not expr.free_symbols & accumulators:
        return expr, sp.Integer(0)
    if isinstance(expr, sp.Pow) and not expr.exp.free_symbols & accumulators:
        base, degree = unscaled(expr.base, accumulators, shift)
        return base**expr.exp, degree * expr.exp
    parts = [unscaled(arg, accumulators, shift) for arg in expr.args]
    if isinstance(expr, sp.Mul):
        return sp.Mul(*(rest for rest, _ in parts)), sp.expand(sp.Add(*(degree for _, degree in parts)))
    if isinstance(expr, sp.Add) and len({sp.expand(degree) for _, degree in parts}) == 1:
        return sp.Add(*(rest for rest, _ in parts)), parts[0][1]
    if isinstance(expr, sp.log):
        ((rest, degree),) = parts
        return sp.log(rest) + degree * shift, sp.Integer(0)
    return expr.func(*(rest * sp.exp(degree * shift) for rest, degree in parts)), sp.Integer(0)
