r"""Overlaps without a pivot of their own, measured from where they explain the least.

What the variables above explain of a replica's field is quadratic in such an overlap.  Near the end of its domain the
overlap sits next to the minimum, and the determinant of the overlap matrix feels only the difference to it:
for a probe next to its reference, :math:`t - p\,q_r`, which can be smaller than the rounding of ``t``.  For
continuous weights this offset is the coordinate, and the determinant is written in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sympy as sp

from replica.fields import Pivot


def origins(pivots: Mapping[str, Pivot], cross: Sequence[str], fixed: Collection[str]) -> dict[str, sp.Expr]:
    """Where overlaps explain the least, as functions of fixed overlaps; empty where that depends on anything else.

    Parameters
    ----------
    pivots : mapping
        By overlap name, in overlaps alone.
    cross : sequence of str
        The free overlaps without a pivot.
    fixed : collection of str
        The overlaps that do not change while a saddle is sought.
    """
    if not cross:
        return {}
    unknown = [sp.Symbol(name) for name in cross]
    explained = sp.Add(*(pivot.explained for pivot in pivots.values()))
    solutions = sp.solve([sp.numer(sp.together(sp.diff(explained, s))) for s in unknown], unknown, dict=True)
    if len(solutions) != 1 or set(solutions[0]) != set(unknown):
        return {}
    found = {s.name: sp.factor(expr) for s, expr in solutions[0].items()}
    known = {symbol.name for expr in found.values() for symbol in expr.free_symbols}
    return found if known <= set(fixed) else {}


def offset(name: str) -> sp.Symbol:
    """The symbol of what an overlap differs from its origin by."""
    return sp.Symbol(f"off_{name}")


class Shift:
    """Expressions in offsets.

    Parameters
    ----------
    table : mapping
        What :func:`origins` found.
    """

    def __init__(self, table: Mapping[str, sp.Expr]) -> None:
        self.table = dict(table)
        self.definitions = {offset(name): sp.Symbol(name) - origin for name, origin in table.items()}
        self._inverse = {sp.Symbol(name): origin + offset(name) for name, origin in table.items()}

    def __call__(self, expr: sp.Expr, *others: sp.Symbol) -> sp.Expr:
        """A rational function as a polynomial in the offsets and ``others``, each coefficient in factors."""
        if not self.table:
            return expr
        symbols = [*self.definitions, *others]
        numerator, denominator = sp.fraction(sp.cancel(expr.subs(self._inverse)))
        if denominator.has(*symbols):
            return expr.subs(self._inverse)
        polynomial = sp.Poly(numerator, *symbols)
        terms = (
            sp.factor(sp.cancel(c / denominator)) * sp.prod(s**k for s, k in zip(symbols, powers, strict=True))
            for powers, c in polynomial.terms()
        )
        return sp.Add(*terms)
