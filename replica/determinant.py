r"""The determinant of a tree-structured overlap matrix at symbolic multiplicities, sector by sector.

Differences between the ``m`` copies of a subtree diagonalise together: each group of multiplicity ``m`` contributes
``m - 1`` times (the multiplicities above) times :math:`\ln\det` of the row sums within one copy minus the coupling
between copies; the symmetric sector of the root contributes once.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from replica.ansatz import Key, Leaf, Node, Path, leaf_paths, multiplicity, nodes_along


def log_determinant(tree: Node, overlap: Mapping[Key, sp.Expr], norms: Mapping[str, sp.Expr]) -> sp.Expr:
    r""":math:`\ln \det Q` with the multiplicities as symbols; the norm of a species is 1 unless it is given."""
    matrix = _Overlaps(overlap, norms)
    root = sp.log(_row_sums(tree, matrix).det(method="berkowitz"))
    return root + _sectors(tree, matrix, sp.Integer(1))


class _Overlaps:
    def __init__(self, overlap: Mapping[Key, sp.Expr], norms: Mapping[str, sp.Expr]) -> None:
        self.overlap, self.norms = overlap, norms

    def diagonal(self, species: str) -> sp.Expr:
        return self.norms.get(species, sp.Integer(1))

    def __call__(self, node: str, s: str, t: str) -> sp.Expr:
        return self.overlap.get((node, min(s, t), max(s, t)), sp.Integer(0))


def _sectors(node: Node, matrix: _Overlaps, above: sp.Expr) -> sp.Expr:
    total = sp.Integer(0)
    for text, child in node.groups:
        m = multiplicity(text)
        if m != 1:
            if isinstance(child, Leaf):
                within = sp.Matrix([[matrix.diagonal(child.species)]])
                between = sp.Matrix([[matrix(node.name, child.species, child.species)]])
            else:
                within = _row_sums(child, matrix)
                leaves = list(leaf_paths(child))
                between = sp.Matrix(
                    len(leaves),
                    len(leaves),
                    lambda a, b, leaves=leaves, child=child: (
                        _copies(child, leaves[b][0], 0) * matrix(node.name, leaves[a][1].species, leaves[b][1].species)
                    ),
                )
            total += (m - 1) * above * sp.log((within - between).det(method="berkowitz"))
        if isinstance(child, Node):
            total += _sectors(child, matrix, above * m)
    return total


def _copies(tree: Node, path: Path, depth: int) -> sp.Expr:
    """Number of replicas of a leaf type below one copy of the node at ``depth``."""
    nodes = nodes_along(tree, path)
    return sp.prod([multiplicity(nodes[i].groups[path[i]][0]) for i in range(depth, len(path))])


def _row_sums(tree: Node, matrix: _Overlaps) -> sp.Matrix:
    """Sum of the overlaps of one replica of each leaf type with all replicas of each leaf type."""
    leaves = list(leaf_paths(tree))

    def entry(a: int, b: int) -> sp.Expr:
        (path_a, leaf_a), (path_b, leaf_b) = leaves[a], leaves[b]
        nodes = nodes_along(tree, path_b)
        total = matrix.diagonal(leaf_a.species) if a == b else sp.Integer(0)
        for depth in range(min(len(path_a), len(path_b))):
            here = matrix(nodes[depth].name, leaf_a.species, leaf_b.species)
            if path_a[depth] != path_b[depth]:
                return total + _copies(tree, path_b, depth) * here
            m = multiplicity(nodes[depth].groups[path_b[depth]][0])
            total += (m - 1) * _copies(tree, path_b, depth + 1) * here
        return total

    return sp.Matrix(len(leaves), len(leaves), entry)
