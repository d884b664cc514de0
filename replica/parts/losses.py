r"""Losses of the stability that a user writes down: :math:`e^{-\beta \ell(x)}` instead of a hard constraint.

A loss need not be differentiable (the hinge is not): it is never differentiated, but averaged over the noise of a replica
(:mod:`replica.parts.noisy_losses`); its kinks only say where a quadrature needs its nodes.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import ClassVar

import mpmath
import sympy as sp

from replica.errors import InputError, NotDifferentiable
from replica.parts.parse import parse_expression

_X = sp.Symbol("x", real=True)
NAMED = {"cross-entropy": "log(1 + exp(-x))", "hinge": "Max(0, -x)"}
"""Losses that have a name."""
SHARPEST_KINK, JUMP = 1e-8, 1e-15
"""Widths, in standard deviations, at which nodes resolve a change of slope and a jump in double precision."""
_FAR, _STEEP = 1e9, 1e-3
"""A stability at which the growth of a loss is judged, and by how many of its squares it may fall."""
_SAMPLES = tuple(sp.Rational(2 * k, 7) + sp.Rational(1, 101) for k in range(-40, 41))
"""Stabilities at which a loss has to be a real number: up to 11, and none that a formula is likely to be singular at."""
_ORIGIN = 1e-25
"""A root closer to 0 than this is 0: of a triple one a third of the digits is found."""
_NEAR, _DEEP = sp.Rational(1, 10**60), 100.0
"""How near to a singular place a loss is looked at, and how far below 0 it may be there (a logarithm is at 138)."""


class Softplus(sp.Function):
    r""":math:`\ln(1 + e^x)`, a function of its own because the exponential overflows."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return 1 / (1 + sp.exp(-self.args[0]))


class LossFunction(sp.Function):
    """The value of a loss at a stability; every loss is a subclass (:func:`loss_function`)."""

    nargs = 1
    is_real = True
    text: ClassVar[str] = ""
    plain: ClassVar[sp.Expr] = sp.Integer(0)
    formula: ClassVar[sp.Expr] = sp.Integer(0)
    kinks: ClassVar[tuple[tuple[sp.Expr, float], ...]] = ()

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        raise NotDifferentiable(f"the loss {self.text} must be averaged before it is differentiated")

    @property
    def written(self) -> sp.Expr:
        """The formula at this stability."""
        return self.formula.xreplace({_X: self.args[0]})


@lru_cache(maxsize=64)
def loss_function(text: str) -> type[LossFunction]:
    """Return the function of a loss: a name, or an expression in the stability ``x``.

    Raises
    ------
    InputError
        If the text is not understood, or the loss has kinks that cannot be located.
    """
    formula = parse_expression(NAMED.get(text, text), {"x"}).xreplace({sp.Symbol("x"): _X})
    formula = formula.replace(sp.Heaviside, lambda a, *_: (1 + sp.sign(a)) / 2)
    if _X not in formula.free_symbols:
        raise InputError(f"The loss {text!r} does not depend on the stability x.")
    _check_growth(formula, text)
    _check_values(formula, text)
    kinks = _kinks(formula, text)
    w, plain = sp.Wild("w"), formula
    formula = formula.replace(sp.log(1 + sp.exp(w)), Softplus(w))
    name = "Loss" + "".join(f"{ord(letter):x}" for letter in text)
    return type(name, (LossFunction,), {"text": text, "plain": plain, "formula": formula, "kinks": kinks})


def _check_growth(formula: sp.Expr, text: str) -> None:
    """Refuse a loss whose Boltzmann factor grows like a Gaussian falls, or faster."""
    for x in (_FAR, -_FAR):
        value = formula.subs(_X, x).evalf()
        if value.is_extended_real and value < -_STEEP * _FAR**2:
            raise InputError(
                f"The loss {text!r} falls like the squared stability or faster: from some inverse temperature on its "
                "Boltzmann factor has no average over Gaussian stabilities; give a loss that is bounded from below."
            )


def _check_values(formula: sp.Expr, text: str) -> None:
    """Refuse a loss that is not a real number at every stability, and one that falls without bound where it is singular."""
    if any(node.has(_X) for node in formula.atoms(sp.tan)):
        raise InputError(f"The loss {text!r} falls without bound, as its tangent does; give one that is bounded from below.")
    for x in _SAMPLES:
        if not formula.subs(_X, x).evalf().is_extended_real:
            raise InputError(
                f"The loss {text!r} has no real value at x = {float(x):g}: give one for every stability, from -oo to oo."
            )
    for root in _singular(formula):
        for side in (-_NEAR, _NEAR):
            if formula.subs(_X, root + side).evalf(90) < -_DEEP:
                raise InputError(
                    f"The loss {text!r} falls without bound at x = {float(root):g}: every pattern would sit there; give a "
                    "loss that is bounded from below."
                )


def _singular(formula: sp.Expr) -> list[sp.Expr]:
    """Where what stands under a negative power or in a logarithm vanishes, the nearest to 0 first."""
    found: set[sp.Expr] = set()
    inner = [node.base for node in formula.atoms(sp.Pow) if node.exp.is_negative]
    inner += [part.as_base_exp()[0] for node in formula.atoms(sp.log) for part in sp.Mul.make_args(node.args[0])]
    for base in inner:
        plain = base.replace(sp.Abs, lambda a: a)
        if plain.has(_X):
            found.update(sp.Poly(plain, _X).real_roots() if plain.is_polynomial(_X) else _sign_changes(plain))
    return sorted(found, key=abs)


def _sign_changes(base: sp.Expr) -> list[sp.Expr]:
    """Where an expression that is no polynomial changes its sign, among the stabilities that are looked at."""
    value, found = sp.lambdify(_X, base, "mpmath"), []
    with mpmath.workdps(90):
        signs = [mpmath.sign(mpmath.re(value(mpmath.mpf(int(x.p)) / int(x.q)))) for x in _SAMPLES]
        for (a, b), (left, right) in zip(itertools.pairwise(_SAMPLES), itertools.pairwise(signs), strict=True):
            if left * right < 0:
                ends = [mpmath.mpf(int(x.p)) / int(x.q) for x in (a, b)]
                root = mpmath.findroot(value, ends, solver="bisect", maxsteps=400, verify=False)
                found.append(sp.Integer(0) if abs(root) < _ORIGIN else sp.Float(root, 90))
    return found


def _kinks(formula: sp.Expr, text: str) -> tuple[tuple[sp.Expr, float], ...]:
    """Where the formula is not smooth, with the width that resolves what happens there."""
    found: dict[sp.Expr, float] = {}
    for node in formula.atoms(sp.Max, sp.Min, sp.Abs, sp.sign):
        width = JUMP if isinstance(node, sp.sign) else SHARPEST_KINK
        arguments = node.args if isinstance(node, (sp.Max, sp.Min)) else (node.args[0], sp.Integer(0))
        for i, a in enumerate(arguments):
            for b in arguments[:i]:
                try:
                    roots = sp.Poly(a - b, _X).real_roots() if (a - b).has(_X) else []
                except (sp.PolynomialError, NotImplementedError):
                    raise InputError(
                        f"The kinks of the loss {text!r} cannot be located: compare polynomials in Max, Min, Abs and sign."
                    ) from None
                for root in roots:
                    found[root] = min(width, found.get(root, 1.0))
    return tuple(found.items())


def written_out(expr: sp.Expr) -> sp.Expr:
    """The expression with its losses as formulas."""
    return expr.replace(lambda e: isinstance(e, LossFunction), lambda e: e.written)


def places(body: sp.Expr, z: sp.Symbol) -> list[tuple[sp.Expr, list[sp.Expr], float]]:
    """Where losses have features in ``z``: the argument's rest, the inner variances that smear it, the sharpest width.

    A smooth loss, or one that is smeared, is taken to have one where the stability is 0.
    """
    from replica.expr import Average, slope_and_rest

    found: dict[tuple[sp.Expr, tuple[sp.Expr, ...]], float] = {}

    def collect(node: sp.Expr, inner: tuple[sp.Expr, ...]) -> None:
        if isinstance(node, LossFunction):
            argument, spread = node.args[0], []
            for average in inner:
                slope, argument = slope_and_rest(argument, average.variable)
                spread += [slope**2 * average.variance] if slope != 0 else []
            slope, rest = slope_and_rest(argument, z)
            for place, width in (node.kinks or ((sp.Integer(0), 1.0),)) if slope != 0 else ():
                found[(rest - place) / slope, tuple(spread)] = 0.0 if spread else width
            return
        below = (*inner, node) if isinstance(node, Average) else inner
        for arg in node.args:
            collect(arg, below)

    collect(body, ())
    return [(rest, list(spread), width) for (rest, spread), width in found.items() if width < 1.0]
