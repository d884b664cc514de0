r"""The expressions of a replica calculation: the smallest set that differentiation does not leave.

* ``Average(f, z, v)``: the Gaussian average :math:`E_{z \sim N(0, v)} f(z)`.  Its derivative in a parameter of the
  variance is the heat equation, :math:`\partial_v E f = \tfrac12 E f''`: no :math:`\sqrt q` ever appears.
* ``SiteSum(f, s, values)``: a sum over the values of a discrete weight.
* ``H``, ``Mills``, ``MillsExcess``, ``LogH`` with :math:`H' = -H M`, :math:`M' = M(M - x)`, :math:`(\ln H)' = -M`;
  never a separate density, so that :math:`H'/H` cancels by itself.
* ``TwoCosh``, ``Log2Cosh`` and sympy's ``tanh`` for the trace over a binary weight; over any other discrete weight
  ``Trace``, ``LogTrace`` and ``Moment`` (:mod:`replica.parts.levels`).
* the functions of :mod:`replica.parts.pieces` for factors that are constant between several edges.
* ``Step`` and ``Delta``, which refuse to be differentiated: by the time a derivative is taken, they are integrated.

A bound variable belongs to one node of the replica tree, so that nested averages never share one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from replica.errors import NotDifferentiable
from replica.parts.levels import LogTrace, Moment, Trace, trace_of
from replica.parts.noisy_losses import COSTS, NOISY, Cost, CostSlope, LogNoisy, Noisy, smoothed_cost
from replica.parts.pieces import BARE, SMOOTH, LogPieces, Pieces, Steps, StepsSlope, smoothed


class H(sp.Function):
    r"""Gaussian tail :math:`H(x) = \int_x^\infty Dz`."""

    nargs = 1
    is_positive = True

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.Rational(1, 2) if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return -H(self.args[0]) * Mills(self.args[0])

    def _latex(self, printer: object, exp: str | None = None) -> str:
        inner = printer._print(self.args[0])  # type: ignore[attr-defined]
        return rf"H{f'^{{{exp}}}' if exp else ''}\left({inner}\right)"


class Mills(sp.Function):
    r"""Inverse Mills ratio :math:`M(x) = G(x)/H(x)`."""

    nargs = 1
    is_positive = True

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.sqrt(2 / sp.pi) if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Mills(self.args[0]) * MillsExcess(self.args[0])

    def _latex(self, printer: object, exp: str | None = None) -> str:
        inner = printer._print(self.args[0])  # type: ignore[attr-defined]
        return rf"M{f'^{{{exp}}}' if exp else ''}\left({inner}\right)"


class MillsExcess(sp.Function):
    r""":math:`M(x) - x`, a function of its own because the difference of two large numbers has no digits."""

    nargs = 1
    is_positive = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return Mills(self.args[0]) * MillsExcess(self.args[0]) - 1

    def _latex(self, printer: object, exp: str | None = None) -> str:
        inner = printer._print(self.args[0])  # type: ignore[attr-defined]
        text = rf"\left[M\left({inner}\right) - {inner if self.args[0].is_Atom else rf'({inner})'}\right]"
        return rf"{text}^{{{exp}}}" if exp else text


class LogH(sp.Function):
    r""":math:`\ln H(x)`."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return -Mills(self.args[0])

    def _latex(self, printer: object, exp: str | None = None) -> str:
        inner = printer._print(self.args[0])  # type: ignore[attr-defined]
        return rf"\ln{f'^{{{exp}}}' if exp else ''} H\left({inner}\right)"


class TwoCosh(sp.Function):
    r""":math:`2\cosh x`, the trace of :math:`e^{x w}` over a binary weight."""

    nargs = 1
    is_positive = True

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.Integer(2) if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return TwoCosh(self.args[0]) * sp.tanh(self.args[0])

    def _latex(self, printer: object, exp: str | None = None) -> str:
        text = rf"2\cosh\left({printer._print(self.args[0])}\right)"  # type: ignore[attr-defined]
        return rf"\left[{text}\right]^{{{exp}}}" if exp else text


class Log2Cosh(sp.Function):
    r""":math:`\ln 2\cosh x`."""

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.log(2) if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.tanh(self.args[0])

    def _latex(self, printer: object, exp: str | None = None) -> str:
        text = rf"\ln 2\cosh\left({printer._print(self.args[0])}\right)"  # type: ignore[attr-defined]
        return rf"\left[{text}\right]^{{{exp}}}" if exp else text


class Step(sp.Function):
    r""":math:`\theta(x)`: 1 for positive argument, else 0."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        raise NotDifferentiable(f"theta({self.args[0]}) must be averaged before it is differentiated")

    def _latex(self, printer: object, exp: str | None = None) -> str:
        return rf"\theta\left({printer._print(self.args[0])}\right)"  # type: ignore[attr-defined]


class Delta(sp.Function):
    r""":math:`\delta(x) = \theta'(x)`, made only by :func:`field_derivative`."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        raise NotDifferentiable(f"delta({self.args[0]}) must be averaged before it is differentiated")

    def _latex(self, printer: object, exp: str | None = None) -> str:
        return rf"\delta\left({printer._print(self.args[0])}\right)"  # type: ignore[attr-defined]


class Average(sp.Expr):
    r"""Gaussian average :math:`E_{z \sim N(0, v)} f(z)` as ``Average(f, z, v)``.

    Evaluates what is exact: zero variance, a body without ``z``, constant factors, and
    :math:`E\,\theta(b z + a) = H(-a/(|b| \sqrt v))`, :math:`E\,\delta(z + a) = G(a/\sqrt v)/\sqrt v`.
    """

    is_commutative = True

    def __new__(cls, body: sp.Expr, z: sp.Symbol, v: sp.Expr, evaluate: bool = True) -> sp.Expr:
        body, v = sp.sympify(body), sp.sympify(v)
        if not evaluate:
            return sp.Expr.__new__(cls, body, z, v)
        if v == 0:
            return body.subs(z, 0)
        constant, dependent = body.as_independent(z, as_Add=False)
        if dependent == 1:
            return constant
        if isinstance(dependent, SINGULAR):
            return constant * _integrated(dependent, z, v)
        return constant * sp.Expr.__new__(cls, dependent, z, v)

    @property
    def body(self) -> sp.Expr:
        return self.args[0]

    @property
    def variable(self) -> sp.Symbol:
        return self.args[1]

    @property
    def variance(self) -> sp.Expr:
        return self.args[2]

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return (self.body.free_symbols - {self.variable}) | self.variance.free_symbols

    @property
    def is_positive(self) -> bool | None:
        return self.body.is_positive

    @property
    def is_real(self) -> bool:
        return True

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        body, z, v = self.args
        result = Average(sp.diff(body, s), z, v)
        if (dv := sp.diff(v, s)) != 0:
            result += dv / 2 * Average(sp.diff(body, z, 2), z, v)
        return result

    def _latex(self, printer: object, exp: str | None = None) -> str:
        body, z, v = (printer._print(a) for a in self.args)  # type: ignore[attr-defined]
        text = rf"\mathop{{\mathbb{{E}}}}_{{{z} \sim \mathcal{{N}}(0,\,{v})}}\left[{body}\right]"
        return rf"\left({text}\right)^{{{exp}}}" if exp else text

    def _sympystr(self, printer: object) -> str:
        body, z, v = (printer._print(a) for a in self.args)  # type: ignore[attr-defined]
        return f"E[{body}; {z} ~ N(0, {v})]"


class SiteSum(sp.Expr):
    r"""Sum over the values of one discrete weight, :math:`\sum_{s} f(s)`, as ``SiteSum(f, s, values)``."""

    is_commutative = True

    def __new__(cls, body: sp.Expr, s: sp.Symbol, values: sp.Tuple) -> sp.Expr:
        constant, dependent = sp.sympify(body).as_independent(s, as_Add=False)
        if dependent == 1:
            return constant * len(values)
        trace = _two_cosh_of(dependent, s, values) or trace_of(dependent, s, values)
        return constant * (trace if trace is not None else sp.Expr.__new__(cls, dependent, s, values))

    @property
    def body(self) -> sp.Expr:
        return self.args[0]

    @property
    def variable(self) -> sp.Symbol:
        return self.args[1]

    @property
    def values(self) -> sp.Tuple:
        return self.args[2]

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return self.body.free_symbols - {self.variable}

    @property
    def is_positive(self) -> bool | None:
        return self.body.is_positive

    @property
    def is_real(self) -> bool:
        return True

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        body, variable, values = self.args
        return SiteSum(sp.diff(body, s), variable, values)

    def expanded(self) -> sp.Expr:
        """The sum written out."""
        return sp.Add(*(self.body.subs(self.variable, value) for value in self.values))

    def _latex(self, printer: object, exp: str | None = None) -> str:
        body, s = (printer._print(a) for a in self.args[:2])  # type: ignore[attr-defined]
        values = ", ".join(printer._print(v) for v in self.values)  # type: ignore[attr-defined]
        text = rf"\sum_{{{s} \in \{{{values}\}}}} {body}"
        return rf"\left({text}\right)^{{{exp}}}" if exp else text

    def _sympystr(self, printer: object) -> str:
        body, s = (printer._print(a) for a in self.args[:2])  # type: ignore[attr-defined]
        return f"Sum[{body}; {s} in {{{', '.join(map(str, self.values))}}}]"


class Positive(sp.Function):
    """A difference that is positive whatever its rounding: the variance of a matrix that is known to be positive."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.Integer(1)

    @staticmethod
    def _imp_(x: Any) -> Any:
        return x


SPECIAL = (H, Mills, MillsExcess, LogH, TwoCosh, Log2Cosh, sp.tanh, Trace, LogTrace, Moment, *SMOOTH, *NOISY)
"""Functions whose (first) arguments say where an integrand has its features."""

LOG_OF = {H: LogH, TwoCosh: Log2Cosh, Trace: LogTrace, Pieces: LogPieces, Noisy: LogNoisy}
"""Functions whose logarithm is a function of its own."""

SINGULAR = (Step, Delta, *BARE, *COSTS)
"""Functions that must be averaged before they are differentiated."""


def arguments(node: sp.Expr) -> tuple[sp.Expr, ...]:
    """The arguments of a special function that contain fields: one, or the edges of a piecewise constant factor."""
    return node.edges if isinstance(node, (*SMOOTH, *BARE)) else (node.args[0],)


def with_arguments(node: sp.Expr, change: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    """The special function with its field arguments changed."""
    fields = arguments(node)
    return node.func(*(change(a) for a in fields), *node.args[len(fields) :])


def _integrated(singular: sp.Expr, z: sp.Symbol, v: sp.Expr) -> sp.Expr:
    """The Gaussian average of a step, a delta, several steps or a loss of linear arguments."""
    if isinstance(singular, (Steps, StepsSlope)):
        parts = [slope_and_rest(edge, z) for edge in singular.edges]
        if any(slope != 1 for slope, _ in parts):
            raise NotDifferentiable(f"{singular} has another slope than 1; only unit slopes arise from fields")
        return smoothed(singular, tuple(-rest / sp.sqrt(v) for _, rest in parts), sp.sqrt(v))
    argument = singular.args[0]
    slope, rest = slope_and_rest(argument, z)
    if isinstance(singular, COSTS) and slope == 1:
        return smoothed_cost(singular, rest, v)
    if slope not in (1, -1) or isinstance(singular, COSTS):
        raise NotDifferentiable(f"{singular} has slope {slope}; only unit slopes arise from fields")
    scaled = -rest / sp.sqrt(v)
    if isinstance(singular, Step):
        return H(scaled)
    return H(scaled) * Mills(scaled) / sp.sqrt(v)


def _two_cosh_of(body: sp.Expr, s: sp.Symbol, values: sp.Tuple) -> sp.Expr | None:
    """``2 cosh a`` if the body is ``exp(a s)`` and the values are +-1."""
    if set(values) == {-1, 1} and isinstance(body, sp.exp):
        a = sp.cancel(body.args[0] / s)
        if not a.has(s):
            return TwoCosh(a)
    return None


def slope_and_rest(argument: sp.Expr, z: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """``(b, a)`` of an argument ``b z + a``; a nonlinear one is refused rather than half understood."""
    slope = sp.diff(argument, z)
    if slope.has(z):
        raise NotDifferentiable(f"the argument {argument} is not linear in {z}")
    return slope, argument.subs(z, 0)


def field_derivative(factor: sp.Expr, field: sp.Symbol, order: int) -> sp.Expr:
    """The ``order``-th derivative of a leaf's factor in its field; a bare step becomes a delta."""
    if order and isinstance(factor, sp.Mul) and factor.has(Step):
        constant, factor = factor.as_independent(field, as_Add=False)
        return constant * field_derivative(factor, field, order)
    for _ in range(order):
        if isinstance(factor, Step) and factor.args[0].has(field):
            slope, _rest = slope_and_rest(factor.args[0], field)
            factor = slope * Delta(factor.args[0])
        elif isinstance(factor, Steps):
            factor = StepsSlope(*factor.args)
        elif isinstance(factor, Cost):
            factor = CostSlope(*factor.args)
        else:
            factor = sp.expand(sp.diff(factor, field), deep=False)
    return factor


def canonical(expr: sp.Expr) -> sp.Expr:
    """Logarithms of special functions as functions of their own, arguments over one denominator, equal bases joined."""
    expr = expr.replace(
        lambda e: isinstance(e, SPECIAL) and not e.args[0].has(*SPECIAL),
        lambda e: with_arguments(e, lambda a: sp.together(sp.expand(a))),
    )
    expr = expr.replace(
        lambda e: isinstance(e, sp.log) and type(e.args[0]) in LOG_OF,
        lambda e: LOG_OF[type(e.args[0])](*e.args[0].args),
    )
    return expr.replace(lambda e: isinstance(e, sp.Mul), _joined)


def _joined(product: sp.Mul) -> sp.Expr:
    """The product with powers of one tilt or average joined: sympy leaves ``H * H**(m-1)`` as it is."""
    powers: dict[sp.Expr, sp.Expr] = {}
    for factor in product.args:
        base, exponent = factor.as_base_exp()
        powers[base] = powers.get(base, sp.Integer(0)) + exponent
    if len(powers) == len(product.args):
        return product
    return sp.Mul(*(base ** sp.expand(exponent) for base, exponent in powers.items()))


def gather(expr: sp.Expr) -> sp.Expr:
    """Sums of averages over the same variable as one average of the sum."""
    if not isinstance(expr, sp.Add):
        return expr
    rest: list[sp.Expr] = []
    bodies: dict[tuple[sp.Expr, ...], list[sp.Expr]] = {}
    for term in expr.args:
        coefficient, product = term.as_independent(Average, SiteSum, as_Add=False)
        binders = [f for f in sp.Mul.make_args(product) if isinstance(f, (Average, SiteSum))]
        if len(binders) == 1:
            # what else depends on averages (a norm below the line) must be the same for terms to join
            key = (binders[0].func, *binders[0].args[1:], product / binders[0])
            bodies.setdefault(key, []).append(coefficient * binders[0].body)
        else:
            rest.append(term)
    gathered = [
        common * f(sp.factor_terms(gather(sp.expand(sp.Add(*b)))), z, v) for (f, z, v, common), b in bodies.items()
    ]
    return sp.expand(sp.Add(*rest), deep=False) + sp.Add(*gathered)
