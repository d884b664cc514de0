r"""Where solutions cease to exist under broken replica symmetry: the limit ``m -> 0`` with the innermost overlap at 1.

Near the load at which solutions disappear, states shrink, :math:`\epsilon = 1 - q_1 \to 0`, and the multiplicity that stays
goes to zero with them, :math:`m = c\,\epsilon`.  The constraint hardens: with the distance :math:`x` of a field to where
it is fulfilled, :math:`m \ln H(x/\sqrt\epsilon) \to -c\,x^2\theta(x)/2`, so that powers :math:`H^m` become
:math:`e^{-c x^2 \theta(x)/2}`, whose Gaussian average is in closed form.  ``m`` times the free entropy tends to
``entropic + alpha * energetic``; it vanishes where the last states do, hence

.. math:: \alpha = \min_{q_0,\,c} \frac{\mathrm{entropic}(q_0, c)}{-\mathrm{energetic}(q_0, c)}.

For ``c -> 0`` and for ``q0 -> 1`` the ratio is the replica-symmetric value: a border of the domain, never the answer where
replica symmetry is unstable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from replica.ansatz import leaf_paths, multiplicity, nodes_along
from replica.expr import Average, H, Mills, MillsExcess, Step, canonical, slope_and_rest
from replica.fields import Definitions
from replica.limits.hard_limit import half_line_average, hardens, near_one
from replica.parts.covariance import slopes_at_one
from replica.parts.pieces import SMOOTH

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy

STRENGTH = "c"
"""The name of the limit of the multiplicity over what the innermost overlap has left to 1."""


@dataclass(frozen=True)
class SatLimit:
    """``m`` times the free entropy where the innermost overlap tends to 1 and ``m`` to 0.

    Attributes
    ----------
    saturated : str
        The overlap that tends to 1.
    multiplicity : str
        The multiplicity that tends to 0.
    unknowns : tuple of str
        The other overlaps and the strength ``c``: the load is to be minimised over them.
    entropic, energetic : sympy expressions
        The load is minus the ratio of the former to the latter.
    definitions : mapping
        Named subexpressions of the latter: the variance of a field within a state, and that widened by the strength.
    """

    saturated: str
    multiplicity: str
    unknowns: tuple[str, ...]
    entropic: sp.Expr
    energetic: sp.Expr
    definitions: Mapping[sp.Symbol, sp.Expr]

    def expanded_energetic(self) -> sp.Expr:
        """The energetic term without names."""
        return Definitions("", dict(self.definitions)).expand(self.energetic)


def sat_limit(free_entropy: FreeEntropy) -> SatLimit | None:
    """Return the limit, or None where the ansatz or the model has none of this kind.

    There is one for continuous weights, if one multiplicity stays, that of a group of replicas whose overlap is
    extremised; and if a field fluctuates by as little as the overlap (not where the covariance has an infinite slope at 1).
    """
    found = _innermost(free_entropy)
    if found is None or free_entropy.model.weights.discrete or free_entropy.energetic.has(*SMOOTH):
        return None
    if slopes_at_one(free_entropy.model.architecture)[0].is_infinite:
        return None
    saturated, name = found
    epsilon, strength = sp.Symbol("epsilon", positive=True), sp.Symbol(STRENGTH, positive=True)
    small = {sp.Symbol(saturated): 1 - epsilon, sp.Symbol(name): strength * epsilon}
    near, known = _near_one(free_entropy, saturated, epsilon)
    if any(value.is_infinite for value in known.values()):
        return None
    # covariances at other overlaps keep their names, so that a solver knows what they lack to the variance of a field
    kept = {s: e for s, e in free_entropy.definitions.items() if s in _covariances(free_entropy)}
    rest = Definitions("", {s: e for s, e in free_entropy.definitions.items() if s not in kept})
    names = Definitions("", {s: e for s, e in (kept | known).items() if s not in near})
    scaled = canonical(sp.Symbol(name) * rest.expand(free_entropy.energetic))
    energetic = _hard_average(scaled.subs(near).subs(small), epsilon, names)
    if energetic is None:
        return None
    entropic = _without_logarithms(rest.expand(free_entropy.entropic).subs(small) * strength * epsilon, epsilon)
    others = [op.symbol for op in free_entropy.order_parameters if op.symbol != saturated]
    plain = {strength: sp.Symbol(STRENGTH)}
    table = {symbol: _at_zero(expr, epsilon).xreplace(plain) for symbol, expr in names.used_by(energetic).items()}
    return SatLimit(saturated, name, (*others, STRENGTH), entropic.xreplace(plain), energetic.xreplace(plain), table)


def _covariances(free_entropy: FreeEntropy) -> set[sp.Symbol]:
    """The names of the covariances at all overlaps, and of the variance of a field."""
    return {sp.Symbol(f"D_{op.symbol}") for op in free_entropy.order_parameters} | {sp.Symbol("D_1")}


def _near_one(
    free_entropy: FreeEntropy, name: str, epsilon: sp.Symbol
) -> tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, sp.Expr]]:
    """As :func:`replica.limits.hard_limit.near_one`, with the variance of a field under its own name, and only the slope."""
    near, known = near_one(free_entropy, name, epsilon)
    variance = sp.Symbol("D_1")
    scale = near.pop(variance, variance)
    return (
        {symbol: expr.subs(scale, variance) for symbol, expr in near.items()},
        {symbol: value for symbol, value in known.items() if symbol.name == "slope_at_one"},
    )


def limit_replicon(free_entropy: FreeEntropy) -> sp.Expr | None:
    r"""Return what the load multiplies in the replicon (one minus it) where the one free overlap tends to 1.

    With :math:`M(x) \to x\,\theta(x)` and :math:`M(x)\,(M(x) - x) \to \theta(x)`; infinite where the curvature of the
    covariance of the fields diverges.  None for more than one overlap, and for discrete weights.
    """
    names = [op.symbol for op in free_entropy.order_parameters]
    if len(names) != 1 or free_entropy.model.weights.discrete or len(free_entropy.replicons) != 1:
        return None
    if not hardens(free_entropy.energetic_pairs[names[0]]):
        return None
    (replicon,) = free_entropy.replicons.values()
    epsilon = sp.Symbol("epsilon", positive=True)
    definitions = free_entropy.definitions_object()
    near, known = near_one(free_entropy, names[0], epsilon)
    if any(value.is_infinite for value in known.values()):
        return sp.oo
    total = definitions.expand((replicon.energetic * replicon.weights).subs(near)).subs(sp.Symbol(names[0]), 1 - epsilon)

    def hardened(mills: sp.Expr) -> sp.Expr:
        distance = _hard_distance(mills.args[0], epsilon)
        size = distance / sp.sqrt(epsilon)
        return Step(distance) * size if isinstance(mills, Mills) else 1 / size

    hard = total.replace(lambda e: isinstance(e, (Mills, MillsExcess)), hardened)
    hard = hard.replace(
        lambda e: isinstance(e, Average), lambda e: half_line_average(sp.cancel(sp.expand(e.body)), e.variable, e.variance)
    )
    return sp.Add(*(_at_zero(term, epsilon) for term in sp.Add.make_args(sp.expand(hard)))).subs(known)


def _innermost(free_entropy: FreeEntropy) -> tuple[str, str] | None:
    """The overlap inside the one group of replicas whose multiplicity stays, and this multiplicity."""
    ansatz, names = free_entropy.ansatz, free_entropy.ansatz.names()
    if len(ansatz.multiplicities) != 1 or ansatz.imposed or ansatz.given:
        return None
    found = []
    for path, leaf in leaf_paths(ansatz.tree):
        node = nodes_along(ansatz.tree, path)[-1]
        if multiplicity(node.groups[path[-1]][0]) == sp.Symbol(ansatz.multiplicities[0]):
            found.append(names[node.name, leaf.species, leaf.species])
    return (found[0], ansatz.multiplicities[0]) if len(found) == 1 else None


def _hard_average(energetic: sp.Expr, epsilon: sp.Symbol, names: Definitions) -> sp.Expr | None:
    """The energetic term with hard constraints, every average over powers of them in closed form."""
    if any(isinstance(f, (Mills, MillsExcess, Step)) for f in sp.preorder_traversal(energetic)) or not energetic.has(H):
        return None

    def hardened(power: sp.Expr) -> sp.Expr:
        base, exponent = power.as_base_exp()
        distance = _hard_distance(base.args[0], epsilon)
        rate = sp.cancel(exponent / epsilon)
        return Step(-distance) + Step(distance) * sp.exp(-rate * distance**2 / 2)

    hard = energetic.replace(lambda e: e.is_Pow and isinstance(e.base, H), hardened)
    if hard.has(H) or any(not d.is_finite for d in hard.atoms(sp.zoo, sp.oo, sp.nan)):
        return None
    hard = hard.replace(lambda e: isinstance(e, Average), lambda e: _cut_gaussian(e, names) if e.body.has(Step) else e)
    return _at_zero(hard, epsilon)


def _hard_distance(argument: sp.Expr, epsilon: sp.Symbol) -> sp.Expr:
    r"""The limit of :math:`x \sqrt\epsilon` for an argument that diverges like :math:`1/\sqrt\epsilon`."""

    def leading(power: sp.Expr) -> sp.Expr:
        base, exponent = power.as_base_exp()
        if not base.has(epsilon) or sp.simplify(base.subs(epsilon, 0)) != 0:
            return power
        return (epsilon * _at_zero(sp.diff(base, epsilon), epsilon)) ** exponent

    return sp.cancel(_at_zero(argument.replace(lambda e: e.is_Pow, leading) * sp.sqrt(epsilon), epsilon))


def _at_zero(expr: sp.Expr, epsilon: sp.Symbol) -> sp.Expr:
    """The value at 0, as a limit from above where it cannot be substituted."""
    value = expr.subs(epsilon, 0)
    return sp.limit(sp.simplify(expr), epsilon, 0, "+") if value.has(sp.zoo, sp.nan, sp.oo) else value


def _cut_gaussian(average: sp.Expr, names: Definitions) -> sp.Expr:
    r"""Return :math:`E[\theta(-x) + \theta(x) e^{-k x^2/2}]` in closed form, for ``x`` linear in the variable."""
    terms = []
    for term in sp.Add.make_args(sp.expand(average.body, power_exp=False)):
        coefficient, rest = term.as_independent(average.variable, as_Add=False)
        factors = sp.Mul.make_args(rest)
        (step,) = (f for f in factors if isinstance(f, Step))
        slope, offset = slope_and_rest(step.args[0], average.variable)
        variance = _named(names, "within", slope**2 * average.variance)
        exponents = [f.args[0] for f in factors if isinstance(f, sp.exp)]
        rate = sp.cancel(-2 * exponents[0] / step.args[0] ** 2) if exponents else sp.Integer(0)
        widened = _named(names, "widened", 1 + rate * variance)
        value = H(-offset / (sp.sqrt(variance) * sp.sqrt(widened)))
        if exponents:
            distance = -offset if offset.could_extract_minus_sign() else offset
            value *= sp.exp(-rate * distance**2 / (2 * widened)) / sp.sqrt(widened)
        terms.append(coefficient * value)
    return sp.Add(*terms)


def _named(names: Definitions, hint: str, expr: sp.Expr) -> sp.Expr:
    return expr if expr.is_Atom else names.always(hint, expr)


def _without_logarithms(expr: sp.Expr, epsilon: sp.Symbol) -> sp.Expr:
    r"""The limit of an expression in which :math:`\ln\epsilon` comes with a factor that vanishes."""
    factored = expr.replace(sp.log, lambda a: sp.log(sp.factor(a)))
    expanded = sp.expand(sp.expand_log(sp.expand(factored), force=True))
    mark = sp.Dummy("log")
    rest = sp.expand(expanded.subs(sp.log(epsilon), mark)).subs(mark, 0)
    return sp.Add(*(_at_zero(sp.cancel(term) if not term.has(sp.log) else term, epsilon) for term in rest.args))
