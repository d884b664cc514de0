r"""The limit of vanishing multiplicities, taken by one rule for every ansatz.

Let ``F(r, n)`` be a replicated average and ``r`` the smallest of the vanishing multiplicities.  Per unit of ``r``,

.. math:: \lim \tfrac1r \ln F = \left. \partial_r F / F \right|_{r = 0,\ n = 0},

where ``d/dr X**r = ln X`` yields every logarithm and ``X**(n-1)`` at ``n = 0`` every tilted average.  Observables with
marks need no derivative, only the substitution.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from replica.errors import UnsupportedAnsatz
from replica.expr import canonical


def at_zero(expr: sp.Expr, vanishing: Sequence[str]) -> sp.Expr:
    """The expression with all vanishing multiplicities set to 0, the smallest first."""
    for name in vanishing:
        expr = expr.subs(sp.Symbol(name), 0)
    return canonical(expr)


def log_per_replica(average: sp.Expr, vanishing: Sequence[str]) -> sp.Expr:
    """``(1/r) ln average`` in the limit."""
    norm = at_zero(average, vanishing)
    if not norm.is_number:
        raise UnsupportedAnsatz(f"The replicated average does not become a number when {', '.join(vanishing)} vanish.")
    return canonical(at_zero(sp.diff(average, sp.Symbol(vanishing[0])), vanishing) / norm)


def per_replica(term: sp.Expr, vanishing: Sequence[str]) -> sp.Expr:
    """``(1/r) term`` in the limit, for terms of the exponent such as a number of pairs."""
    return at_zero(sp.diff(term, sp.Symbol(vanishing[0])), vanishing)


def marked(average: sp.Expr, norm: sp.Expr, vanishing: Sequence[str]) -> sp.Expr:
    """A marked average in the limit."""
    return at_zero(average, vanishing) / at_zero(norm, vanishing)
