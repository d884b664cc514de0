r"""The covariance of the fields: the overlaps themselves, or functions of them that keep a name.

Where the architecture maps an overlap ``q`` to a covariance :math:`\Delta(q)`, the fields are written in symbols ``D_q``
with definitions, so that nothing is expanded and derivatives go through them: a derivative in the overlap is
:math:`\Delta'(q)`, ``dD_q``, times one in the covariance, and the response of a marked average to another
overlap has :math:`\Delta'^2` of the second kind and :math:`\Delta''`, ``ddD_q``, of the first.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from replica.ansatz import Key
from replica.fields import Definitions
from replica.model import Architecture


def gap(architecture: Architecture, missing: sp.Expr) -> sp.Expr:
    """Return what the covariance at ``1 - missing`` lacks to the variance; a difference if there is no better form."""
    own = getattr(architecture, "gap", None)
    return own(missing) if own else architecture.covariance(sp.Integer(1)) - architecture.covariance(1 - missing)


def slopes_at_one(architecture: Architecture) -> tuple[sp.Expr, sp.Expr]:
    """Return the first and second derivative of the covariance at overlap 1, as limits where they are not declared."""
    if own := getattr(architecture, "slopes_at_one", None):
        return own()
    q = sp.Symbol("q")
    first, second = (sp.limit(sp.diff(architecture.covariance(q), q, order), q, 1, "-") for order in (1, 2))
    return first, second


def error_bound(architecture: Architecture, overlap: sp.Expr) -> sp.Expr | None:
    """Return a bound of the absolute error of the covariance at an overlap, None where it is exact."""
    own = getattr(architecture, "covariance_error", None)
    return own(overlap) if own else None


class FieldCovariances:
    """Covariances by overlap, with the definitions of their names.

    Parameters
    ----------
    architecture : Architecture
    overlaps : mapping
        The symbol of every overlap by key.
    """

    def __init__(self, architecture: Architecture, overlaps: Mapping[Key, sp.Symbol]) -> None:
        q = sp.Symbol("q")
        self.plain = architecture.covariance(q) == q
        self.definitions = Definitions()
        self.values: dict[Key, sp.Expr] = dict(overlaps)
        self.slopes: dict[Key, sp.Expr] = dict.fromkeys(overlaps, sp.Integer(1))
        self.curvatures: dict[Key, sp.Expr] = dict.fromkeys(overlaps, sp.Integer(0))
        self._at_zero = [sp.diff(architecture.covariance(q), q, k).subs(q, 0) for k in (1, 2)]
        self.diagonal: sp.Expr = sp.Integer(1)
        if self.plain:
            return
        self.diagonal = self._named("D_1", sp.simplify(architecture.covariance(sp.Integer(1))))
        for key, overlap in overlaps.items():
            value = architecture.covariance(overlap)
            self.values[key] = self._named(f"D_{overlap.name}", value)
            self.slopes[key] = self._named(f"dD_{overlap.name}", sp.diff(value, overlap))
            self.curvatures[key] = self._named(f"ddD_{overlap.name}", sp.diff(value, overlap, 2))

    def slope(self, key: Key) -> sp.Expr:
        """The derivative of the covariance at an overlap; one that is not in the ansatz vanishes by symmetry."""
        return self.slopes.get(key, self._at_zero[0])

    def curvature(self, key: Key) -> sp.Expr:
        """The second derivative of the covariance at an overlap."""
        return self.curvatures.get(key, self._at_zero[1])

    def _named(self, name: str, expr: sp.Expr) -> sp.Expr:
        if expr == 1:
            return expr
        symbol = sp.Symbol(name)
        self.definitions.table[symbol] = expr
        return symbol
