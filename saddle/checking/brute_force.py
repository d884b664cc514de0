r"""Replicated averages at integer multiplicities without any of the derivation: every replica and every pair by itself.

The tree is walked replica by replica and the overlap matrix written out.  Then the fields are integrated directly,
:math:`E_{h \sim N(0, Q)} \prod_a \chi(h^a)`, by conditioning one field after the other (Genz 1992) with Gauss-Legendre
nodes in each; the weights are summed state by state, :math:`\sum_w e^{\sum_{a<b} \hat Q_{ab} w_a w_b}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

from replica.ansatz import Leaf, Node, multiplicity

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.model import Model

Branch = tuple[tuple[str, int, int], ...]
_REACH = 7.8


@dataclass(frozen=True)
class Replica:
    """One replica: node name, group and copy at every level on the way from the root, and its species.

    A ``teacher`` has the factor of a label, twice a step, and weights from their normalised prior; a ``free`` replica has
    no constraint.
    """

    branch: Branch
    species: str
    teacher: bool = False
    free: bool = False


def replicas(tree: Node, integers: Mapping[str, int]) -> list[Replica]:
    """Return all replicas of a tree at integer multiplicities.

    Raises
    ------
    ValueError
        If a multiplicity is not a non-negative integer.
    """
    found: list[Replica] = []
    for index, (text, child) in enumerate(tree.groups):
        count = multiplicity(text).subs(dict(integers))
        if not (count.is_Integer and count >= 0):
            raise ValueError(f"the multiplicity {text} is {count}")
        for copy in range(int(count)):
            here = (tree.name, index, copy)
            if isinstance(child, Leaf):
                found.append(Replica((here,), child.species, child.teacher, child.free))
            else:
                found.extend(replace(r, branch=(here, *r.branch)) for r in replicas(child, integers))
    return found


def assignments(ansatz: Ansatz, most: int) -> list[dict[str, int]]:
    """Return the integer multiplicities with 2 to ``most`` replicas, fewest replicas first."""
    symbols = [*ansatz.vanishing, *ansatz.multiplicities]
    found = []
    for numbers in product(range(1, most + 1), repeat=len(symbols)):
        integers = dict(zip(symbols, numbers, strict=True))
        try:
            size = len(replicas(ansatz.tree, integers))
        except ValueError:
            continue
        if 2 <= size <= most:
            found.append((size, integers))
    return [integers for _, integers in sorted(found, key=lambda item: item[0])]


def telling(ansatz: Ansatz, most: int, few: int) -> list[dict[str, int]]:
    """Return a few assignments: the smallest, the one that shows most overlaps, and what shows an overlap not yet seen."""
    names = {**ansatz.zero_names(), **ansatz.names()}
    shown = []
    for order, integers in enumerate(assignments(ansatz, most)):
        group = replicas(ansatz.tree, integers)
        overlaps = frozenset(names[key] for i, a in enumerate(group) for b in group[:i] if (key := parting(a, b)) in names)
        shown.append((order, overlaps, integers))
    most_telling = sorted(shown, key=lambda item: -len(item[1]))
    chosen: dict[int, dict[str, int]] = {}
    seen: set[str] = set()
    for order, overlaps, integers in [*shown[:few], *most_telling[:1], *most_telling]:
        if order < few or order == most_telling[0][0] or not overlaps <= seen:
            chosen[order] = integers
            seen |= overlaps
    return [chosen[order] for order in sorted(chosen)]


def overlap_matrix(ansatz: Ansatz, group: Sequence[Replica], values: Mapping[str, float]) -> np.ndarray:
    """Return the matrix of overlaps between these replicas, with 0 on the diagonal where the norm is fixed."""
    names = {**ansatz.zero_names(), **ansatz.names()}
    matrix = np.diag([values[norm] if (norm := ansatz.norm(a.species)) else 0.0 for a in group])
    for i, a in enumerate(group):
        for j, b in enumerate(group[:i]):
            if (key := parting(a, b)) in names:  # an overlap without a name has the conjugate 0
                matrix[i, j] = matrix[j, i] = values[names[key]]
    return matrix


def parting(a: Replica, b: Replica) -> tuple[str, str, str]:
    """Return the key of a pair: where their branches part, and their species."""
    node = next(here[0] for here, there in zip(a.branch, b.branch, strict=False) if here != there)
    first, second = sorted((a.species, b.species))
    return node, first, second


def log_fields(
    model: Model, ansatz: Ansatz, group: Sequence[Replica], values: Mapping[str, float], nodes: int = 44
) -> float:
    r"""Return :math:`\ln E_{h \sim N(0, Q)} \prod_a \chi_a(h^a)` for these replicas."""
    import sympy as sp

    group = [r for r in group if not r.free]
    overlaps = overlap_matrix(ansatz, group, values)
    if model.weights.unit_norm:
        np.fill_diagonal(overlaps, 1.0)
    kernel = {q: float(model.architecture.covariance(sp.Rational(q))) for q in overlaps.ravel().tolist()}
    covariance = np.vectorize(kernel.__getitem__)(overlaps)
    label = _Factor(0.0, (0.0,), lambda field: np.ones_like(field))
    factors = [label if r.teacher else _Factor.of(model, ansatz.prefix(r.species), values) for r in group]
    labels = np.log(2.0) * sum(r.teacher for r in group)
    return float(np.log(_conditioned(covariance, factors, nodes)) + labels)


def log_weights(model: Model, ansatz: Ansatz, group: Sequence[Replica], values: Mapping[str, float]) -> float:
    r"""Return :math:`\ln \sum_w e^{\sum_{a<b} \hat Q_{ab} w_a w_b} - \sum_{a<b} \hat Q_{ab} Q_{ab}`.

    Where the norm of the weights is free, half the terms with ``a = b`` are added and every level has its measure.  For
    weights without values of their own: :math:`\tfrac12 \ln \det Q`, and their prior.
    """
    from replica.ansatz import conjugate

    overlaps = overlap_matrix(ansatz, group, values)
    if not model.weights.discrete:
        if model.weights.unit_norm:
            return float(0.5 * np.linalg.slogdet(overlaps + np.eye(len(group)))[1])
        prior_of: Any = getattr(model.weights, "log_prior")  # noqa: B009
        prior = float(np.sum([float(prior_of(norm)) for norm in np.diag(overlaps)]))
        return float(0.5 * np.linalg.slogdet(overlaps)[1] + prior)
    names = {**ansatz.zero_names(), **ansatz.names()}.values()
    hats = {name: values[conjugate(name)] for name in names}
    conjugates = overlap_matrix(ansatz, group, hats)
    states = np.array(list(product(model.weights.values, repeat=len(group))), dtype=float)
    exponents = 0.5 * np.einsum("ka,ab,kb->k", states, conjugates, states)
    measure = getattr(model.weights, "measure", (1,) * len(model.weights.values))
    exponents += np.log(np.array(list(product(measure, repeat=len(group))), dtype=float)).sum(axis=1)
    prior = np.log(float(sum(measure))) * sum(r.teacher for r in group)
    return float(np.logaddexp.reduce(exponents) - 0.5 * np.sum(overlaps * conjugates) - prior)


@dataclass(frozen=True)
class _Factor:
    """The factor of one field: where it starts if it is a plain step, where it breaks otherwise.

    ``levels`` are its values between the breaks if it is constant there.
    """

    start: float | None
    breaks: tuple[float, ...]
    function: Any
    levels: tuple[float, ...] = ()

    @classmethod
    def of(cls, model: Model, prefix: str, values: Mapping[str, float]) -> _Factor:
        import sympy as sp

        from replica.expr import Step, arguments, slope_and_rest
        from replica.parts.losses import LossFunction, written_out
        from replica.parts.noisy_losses import as_averages
        from replica.parts.pieces import Steps

        field = sp.Symbol("field")
        constraint = model.obeyed(prefix).constraint
        numbers = {name: sp.Float(values[prefix + name]) for name in constraint.parameters}
        factor = as_averages(constraint.factor(field, numbers))
        bare = sorted(factor.atoms(Step, Steps), key=str)
        borders = [slope_and_rest(edge, field) for step in bare for edge in arguments(step)]
        for loss in factor.atoms(LossFunction):
            borders += [slope_and_rest(loss.args[0] - place, field) for place, _ in loss.kinks]
        breaks = tuple(sorted(float(-rest / slope) for slope, rest in borders))
        rising = isinstance(factor, Step) and borders[0][0] > 0
        functions = {"Step": lambda x: (x > 0).astype(float), "Steps": _steps, "Softplus": lambda x: np.logaddexp(0.0, x)}
        function = sp.lambdify(field, written_out(factor), modules=[functions, "numpy"])
        levels = [float(sp.exp(weight)) for weight in factor.log_weights] if isinstance(factor, Steps) else []
        return cls(breaks[0] if rising else None, breaks, function, tuple(levels))


def _steps(*values: Any) -> np.ndarray:
    """A piecewise constant factor from its edges and log-weights."""
    k = len(values) // 2
    inside = sum((edge > 0).astype(int) for edge in values[:k])
    return np.exp(np.array(values[k:], dtype=float))[inside]


def _conditioned(covariance: np.ndarray, factors: Sequence[_Factor], nodes: int) -> float:
    """The Gaussian average of a product of factors, one field after the other given those before."""
    from scipy.special import ndtr

    root = np.linalg.cholesky(covariance)
    z, weight = np.empty((0, 1)), np.ones(1)
    for i, factor in enumerate(factors):
        mean, sd = root[i, :i] @ z, root[i, i]
        if i == len(factors) - 1 and factor.start is not None:
            return float(np.sum(weight * ndtr((mean - factor.start) / sd)))
        if i == len(factors) - 1 and factor.levels:
            jumps = np.diff(factor.levels)
            last = sum(jump * ndtr((mean - edge) / sd) for jump, edge in zip(jumps, factor.breaks, strict=True))
            return float(np.sum(weight * (factor.levels[0] + last)))
        pieces = list(_panels(factor, mean, sd, nodes))
        z = np.concatenate([np.concatenate([np.repeat(z, nodes, axis=1), x[None, :]]) for x, _ in pieces], axis=1)
        weight = np.concatenate([np.repeat(weight, nodes) * w for _, w in pieces])
    return float(np.sum(weight))


def _panels(factor: _Factor, mean: np.ndarray, sd: float, nodes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Nodes in units of the standard deviation and their weights, between the breaks of a factor."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    inner = [np.clip((b - mean) / sd, -_REACH, _REACH) for b in factor.breaks]
    borders = [*inner, np.full_like(mean, _REACH)]
    if factor.start is None:
        borders.insert(0, np.full_like(mean, -_REACH))
    for piece, (low, high) in enumerate(pairwise(borders)):
        if factor.levels and factor.levels[piece] == 0.0:
            continue
        half = 0.5 * (high - low)
        points = (low + half)[:, None] + half[:, None] * x
        density = half[:, None] * w * np.exp(-0.5 * points**2) / np.sqrt(2.0 * np.pi)
        values = np.broadcast_to(factor.function(mean[:, None] + sd * points), points.shape)
        yield points.ravel(), (density * values).ravel()
