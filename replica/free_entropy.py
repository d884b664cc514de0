"""The derived object: a free entropy per replica with its saddle equations, replicon and derivation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from replica.ansatz import Ansatz, conjugate
from replica.fields import Definitions, Pivot
from replica.model import Model
from replica.steps import Step


@dataclass(frozen=True)
class Replicon:
    """The two factors of a replicon: stable where ``1 - alpha * energetic * weights`` is positive."""

    overlap: str
    energetic: sp.Expr
    weights: sp.Expr


@dataclass(frozen=True)
class OrderParameter:
    """An overlap with its conjugate, what it means, and whether it is imposed or given by the reference."""

    symbol: str
    conjugate: str
    meaning: str
    role: str


@dataclass(frozen=True)
class FreeEntropy:
    r"""The free entropy per replica, :math:`\phi = \mathrm{interaction} + \mathrm{entropic} + \alpha\,\mathrm{energetic}`.

    Attributes
    ----------
    interaction, entropic, energetic : sympy expressions
        The terms in the limit of vanishing multiplicities; for spherical weights the first is 0 and the second is
        :math:`\tfrac12 \ln\det Q` per replica.
    counts, weight_of : mappings by overlap name
        Number of replica pairs at symbolic multiplicity, and its limit per replica: the stationarity condition of an
        overlap is ``weight_of`` times its saddle equation.
    replicas : sympy expression
        Number of constrained replicas that the free entropy is for: 1, or a multiplicity that stays.
    energetic_pairs, weight_pairs : mappings by overlap name
        :math:`\langle\langle g_a g_b \rangle\rangle` and :math:`\langle\langle w_a w_b \rangle\rangle`; for spherical
        weights the latter holds the conjugate as a function of the overlaps.
    replicons : mapping by node name
    pivots : mapping by overlap name
        The variance that an overlap adds in the regression: positive pivots are a positive overlap matrix.
    definitions : mapping
        Named subexpressions of the above, in the order of their definition.
    steps : tuple of Step
    """

    model: Model
    ansatz: Ansatz
    counts: Mapping[str, sp.Expr]
    weight_of: Mapping[str, sp.Expr]
    replicas: sp.Expr
    interaction: sp.Expr
    entropic: sp.Expr
    energetic: sp.Expr
    energetic_pairs: Mapping[str, sp.Expr]
    weight_pairs: Mapping[str, sp.Expr]
    replicons: Mapping[str, Replicon]
    pivots: Mapping[str, Pivot]
    definitions: Mapping[sp.Symbol, sp.Expr]
    steps: tuple[Step, ...]

    def __repr__(self) -> str:
        found = ", ".join(parameter.symbol for parameter in self.order_parameters)
        return f"FreeEntropy of {self.model.name}, {self.ansatz.name}: order parameters {found} (.text(), .latex(), .steps)"

    def with_steps(self, steps: tuple[Step, ...]) -> FreeEntropy:
        """The same object with its derivation attached."""
        return replace(self, steps=steps)

    @property
    def order_parameters(self) -> tuple[OrderParameter, ...]:
        """Overlaps with their conjugates, meaning and role."""
        meaning, given = dict(self.ansatz.meaning), dict(self.ansatz.given)
        roles = {name: "imposed" for name in self.ansatz.imposed} | {name: "given" for name in given}
        return tuple(
            OrderParameter(name, conjugate(name), meaning.get(name, ""), roles.get(name, "extremised"))
            for name in self.ansatz.names().values()
            if name in self.counts
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Control parameters that appear: the load, the margins, and multiplicities that stay."""
        known = {op.symbol for op in self.order_parameters} | {op.conjugate for op in self.order_parameters}
        symbols = {s.name for s in self.expression.free_symbols} - known
        return tuple(sorted(symbols, key=lambda name: (name != "alpha", name)))

    @property
    def expression(self) -> sp.Expr:
        """The free entropy as one expression, all definitions inserted."""
        total = self.interaction + self.entropic + sp.Symbol("alpha") * self.energetic
        return self.definitions_object().expand(total)

    def definitions_object(self) -> Definitions:
        """The definitions with the calculus that goes through them."""
        return Definitions("", dict(self.definitions))

    def imposed_norms(self) -> dict[str, list[str]]:
        """Where norms are free, those of both replicas of every imposed overlap: a distance leaves it half their sum."""
        species = {name: key[1:] for key, name in self.ansatz.names().items()}
        found = {k: [self.ansatz.norm(s) for s in species[k]] for k in self.ansatz.imposed}
        return {k: [norm for norm in norms if norm is not None] for k, norms in found.items()}

    def ties(self, norm: str) -> dict[str, sp.Expr]:
        """What the equation of an imposed overlap adds to that of a free norm, with which it moves at fixed distance."""
        shares = {k: sp.Rational(norms.count(norm), 2) for k, norms in self.imposed_norms().items()}
        if norm in dict(self.ansatz.given):
            return {}
        return {k: sp.cancel(c * self.weight_of[k] / self.weight_of[norm]) for k, c in shares.items() if c}

    def saddle_equations(self) -> tuple[sp.Eq, ...]:
        """Return the saddle equations, solved for the conjugates and (discrete weights) for the overlaps.

        An imposed overlap has no equation for its conjugate, which is fixed by the value of the overlap instead; a
        given one obeys the equations of the reference.  Where a norm is free, it is extremised at a fixed distance.
        """
        alpha, equations = sp.Symbol("alpha"), []
        for op in self.order_parameters:
            if op.role != "imposed":
                right = alpha * self.energetic_pairs[op.symbol]
                for imposed, tie in self.ties(op.symbol).items():
                    right += tie * (alpha * self.energetic_pairs[imposed] - sp.Symbol(conjugate(imposed)))
                equations.append(sp.Eq(sp.Symbol(op.conjugate), right, evaluate=False))
        for op in self.order_parameters:
            if op.symbol in self.weight_pairs:
                left = op.symbol if self.model.weights.discrete else op.conjugate
                equations.append(sp.Eq(sp.Symbol(left), self.weight_pairs[op.symbol], evaluate=False))
        return tuple(equations)

    def latex(self) -> str:
        """Return the derivation as LaTeX, to be pasted into a paper's appendix."""
        from replica.printing.printers import latex_document

        return latex_document(self)

    def text(self) -> str:
        """Return the result and the saddle equations as plain text."""
        from replica.printing.printers import text_document

        return text_document(self)

    def _repr_latex_(self) -> str:
        from replica.printing.printers import latex_result

        return f"$$\n{latex_result(self)}\n$$"
