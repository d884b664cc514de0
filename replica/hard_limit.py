r"""The load at which continuous weights run out of volume: the overlap of two solutions reaches 1 (Gardner's limit).

With :math:`\epsilon = 1 - q \to 0` the constraint hardens, :math:`M(a/\sqrt\epsilon) \to a\,\theta(a)/\sqrt\epsilon`, and
both sides of the saddle equation :math:`\hat q(q) = \alpha \langle\langle g_a g_b \rangle\rangle` diverge alike; their
ratio is the capacity.  Averages of polynomials on a half line follow from Stein's lemma,
:math:`E[z f] = v E[f']`, so that the result is in closed form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import Average, Delta, Mills, Step, slope_and_rest

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy


def capacity_limit(free_entropy: FreeEntropy) -> sp.Expr | None:
    r"""Return the load at which the one free overlap reaches 1, as a closed form in the constraint's parameters.

    None for discrete weights (their entropy vanishes first) and for more than one overlap.
    """
    names = [op.symbol for op in free_entropy.order_parameters]
    if free_entropy.model.weights.discrete or len(names) != 1:
        return None
    q, epsilon = sp.Symbol(names[0]), sp.Symbol("epsilon", positive=True)
    definitions = free_entropy.definitions_object()
    energetic = definitions.expand(free_entropy.energetic_pairs[names[0]]).subs(q, 1 - epsilon)
    weights = definitions.expand(free_entropy.weight_pairs[names[0]]).subs(q, 1 - epsilon)
    hard = energetic.replace(lambda e: isinstance(e, Mills), lambda e: _hardened(e, epsilon))
    hard = hard.replace(lambda e: isinstance(e, Average), lambda e: half_line_average(e.body, e.variable, e.variance))
    return sp.simplify(sp.limit(sp.cancel(weights * epsilon**2), epsilon, 0)) / sp.expand(
        sp.expand(hard * epsilon**2).subs(epsilon, 0)
    )


def _hardened(mills: Mills, epsilon: sp.Symbol) -> sp.Expr:
    """The Mills ratio of a diverging argument: the argument where it is positive, else nothing."""
    distance = sp.simplify(mills.args[0] * sp.sqrt(epsilon))
    return Step(distance) * distance / sp.sqrt(epsilon)


def half_line_average(body: sp.Expr, z: sp.Symbol, v: sp.Expr) -> sp.Expr:
    r"""Return :math:`E[\theta(s z + a)\, P(z)]`, ``s = +-1``, for a body of this form (powers of the step are one step)."""
    steps = body.atoms(Step)
    if len(steps) != 1:
        return Average(body, z, v)
    (step,) = steps
    slope, rest = slope_and_rest(step.args[0], z)
    polynomial = sp.Poly(sp.expand(body.subs(step, 1)), z)
    moments = [Average(step, z, v), v * slope * Average(Delta(step.args[0]), z, v)]
    while len(moments) <= polynomial.degree():
        k = len(moments)
        moments.append(v * ((k - 1) * moments[k - 2] + slope * (-slope * rest) ** (k - 1) * Average(Delta(step.args[0]), z, v)))
    return sp.Add(*(c * moments[k] for (k,), c in polynomial.terms()))
