r"""Losses under Gaussian noise: functions of the mean and the variance of a stability, closed under differentiation.

With the loss :math:`\ell` at the inverse temperature :math:`\beta`,

.. math:: S(a, v, \beta) = E_{n \sim N(0, v)}\, e^{-\beta\, \ell(a + n)}, \qquad
          K_{kj} = \partial_a^k\, \partial_\beta^j \ln S,

``Cost`` is the bare factor :math:`e^{-\beta \ell(y)}` and ``CostSlope`` its derivative in the stability, which must be
averaged before anything is differentiated: a loss may have kinks.  ``Noisy`` is :math:`S`, ``LogNoisy`` its logarithm and
``NoisyCumulant`` one of the :math:`K_{kj}`, which are cumulants of noise and loss in the measure tilted by the factor.
By the heat equation :math:`\partial_v S = \tfrac12 \partial_a^2 S`, so that
:math:`\partial_v \ln S = \tfrac12 (K_{20} + K_{10}^2)`: differentiation does not leave the set.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

import sympy as sp
from sympy.core.symbol import Str

from replica.errors import NotDifferentiable
from replica.parts.losses import LossFunction, loss_function

_NOISE = sp.Symbol("enoise")
"""The noise of a replica where a function is written out; no other average is inside of that over it."""


class _Bare(sp.Function):
    """A function of a stability, an inverse temperature and the name of a loss, to be averaged first."""

    nargs = 3
    is_commutative = True
    is_real = True

    @property
    def written(self) -> sp.Expr:
        r""":math:`e^{-\beta \ell(y)}`."""
        y, beta, loss = self.args
        return sp.exp(-beta * loss_of(loss)(y))

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        if self.has(s):
            raise NotDifferentiable(f"{self} must be averaged before it is differentiated")
        return sp.Integer(0)


class Cost(_Bare):
    r"""The bare factor, :math:`e^{-\beta \ell(y)}`."""

    is_positive = True


class CostSlope(_Bare):
    """Its derivative in the stability, made only by ``field_derivative``."""


class _Smooth(sp.Function):
    """A function of mean, variance and inverse temperature; what else it depends on is data."""

    is_commutative = True
    is_real = True

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        slopes = ((self.args[i].diff(s), i + 1) for i in range(3))
        return sp.Add(*(self.fdiff(index) * slope for slope, index in slopes if slope != 0))


class Noisy(_Smooth):
    """The factor averaged over noise, :math:`S`."""

    nargs = 4
    is_positive = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self * LogNoisy(*self.args).fdiff(argindex)


class LogNoisy(_Smooth):
    r""":math:`\ln S`."""

    nargs = 4

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        if argindex == 2:
            return (NoisyCumulant(*self.args, 2, 0) + NoisyCumulant(*self.args, 1, 0) ** 2) / 2
        return NoisyCumulant(*self.args, *((1, 0) if argindex == 1 else (0, 1)))


class NoisyCumulant(_Smooth):
    r""":math:`K_{kj}`, the derivative of :math:`\ln S` of order ``k`` in the mean and ``j`` in the inverse temperature."""

    nargs = 6

    @property
    def orders(self) -> tuple[int, int]:
        """``(k, j)``."""
        return int(self.args[4]), int(self.args[5])

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        place, (k, j) = self.args[:4], self.orders
        if argindex != 2:
            return NoisyCumulant(*place, *((k + 1, j) if argindex == 1 else (k, j + 1)))
        square = (
            comb(k, i) * comb(j, h) * NoisyCumulant(*place, 1 + i, h) * NoisyCumulant(*place, 1 + k - i, j - h)
            for i in range(k + 1)
            for h in range(j + 1)
        )
        return (NoisyCumulant(*place, k + 2, j) + sp.Add(*square)) / 2


NOISY = (Noisy, LogNoisy, NoisyCumulant)
"""The functions that are left after the noise is averaged."""

COSTS = (Cost, CostSlope)
"""The functions that must be averaged first."""


def loss_of(name: sp.Basic) -> type[LossFunction]:
    """The loss that the last argument of a function names."""
    return loss_function(str(name))


def cost(y: sp.Expr, beta: sp.Expr, loss: str) -> Cost:
    """Return the factor of a pattern with this stability, for a loss by name or by formula."""
    return Cost(y, beta, Str(loss))


def smoothed_cost(node: sp.Expr, mean: sp.Expr, variance: sp.Expr) -> sp.Expr:
    """Return the average of a bare factor over noise of this variance around this stability."""
    place = (mean, variance, *node.args[1:])
    return Noisy(*place) * (NoisyCumulant(*place, 1, 0) if isinstance(node, CostSlope) else 1)


def edges_of(node: sp.Expr) -> tuple[sp.Expr, ...]:
    """Return where a smoothed factor has its features, in units of the noise: each vanishes at one kink of the loss."""
    mean, variance, _, loss = node.args[:4]
    places = [place for place, _ in loss_of(loss).kinks] or [sp.Integer(0)]
    return tuple((mean - place) / sp.sqrt(variance) for place in places)


def as_averages(expr: sp.Expr) -> sp.Expr:
    """Return the expression with the functions of this module as averages over noise, which are their definition."""
    expr = expr.replace(lambda e: isinstance(e, NOISY), _as_averages)
    return expr.replace(lambda e: isinstance(e, Cost), lambda e: e.written)


def _as_averages(node: sp.Expr) -> sp.Expr:
    if isinstance(node, Noisy):
        return _moment(node, 0, 0)
    if isinstance(node, LogNoisy):
        return sp.log(_moment(node, 0, 0))
    k, j = node.orders
    cumulant, variance = _cumulant(node, k, j), node.args[1]
    return cumulant / variance**k - (1 / variance if (k, j) == (2, 0) else 0)


def _moment(node: sp.Expr, k: int, j: int) -> sp.Expr:
    """The average of a power of the noise, one of minus the loss, and the factor."""
    from replica.expr import Average

    mean, variance, beta, loss = node.args[:4]
    value = loss_of(loss)(mean + _NOISE)
    return Average(_NOISE**k * (-value) ** j * sp.exp(-beta * value), _NOISE, variance)


@lru_cache(maxsize=256)
def _cumulant(node: sp.Expr, k: int, j: int) -> sp.Expr:
    """A joint cumulant in the tilted measure, from moments and cumulants of lower order."""
    norm = _moment(node, 0, 0)
    first = (1, 0) if k > 0 else (0, 1)
    others = [(i, h) for i in range(k + 1 - first[0]) for h in range(j + 1 - first[1]) if (i, h) != (0, 0)]
    products = (
        comb(k - first[0], i) * comb(j - first[1], h) * _cumulant(node, k - i, j - h) * _moment(node, i, h) / norm
        for i, h in others
    )
    return _moment(node, k, j) / norm - sp.Add(*products)
