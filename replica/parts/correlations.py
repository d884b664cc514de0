r"""How the outputs of two units are correlated when their inputs are: kernels of activations.

For unit Gaussians ``u, v`` of correlation ``q``, and an activation ``g``,

.. math:: \Delta_g(q) = E[g(u) g(v)] - E[g]^2 = \sum_{k \ge 1} c_k^2 q^k, \qquad c_k = E[g\,\mathrm{He}_k]/\sqrt{k!} .

An activation that is a polynomial plus multiples of :math:`|x|`, :math:`\mathrm{sgn}(x)` and :math:`\mathrm{erf}(a x)` has
a closed form, because all pairs of these have one:

.. math::
    E[\mathrm{erf}(au)\,\mathrm{erf}(bv)] = \tfrac2\pi \arcsin \frac{2abq}{\sqrt{(1+2a^2)(1+2b^2)}}, \qquad
    \mathrm{Cov}(|u|, |v|) = \tfrac2\pi \big[\sqrt{1-q^2} + q \arcsin q - 1\big],

the first with :math:`a, b \to \infty` for signs (Williams 1996; Cho & Saul 2009).  A polynomial meets anything in finitely
many Hermite coefficients.  Everything else is summed as a series (:mod:`replica.parts.hermite`).

Near :math:`q = 1` a kernel is needed as :math:`\Delta_g(1) - \Delta_g(1-e)`, the *gap* at ``e``: it is written so that no
difference of large numbers is left, with the functions :class:`Angle`, :class:`Wedge` and :class:`ArcsineGap`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp


class Angle(sp.Function):
    r""":math:`\arccos(1-e)`, the angle between two vectors whose overlap misses 1 by ``e``."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        e = self.args[0]
        return 1 / sp.sqrt(e * (2 - e))

    @staticmethod
    def _imp_(e: Any) -> Any:
        return 2 * mpmath.asin(mpmath.sqrt(e / 2))


class Wedge(sp.Function):
    r""":math:`\sin\theta - \theta\cos\theta` at the :class:`Angle` :math:`\theta(e)`; its derivative is the angle."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Angle(self.args[0])

    @staticmethod
    def _imp_(e: Any) -> Any:
        with mpmath.extradps(15):
            theta = 2 * mpmath.asin(mpmath.sqrt(e / 2))
            return mpmath.sin(theta) - theta * mpmath.cos(theta)


class ArcsineGap(sp.Function):
    r""":math:`\arcsin c - \arcsin(c(1-e))` as ``ArcsineGap(e, c)``, for ``0 < c < 1``."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        e, c = self.args
        return c / sp.sqrt(1 - c**2 * (1 - e) ** 2)

    @staticmethod
    def _imp_(e: Any, c: Any) -> Any:
        with mpmath.extradps(15):
            return mpmath.asin(c) - mpmath.asin(c * (1 - e))


@dataclass(frozen=True)
class Kernel:
    """The correlation of the outputs as a function of that of the inputs.

    Attributes
    ----------
    value : callable
        The kernel at an overlap, a sympy expression.
    gap : callable
        What the kernel at ``1 - e`` misses to that at 1, without cancellation.
    slope_at_one, curvature_at_one : sympy expressions
        Its derivatives at overlap 1, ``oo`` where they diverge.
    error : callable or None
        A bound of the absolute error of ``value`` at an overlap; None for a closed form.
    """

    value: Callable[[sp.Expr], sp.Expr]
    gap: Callable[[sp.Expr], sp.Expr]
    slope_at_one: sp.Expr
    curvature_at_one: sp.Expr
    error: Callable[[sp.Expr], sp.Expr] | None = None


@dataclass(frozen=True)
class Decomposition:
    r"""An activation :math:`\sum_n p_n x^n + A|x| + B\,\mathrm{sgn}(x) + \sum_i C_i\,\mathrm{erf}(a_i x)`.

    ``polynomial`` has the coefficients from the constant up; ``errors`` the pairs :math:`(C_i, a_i)`, all ``a`` positive.
    """

    polynomial: tuple[sp.Expr, ...]
    absolute: sp.Expr
    sign: sp.Expr
    errors: tuple[tuple[sp.Expr, sp.Expr], ...]

    def kernel(self) -> Kernel:
        """The kernel in closed form."""
        q, e = sp.symbols("q e", positive=True)
        powers = self._powers()
        arcs = self._arcs()

        def value(at: sp.Expr) -> sp.Expr:
            total = sp.Add(*(c * q**k for k, c in powers.items()))
            total += self.absolute**2 * 2 / sp.pi * (sp.sqrt(1 - q**2) + q * sp.asin(q) - 1)
            total += sp.Add(*(2 / sp.pi * strength * sp.asin(c * q) for strength, c in arcs))
            return total.subs(q, at)

        def gap(at: sp.Expr) -> sp.Expr:
            total = sp.expand(sp.Add(*(c * (1 - (1 - e) ** k) for k, c in powers.items())))
            total += self.absolute**2 * (e - 2 / sp.pi * Wedge(e))
            for strength, c in arcs:
                total += 2 / sp.pi * strength * (Angle(e) if c == 1 else ArcsineGap(e, c))
            return total.subs(e, at)

        return Kernel(value, gap, self._slope_at_one(powers, arcs), self._curvature_at_one(powers, arcs))

    def _slope_at_one(self, powers: dict[int, sp.Expr], arcs: Sequence[tuple[sp.Expr, sp.Expr]]) -> sp.Expr:
        if any(c == 1 for _, c in arcs):
            return sp.oo
        total = sp.Add(*(k * c for k, c in powers.items())) + self.absolute**2
        return sp.simplify(total + sp.Add(*(2 / sp.pi * s * c / sp.sqrt(1 - c**2) for s, c in arcs)))

    def _curvature_at_one(self, powers: dict[int, sp.Expr], arcs: Sequence[tuple[sp.Expr, sp.Expr]]) -> sp.Expr:
        if self.absolute != 0 or any(c == 1 for _, c in arcs):
            return sp.oo
        total = sp.Add(*(k * (k - 1) * c for k, c in powers.items()))
        return sp.simplify(total + sp.Add(*(2 / sp.pi * s * c**3 / (1 - c**2) ** sp.Rational(3, 2) for s, c in arcs)))

    def _powers(self) -> dict[int, sp.Expr]:
        """Coefficients of the powers of ``q``: the polynomial with itself and, twice, with what is not one."""
        found = {}
        for k in range(1, len(self.polynomial)):
            own = sum((p * _hermite_of_power(n, k) for n, p in enumerate(self.polynomial)), sp.Integer(0))
            rest = self.absolute * _hermite_of_absolute(k) + self.sign * _hermite_of_arcsine(k, sp.Integer(1))
            rest += sum((c * _hermite_of_arcsine(k, _strength(a)) for c, a in self.errors), sp.Integer(0))
            if (total := sp.nsimplify(sp.expand(own**2 + 2 * own * rest))) != 0:
                found[k] = total
        return found

    def _arcs(self) -> list[tuple[sp.Expr, sp.Expr]]:
        r"""Pairs ``(s, c)`` of the terms :math:`\tfrac2\pi s \arcsin(c q)`."""
        parts = [(c, _strength(a)) for c, a in self.errors]
        parts += [(self.sign, sp.Integer(1))] if self.sign != 0 else []
        found: dict[sp.Expr, sp.Expr] = {}
        for s, c in parts:
            for t, d in parts:
                both = sp.sqrt(c * d)
                found[both] = found.get(both, sp.Integer(0)) + s * t
        return [(s, c) for c, s in found.items()]


def _strength(a: sp.Expr) -> sp.Expr:
    r"""The ``c`` of :math:`E[\mathrm{erf}(au)\mathrm{erf}(av)] = \tfrac2\pi\arcsin(cq)`."""
    return sp.simplify(2 * a**2 / (1 + 2 * a**2))


def _hermite_of_power(n: int, k: int) -> sp.Expr:
    r""":math:`E[x^n \mathrm{He}_k(x)]/\sqrt{k!}`."""
    if k > n or (n - k) % 2:
        return sp.Integer(0)
    moment = sp.factorial2(n - k - 1) if n > k else sp.Integer(1)
    return sp.ff(n, k) * moment / sp.sqrt(sp.factorial(k))


def _hermite_of_arcsine(k: int, c: sp.Expr) -> sp.Expr:
    r"""The coefficient of :math:`\mathrm{erf}(ax)` (``c = 1``: of a sign), squared that of :math:`\tfrac2\pi\arcsin(cq)`."""
    if k % 2 == 0:
        return sp.Integer(0)
    j = (k - 1) // 2
    square = 2 / sp.pi * sp.binomial(2 * j, j) / (sp.Integer(4) ** j * k) * c**k
    return (-1) ** j * sp.sqrt(square)


def _hermite_of_absolute(k: int) -> sp.Expr:
    r"""The coefficient of :math:`|x|`, from :math:`|x|' = \mathrm{sgn}(x)`."""
    if k % 2 or k == 0:
        return sp.Integer(0)
    return _hermite_of_arcsine(k - 1, sp.Integer(1)) / sp.sqrt(k)
