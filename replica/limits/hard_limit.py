r"""The load at which the overlap of two solutions reaches 1, beyond which there is no replica-symmetric saddle.

With :math:`\epsilon = 1 - q \to 0` the constraint hardens, :math:`M(a/\sqrt\epsilon) \to a\,\theta(a)/\sqrt\epsilon`,
and both sides of the saddle equation :math:`\hat q(q) = \alpha \langle\langle g_a g_b \rangle\rangle` diverge alike;
their ratio is the limit.  For spherical weights it is Gardner's capacity; for discrete weights the entropy vanishes at a
smaller load, and the other side hardens too, :math:`\tanh^2(z) \to 1 - 2\delta(z)`.  Averages of polynomials on a half
line follow from Stein's lemma, :math:`E[z f] = v E[f']`, so that the result is in closed form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.ansatz import conjugate
from replica.expr import Average, Delta, Mills, Step, slope_and_rest
from replica.parts.covariance import slopes_at_one
from replica.parts.pieces import SMOOTH

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy


def limit_load(free_entropy: FreeEntropy) -> sp.Expr | None:
    r"""Return the load at which the one free overlap reaches 1, as a closed form in the constraint's parameters.

    None for more than one overlap, for a constraint that does not harden to a half line, and where the covariance of the
    fields has an infinite slope at overlap 1: then the overlap reaches 1 at no load.
    """
    names = [op.symbol for op in free_entropy.order_parameters]
    if len(names) != 1 or not hardens(free_entropy.energetic_pairs[names[0]]):
        return None
    epsilon = sp.Symbol("epsilon", positive=True)
    definitions = free_entropy.definitions_object()
    near, known = near_one(free_entropy, names[0], epsilon)
    if not all(value.is_finite for symbol, value in known.items() if symbol.name == "slope_at_one"):
        return None
    energetic = definitions.expand(free_entropy.energetic_pairs[names[0]].subs(near)).subs(sp.Symbol(names[0]), 1 - epsilon)
    hard = energetic.replace(lambda e: isinstance(e, Mills), lambda e: _hardened(e, epsilon))
    hard = hard.replace(lambda e: isinstance(e, Average), lambda e: half_line_average(e.body, e.variable, e.variance))
    # The conjugate is alpha times this over epsilon squared.
    strength = sp.expand(sp.expand(hard * epsilon**2).subs(epsilon, 0)).subs(known)
    weights = definitions.expand(free_entropy.weight_pairs[names[0]])
    if free_entropy.model.weights.discrete:
        return _missing_overlap(weights, sp.Symbol(conjugate(names[0]))) ** 2 / strength
    conjugate_limit = sp.cancel(weights.subs(sp.Symbol(names[0]), 1 - epsilon) * epsilon**2)
    return sp.simplify(sp.limit(conjugate_limit, epsilon, 0)) / strength


def hardens(energetic: sp.Expr) -> bool:
    """Whether all that is averaged are Mills ratios: other factors need a limit of their own."""
    averages = energetic.atoms(Average)
    return len(averages) == 1 and not energetic.has(*SMOOTH) and energetic.has(Mills)


def near_one(
    free_entropy: FreeEntropy, name: str, epsilon: sp.Symbol
) -> tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, sp.Expr]]:
    """Return the covariance at an overlap of ``1 - epsilon`` in symbols for its derivatives at 1, and their values.

    Both are empty where the overlaps are the covariances themselves.
    """
    architecture = free_entropy.model.architecture
    covariance, variance = sp.Symbol(f"D_{name}"), sp.Symbol("D_1")
    if covariance not in free_entropy.definitions:
        return {}, {}
    scale, slope, curvature = (sp.Symbol(f"{word}_at_one", positive=True) for word in ("value", "slope", "curvature"))
    at_one = scale if variance in free_entropy.definitions else sp.Integer(1)
    near = {
        variance: at_one,
        covariance: at_one - slope * epsilon,
        sp.Symbol(f"dD_{name}"): slope,
        sp.Symbol(f"ddD_{name}"): curvature,
    }
    known = {scale: architecture.covariance(sp.Integer(1))}
    return near, known | dict(zip((slope, curvature), slopes_at_one(architecture), strict=True))


def _missing_overlap(weights: sp.Expr, qhat: sp.Symbol) -> sp.Expr:
    r""":math:`\lim \sqrt{\hat q}\,(1 - Q(\hat q))` as the conjugate goes to infinity: sites with a field near 0."""
    z = sp.Wild("z")
    hard = weights.replace(sp.tanh(z) ** 2, 1 - 2 * Delta(z)).replace(
        lambda e: isinstance(e, Average),
        lambda e: sp.Add(*(Average(term, e.variable, e.variance) for term in sp.Add.make_args(sp.expand(e.body)))),
    )
    return sp.simplify(sp.expand((1 - hard) * sp.sqrt(qhat)))


def _hardened(mills: Mills, epsilon: sp.Symbol) -> sp.Expr:
    """The Mills ratio of a diverging argument: the argument where it is positive, else nothing."""
    distance = sp.simplify(mills.args[0] * sp.sqrt(epsilon))
    # only the sign of a step's argument counts, and what it is over is a positive deviation
    return Step(sp.fraction(distance)[0]) * distance / sp.sqrt(epsilon)


def half_line_average(body: sp.Expr, z: sp.Symbol, v: sp.Expr) -> sp.Expr:
    r"""Return :math:`E[\theta(s z + a)\, P(z)]`, ``s = +-1``, for a body of this form (powers of the step are one step)."""
    steps = body.atoms(Step)
    if len(steps) != 1:
        return Average(body, z, v)
    (given,) = steps
    slope, rest = slope_and_rest(given.args[0], z)
    step = Step(sp.expand(given.args[0] / sp.Abs(slope)))  # only its sign counts
    slope, rest = slope_and_rest(step.args[0], z)
    polynomial = sp.Poly(sp.expand(body.subs(given, 1)), z)
    moments = [Average(step, z, v), v * slope * Average(Delta(step.args[0]), z, v)]
    while len(moments) <= polynomial.degree():
        k = len(moments)
        border = slope * (-slope * rest) ** (k - 1) * Average(Delta(step.args[0]), z, v)
        moments.append(v * ((k - 1) * moments[k - 2] + border))
    return sp.Add(*(c * moments[k] for (k,), c in polynomial.terms()))
