"""The derivation as titled steps: expressions that can be evaluated, with a sentence each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import sympy as sp

from replica.printing.drawing import drawn_tree, general_formula

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica.ansatz import Ansatz
    from replica.derivation import Derivation
    from replica.free_entropy import FreeEntropy
    from replica.model import Model


_ABOUT_NORMS = {
    (True, True): "Since the squared weights are 1, a diagonal can be added to the conjugates in the trace, which makes "
    "them a covariance, and taken out of the interaction.",
    (False, True): "For weights on a sphere the conjugates are integrated out: this and the weights together leave half "
    "the logarithm of the determinant of the overlap matrix.",
    (True, False): "The norm of the weights is not fixed: the overlap of a replica with itself has a conjugate too, counts "
    "as half a pair, and is the variance of its field.",
    (False, False): "The norm of the weights is not fixed: the overlap of a replica with itself is the variance of its "
    "field. The conjugates are integrated out: this and the weights together leave half the logarithm of the determinant of "
    "the overlap matrix, and the prior.",
}
"""What the norms mean for the conjugates, for discrete or other weights whose norm is fixed or not."""


@dataclass(frozen=True)
class Step:
    """One step of a derivation.

    ``equations`` pairs names with expressions; ``definitions`` holds the named subexpressions that they use.
    ``formula`` is what is shown before them, as LaTeX and as text; ``shown`` says whether a document repeats the
    equations, or leaves them to a later step that has them term by term.
    """

    title: str
    text: str
    equations: tuple[tuple[str, sp.Expr], ...]
    definitions: tuple[tuple[sp.Symbol, sp.Expr], ...] = ()
    formula: tuple[str, str] = ("", "")
    shown: bool = True
    origin: tuple[Model, Ansatz] | None = field(default=None, compare=False, repr=False)

    def evaluate(self, values: Mapping[str, float], digits: int = 15) -> dict[str, object]:
        """Return the number of every equation at these parameter and order-parameter values, by its name."""
        from replica.evaluation import evaluate

        table = dict(self.definitions)
        return {name: evaluate(expr, values, table, digits) for name, expr in self.equations}

    def latex(self) -> str:
        """Return the equations of this step as LaTeX."""
        from replica.printing.printers import latex_step

        return latex_step(self)


def steps_of(derivation: Derivation, result: FreeEntropy) -> tuple[Step, ...]:
    """The six steps from the replicated average to the result."""
    ansatz, model = derivation.ansatz, derivation.model
    vanishing, discrete = ansatz.vanishing, model.weights.discrete
    table, finite, limits = _terms(derivation, result)
    alpha, variables = sp.Symbol("alpha"), derivation.energetic.nested.fields.variables
    interaction, entropic, energetic = (term for _, term in finite)
    pairs = -sp.Add(*(n * derivation.overlaps[k] * derivation.conjugates[k] for k, n in derivation.counts.items()))
    variances = tuple((str(v.symbol), v.variance) for at_node in variables.values() for v in at_node)
    total = result.interaction + result.entropic + alpha * result.energetic
    replicas = " and ".join(f"{name} -> 0" for name in vanishing)
    steps = (
        Step(
            "Replicated average",
            "The patterns are averaged over the product of the partition functions of all replicas a. The fields h of "
            "one pattern are jointly Gaussian with the overlaps Q as covariance, so that what is left, per weight, is "
            + ("an interaction, a trace over one weight" if discrete else "the volume at these overlaps")
            + " and an average over one pattern, in which each replica has the factor chi of its constraint.",
            (("Phi", interaction + entropic + alpha * energetic),),
            table,
            formula=general_formula(discrete, model.weights.unit_norm),
            shown=False,
        ),
        Step(
            "Overlaps and conjugates",
            "Each overlap is fixed by a conjugate, and every pair of replicas contributes minus their product. "
            + _ABOUT_NORMS[discrete, model.weights.unit_norm],
            (("-sum_{a<b} Qhat_ab Q_ab", pairs),),
        ),
        Step(
            "The ansatz at symbolic multiplicities",
            "The tree of replica groups, each with its multiplicity, says which pairs share an overlap: two replicas "
            "have that of the node where their branches part. The number N of such pairs is a polynomial in the "
            "multiplicities.",
            tuple((f"N_{derivation.overlaps[key].name}", n) for key, n in derivation.counts.items()),
            formula=drawn_tree(ansatz),
        ),
        Step(
            "Gaussian decomposition",
            "Regression down the tree turns "
            + ("both replicated averages" if discrete else "the replicated average over the fields")
            + " into nested one-dimensional averages.",
            variances + finite,
            table,
        ),
        Step(
            f"The limit {replicas}",
            f"Per unit of {vanishing[0]}: the derivative in this multiplicity, where the vanishing ones are 0. A power "
            "leaves its logarithm behind, and the average that it multiplied becomes 1.",
            limits,
            table,
        ),
        Step(
            "The result",
            "Gaussian variables that enter together are joined; the free entropy is extremised over the order "
            "parameters that are neither imposed nor given.",
            (("phi", total),),
            tuple(result.definitions.items()),
        ),
    )
    return tuple(replace(step, origin=(model, ansatz)) for step in steps)


Terms = tuple[tuple[str, sp.Expr], ...]


def _terms(derivation: Derivation, result: FreeEntropy) -> tuple[tuple[tuple[sp.Symbol, sp.Expr], ...], Terms, Terms]:
    """Definitions, and interaction, weights and patterns at symbolic multiplicities and in the limit before any pass."""
    energetic = derivation.energetic
    definitions = derivation.covariances.definitions.table | energetic.nested.fields.definitions.table
    if derivation.model.weights.discrete:
        definitions |= derivation.weights.nested.fields.definitions.table
        entropic, entropic_limit = sp.log(derivation.weights.average), derivation.weights.log
    else:
        entropic, entropic_limit = derivation.determinant, result.entropic
    finite = (("G_I", derivation.interaction), ("G_S", entropic), ("G_E", sp.log(energetic.average)))
    limits = (("G_I", result.interaction), ("G_S", entropic_limit), ("G_E", energetic.log))
    return tuple(definitions.items()), finite, limits
