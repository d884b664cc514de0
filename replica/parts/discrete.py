r"""Weights with any discrete levels: the square of a weight is then not fixed, nor is the norm of all of them.

The overlap of a configuration with itself, :math:`Q = |w|^2/N`, is an order parameter with a conjugate of its own; it is
the variance of a field.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

from replica.errors import InputError

if TYPE_CHECKING:
    from sympy import Expr, Tuple


@dataclass(frozen=True)
class DiscreteWeights:
    r"""Weights with the given levels, e.g. ``(-1, 0, 1)``.

    Parameters
    ----------
    values : tuple of numbers
        The levels: integers, fractions, floats.
    prior : tuple of numbers
        The measure of every level (need not add up to 1).  Without it every level counts 1, so that entropies count
        configurations; with it they are relative to this measure.
    name : str
    """

    values: tuple[Any, ...]
    prior: tuple[Any, ...] = ()
    name: str = "discrete"
    discrete: bool = True

    def __post_init__(self) -> None:
        parts: tuple[tuple[str, Any], ...] = (("values", self.values), ("prior", self.prior))
        for what, given in parts:
            if not isinstance(given, tuple) or not all(isinstance(x, Real) and math.isfinite(x) for x in given):
                raise InputError(f"The {what} of discrete weights are a tuple of finite numbers, not {given!r}.")
        if len(self.values) < 2 or len(set(self.values)) < len(self.values):
            raise InputError(f"Discrete weights need two or more different values, not {self.values!r}.")
        if self.prior and (len(self.prior) != len(self.values) or min(self.prior) <= 0):
            raise InputError(f"The prior {self.prior!r} must hold one positive number for each of {self.values!r}.")

    @property
    def unit_norm(self) -> bool:
        """Whether every weight squares to 1."""
        return all(abs(value) == 1 for value in self.values)

    @property
    def counts(self) -> bool:
        """Whether entropies count configurations."""
        return all(p == 1 for p in self.prior)

    @property
    def scale(self) -> float:
        """The largest square of a weight: the unit of distances."""
        return float(max(value * value for value in self.values))

    @property
    def measure(self) -> tuple[Any, ...]:
        """The measure of every level."""
        return self.prior or (1,) * len(self.values)

    @property
    def symmetric(self) -> bool:
        """Whether both signs of every level count alike."""
        pairs = set(zip(self.values, self.measure, strict=True))
        return pairs == {(-value, p) for value, p in pairs}

    @property
    def entropy(self) -> float:
        """Entropy of all configurations."""
        return math.log(float(sum(self.measure)))

    @cached_property
    def levels(self) -> Tuple:
        """Values and measure, exact."""
        import sympy as sp

        from replica.parts.levels import levels_of

        return levels_of(*([sp.Rational(str(x)) for x in numbers] for numbers in (self.values, self.measure)))

    def trace(self, fld: Expr, curvature: Expr | int = 0) -> Expr:
        r""":math:`\sum_w \rho(w)\, e^{w f + g w^2/2}`, with the curvature ``g`` (0 where every square is 1)."""
        from replica.expr import TwoCosh
        from replica.parts.levels import Trace

        if self.unit_norm and self.counts:
            return TwoCosh(fld)
        return Trace(fld, curvature, self.levels)

    def distance_bound(self, d: float) -> float:
        r"""Largest entropy at distance ``d`` from any configuration.

        With :math:`|w - w'|^2 / N = 4 d\, w_{max}^2`, the smallest over :math:`\lambda \ge 0` of
        :math:`4 d \lambda w_{max}^2 + \max_{w'} \ln \sum_w \rho(w) e^{-\lambda (w - w')^2}`, which is convex.
        """
        levels = [(float(v), float(p)) for v, p in zip(self.values, self.measure, strict=True)]

        def bound(rate: float) -> float:
            sums = (sum(p * math.exp(-rate * (v - centre) ** 2) for v, p in levels) for centre, _ in levels)
            return 4.0 * d * self.scale * rate + math.log(max(sums))

        return smallest(bound)


def smallest(convex: Callable[[float], float]) -> float:
    """Return the smallest value of a convex function on the positive half line, by golden sections."""
    high, ratio = 1.0, (math.sqrt(5.0) - 1.0) / 2.0
    while convex(2.0 * high) < convex(high) and high < 1e6:
        high *= 2.0
    low, high = 0.0, 2.0 * high
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    for _ in range(80):
        if convex(a) < convex(b):
            high, b = b, a
            a = high - ratio * (high - low)
        else:
            low, a = a, b
            b = low + ratio * (high - low)
    return min(convex(0.0), convex(0.5 * (low + high)))
