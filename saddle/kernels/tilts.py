r"""Tilts: the powers of ``H``, ``2 cosh`` and exponentials in front of an integrand, which join the Gaussian weight.

Their logarithms add up to one exponent, so that a ratio of tiny numbers is never formed.
"""

from __future__ import annotations

import sympy as sp

from replica.expr import LOG_OF, Average
from replica.passes import TILTS


def outermost_averages(expr: sp.Expr) -> list[Average]:
    """The averages that no other average contains."""
    return outermost(expr, (Average,))


def outermost(expr: sp.Expr, kinds: tuple[type, ...]) -> list[sp.Expr]:
    """The nodes of these kinds that no other one contains."""
    if isinstance(expr, kinds):
        return [expr]
    found: dict[sp.Expr, None] = {}
    for arg in expr.args:
        found.update(dict.fromkeys(outermost(arg, kinds)))
    return list(found)


def log_tilt(tilt: sp.Expr) -> sp.Expr:
    """The logarithm of a tilt."""
    return LOG_OF[tilt.func](*tilt.args) if tilt.func in LOG_OF else tilt.args[0]


def split_tilts(body: sp.Expr) -> tuple[dict[sp.Expr, sp.Expr], sp.Expr]:
    """``(powers, rest)``: the tilts in front of the whole body with their powers, and what they multiply.

    A tilt that does not multiply every term with the same power stays in the rest, as an exponential.
    """
    powers: dict[sp.Expr, sp.Expr] = {}
    for tilt in sorted(body.atoms(*TILTS), key=sp.default_sort_key):
        power = degree(body, tilt)
        if power is not None and power != 0:
            powers[tilt] = power
            body = body.xreplace({tilt: sp.Integer(1)})
            body = body.doit() if not body.has(Average) else body
    return powers, tilts_as_exponentials(body)


def tilts_as_exponentials(expr: sp.Expr) -> sp.Expr:
    """Tilts through their logarithms, which is what the special functions return."""
    return expr.xreplace({tilt: sp.exp(log_tilt(tilt), evaluate=False) for tilt in expr.atoms(*LOG_OF)})


def degree(expr: sp.Expr, tilt: sp.Expr) -> sp.Expr | None:
    """The degree in ``tilt`` if the expression is homogeneous in it."""
    if expr == tilt:
        return sp.Integer(1)
    if not expr.has(tilt):
        return sp.Integer(0)
    if isinstance(expr, sp.Mul):
        degrees = [degree(arg, tilt) for arg in expr.args]
        return None if None in degrees else sp.Add(*degrees)
    if isinstance(expr, sp.Pow):
        base = degree(expr.base, tilt)
        return None if base is None or expr.exp.has(tilt) else base * expr.exp
    if isinstance(expr, sp.Add):
        degrees = [degree(arg, tilt) for arg in expr.args]
        return degrees[0] if None not in degrees and len(set(degrees)) == 1 else None
    return None
