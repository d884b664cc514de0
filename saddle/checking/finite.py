r"""Checks of the derivation before and in the limit: pair counts, finite numbers of replicas, vanishing ones.

The step at symbolic multiplicities ("Gaussian decomposition") is evaluated at integers and compared with explicit replicas
(:mod:`saddle.checking.brute_force`), and at small numbers with the limit that the derivation took: per unit of the
smallest multiplicity ``r``, :math:`[\ln F(h, h) - \ln F(0, h)]/h` tends to it linearly in ``h``, which two values of ``h``
extrapolate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from replica.ansatz import leaf_paths, multiplicity, nodes_along, pair_counts
from saddle.checking.brute_force import log_fields, log_weights, parting, replicas, telling
from saddle.checking.oracle import affordable, number
from saddle.checking.outcome import Check, Tally

if TYPE_CHECKING:
    import sympy as sp

    from replica.free_entropy import FreeEntropy
    from replica.steps import Step

_DIGITS = 10
_DEEP_DIGITS, _FEW_DIGITS = 9, 7
"""Three averages inside each other are given fewer digits: seconds instead of minutes."""
_WEIGHTS_DIGITS = 20
"""Powers of ``2 cosh`` move the mass out by many standard deviations: the range of more digits holds it."""
_LIMIT_DIGITS = 20
_SMALL = 2.0**-20
_MOST_COUNTED = 8
_DECOMPOSITION, _LIMIT = 3, 4


def pair_counts_check(f: FreeEntropy) -> Check:
    """The pairs of all overlaps are all pairs, at integers those counted one by one, and their limits are the weights."""
    import sympy as sp

    from replica.limits.limit import per_replica

    tally, size = Tally(), sp.Integer(0)
    for path, _ in leaf_paths(f.ansatz.tree):
        nodes = nodes_along(f.ansatz.tree, path)
        size += sp.prod([multiplicity(node.groups[g][0]) for node, g in zip(nodes, path, strict=True)])
    unnamed = f.ansatz.zero_names().keys()
    zero = [
        count
        for key, count in pair_counts(f.ansatz.tree, norms=not f.model.weights.unit_norm).items()
        if key in unnamed or (key not in f.ansatz.names() and f.ansatz.is_spectator(key))
    ]
    pairs = size * (size - 1) / 2 if f.model.weights.unit_norm else size**2 / 2
    missing = sp.simplify(sum((*f.counts.values(), *zero), sp.Integer(0)) - pairs)
    tally.require(f"the pairs of all overlaps exceed all pairs by {missing}", missing == 0)
    names = {**f.ansatz.zero_names(), **f.ansatz.names()}
    for integers in telling(f.ansatz, _MOST_COUNTED, 3):
        group = replicas(f.ansatz.tree, integers)
        found = [names.get(parting(a, b)) for i, a in enumerate(group) for b in group[:i]]
        alone = [f.ansatz.norm(a.species) for a in group]
        for name, count in f.counts.items():
            counted = found.count(name) + alone.count(name) / 2
            tally.compare(f"pairs of {name} at {_text(integers)}", float(count.subs(integers)), counted)
    for name, count in f.counts.items():
        off = sp.simplify(per_replica(count, f.ansatz.vanishing) - f.weight_of[name])
        tally.require(f"the weight of {name} is not the limit of its number of pairs", off == 0)
    return tally.outcome("pair counts", 0.0)


def finite_checks(f: FreeEntropy, point: Mapping[str, float], thorough: bool) -> list[Check]:
    """The step at symbolic multiplicities against explicit replicas, for patterns and for weights."""
    step = f.steps[_DECOMPOSITION]
    patterns, weights = Tally(), Tally()
    for integers in telling(f.ansatz, 5 if thorough else 4, 9 if thorough else 3):
        group, values = replicas(f.ansatz.tree, integers), {**point, **integers}
        expected = log_fields(f.model, f.ansatz, group, point, 44 if len(group) < 5 else 28)
        patterns.compare(_text(integers), _number(step, ("G_E",), values), expected)
    for integers in telling(f.ansatz, 8 if thorough else 6, 3):
        group, values = replicas(f.ansatz.tree, integers), {**point, **integers}
        expected = log_weights(f.model, f.ansatz, group, point)
        weights.compare(_text(integers), _number(step, ("G_I", "G_S"), values, _WEIGHTS_DIGITS), expected)
    tolerance = 1e-9 if affordable(f.energetic) > _DEEP_DIGITS else 1e-5
    return [patterns.outcome("finite n, patterns", tolerance), weights.outcome("finite n, weights", tolerance)]


def limit_check(f: FreeEntropy, point: Mapping[str, float]) -> Check:
    """The limit, and the result after all passes, against the step at symbolic multiplicities."""
    import mpmath

    tally = Tally()
    before, after = f.steps[_DECOMPOSITION], f.steps[_LIMIT]
    result = {"G_I": f.interaction, "G_S": f.entropic, "G_E": f.energetic}
    for name, expr in result.items():
        slopes = []
        for h in (_SMALL, 2 * _SMALL):
            small = dict.fromkeys(f.ansatz.vanishing, h)
            at_zero = {**small, f.ansatz.vanishing[0]: 0.0}
            ends = [_number(before, (name,), {**point, **at}, _LIMIT_DIGITS) for at in (small, at_zero)]
            slopes.append((ends[0] - ends[1]) / mpmath.mpf(h))
        expected = 2 * slopes[0] - slopes[1]
        tally.compare(name, number(expr, point, f.definitions, _DIGITS), expected)
        tally.compare(f"{name} before the passes", _number(after, (name,), point), expected)
    return tally.outcome("the limit", 1e-6)


def _number(step: Step, names: tuple[str, ...], values: Mapping[str, float], digits: int = _DIGITS) -> Any:
    """The sum of equations of a step; Gaussian variables that enter together are joined first, which saves an integral."""
    from replica.expr import canonical
    from replica.fields import Definitions
    from replica.passes import merge

    equations, definitions = dict(step.equations), Definitions("", dict(step.definitions))
    total: sp.Expr = sum(equations[name] for name in names)
    expr = merge(canonical(total), definitions)
    return number(expr, values, definitions.table, digits if affordable(expr) > _DEEP_DIGITS else _FEW_DIGITS)


def _text(integers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in integers.items())
