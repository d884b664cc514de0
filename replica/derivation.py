r"""The derivation: a model and a tree of replicas become a free entropy and its saddle equations.

.. math::

    \tfrac1N \ln E \textstyle\prod_a Z = \mathrm{extr} \Big\{ -\sum_{a<b} \hat Q_{ab} Q_{ab}
    + \ln \mathrm{Tr}_w\, e^{\sum_{a<b} \hat Q_{ab} w^a w^b} + \alpha \ln E_{h \sim N(0, Q)} \prod_a \chi_a(h^a) \Big\}

Every term is written at symbolic multiplicities for the tree (:mod:`replica.nested`), the limit is taken by one rule
(:mod:`replica.limits.limit`), and the saddle equations follow from Price's theorem:
:math:`\hat Q_k = \alpha \langle\langle g_a g_b \rangle\rangle_k` and
:math:`Q_k = \langle\langle w_a w_b \rangle\rangle_k` for every overlap ``k``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import sympy as sp

from replica import zoo
from replica.ansatz import (
    SELF,
    Ansatz,
    Key,
    Leaf,
    PairClass,
    check_tree,
    leaf_paths,
    multiplicity,
    nodes_along,
    pair_classes,
    replica_count,
)
from replica.determinant import log_determinant
from replica.expr import Average, Positive, canonical, gather
from replica.fields import Definitions, FieldTree
from replica.free_entropy import FreeEntropy, Replicon
from replica.limits.limit import log_per_replica, marked, per_replica
from replica.model import Model
from replica.nested import Mark, NestedAverage, copies_of_group, pair_marks, simplest_pair
from replica.parts.adaptation import adapt
from replica.parts.covariance import FieldCovariances
from replica.parts.teacher import label_factor
from replica.passes import merge, mirror, pin
from replica.steps import steps_of


def derive(model: Model | str, ansatz: Ansatz | str) -> FreeEntropy:
    """Return the free entropy of a model under an ansatz, with its saddle equations and steps.

    Parameters
    ----------
    model : Model or str
        A model, or the name of one of ``replica.zoo.MODELS``.
    ansatz : Ansatz or str
        A tree of replica groups, or the name of one of ``replica.zoo.ANSATZE``.

    Raises
    ------
    InputError
        If a name is unknown or the tree is inconsistent; the message says what would be right.
    """
    model, ansatz = zoo.as_model(model), zoo.as_ansatz(ansatz)
    return _derive(model, adapt(model, ansatz))


@lru_cache(maxsize=32)
def _derive(model: Model, ansatz: Ansatz) -> FreeEntropy:
    check_tree(ansatz)
    return Derivation(model, ansatz).result()


@dataclass
class Side:
    """One of the two replicated averages: over the patterns' fields, or over the weights."""

    nested: NestedAverage
    ansatz: Ansatz
    classes: list[PairClass]

    @cached_property
    def average(self) -> sp.Expr:
        """The replicated average at symbolic multiplicities."""
        return self.nested.expression()

    @cached_property
    def log(self) -> sp.Expr:
        """Its logarithm per replica in the limit, before any pass."""
        return log_per_replica(self.average, self.ansatz.vanishing)

    def finished(self, expr: sp.Expr) -> sp.Expr:
        """An expression of this side in normal form: nested Gaussians joined, deltas pinned, mirror images added."""
        return mirror(pin(canonical(merge(canonical(expr), self.nested.fields.definitions))))

    def free_entropy(self) -> sp.Expr:
        """The logarithm in the limit, with as few integrals as possible."""
        return self.finished(self.log)

    def limit_of(self, marks: tuple[Mark, ...] | list[Mark]) -> sp.Expr:
        """A marked average in the limit, before any pass."""
        return marked(self.nested.expression(marks), self.average, self.ansatz.vanishing)

    def pair(self, key: Key) -> sp.Expr:
        """The average with one pair of replicas of this overlap marked."""
        classes = [pair for pair in self.classes if pair.key == key]
        expr = self.limit_of(pair_marks(simplest_pair(classes, self.nested.leaves)))
        return self.finished(self.nested.resolve(expr))

    def replicon(self, path: tuple[int, ...]) -> sp.Expr:
        """Four marks inside one group, (aabb) - 2 (aabc) + (abcd)."""
        combination = ((1, (0, 0, 1, 1)), (-2, (0, 0, 1, 2)), (1, (0, 1, 2, 3)))
        terms = [c * self.limit_of(copies_of_group(path, labels)) for c, labels in combination]
        found = self.finished(self.nested.resolve(gather(sp.Add(*terms))))
        return found if found.has(Average) else sp.factor(found)


class Derivation:
    """Everything that :func:`derive` needs of one model and one ansatz, each piece computed once."""

    def __init__(self, model: Model, ansatz: Ansatz) -> None:
        self.model, self.ansatz = model, ansatz
        self.free_norms = not model.weights.unit_norm
        self.counts = ansatz.counts()
        self.overlaps = {key: sp.Symbol(name) for key, name in ansatz.names().items()}
        self.conjugates = {key: sp.Symbol(name) for key, name in ansatz.conjugate_names().items()}
        self.classes = pair_classes(ansatz.tree, self.free_norms)
        self.leaves = dict(leaf_paths(ansatz.tree))

    def _is_free(self, key: Key) -> bool:
        """Whether one of the two replicas obeys no constraint."""
        return bool(self.ansatz.free_species() & {key[1], key[2]})

    def energetic_pair(self, key: Key) -> sp.Expr:
        """The derivative of the energetic average in an overlap, per pair: through the covariance of the fields."""
        return sp.Integer(0) if self._is_free(key) else self.covariances.slopes[key] * self.energetic.pair(key)

    @cached_property
    def covariances(self) -> FieldCovariances:
        """How the fields are correlated at the overlaps of the ansatz."""
        seen = {key: q for key, q in self.overlaps.items() if not self._is_free(key)}
        return FieldCovariances(self.model.architecture, seen)

    @cached_property
    def overlap_fields(self) -> FieldTree:
        """The regression of the overlaps themselves, which says where their matrix is positive."""
        if self.covariances.plain:
            return self.energetic.nested.fields
        overlaps, norms = _by_kind({key: self.overlaps[key] for key in self.covariances.values})
        return FieldTree(self.ansatz.tree, overlaps, sp.Integer(1), "o", norms)

    @cached_property
    def energetic(self) -> Side:
        """The average over the fields of a pattern."""
        covariance, norms = _by_kind(self.covariances.values)
        fields = FieldTree(self.ansatz.tree, covariance, self.covariances.diagonal, "e", norms)
        if not self.covariances.plain:
            # The domain is that of the overlaps; a pivot of their covariances is positive there, but rounds.
            for pivot in fields.pivots.values():
                if pivot.variance in fields.definitions.table:
                    fields.definitions.table[pivot.variance] = Positive(fields.definitions.table[pivot.variance])

        def factor(leaf: Leaf, field: sp.Expr, curvature: sp.Expr) -> sp.Expr:
            if leaf.teacher:
                return label_factor(field)
            if leaf.free:
                return sp.Integer(1)
            prefix = self.ansatz.prefix(leaf.species)
            constraint = self.model.obeyed(prefix).constraint
            return constraint.factor(field, {name: sp.Symbol(prefix + name) for name in constraint.parameters})

        return Side(NestedAverage(fields, factor), self.ansatz, self.classes)

    @cached_property
    def weights(self) -> Side:
        """The trace over the weights, for discrete ones."""
        weights = self.model.weights
        conjugates, curvatures = _by_kind(self.conjugates)
        fields = FieldTree(self.ansatz.tree, conjugates, None, "w", curvatures)

        def factor(leaf: Leaf, field: sp.Expr, curvature: sp.Expr) -> sp.Expr:
            trace: Any = weights.trace
            return trace(field, curvature) if self.free_norms else trace(field)

        levels = getattr(weights, "levels", None)
        return Side(NestedAverage(fields, factor, weights.values, levels), self.ansatz, self.classes)

    @cached_property
    def diagonal_term(self) -> sp.Expr:
        r"""Minus half the explained diagonal of the conjugates, from :math:`w^2 = 1`, at symbolic multiplicities.

        Nothing where the norm is free: there the trace has it, in the curvature.
        """
        if self.free_norms:
            return sp.Integer(0)
        fields = self.weights.nested.fields
        total = sp.Integer(0)
        for path, leaf in self.leaves.items():
            nodes = nodes_along(self.ansatz.tree, path)
            count = sp.prod([multiplicity(node.groups[g][0]) for node, g in zip(nodes, path, strict=True)])
            total -= count * fields.at(path).covariance(leaf.species, leaf.species) / 2
        return sp.expand(total)

    @cached_property
    def interaction(self) -> sp.Expr:
        """Minus the sum of overlaps times conjugates over pairs (and the diagonal), at symbolic multiplicities."""
        pairs = -sp.Add(*(n * self.overlaps[key] * self.conjugates[key] for key, n in self.counts.items()))
        return sp.expand(pairs + self.diagonal_term) if self.model.weights.discrete else sp.Integer(0)

    @cached_property
    def determinant(self) -> sp.Expr:
        r""":math:`\tfrac12 \ln \det Q` at symbolic multiplicities, and the prior of the norms, for continuous weights."""
        overlaps, norms = _by_kind(self.overlaps)
        volume = log_determinant(self.ansatz.tree, overlaps, norms) / 2
        prior_of: Any = getattr(self.model.weights, "log_prior", None)  # only weights of free norm have one
        prior = (2 * self.counts[SELF, s, s] * prior_of(q) for s, q in norms.items())
        return volume + sp.Add(*prior)

    def replicons(self) -> dict[str, Replicon]:
        """The replicon of every group whose replicas have an overlap among themselves at their own node."""
        found = {}
        for path, leaf in self.leaves.items():
            node = nodes_along(self.ansatz.tree, path)[-1]
            key = (node.name, leaf.species, leaf.species)
            name = {**self.ansatz.names(), **self.ansatz.zero_names()}.get(key)
            if leaf.anchor or leaf.free or name is None or node.name in found:
                continue
            fields = self.overlap_fields
            if self.model.weights.discrete:
                weights = self.weights.replicon(path)
            else:
                weights = (fields.variance_of(leaf.species) - fields.at(path).covariance(leaf.species, leaf.species)) ** 2
            slope, curvature = self.covariances.slope(key), self.covariances.curvature(key)
            energetic = slope**2 * self.energetic.replicon(path)
            if curvature != 0:
                energetic += curvature * self.energetic.pair(key)
            found[node.name] = Replicon(name, energetic, weights)
        return found

    def definitions(self) -> Definitions:
        """The named subexpressions of both sides."""
        sides = [self.energetic, self.weights] if self.model.weights.discrete else [self.energetic]
        tables = [self.covariances.definitions.table, *(side.nested.fields.definitions.table for side in sides)]
        return Definitions("", {k: e for table in tables for k, e in table.items()})

    def result(self) -> FreeEntropy:
        """The free entropy with everything that follows from it."""
        ansatz, vanishing = self.ansatz, self.ansatz.vanishing
        discrete = self.model.weights.discrete
        limits = {key: per_replica(count, vanishing) for key, count in self.counts.items()}
        names = {key: q.name for key, q in self.overlaps.items()}
        if discrete:
            entropic = self.weights.free_entropy()
            weights = {names[key]: self.weights.pair(key) for key in self.counts}
        else:
            entropic = per_replica(self.determinant, vanishing)
            weights = {
                names[key]: sp.factor(-sp.diff(entropic, q) / limits[key])
                for key, q in self.overlaps.items()
                if limits[key] != 0
            }
        energetic = self.energetic.free_entropy()
        energetic_pairs = {names[key]: self.energetic_pair(key) for key in self.counts}
        replicons = self.replicons()
        result = FreeEntropy(
            model=self.model,
            ansatz=ansatz,
            counts={names[key]: count for key, count in self.counts.items()},
            weight_of={names[key]: limit for key, limit in limits.items()},
            replicas=per_replica(replica_count(ansatz.tree), vanishing),
            interaction=per_replica(self.interaction, vanishing),
            entropic=entropic,
            energetic=energetic,
            energetic_pairs=energetic_pairs,
            weight_pairs=weights,
            replicons=replicons,
            pivots={names[key]: pivot for key, pivot in self.overlap_fields.expanded_pivots().items()},
            definitions=self.definitions().used_by(
                entropic,
                energetic,
                *energetic_pairs.values(),
                *weights.values(),
                *(factor for r in replicons.values() for factor in (r.energetic, r.weights)),
            ),
            steps=(),
        )
        return result.with_steps(steps_of(self, result))


def _by_kind(values: dict[Key, sp.Expr]) -> tuple[dict[Key, sp.Expr], dict[str, sp.Expr]]:
    """Values of overlaps between replicas by key, and of the overlap of a replica with itself by species."""
    pairs = {key: value for key, value in values.items() if key[0] != SELF}
    return pairs, {key[1]: value for key, value in values.items() if key[0] == SELF}
