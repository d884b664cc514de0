r"""The replicated averages at symbolic multiplicities, as nested one-dimensional averages, with or without marks.

A node of the tree becomes the average, over its own Gaussian variables, of the product of its groups: a group of
multiplicity ``m`` is ``child**m``.  A *mark* on a replica stands for the derivative in its field: by Price's theorem
the derivative of :math:`\ln E \prod_a \chi(h^a)` in an overlap is the average with the two replicas marked.  A group
with ``j`` marked copies is ``child**(m - j)`` times those copies; nothing has to cancel, and no limit of a quotient is
ever taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from replica.ansatz import Leaf, Node, PairClass, Path, anchors_of, multiplicity
from replica.expr import SINGULAR, Average, SiteSum, canonical, field_derivative
from replica.fields import FieldTree, leaf_species
from replica.parts.levels import measure_polynomial
from replica.parts.pieces import SMOOTH

Mark = tuple[tuple[int, int], ...]
"""A marked replica: (group index, copy) at every node on the way from the root."""

LeafFactor = Callable[[Leaf, sp.Expr, sp.Expr], sp.Expr]
"""The factor of a leaf as a function of its field (before its own noise is averaged) and of its curvature (weights)."""


class NestedAverage:
    """The average of a product over replicas, for any marks.

    Parameters
    ----------
    fields : FieldTree
        The regression that the variables and means come from.
    factor : callable
        ``factor(leaf, field, curvature)``: the factor of one replica.
    values : tuple
        Values of a discrete weight for anchors that are summed over (empty: anchors are fields).
    levels : sympy Tuple, optional
        Values and measure (:mod:`replica.parts.levels`) of a weight whose square is not fixed.
    """

    def __init__(
        self,
        fields: FieldTree,
        factor: LeafFactor,
        values: tuple[Any, ...] = (),
        levels: sp.Tuple | None = None,
    ) -> None:
        self.fields, self.factor, self.values, self.levels = fields, factor, values, levels
        self.leaves = leaf_species(fields.tree)
        self.log_derivatives: dict[sp.core.function.UndefinedFunction, sp.Lambda] = {}

    def expression(self, marks: Sequence[Mark] = ()) -> sp.Expr:
        """The nested expression at symbolic multiplicities with these replicas marked."""
        return self._node(self.fields.tree, (), list(marks))

    def _node(self, node: Node, path: Path, marks: list[Mark]) -> sp.Expr:
        return self.over(node, self.inside(node, path, marks))

    def inside(self, node: Node, path: Path, marks: Sequence[Mark] = ()) -> sp.Expr:
        """The product of the groups of a node, before the average over its own variables."""
        powers: dict[sp.Expr, sp.Expr] = {}
        for index, (text, child) in enumerate(node.groups):
            copies: dict[int, list[Mark]] = {}
            for mark in marks:
                if mark[0][0] == index:
                    copies.setdefault(mark[0][1], []).append(mark[1:])
            _multiply(powers, self._child(child, (*path, index), []), multiplicity(text) - len(copies))
            for rest in copies.values():
                _multiply(powers, self._child(child, (*path, index), rest), sp.Integer(1))
        return sp.Mul(*(base**exponent for base, exponent in powers.items()))

    def over(self, node: Node, body: sp.Expr) -> sp.Expr:
        """The average of a body over the variables of a node, and its sum over the values of an anchor's weight."""
        for variable in reversed(self.fields.variables[node.name]):
            body = Average(body, variable.symbol, variable.variance)
        if self.values and anchors_of(node):
            values = sp.Tuple(*self.values) if self.levels is None else sp.Tuple(*(v for v, _ in self.levels))
            body = SiteSum(body, self.fields.anchor_variables[node.name][0], values)
        return body

    def _child(self, child: Leaf | Node, path: Path, marks: list[Mark]) -> sp.Expr:
        if isinstance(child, Node):
            return self._node(child, path, marks)
        return self._leaf(child, path, len(marks))

    def _leaf(self, leaf: Leaf, path: Path, order: int) -> sp.Expr:
        state, fields = self.fields.at(path), self.fields
        mean = state.mean[leaf.species]
        if leaf.anchor and self.values:
            value = next(v for v, m in fields.anchor_variables.values() if v.name == f"s_{leaf.species}")
            if self.levels is None:
                prior = sp.Rational(1, len(self.values)) if leaf.teacher else sp.Integer(1)
                return prior * value**order * sp.exp(value * mean)
            norm = sp.Add(*(p for _, p in self.levels)) if leaf.teacher else sp.Integer(1)
            exponent = value * mean + fields.curvature(path, leaf.species) * value**2 / 2
            return value**order * measure_polynomial(self.levels, value) / norm * sp.exp(exponent)
        field = sp.Symbol(f"{fields.label}field")
        factor = self.smoothed(path, field)
        if factor.has(*SINGULAR):
            return field_derivative(factor, field, order).subs(field, mean)
        return factor.subs(field, mean) * self._log_derivatives(leaf, factor, field, mean, order)

    def smoothed(self, path: Path, field: sp.Symbol) -> sp.Expr:
        """The factor of a leaf as a function of the mean of its field, its own noise averaged; the trace over a weight."""
        leaf, fields = self.leaves[path], self.fields
        if fields.diagonal is None:
            return self.factor(leaf, field, fields.curvature(path, leaf.species))
        noise, explained = sp.Symbol(f"{fields.label}noise"), fields.at(path).covariance(leaf.species, leaf.species)
        residual = sp.expand(fields.variance_of(leaf.species) - explained)
        return Average(self.factor(leaf, field + noise, sp.Integer(0)), noise, residual)

    def _log_derivatives(
        self, leaf: Leaf, factor: sp.Expr, field: sp.Symbol, mean: sp.Expr, order: int
    ) -> sp.Expr:
        """The relative derivative of a factor, in the derivatives of its logarithm (kept as names until they cancel)."""
        if order == 0:
            return sp.Integer(1)
        names = [sp.Function(f"{self.fields.label}D{j}_{leaf.species}") for j in range(1, order + 1)]
        derivative = canonical(sp.log(factor))
        for name in names:
            derivative = sp.diff(derivative, field)
            if derivative.has(*SMOOTH):  # several edges: what they share in front of their sum
                derivative = sp.factor_terms(derivative)
            self.log_derivatives[name] = sp.Lambda(field, derivative)
        cumulants = [name(mean) for name in names]
        return sp.Add(*(sp.bell(order, k, cumulants[: order - k + 1]) for k in range(1, order + 1)))

    def resolve(self, expr: sp.Expr) -> sp.Expr:
        """The expression with the named derivatives of logarithms written out."""
        for name, function in self.log_derivatives.items():
            expr = expr.replace(name, function)
        return expr


def _multiply(powers: dict[sp.Expr, sp.Expr], base: sp.Expr, exponent: sp.Expr) -> None:
    """Multiply into a product kept by base, so that equal bases join whatever their exponents."""
    for factor in sp.Mul.make_args(base):
        b, e = factor.as_base_exp()
        powers[b] = sp.expand(powers.get(b, sp.Integer(0)) + e * exponent)


def pair_marks(pair: PairClass) -> tuple[Mark, Mark]:
    """Marks on two replicas that part as the class says."""
    first = tuple((group, 0) for group in pair.first)
    same_group = pair.depth < len(pair.second) and pair.first[: pair.depth + 1] == pair.second[: pair.depth + 1]
    second = tuple(
        (group, 1 if depth == pair.depth and same_group else 0) for depth, group in enumerate(pair.second)
    )
    return first, second


def simplest_pair(classes: list[PairClass], leaves: dict[Path, Leaf]) -> PairClass:
    """The class with the fewest anchors: all classes of a key give the same average in the limit."""
    return min(classes, key=lambda pair: leaves[pair.first].anchor + leaves[pair.second].anchor)


def copies_of_group(path: Path, labels: Sequence[int]) -> list[Mark]:
    """Marks on copies of the innermost group of a leaf, one per label (a repeated label marks one replica twice)."""
    above = tuple((group, 0) for group in path[:-1])
    return [(*above, (path[-1], label)) for label in labels]
