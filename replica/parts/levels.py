r"""The trace over a weight with discrete levels, when its square is not fixed.

With levels :math:`w_i` and measure :math:`\rho_i`, a field ``f`` and a curvature ``g`` (the conjugate of the weight's own
overlap, less what the fields explain),

.. math:: Z(f, g) = \sum_i \rho_i\, e^{w_i f + g w_i^2 / 2}, \qquad
          \langle w^k \rangle = \frac1Z \sum_i \rho_i\, w_i^k\, e^{w_i f + g w_i^2 / 2} ,

``Trace``, ``LogTrace`` and ``Moment`` are functions of ``(f, g, levels)`` whose derivatives are moments again.  Powers of
``w`` beyond the number of levels are combinations of lower ones, so that few moments ever appear.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy as sp


def levels_of(values: Sequence[sp.Expr], measure: Sequence[sp.Expr]) -> sp.Tuple:
    """Return levels as the third argument of the functions below: pairs of value and measure."""
    return sp.Tuple(*(sp.Tuple(sp.sympify(v), sp.sympify(p)) for v, p in zip(values, measure, strict=True)))


class LevelFunction(sp.Function):
    """A function of a field and a curvature; what else it depends on is data."""

    is_commutative = True

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        slopes = ((self.args[i].diff(s), i + 1) for i in range(2))
        return sp.Add(*(self.fdiff(index) * slope for slope, index in slopes if slope != 0))


class Trace(LevelFunction):
    """The sum over all levels."""

    nargs = 3
    is_positive = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self * _log_slope(self, argindex)


class LogTrace(LevelFunction):
    """Its logarithm."""

    nargs = 3
    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return _log_slope(self, argindex)


class Moment(LevelFunction):
    """The average of a power of the weight, ``Moment(f, g, levels, k)``."""

    nargs = 4
    is_real = True

    @classmethod
    def eval(cls, f: sp.Expr, g: sp.Expr, levels: sp.Tuple, k: sp.Integer) -> sp.Expr | None:
        if k == 0:
            return sp.Integer(1)
        if k < len(levels):
            return None
        powers = _power_in_lower_ones(levels, int(k))
        return sp.Add(*(c * Moment(f, g, levels, sp.Integer(j)) for j, c in enumerate(powers) if c != 0))

    @property
    def order(self) -> int:
        """The power."""
        return int(self.args[3])

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        f, g, levels, k = self.args
        power = 1 if argindex == 1 else 2
        joint = Moment(f, g, levels, k + power) - self * Moment(f, g, levels, sp.Integer(power))
        return joint / power


def _log_slope(trace: sp.Function, argindex: int) -> sp.Expr:
    f, g, levels = trace.args
    return Moment(f, g, levels, sp.Integer(1)) if argindex == 1 else Moment(f, g, levels, sp.Integer(2)) / 2


@lru_cache(maxsize=256)
def _power_in_lower_ones(levels: sp.Tuple, k: int) -> tuple[sp.Expr, ...]:
    """Coefficients of ``w**k`` in lower powers, from the polynomial that vanishes at every level."""
    w = sp.Dummy("w")
    vanishing = sp.Mul(*(w - value for value, _ in levels))
    rest = sp.Poly(sp.rem(w**k, sp.expand(vanishing), w), w)
    return tuple(rest.coeff_monomial(w**j) for j in range(len(levels)))


def measure_polynomial(levels: sp.Tuple, w: sp.Expr) -> sp.Expr:
    """Return the measure of a level as the polynomial through all levels, 1 where all count alike."""
    return sp.expand(sp.interpolate([tuple(pair) for pair in levels], w)) if len(levels) > 1 else levels[0][1]


def trace_of(body: sp.Expr, s: sp.Symbol, values: sp.Tuple) -> sp.Expr | None:
    r"""Return :math:`\sum_s` of a body :math:`\rho(s) e^{a s + g s^2/2}` as a trace, None for any other body."""
    exponentials = [f for f in sp.Mul.make_args(body) if isinstance(f, sp.exp)]
    if len(exponentials) != 1:
        return None
    exponent = sp.expand(exponentials[0].args[0])
    slopes = [sp.diff(exponent, s, j) for j in range(4)]
    if slopes[3] != 0 or exponent.subs(s, 0) != 0:
        return None
    measure = sp.expand(body / exponentials[0])
    if measure.free_symbols - {s}:
        return None
    levels = levels_of(values, [measure.subs(s, value) for value in values])
    if not all(p.is_positive for _, p in levels):
        return None
    return Trace(slopes[1].subs(s, 0), slopes[2], levels)


def is_symmetric(levels: sp.Tuple) -> bool:
    """Return whether both signs of every level count alike."""
    pairs = {(value, p) for value, p in levels}
    return pairs == {(-value, p) for value, p in pairs}
