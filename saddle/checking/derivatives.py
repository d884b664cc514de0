r"""Checks of the saddle equations and the replicon, at any number of digits.

Stationarity of :math:`\phi = I + S + \alpha E` in overlap and conjugate ``k`` reads ``weight_of[k]`` times the saddle
equation, so that central differences of the terms must give the marked averages:

.. math:: \partial_{Q_k} E = w_k\,\langle\langle g_a g_b \rangle\rangle_k, \qquad
          \partial_{\hat Q_k} (I + S) = w_k\,(\langle\langle w_a w_b \rangle\rangle_k - Q_k) .

Where ``w_k`` vanishes (an overlap of the reference), both averages must be those of the problem that is left when the
smallest multiplicity is 0, whose own gradient is then checked.

The replicon is the response to one more level of the tree: split a group into groups of ``m`` replicas whose overlap
exceeds the old one by :math:`\delta`.  To first order the difference of the two marked averages is the replicon's
factor times :math:`\delta`, for any ``m`` and any leaf.  The average with four marks is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replica.ansatz import Leaf, Node, Path, conjugate, leaf_paths, nodes_along, pair_counts
from saddle.checking.oracle import affordable, is_deep, number
from saddle.checking.outcome import Check, Tally
from saddle.checking.reductions import pruned

if TYPE_CHECKING:
    import sympy as sp

    from replica.free_entropy import FreeEntropy

_REPLICON_DIGITS = 11
_SPLIT = 2.0**-20


class Evaluation:
    """A free entropy at one point, to some digits."""

    def __init__(self, f: FreeEntropy, values: Mapping[str, Any], digits: int) -> None:
        self.f, self.values, self.digits = f, dict(values), digits

    def number(self, expr: sp.Expr, **moved: Any) -> Any:
        """The expression, with some symbols moved away from the point."""
        return number(expr, {**self.values, **moved}, self.f.definitions, self.digits)

    def slope(self, expr: sp.Expr, direction: Mapping[str, float]) -> Any:
        """A central difference along a direction, with an error of about three fifths of the digits."""
        import mpmath

        with mpmath.workdps(self.digits + 10):
            # the error of the nodes moves with the integrand's features: a step below it would divide it by too little
            digits = min(self.digits, affordable(expr))
            h = mpmath.mpf(2) ** -14 if is_deep(expr) else mpmath.mpf(10) ** (-round(0.4 * digits))
            ends = [
                self.number(expr, **{k: mpmath.mpf(self.values[k]) + s * h * d for k, d in direction.items()})
                for s in (1, -1)
            ]
            return (ends[0] - ends[1]) / (2 * h)


def gradient_checks(f: FreeEntropy, point: Mapping[str, float], digits: int, each: bool = False) -> list[Check]:
    """All saddle equations against differences of the terms of the free entropy.

    The differences are taken along one direction without a symmetry; one by one where that fails, to name the equation,
    or where ``each`` asks for it.
    """
    if not f.order_parameters:
        return []
    overlaps, conjugates = Tally(), Tally()
    _gradient(f, point, digits, each, overlaps, conjugates)
    tolerance = 10.0 ** (4 - min(digits // 2, affordable(f.energetic)))
    found = [overlaps.outcome("gradient in the overlaps", tolerance)]
    if f.model.weights.discrete:
        found.append(conjugates.outcome("gradient in the conjugates", tolerance))
    return found


def _gradient(
    f: FreeEntropy, point: Mapping[str, float], digits: int, each: bool, overlaps: Tally, conjugates: Tally
) -> None:
    at, rough = Evaluation(f, point, digits), Evaluation(f, point, round(0.55 * digits))
    weight = {k: at.number(w) for k, w in f.weight_of.items()}
    active, lower = [k for k in weight if weight[k] != 0], [k for k in weight if weight[k] == 0]
    patterns = {k: weight[k] * rough.number(f.energetic_pairs[k]) for k in active}
    _differences(overlaps, at, "patterns", f.energetic, patterns, each)
    traces = {k: rough.number(f.weight_pairs[k]) for k in active}
    if f.model.weights.discrete:
        hats = {conjugate(k): weight[k] * (traces[k] - at.values[k]) for k in active}
        _differences(conjugates, at, "weights", f.interaction + f.entropic, hats, each)
        pairs = {k: -weight[k] * at.values[conjugate(k)] for k in active}
        _differences(overlaps, at, "interaction", f.interaction, pairs, each)
    else:
        slopes = {k: -weight[k] * traces[k] for k in active}
        _differences(overlaps, at, "weights", f.entropic, slopes, each)
    if lower:
        reference = reference_of(f)
        there = Evaluation(reference, point, rough.digits)
        for k in lower:
            overlaps.compare(f"<gg> of {k}", rough.number(f.energetic_pairs[k]), there.number(reference.energetic_pairs[k]))
            if f.model.weights.discrete:
                found, expected = rough.number(f.weight_pairs[k]), there.number(reference.weight_pairs[k])
                conjugates.compare(f"<ww> of {k}", found, expected)
        _gradient(reference, point, digits, each, overlaps, conjugates)


def _differences(tally: Tally, at: Evaluation, label: str, term: sp.Expr, expected: Mapping[str, Any], each: bool) -> None:
    """The gradient of a term against what is expected, along one direction or one by one."""
    direction = {k: (-1.0) ** i / (1.0 + 0.37 * i) for i, k in enumerate(expected)}
    found = at.slope(term, direction)
    total = sum(d * expected[k] for k, d in direction.items())
    tally.compare(label, found, total)
    if len(direction) > 1 and (each or abs(found - total) > 10.0 ** (3 - min(15, affordable(term)))):
        for k, value in expected.items():
            tally.compare(f"{label}, derivative in {k}", at.slope(term, {k: 1.0}), value)


def reference_of(f: FreeEntropy) -> FreeEntropy:
    """The problem that a free entropy is conditioned on, derived from what is left of its tree."""
    from replica.derivation import derive

    return derive(f.model, pruned(f.ansatz))


def replicon_check(f: FreeEntropy, values: Mapping[str, float]) -> Check:
    """Both factors of every replicon against one more level of the tree."""
    tally = Tally()
    for node, replicon in f.replicons.items():
        problem = reference_of(f) if _belongs_to_reference(f, replicon.overlap) else f
        at = Evaluation(f, values, _REPLICON_DIGITS)
        refined = _refined(problem, node, replicon.overlap)
        weights, energetic = at.number(replicon.weights), at.number(replicon.energetic)
        if f.model.weights.discrete:
            tally.compare(f"{node}, weights", weights, _response(refined, values, replicon.overlap, "weight_pairs"))
        else:
            inverse = _response(refined, values, replicon.overlap, "weight_pairs")
            tally.compare(f"{node}, weights", weights, 1 / inverse)
        tally.compare(f"{node}, patterns", energetic, _response(refined, values, replicon.overlap, "energetic_pairs"))
    return tally.outcome("replicon", 1e-4)


def _belongs_to_reference(f: FreeEntropy, overlap: str) -> bool:
    """Whether the pairs of an overlap are too many to count per replica of the smallest multiplicity."""
    from replica.limits.limit import per_replica

    counts = pair_counts(f.ansatz.tree)
    key = next(key for key, name in {**f.ansatz.zero_names(), **f.ansatz.names()}.items() if name == overlap)
    return bool(per_replica(counts[key], f.ansatz.vanishing) == 0)


def _response(refined: FreeEntropy, values: Mapping[str, float], overlap: str, side: str) -> Any:
    """The derivative, in the excess overlap, of the difference of the averages inside and between the new groups."""
    inner, pairs = overlap + "_inner", getattr(refined, side)
    hats = side == "weight_pairs" and refined.model.weights.discrete
    moved = {inner: values[overlap], conjugate(inner): values[conjugate(overlap)], "m_inner": 0.40625}
    moved[conjugate(inner) if hats else inner] += _SPLIT
    at = Evaluation(refined, {**values, **moved}, _REPLICON_DIGITS)
    # an overlap that vanishes by symmetry has no average of its own: it is 0
    outer = at.number(_narrow(pairs[overlap])) if overlap in pairs else 0
    return (at.number(_narrow(pairs[inner])) - outer) / _SPLIT


def _narrow(expr: sp.Expr) -> sp.Expr:
    """Averages over the variable of the new groups, to first order in its variance."""
    import sympy as sp

    from replica.expr import Average

    def first_order(average: sp.Expr) -> sp.Expr:
        z, v = average.variable, average.variance
        return (average.body + v / 2 * sp.diff(average.body, z, 2)).subs(z, 0)

    return expr.replace(lambda e: isinstance(e, Average) and "z_inner_" in e.variable.name, first_order)


def _refined(f: FreeEntropy, node: str, overlap: str) -> FreeEntropy:
    """The free entropy with the group of a node split once more."""
    from replica.derivation import derive

    ansatz = f.ansatz
    path, leaf = next(
        (path, leaf)
        for path, leaf in leaf_paths(ansatz.tree)
        if nodes_along(ansatz.tree, path)[-1].name == node
        and not leaf.anchor
        and {**ansatz.zero_names(), **ansatz.names()}.get((node, leaf.species, leaf.species)) == overlap
    )
    return derive(
        f.model,
        replace(
            ansatz,
            name=f"{ansatz.name}, {node} split",
            tree=_split(ansatz.tree, path, leaf),
            overlaps=(*ansatz.overlaps, (("inner", leaf.species, leaf.species), f"{overlap}_inner")),
            multiplicities=(*ansatz.multiplicities, "m_inner"),
        ),
    )


def _split(tree: Node, path: Path, leaf: Leaf) -> Node:
    groups = list(tree.groups)
    text, child = groups[path[0]]
    if isinstance(child, Node):
        groups[path[0]] = (text, _split(child, path[1:], leaf))
    else:
        groups[path[0]] = (f"({text})/m_inner", Node("inner", (("m_inner", leaf),)))
    return Node(tree.name, tuple(groups))
