r"""A generic point inside the domain of any tree, without a number typed for one ansatz.

The fields of replicas are sums of contributions of the nodes above them, with one positive-definite matrix over species
for each node:

.. math:: Q(v, s, t) = \sum_{u\ \text{from the root to}\ v} C_u(s, t), \qquad
   C_u(s, t) = c_u a_s a_t\, [\delta_{st} + \rho_u (1 - \delta_{st})],

so that the overlap matrix is positive at every integer multiplicity, and its regression has positive pivots.  All values
are multiples of 1/1024: a double holds them exactly, and every backend sees the same point.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from replica.ansatz import SELF, Key, Leaf, Node, conjugate, species_below

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.free_entropy import FreeEntropy

_GRID = 1024
_UNIQUE = 1.0 + 1.0 / 16
"""Neighbouring values differ by this factor at least: equal ones would hide an exchange."""


def interior_point(free_entropy: FreeEntropy, variant: int = 0) -> dict[str, float]:
    """Return a value for every parameter, overlap, conjugate and multiplicity that stays, by name.

    ``variant`` chooses one of several such points.
    """
    ansatz = free_entropy.ansatz
    overlaps = _covariances(ansatz, 0.8 - 0.1 * variant, variant)
    conjugates = _covariances(ansatz, 1.3 + 0.4 * variant, variant + 1)
    values = {"alpha": _rounded(0.6 + 0.17 * variant)}
    prefixes = dict.fromkeys([ansatz.prefix(s) for s in species_below(ansatz.tree)])
    constraints = {prefix: free_entropy.model.obeyed(prefix).constraint for prefix in prefixes}
    names = [prefix + name for prefix, constraint in constraints.items() for name in constraint.parameters]
    values |= {name: _rounded(0.29 - 0.06 * variant + 0.13 * (-1) ** i * (i + 1)) for i, name in enumerate(names)}
    positive = (p + name for p, c in constraints.items() for name in getattr(c, "positive", ()))
    values |= {name: 0.5 + abs(values[name]) for name in positive}
    values |= {name: _rounded(0.45 + 0.24 * i + 0.1 * variant) for i, name in enumerate(ansatz.multiplicities)}
    values |= overlaps
    values |= {conjugate(name): value for name, value in conjugates.items()}
    for i, (name, largest) in enumerate(_norms(ansatz, overlaps).items()):
        values |= {name: _rounded(1.07 + 0.08 * i + max(0.0, largest - 0.8)), conjugate(name): _rounded(0.4 - 0.9 * i)}
    for name in ansatz.zero_names().values():
        values[name] = values[conjugate(name)] = 0.0
    return values


def _covariances(ansatz: Ansatz, total: float, variant: int) -> dict[str, float]:
    """A covariance for every overlap; along every path they add up to ``total`` at most."""
    depth = max(len(path) for path, _ in _nodes(ansatz.tree))
    species = species_below(ansatz.tree)
    size = {s: (1.0 - 0.09 * i) for i, s in enumerate(species)}
    above: dict[tuple[str, ...], dict[tuple[str, str], float]] = {(): {}}
    found: dict[Key, float] = {}
    for index, (path, node) in enumerate(_nodes(ansatz.tree)):
        strength = total / depth * (1.0 - 0.11 * ((index + variant) % 3)) / _UNIQUE ** (index % 2)
        mixing = 0.66 - 0.08 * ((index + variant) % 2)
        here = dict(above[path[:-1]])
        for s in species:
            for t in species:
                own = strength * size[s] * size[t] * (1.0 if s == t else mixing)
                here[s, t] = here.get((s, t), 0.0) + own
                found.setdefault((node.name, min(s, t), max(s, t)), here[s, t])
        above[path] = here
    root = {key[1:]: above for key, above in found.items() if key in ansatz.zero_names()}
    named = ((key, name) for key, name in ansatz.names().items() if key[0] != SELF)
    return {name: _rounded(found[key] - root.get(key[1:], 0.0)) for key, name in named}


def _norms(ansatz: Ansatz, overlaps: dict[str, float]) -> dict[str, float]:
    """The norms that are free, each with the largest overlap of its species with itself."""
    found: dict[str, float] = {}
    for (node, s, _), name in ansatz.names().items():
        if node == SELF:
            own = [overlaps[other] for (_, a, b), other in ansatz.names().items() if a == b == s and other in overlaps]
            found[name] = max(own, default=0.0)
    return found


def _nodes(tree: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every node once with the names on its path, itself included; nodes of one name share what is above them."""
    path = (*path, tree.name)
    yield path, tree
    seen: set[str] = set()
    for _, child in tree.groups:
        if not isinstance(child, Leaf) and child.name not in seen:
            seen.add(child.name)
            yield from _nodes(_joined(tree, child.name), path)


def _joined(parent: Node, name: str) -> Node:
    """All children of this name as one node."""
    children = [child for _, child in parent.groups if isinstance(child, Node) and child.name == name]
    return Node(name, tuple(group for child in children for group in child.groups))


def _rounded(value: float) -> float:
    return round(value * _GRID) / _GRID
