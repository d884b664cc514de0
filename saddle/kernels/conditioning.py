r"""Covariances of fields in a form that keeps its digits where an overlap tends to 1.

A kernel is given what an overlap has left to 1 beside the overlap.  What its covariance lacks to the variance of a field
is a function of the former (its *gap*), and :math:`1 - q^2`, which derivatives of arcs bring in, a product.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp

from replica.parts.covariance import error_bound, gap
from replica.parts.hermite import coefficients_of

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy


class Conditioning:
    """The definitions of a free entropy with every gap a function of what the overlap has left.

    Parameters
    ----------
    free_entropy : FreeEntropy
    overlaps : sequence of str
        All of them, given ones too.
    remaining : mapping
        Symbols of what is left to 1, where a solver knows it, with their definitions.
    """

    def __init__(
        self, free_entropy: FreeEntropy, overlaps: Sequence[str], remaining: Mapping[sp.Symbol, sp.Expr]
    ) -> None:
        self.architecture: Any = free_entropy.model.architecture
        self.definitions: dict[sp.Symbol, sp.Expr] = dict(free_entropy.definitions)
        self._gaps: dict[sp.Expr, sp.Symbol] = {}
        self._products: dict[sp.Expr, sp.Expr] = {}
        variance: sp.Expr = sp.Symbol("D_1") if sp.Symbol("D_1") in self.definitions else sp.Integer(1)
        own: dict[sp.Symbol, sp.Expr] = {}
        for name in overlaps:
            q, covariance, left = sp.Symbol(name), sp.Symbol(f"D_{name}"), sp.Symbol(f"left_{name}")
            if covariance not in self.definitions:
                continue
            if left not in remaining:
                own[left] = 1 - q
            symbol = sp.Symbol(f"gap_{name}")
            own[symbol] = gap(self.architecture, left)
            self._gaps[variance - covariance] = symbol
            self._products[1 - q**2] = left * (1 + q)
        if self._gaps:
            known = {s: self.near_one(self.through_gaps(e)) for s, e in self.definitions.items()}
            self.definitions = {**own, **known}

    def through_gaps(self, expr: sp.Expr) -> sp.Expr:
        """The expression with differences to the variance of a field replaced by gaps."""
        for difference, symbol in self._gaps.items():
            expr = expr.subs(difference, symbol)
        return expr

    def near_one(self, expr: sp.Expr) -> sp.Expr:
        """The expression with :math:`1 - q^2` as a product."""
        return expr.xreplace(self._products) if self._products else expr

    @property
    def has_error(self) -> bool:
        """Whether the covariance is not exact."""
        return bool(self._gaps) and error_bound(self.architecture, sp.Integer(0)) is not None

    def error(self, overlap: sp.Expr) -> sp.Expr:
        """A bound of the error of the covariance at an overlap."""
        return error_bound(self.architecture, overlap) or sp.Integer(0)

    def errors(self, overlaps: Sequence[str]) -> list[sp.Expr]:
        """For each overlap the derivative of the covariance and a bound of its error."""
        q = sp.Symbol("q")
        slope = sp.diff(self.architecture.covariance(q), q)
        return [expr.subs(q, sp.Symbol(k)) for k in overlaps for expr in (slope, self.error(q))]


def series_tables(source: str) -> str:
    """Tables of the coefficients of the series that a source names."""
    names = sorted(set(re.findall(r"\b_((?:Series|Gap)_[0-9a-f]+(?:_\d+)?)\b", source)))
    return "".join(f"\n\n_{name} = np.array({list(coefficients_of(name))!r})\n" for name in names)
