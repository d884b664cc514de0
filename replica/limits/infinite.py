r"""The limit of infinitely many replicas in a group: Laplace's method on a derived free entropy.

A group of ``y`` replicas sits in a cluster; let ``q1`` be their overlap and ``q0`` that of replicas of different clusters.
As :math:`y \to \infty` the two coalesce, and so do their conjugates:

.. math:: q_0 = q_1 - C/y, \qquad \hat q_1 = \hat q_0 + B/y .

The variances of the cluster's Gaussian variables are then of order :math:`1/y`, so that each average over ``y`` replicas
becomes a maximum (:mod:`replica.limits.maximum`) and the free entropy a series :math:`\Phi = y \phi + \Sigma + O(1/y)`.
The overlap of a replica with a teacher and the norm of a replica stay apart from these and need no shift of their own.

Where norms are free, a distance is imposed: half the sum of two norms less their overlap, ``D``.  A reference without a
constraint then has a norm :math:`Q_r` that all ``y`` replicas depend on, so that its conjugate grows like ``y``; what the
free entropy makes of :math:`Q_r` is linear, and fixes it at :math:`-y \hat S` for the imposed overlap ``S``.
Both terms are taken here from the free entropy at symbolic ``y``: the leading one is extremised, the next one is what it
is at that saddle, because the first-order change of the order parameters does not contribute.  Since :math:`\phi` is
:math:`d\Phi/dy` and :math:`\Sigma` is :math:`\Phi - y\,d\Phi/dy` in the limit, they are the local entropy and the
complexity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import sympy as sp

from replica import zoo
from replica.ansatz import SELF, Ansatz, Leaf, Node, conjugate, multiplicity
from replica.derivation import Derivation, Side
from replica.errors import UnsupportedAnsatz
from replica.expr import SPECIAL, Average, Log2Cosh, SiteSum, Step, canonical, with_arguments
from replica.free_entropy import FreeEntropy
from replica.limits.limit import per_replica
from replica.limits.maximum import AtMaximum, Maximum, ScaledAverage
from replica.model import Model
from replica.parts.adaptation import adapt
from replica.passes import is_even, merge

EPSILON = sp.Symbol("epsilon", positive=True)
"""One over the multiplicity."""
DISTANCE = sp.Symbol("D")
"""Half the squared distance that is imposed where norms are free."""


@dataclass(frozen=True)
class Series:
    """The two leading orders of one term in the multiplicity: ``leading * y + next``."""

    leading: sp.Expr
    next: sp.Expr


@dataclass(frozen=True)
class InfiniteLimit:
    r"""A free entropy for infinitely many replicas, :math:`y \phi + \Sigma`.

    Attributes
    ----------
    multiplicity : str
        What went to infinity.
    shifts : mapping
        Name of an overlap or conjugate -> (what it tends to, symbol of its distance from that in units of 1/y).
    relations : mapping
        Name of an imposed overlap -> what it is at an imposed distance, where norms are free.
    growing : mapping
        Name of a conjugate that grows with the multiplicity -> what it is, divided by that.
    readings : mapping
        Name of an order parameter that the leading term does not depend on any more -> what it is at the saddle.
    interaction, entropic, energetic : Series
        The terms of both orders; the third times the load.
    unknowns, imposed : tuple of str
        Order parameters that the leading term is extremised over, and those that are parameters.
    """

    model: Model
    ansatz: Ansatz
    multiplicity: str
    shifts: dict[str, tuple[str, str]]
    relations: dict[str, sp.Expr]
    growing: dict[str, sp.Expr]
    readings: dict[str, sp.Expr]
    interaction: Series
    entropic: Series
    energetic: Series
    unknowns: tuple[str, ...]
    imposed: tuple[str, ...]

    @property
    def leading(self) -> sp.Expr:
        r""":math:`\phi`, the local entropy, before it is extremised."""
        return self.interaction.leading + self.entropic.leading + sp.Symbol("alpha") * self.energetic.leading

    @property
    def next(self) -> sp.Expr:
        r""":math:`\Sigma`, the complexity, as a function of the order parameters."""
        return self.interaction.next + self.entropic.next + sp.Symbol("alpha") * self.energetic.next

    def saddle_equations(self) -> tuple[sp.Eq, ...]:
        """Return the conditions that the leading term is stationary, each solved for what the interaction is linear in."""
        return tuple(_solved(sp.diff(self.leading, s), sp.diff(self.interaction.leading, s), self) for s in self._symbols)

    @property
    def _symbols(self) -> list[sp.Symbol]:
        return [sp.Symbol(name) for name in self.unknowns]

    def latex(self) -> str:
        """Return the limit and its saddle equations as LaTeX."""
        from replica.printing.infinite_page import document

        return document(self, latex=True)

    def text(self) -> str:
        """Return the limit and its saddle equations as text for a terminal."""
        from replica.printing.infinite_page import document

        return document(self, latex=False)


def _solved(gradient: sp.Expr, linear: sp.Expr, limit: InfiniteLimit) -> sp.Eq:
    """A condition ``gradient = 0`` solved for one symbol of its linear part: a shift before a conjugate or an overlap."""
    shifts = [sp.Symbol(shift) for _, shift in limit.shifts.values()]
    candidates = sorted(linear.free_symbols, key=lambda s: (s not in shifts, str(s)))
    if not candidates or sp.diff(linear, candidates[0]).free_symbols:
        return sp.Eq(gradient, 0, evaluate=False)
    rate = sp.diff(linear, candidates[0])
    right = sp.expand(candidates[0] - gradient / rate, func=False)
    right = right.replace(lambda e: isinstance(e, AtMaximum), lambda e: AtMaximum(sp.factor(e.value), *e.problem))
    return sp.Eq(candidates[0], right, evaluate=False)


def infinite_limit(target: FreeEntropy | tuple[Model | str, Ansatz | str]) -> InfiniteLimit:
    """Return the limit in which the multiplicity that an ansatz keeps goes to infinity.

    Parameters
    ----------
    target : FreeEntropy or (model, ansatz)

    Raises
    ------
    UnsupportedAnsatz
        If the ansatz has no such multiplicity, or the limit needs more than one maximum over one variable.
    """
    model, ansatz = (target.model, target.ansatz) if isinstance(target, FreeEntropy) else target
    model = zoo.model(model) if isinstance(model, str) else model
    ansatz = zoo.ansatz(ansatz) if isinstance(ansatz, str) else ansatz
    return _infinite_limit(model, adapt(model, ansatz))


@lru_cache(maxsize=16)
def _infinite_limit(model: Model, ansatz: Ansatz) -> InfiniteLimit:
    return _Pass(Derivation(model, ansatz)).result()


class _Pass:
    """The limit of one derivation."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation, self.ansatz = derivation, derivation.ansatz
        if len(self.ansatz.multiplicities) != 1:
            raise UnsupportedAnsatz(f"The ansatz {self.ansatz.name} keeps no single multiplicity that could go to infinity.")
        self.y = sp.Symbol(self.ansatz.multiplicities[0])
        if self.ansatz.free_species() and not derivation.model.weights.discrete:
            raise UnsupportedAnsatz(
                f"For {self.y} -> infinity and {derivation.model.weights.name} weights a reference sits in the centre of "
                "its replicas, whose mutual overlap is its square: impose that overlap instead, with local-entropy."
            )
        self.shifts = self._coalescing()
        self.substitution = {
            sp.Symbol(name): sp.Symbol(limit) + _sign(name) * EPSILON * sp.Symbol(shift)
            for name, (limit, shift) in self.shifts.items()
        }
        self.relations = self._relations()
        self.growing = self._growing()

    def _relations(self) -> dict[str, sp.Expr]:
        """The imposed overlaps at an imposed distance, where norms are free."""
        if not self.derivation.free_norms:
            return {}
        keys = {name: key for key, name in self.ansatz.names().items() if name in self.ansatz.imposed}
        norms = {name: [sp.Symbol(str(self.ansatz.norm(s))) for s in key[1:]] for name, key in keys.items()}
        return {name: sp.Add(*both) / 2 - DISTANCE for name, both in norms.items()}

    def _growing(self) -> dict[str, sp.Symbol]:
        """The norms of single replicas without a constraint, and symbols for what their conjugates are over ``y``."""
        free = self.ansatz.free_species()
        names = [name for (node, s, _), name in self.ansatz.names().items() if node == SELF and s in free]
        return {name: sp.Symbol(f"{conjugate(name)}_rate") for name in names}

    def _fixed(self, interaction: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
        """What fixes the conjugates that grow: the interaction is linear in the norms that they belong to."""
        return {
            rate: sp.solve(sp.diff(interaction, sp.Symbol(name)), rate)[0] for name, rate in self.growing.items()
        }

    def _coalescing(self) -> dict[str, tuple[str, str]]:
        """What tends to what, with the name of the shift: overlaps between clusters to those inside, conjugates reversed.

        The conjugate between clusters is the variance of a variable outside of all logarithms; keeping it as it is leaves
        the next order without terms that cancel.
        """
        parent, cluster, species = self._cluster()
        overlaps = self.derivation.overlaps
        inside, between = (overlaps.get((node.name, species, species)) for node in (cluster, parent))
        if inside is None or between is None:
            raise UnsupportedAnsatz(
                f"For {self.y} -> infinity the ansatz {self.ansatz.name} needs an overlap between clusters that tends to "
                f"the one inside them; for {self.derivation.model.name} it has none."
            )
        discrete = self.derivation.model.weights.discrete
        shifts = {between.name: (inside.name, "C")}
        return shifts | ({conjugate(inside.name): (conjugate(between.name), "B")} if discrete else {})

    def _cluster(self) -> tuple[Node, Node, str]:
        """The group of ``y`` replicas: its parent, its node, its species."""
        found = []
        for parent, node in _parents(self.ansatz.tree):
            found += [(parent, node, child) for text, child in node.groups if multiplicity(text) == self.y]
        if len(found) != 1 or not isinstance(found[0][2], Leaf):
            raise UnsupportedAnsatz(
                f"For {self.y} -> infinity the ansatz {self.ansatz.name} must have one group of {self.y} replicas without "
                "further structure, inside a cluster."
            )
        return found[0][0], found[0][1], found[0][2].species

    def at_shifts(self, expr: sp.Expr) -> sp.Expr:
        """The expression in terms of the shifts and of epsilon."""
        grown = {sp.Symbol(conjugate(name)): rate / EPSILON for name, rate in self.growing.items()}
        placed = {sp.Symbol(name): value for name, value in self.relations.items()}
        return expr.subs({**self.substitution, **grown}).subs(placed).subs(self.y, 1 / EPSILON)

    def polynomial(self, term: sp.Expr) -> Series:
        """The orders of a closed form: what a determinant or an interaction leaves."""
        expr = self.at_shifts(term).replace(
            lambda e: isinstance(e, sp.log), lambda e: sp.log(sp.factor(sp.cancel(e.args[0])))
        )
        scaled = sp.Add(*(_scaled(part) for part in sp.Add.make_args(sp.expand(expr, log=False))))
        return Series(scaled.subs(EPSILON, 0), sp.diff(scaled, EPSILON).subs(EPSILON, 0))

    def averaged(self, side: Side) -> Series:
        """The orders of the logarithm of a replicated average."""
        log = merge(canonical(side.log), side.nested.fields.definitions)
        log = self._plain(self.derivation.definitions().expand(log))
        scaled, correction = self._maximised(canonical(self.at_shifts(log)), None)
        return Series(
            canonical(scaled.subs(EPSILON, 0)),
            canonical(sp.diff(scaled, EPSILON).subs(EPSILON, 0) + correction.subs(EPSILON, 0)),
        )

    def _plain(self, expr: sp.Expr) -> sp.Expr:
        """The expression with sums of variances in one term each, and roots taken of factors."""
        positive = {sp.Symbol(name): sp.Dummy(name, positive=True) for name in self.shifts if not name.endswith("hat")}
        back = {dummy: symbol for symbol, dummy in positive.items()}
        expr = expr.replace(lambda e: isinstance(e, Average), lambda e: Average(e.body, e.variable, sp.cancel(e.variance)))
        return expr.replace(
            lambda e: isinstance(e, SPECIAL),
            lambda e: with_arguments(e, lambda a: sp.factor(a.subs(positive)).subs(back)),
        )

    def _maximised(self, expr: sp.Expr, outer: sp.Symbol | None) -> tuple[sp.Expr, sp.Expr]:
        """Epsilon times the expression as a function of epsilon, and what Laplace's method adds to the next order."""
        if isinstance(expr, Average) and outer is None:
            scaled, correction = self._maximised(expr.body, expr.variable)
            z, v = expr.variable, expr.variance
            if all(_jumps_at_origin(m, z) for m in scaled.atoms(Maximum)):
                # the half line where the maximiser does not jump
                return 2 * ScaledAverage(Step(z) * scaled, z, v), 2 * ScaledAverage(Step(z) * correction, z, v)
            return ScaledAverage(scaled, z, v), ScaledAverage(correction, z, v)
        if isinstance(expr, SiteSum) and outer is None:
            # the weight of a teacher: both of its signs are alike
            values = expr.values[-1:] if is_even(expr.body, {expr.variable}) else expr.values
            parts = [self._maximised(expr.body.subs(expr.variable, value), None) for value in values]
            copies = sp.Integer(len(expr.values)) / len(values)
            return copies * sp.Add(*(s for s, _ in parts)), copies * sp.Add(*(c for _, c in parts))
        if isinstance(expr, sp.log):
            return self._laplace(expr.args[0])
        if isinstance(expr, sp.Mul):
            logs = [factor for factor in expr.args if factor.has(sp.log)]  # beside it is what labels a pattern
            rest = expr / sp.Mul(*logs)
            if len(logs) == 1:
                scaled, correction = self._maximised(logs[0], outer)
                return rest * scaled, rest * correction
        raise UnsupportedAnsatz(
            f"The limit {self.y} -> infinity of {self.ansatz.name} needs an average over one variable between clusters of "
            "the logarithm of one inside; this free entropy has another form."
        )

    def _laplace(self, inner: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        site: tuple[sp.Basic, ...] = ()
        exponent = sp.Integer(0)
        if isinstance(inner, SiteSum):
            site, inner = (inner.variable, inner.values), inner.body
        factors = sp.Mul.make_args(inner)
        averages = [f for f in factors if isinstance(f, Average)]
        if len(averages) != 1 or averages[0].body.has(Average, SiteSum):
            raise UnsupportedAnsatz(
                f"The limit {self.y} -> infinity of {self.ansatz.name} needs one variable inside a cluster; here there is "
                "none or more than one."
            )
        (average,) = averages
        for factor in (*(f for f in factors if f is not average), *sp.Mul.make_args(average.body)):
            base, power = factor.as_base_exp() if not isinstance(factor, sp.exp) else (factor, sp.Integer(1))
            exponent += power * (factor.args[0] if isinstance(factor, sp.exp) else canonical(sp.log(base)))
        z, v = average.variable, self._coefficient(average.variance)
        body = sp.expand(EPSILON * exponent, log=False, func=False)
        if v is None or sp.denom(sp.together(body)).subs(EPSILON, 0) == 0:
            raise UnsupportedAnsatz(
                f"The variance inside a cluster does not fall like 1/{self.y} in the ansatz {self.ansatz.name}."
            )
        curvature = 1 - v * sp.diff(body, z, 2)
        return Maximum(body, z, v, *site), -AtMaximum(sp.log(curvature), body, z, v, *site) / 2

    def _coefficient(self, variance: sp.Expr) -> sp.Expr | None:
        """A variance over epsilon, to first order in epsilon; None if it does not vanish with epsilon."""
        if sp.simplify(variance.subs(EPSILON, 0)) != 0:
            return None
        first, second = (sp.diff(variance, EPSILON, order).subs(EPSILON, 0) for order in (1, 2))
        return sp.expand(first) + EPSILON * second / 2

    def result(self) -> InfiniteLimit:
        """The limit with its unknowns."""
        derivation, vanishing = self.derivation, self.ansatz.vanishing
        if derivation.model.weights.discrete:
            entropic = self.averaged(derivation.weights)
        else:
            entropic = self.polynomial(per_replica(derivation.determinant, vanishing))
        interaction = self.polynomial(per_replica(derivation.interaction, vanishing))
        fixed = self._fixed(interaction.leading)
        limit = InfiniteLimit(
            model=derivation.model,
            ansatz=self.ansatz,
            multiplicity=str(self.y),
            shifts=self.shifts,
            relations=self.relations,
            growing={conjugate(name): fixed[rate] for name, rate in self.growing.items()},
            readings={name: 2 * sp.diff(entropic.leading, rate).subs(fixed) for name, rate in self.growing.items()},
            interaction=_at(interaction, fixed),
            entropic=_at(entropic, fixed),
            energetic=self.averaged(derivation.energetic),
            unknowns=(),
            imposed=(str(DISTANCE),) if self.relations else self.ansatz.imposed,
        )
        return _with_unknowns(limit)


def _with_unknowns(limit: InfiniteLimit) -> InfiniteLimit:
    names = [name for overlap in limit.ansatz.names().values() for name in (overlap, conjugate(overlap))]
    names = [limit.shifts[name][1] if name in limit.shifts else name for name in names]
    free = {symbol.name for symbol in limit.leading.free_symbols}
    return replace(limit, unknowns=tuple(name for name in names if name in free and name not in limit.imposed))


def _at(series: Series, fixed: dict[sp.Symbol, sp.Expr]) -> Series:
    """A term with some symbols at their values."""
    return Series(sp.expand(series.leading.subs(fixed), func=False), series.next.subs(fixed))


def _jumps_at_origin(maximum: Maximum, z: sp.Symbol) -> bool:
    r"""Whether a maximiser can jump nowhere but at the origin of ``z``: that of one :math:`\ln 2\cosh` that is even."""
    functions = maximum.body.atoms(*SPECIAL)
    return {type(f) for f in functions} == {Log2Cosh} and len(functions) == 1 and is_even(maximum.body, {z, *maximum.bound})


def _sign(name: str) -> int:
    """Overlaps approach their limit from below, conjugates from above."""
    return 1 if name.endswith("hat") else -1


def _scaled(term: sp.Expr) -> sp.Expr:
    """Epsilon times a term of a sum, over one denominator."""
    logs = [factor for factor in sp.Mul.make_args(term) if factor.has(sp.log)]
    rest = [factor for factor in sp.Mul.make_args(term) if not factor.has(sp.log)]
    return sp.cancel(EPSILON * sp.Mul(*rest)) * sp.Mul(*logs)


def _parents(tree: Node) -> list[tuple[Node, Node]]:
    """Every node below the root with its parent."""
    found = []
    for _, child in tree.groups:
        if isinstance(child, Node):
            found += [(tree, child), *_parents(child)]
    return found
