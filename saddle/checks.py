"""Checks of a derivation that ship with it, for the user's own model and tree too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replica.ansatz import conjugate


@dataclass(frozen=True)
class Check:
    """One check: the largest deviation found, what is tolerated, and what was compared."""

    name: str
    value: float
    tolerance: float
    detail: str

    @property
    def passed(self) -> bool:
        """Whether the deviation is tolerated."""
        return self.value <= self.tolerance


def check(model: Any, ansatz: Any = None) -> tuple[Check, ...]:
    """Return the checks of a model under an ansatz (objects or names), or of a FreeEntropy alone.

    Every energetic average is compared with finite differences of the energetic term at 30 digits, every average over
    discrete weights with those of the entropic term, at a generic point; pair counts must add up.
    """
    import replica

    free_entropy = model if ansatz is None else replica.derive(model, ansatz)
    return (_pair_counts(free_entropy), *_gradients(free_entropy))


def _pair_counts(free_entropy: Any) -> Check:
    import sympy as sp

    from replica.ansatz import leaf_paths, multiplicity, nodes_along

    tree = free_entropy.ansatz.tree
    replicas = sum(
        sp.prod([multiplicity(n.groups[g][0]) for n, g in zip(nodes_along(tree, p), p, strict=True)])
        for p, _ in leaf_paths(tree)
    )
    miss = sp.simplify(sum(free_entropy.counts.values()) - replicas * (replicas - 1) / 2)
    detail = "pairs of all overlaps add up to R(R-1)/2 at symbolic multiplicities"
    return Check("pair counts", 0.0 if miss == 0 else 1.0, 0.0, detail)


def _values(free_entropy: Any) -> dict[str, Any]:
    """A generic point with a positive overlap matrix."""
    values: dict[str, Any] = {"alpha": "0.5", "m": "0.45", "kappa": "0.1", "reference_kappa": "0.3"}
    for (node, s, t), name in free_entropy.ansatz.names().items():
        root = node == free_entropy.ansatz.tree.name
        values[name] = ("0.4" if s == t else "0.35") if root else "0.6"
        values[conjugate(name)] = values[name]
    return values


def _gradients(free_entropy: Any) -> list[Check]:
    """Price's averages against central differences of the terms, weighted by the number of pairs per replica."""
    checks = []
    for name, weight in free_entropy.weight_of.items():
        if weight == 0:
            continue
        sides = [("energetic", free_entropy.energetic, name, free_entropy.energetic_pairs[name])]
        if free_entropy.model.weights.discrete:
            hat = conjugate(name)
            own = free_entropy.interaction + free_entropy.entropic
            sides.append(("weights", own, hat, None))
        for side, term, variable, pair in sides:
            checks.append(_gradient(free_entropy, side, term, variable, pair, weight, name))
    return checks


def _gradient(free_entropy: Any, side: str, term: Any, variable: str, pair: Any, weight: Any, name: str) -> Check:
    import mpmath

    from replica.evaluation import evaluate

    values, definitions = _values(free_entropy), free_entropy.definitions
    with mpmath.workdps(40):
        step = mpmath.mpf(10) ** -9
        moved = [
            evaluate(term, {**values, variable: mpmath.mpf(values[variable]) + s * step}, definitions, 30) for s in (1, -1)
        ]
        slope = (moved[0] - moved[1]) / (2 * step)
        factor = evaluate(weight, values, {}, 30)
        if pair is not None:
            expected = factor * evaluate(pair, values, definitions, 30)
        else:
            own = evaluate(free_entropy.weight_pairs[name], values, definitions, 30)
            expected = factor * (own - mpmath.mpf(values[name]))
        miss = float(abs(slope - expected))
    return Check(f"gradient in {variable}", miss, 1e-12, f"{side}: Price's average against finite differences at 30 digits")
