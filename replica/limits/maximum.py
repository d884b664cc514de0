r"""Maxima inside averages: what a large multiplicity leaves of a Gaussian average.

By Laplace's method, with a variance that is small like the inverse multiplicity,

.. math::
    \tfrac1y \ln E_{z \sim N(0, v/y)}\, e^{y f(z)} \;\to\; \max_z \big[ f(z) - z^2/(2v) \big], \qquad
    -\tfrac12 \ln\big(1 - v f''(z^*)\big) \text{ at the next order.}

* ``Maximum(f, z, v)``: this maximum.  By the envelope theorem, and with :math:`z^* = v f'(z^*)`, its derivative is that of
  ``f`` at the maximiser plus :math:`\tfrac12 f'^2` times that of ``v``: nothing is singular at ``v = 0``.
* ``AtMaximum(g, f, z, v)``: ``g`` at the maximiser, which moves by the implicit function theorem,
  :math:`dz^* = (f'\,dv + v\,df')/(1 - v f'')`.
* ``ScaledAverage``: a Gaussian average of a function with a jump or a kink at 0, differentiated in its variance by
  scaling, :math:`\partial_v E f = E[z f'(z)]/(2v)`, which needs one derivative only and keeps what a jump contributes.
* ``JumpSum``: what the derivative gains where a maximiser jumps, at a place that moves with the parameters.

A maximum may run over the values of a discrete weight ``s`` as well; both are then found together.  For negative ``v`` the
stationary point that is connected to ``z = 0`` is meant: averages continue analytically there.
"""

from __future__ import annotations

import sympy as sp

from replica.expr import SPECIAL, Average, LogH, Step, slope_and_rest, with_arguments


class _OfMaximum(sp.Expr):
    """What both nodes share: they end in ``body, z, v`` and, if a discrete weight is maximised over too, ``s, values``."""

    is_commutative = True
    FIRST = 0

    @property
    def body(self) -> sp.Expr:
        """The function that is maximised, without the quadratic cost."""
        return self.args[self.FIRST]

    @property
    def variable(self) -> sp.Symbol:
        """The variable that is maximised over."""
        return self.args[self.FIRST + 1]

    @property
    def variance(self) -> sp.Expr:
        """``v`` of the cost ``z**2/(2 v)``."""
        return self.args[self.FIRST + 2]

    @property
    def site(self) -> tuple[sp.Symbol, sp.Tuple] | None:
        """The discrete weight that is maximised over too, and its values."""
        rest = self.args[self.FIRST + 3 :]
        return (rest[0], rest[1]) if rest else None

    @property
    def problem(self) -> tuple[sp.Expr, ...]:
        """What is maximised: equal problems have the same maximiser."""
        return self.args[self.FIRST :]

    @property
    def bound(self) -> set[sp.Symbol]:
        """The variables of the maximum."""
        return {self.variable} | ({self.site[0]} if self.site else set())

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        inner = set().union(*(arg.free_symbols for arg in self.args[: self.FIRST + 1]))
        return (inner - self.bound) | self.variance.free_symbols

    @property
    def is_real(self) -> bool:
        return True


class Maximum(_OfMaximum):
    r""":math:`\max_z [f(z) - z^2/(2v)]` as ``Maximum(f, z, v)``, or over ``s`` too as ``Maximum(f, z, v, s, values)``."""

    def __new__(cls, body: sp.Expr, z: sp.Symbol, v: sp.Expr, *site: sp.Basic) -> sp.Expr:
        body, v = sp.sympify(body), sp.sympify(v)
        if not site and (v == 0 or not body.has(z)):
            return body.subs(z, 0)
        return sp.Expr.__new__(cls, body, z, v, *site)

    def at_maximiser(self) -> sp.Expr:
        r"""The same number as :math:`f - \tfrac12 v f'^2` at the maximiser, regular at ``v = 0``."""
        return AtMaximum(self.body - self.variance * sp.diff(self.body, self.variable) ** 2 / 2, *self.problem)

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        slope = sp.diff(self.body, self.variable)
        return AtMaximum(sp.diff(self.body, s) + sp.diff(self.variance, s) / 2 * slope**2, *self.problem)

    def _sympystr(self, printer: object) -> str:
        body, z, v = (printer._print(a) for a in self.problem[:3])  # type: ignore[attr-defined]
        over = f"{z}, {self.site[0]}" if self.site else z
        return f"Max[{body} - {z}**2/(2*({v})); {over}]"


class AtMaximum(_OfMaximum):
    r""":math:`g(z^*)` at the maximiser of :math:`f(z) - z^2/(2v)` as ``AtMaximum(g, f, z, v)``."""

    FIRST = 1

    def __new__(cls, value: sp.Expr, body: sp.Expr, z: sp.Symbol, v: sp.Expr, *site: sp.Basic) -> sp.Expr:
        value, body, v = sp.sympify(value), sp.sympify(body), sp.sympify(v)
        if not value.has(z, *site[:1]):
            return value
        if not site and (v == 0 or not body.has(z)):
            return value.subs(z, 0)
        constant, dependent = value.as_independent(z, *site[:1], as_Add=False)
        return constant * sp.Expr.__new__(cls, dependent, body, z, v, *site)

    @property
    def value(self) -> sp.Expr:
        """What is taken at the maximiser."""
        return self.args[0]

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        f, z, v = self.body, self.variable, self.variance
        slope = sp.diff(f, z)
        moved = sp.diff(v, s) * slope + v * sp.diff(slope, s)
        return AtMaximum(
            sp.diff(self.value, s) + sp.diff(self.value, z) * moved / (1 - v * sp.diff(slope, z)), *self.problem
        )

    def _sympystr(self, printer: object) -> str:
        value, body, z, v = (printer._print(a) for a in self.args[:4])  # type: ignore[attr-defined]
        return f"At[{value}; {z} maximises {body} - {z}**2/(2*({v}))]"


class ScaledAverage(Average):
    r"""A Gaussian average whose derivative in the variance goes by scaling, :math:`\partial_v E f = E[z f'(z)]/(2v)`.

    A factor ``Step(z)`` restricts it to the half line, whose border does not move when ``z`` is scaled.  Otherwise what is
    taken at a maximiser may jump, where two maxima are equally high, and the derivative has a :class:`JumpSum`.
    """

    def __new__(cls, body: sp.Expr, z: sp.Symbol, v: sp.Expr, evaluate: bool = True) -> sp.Expr:
        body, v = sp.sympify(body), sp.sympify(v)
        if not evaluate:
            return sp.Expr.__new__(cls, body, z, v)
        if v == 0:
            return body.subs(z, 0)
        constant, dependent = body.as_independent(z, as_Add=False)
        if dependent == 1:
            return constant
        if dependent == Step(z):
            return constant / 2
        return constant * sp.Expr.__new__(cls, dependent, z, v)

    def _eval_derivative(self, s: sp.Symbol) -> sp.Expr:
        body, z, v = self.args
        half = Step(z) if body.has(Step(z)) else sp.Integer(1)
        rest = body / half
        result = ScaledAverage(half * sp.diff(rest, s), z, v)
        if (dv := sp.diff(v, s)) != 0:
            result += dv / (2 * v) * ScaledAverage(half * z * sp.diff(rest, z), z, v)
        return result if half != 1 else result + _moved_jumps(body, z, v, s)


class JumpSum(sp.Expr):
    r"""A sum over the jumps ``z_c`` of a maximiser as ``JumpSum(g, z, V, left, right, problem)``: of ``g`` times a density.

    The density is that of ``z`` with variance ``V``; ``left`` and ``right`` are the variables of the maximum on the two
    sides of a jump, ``problem`` what is maximised.
    """

    is_commutative = True

    @property
    def problem(self) -> tuple[sp.Basic, ...]:
        """What is maximised."""
        return tuple(self.args[5])

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        g, z, variance, left, right, problem = self.args
        inner = problem.free_symbols - {problem.args[1], *problem.args[3:4]}
        return (g.free_symbols | inner | variance.free_symbols) - {z, *left, *right}

    @property
    def is_real(self) -> bool:
        return True


def _moved_jumps(body: sp.Expr, z: sp.Symbol, variance: sp.Expr, s: sp.Symbol) -> sp.Expr:
    r"""What the jumps of a body add to the derivative of its average.

    With ``F`` the maximum, equal on both sides, and brackets for the jump of what they hold, the place moves by
    :math:`dz_c/ds = -[\partial_s F]/[\partial_z F]`: the average gains :math:`\rho(z_c) [g] [\partial_s F]/[\partial_z F]`.
    """
    problems = {node.problem for node in body.atoms(AtMaximum) if node.site or not is_concave(node.body, node.variable)}
    found = sp.Integer(0)
    for f, x, v, *site in problems:
        slope = sp.diff(f, x)
        moved = sp.diff(f, s) + sp.diff(v, s) / 2 * slope**2 + sp.diff(variance, s) / (2 * variance) * z * slope
        if moved == 0:
            continue
        bound = [x, *site[:1]]
        left, right = ([sp.Symbol(f"{b.name}_{side}") for b in bound] for side in ("left", "right"))

        def jump(value: sp.Expr, bound: list[sp.Symbol] = bound, sides: tuple = (left, right)) -> sp.Expr:
            before, after = (value.xreplace(dict(zip(bound, side, strict=True))) for side in sides)
            return after - before

        value = body.replace(lambda e: isinstance(e, Maximum), lambda e: e.at_maximiser())
        value = value.replace(lambda e: isinstance(e, AtMaximum), lambda e: e.value)
        density = jump(value) * jump(moved) / jump(slope)
        found += JumpSum(density, z, variance, sp.Tuple(*left), sp.Tuple(*right), sp.Tuple(f, x, v, *site))
    return found


def half_line(average: Average) -> bool:
    """Whether an average runs over positive values of its variable alone."""
    return average.variable in {step.args[0] for step in average.body.atoms(Step)}


def is_concave(body: sp.Expr, z: sp.Symbol) -> bool:
    r"""Whether ``body`` is a sum of :math:`\ln H` of linear arguments: its maximum is then the only one."""
    for term in sp.Add.make_args(sp.expand(body, func=False)):
        coefficient, rest = term.as_independent(z, as_Add=False)
        if rest == 1:
            continue
        if not (isinstance(rest, LogH) and coefficient.is_positive and not slope_and_rest(rest.args[0], z)[0].has(z)):
            return False
    return True


def arguments_of(body: sp.Expr, z: sp.Symbol) -> list[sp.Expr]:
    """The arguments of special functions that contain ``z``."""
    return sorted({node.args[0] for node in body.atoms(*SPECIAL) if node.args[0].has(z)}, key=sp.default_sort_key)


def along_characteristics(expr: sp.Expr) -> sp.Expr:
    r"""Averages over a variable that enters a log-concave maximum, as averages over the maximising field.

    Where ``x`` and ``z`` enter :math:`\max_z [f(x + z) - z^2/(2v)]` through their sum, the maximising field
    :math:`u = x + z^*` determines both: :math:`z^* = v f'(u)` and :math:`x = u - v f'(u)`.  With it as variable nothing has
    to be solved, and the features of the integrand are those of ``f``:

    .. math::
        E_{x \sim N(0, V)}\, g = E_{u \sim N(0, V)} \big[ g\, (1 - v f''(u))\, e^{(2 u v f' - v^2 f'^2)/(2V)} \big] .

    Averages of any other form stay as they are.
    """
    if not expr.has(Maximum, AtMaximum):
        return expr
    if isinstance(expr, Average):
        found = _along(expr)
        if found is not None:
            return found
    return expr.func(*(along_characteristics(arg) for arg in expr.args))


def _along(average: Average) -> sp.Expr | None:
    body = average.body.replace(lambda e: isinstance(e, Maximum), lambda e: e.at_maximiser())
    problems = {node.problem for node in body.atoms(AtMaximum)}
    if len(problems) != 1 or half_line(average):
        return None
    ((f, z, v, *site),) = problems
    x = average.variable
    if site or not is_concave(f, z) or any(sp.diff(a, x) != sp.diff(a, z) for a in arguments_of(f, z)):
        return None
    u = sp.Symbol(f"{x.name}_field")

    def by_field(part: sp.Expr) -> sp.Expr:
        """Special arguments in terms of the field."""
        return part.replace(
            lambda e: isinstance(e, SPECIAL), lambda e: with_arguments(e, lambda a: sp.expand(a).subs(x, u - z).expand())
        )

    function = by_field(f)
    beside = body.replace(lambda e: isinstance(e, AtMaximum), lambda e: sp.Integer(1))
    if function.has(z, x) or arguments_of(beside, x):
        return None
    slope = sp.diff(function, u)
    body = body.replace(lambda e: isinstance(e, AtMaximum), lambda e: by_field(e.value))
    body = body.xreplace({z: v * slope, x: u - v * slope})
    stretch = 1 - v * sp.diff(slope, u)
    variance = average.variance
    tilt = sp.exp((2 * u * v * slope - v**2 * slope**2) / (2 * variance))
    return Average(body * stretch * tilt, u, variance)
