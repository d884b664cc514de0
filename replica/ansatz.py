r"""An ansatz is a tree of replica groups.

Leaves are species of replicas; a node holds groups, each a multiplicity and a subtree.  Multiplicities are symbols or
polynomials in them, written as text (``"n/m"``, ``"n-1"``, ``"r"``).  The replica-symmetric ansatz is
``root[(n, w)]``, one step of symmetry breaking ``root[(n/m, state[(m, w)])]``, and the Franz-Parisi potential

    root[(n-1, ref), (1, cluster[(1, ref), (r, probe)])]

where one reference replica, the *anchor*, shares its cluster with ``r`` probes.

The overlap of two replicas is named by the node where their branches part and by their two species: the key
``(node, species, species)``.  How many pairs carry a key is a polynomial in the multiplicities; a key whose count
vanishes identically does not exist.  Where the norm of the weights is not fixed, the overlap of a replica with itself is a
key too, ``(SELF, species, species)``; each replica counts as half a pair, as in :math:`\tfrac12 \sum_a \hat Q_{aa} Q_{aa}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from replica.errors import UnsupportedAnsatz

if TYPE_CHECKING:
    from sympy import Expr

Key = tuple[str, str, str]
Path = tuple[int, ...]

SELF = "(self)"
"""In place of a node, in the key of the overlap of a replica with itself."""

_AT_DISTANCE = "the mean of both norms less 2 distance (in units of the largest squared weight)"


@dataclass(frozen=True)
class Leaf:
    """A species of replicas.

    An ``anchor`` (of multiplicity one) comes before its siblings, which are measured from it; this is declared, not read
    off the multiplicity, since ``m = 1`` is a legitimate limit of an ordinary group.  A ``teacher`` is drawn from the
    prior of the weights and labels the patterns (:mod:`replica.parts.teacher`).  A ``free`` replica obeys no constraint:
    it is a configuration of the weights and nothing more.
    """

    species: str
    anchor: bool = False
    teacher: bool = False
    free: bool = False


@dataclass(frozen=True)
class Node:
    """A named branching point: ``groups`` is a tuple of (multiplicity, subtree)."""

    name: str
    groups: tuple[tuple[str, Leaf | Node], ...]


@dataclass(frozen=True)
class Ansatz:
    """A tree with the names of its overlaps.

    Parameters
    ----------
    name : str
        As on the command line.
    tree : Node
        The replica groups.
    overlaps : tuple of (key, name)
        The symbol of every overlap of the tree; a conjugate is the name with ``hat`` appended.
    vanishing : tuple of str
        Multiplicities that go to zero, the smallest first: the free entropy is per unit of the first.
    imposed : tuple of str
        Overlaps that are parameters of the problem, not extremised.
    meaning : tuple of (name, sentence)
        What each overlap is, for the reader.
    prefixes : tuple of (species, prefix)
        How a species' constraint parameters are called, e.g. ``("ref", "reference_")`` for ``reference_kappa``.
    reference : str
        Name of the ansatz of the problem that this one is conditioned on (what is left of the tree when the smallest
        multiplicity is 0), empty if there is none.
    given : tuple of (name, name there)
        Overlaps that the conditioning problem determines.
    multiplicities : tuple of str
        Symbols that stay in the limit (``m``, ``y``): parameters of the problem.
    zero : tuple of (key, name)
        Overlaps that vanish by a symmetry of the model: no variables, no order parameters.
    extremised : tuple of str
        Those multiplicities that the free entropy is extremised over unless they are given (Parisi's ``m``); the others
        count real replicas.
    norms : tuple of (species, name)
        What the overlap of a replica with itself is called, where the norm of the weights is not fixed; ``Q`` for an only
        species and ``Q_species`` for several where nothing is declared.
    """

    name: str
    tree: Node
    overlaps: tuple[tuple[Key, str], ...]
    vanishing: tuple[str, ...] = ("n",)
    imposed: tuple[str, ...] = ()
    meaning: tuple[tuple[str, str], ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()
    reference: str = ""
    given: tuple[tuple[str, str], ...] = ()
    multiplicities: tuple[str, ...] = ()
    zero: tuple[tuple[Key, str], ...] = ()
    extremised: tuple[str, ...] = ()
    norms: tuple[tuple[str, str], ...] = ()

    def with_free_norms(self) -> Ansatz:
        """The ansatz with the overlap of a replica with itself as an order parameter of every species."""
        # the norm of a replica without a constraint follows from the others, unless a distance from it is imposed
        measured = {s for key, name in self.names().items() if name in self.imposed for s in key[1:]}
        species = [s for s in species_below(self.tree) if s in measured or s not in self.free_species()]
        known = dict(self.norms) if self.norms else {s: f"Q_{s}" if len(species) > 1 else "Q" for s in species}
        overlaps = tuple(((SELF, s, s), known[s]) for s in species)
        if any(key in self.names() for key, _ in overlaps):
            return self
        meaning = tuple((name, f"squared norm of a replica per weight{f' ({s})' if len(species) > 1 else ''}")
                        for (_, s, _), name in overlaps)  # fmt: skip
        # what is left of the tree without the smallest multiplicity has one species fewer, whose norm is given too
        left = species_below(prune(self.tree, self.vanishing[0])) if self.given else []
        given = tuple((known[s], "Q" if len(left) == 1 else f"Q_{s}") for s in left)
        # |w - w'|^2 = 4 d scale N with the largest squared weight as scale: half the sum of the norms is left at distance 0
        told = tuple((name, text.replace("1 - 2 distance", _AT_DISTANCE)) for name, text in self.meaning)
        return replace(
            self,
            overlaps=(*self.overlaps, *overlaps),
            meaning=(*told, *meaning),
            given=(*self.given, *given),
        )

    def norm(self, species: str) -> str | None:
        """The name of the overlap of a replica of this species with itself, None where it is 1."""
        return self.names().get((SELF, species, species))

    def prefix(self, species: str) -> str:
        """The prefix of a species' constraint parameters."""
        return dict(self.prefixes).get(species, "")

    def free_species(self) -> set[str]:
        """The species that obey no constraint."""
        return {leaf.species for _, leaf in leaf_paths(self.tree) if leaf.free}

    def is_spectator(self, key: Key) -> bool:
        """Whether an overlap has no say: one of its replicas is free, and it is not imposed, so that its conjugate is 0."""
        named = self.names().get(key) in self.imposed or (key[0] == SELF and key in self.names())
        return bool(self.free_species() & {key[1], key[2]}) and not named

    def names(self) -> dict[Key, str]:
        """Overlap names by key, in the order of their declaration."""
        return {(node, *_pair(a, b)): name for (node, a, b), name in self.overlaps}

    def zero_names(self) -> dict[Key, str]:
        """The names of the overlaps that vanish by symmetry, by key."""
        return {(node, *_pair(a, b)): name for (node, a, b), name in self.zero}

    def counts(self) -> dict[Key, Expr]:
        """Number of replica pairs of every overlap that neither vanishes by symmetry nor is an unnamed spectator."""
        named, zero = self.names(), self.zero_names()
        return {
            key: count
            for key, count in pair_counts(self.tree, has_free_norms(self)).items()
            if key in named or not (key in zero or self.is_spectator(key))
        }

    def conjugate_names(self) -> dict[Key, str]:
        """Conjugate names by key."""
        return {key: conjugate(name) for key, name in self.names().items()}


def conjugate(name: str) -> str:
    """The name of the conjugate of an overlap (``q0`` gives ``q0hat``)."""
    return name + "hat"


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a <= b else (b, a)


def leaf_paths(node: Node) -> Iterator[tuple[Path, Leaf]]:
    """Every leaf type with its path of group indices."""
    for index, (_, child) in enumerate(node.groups):
        if isinstance(child, Leaf):
            yield (index,), child
        else:
            for path, leaf in leaf_paths(child):
                yield (index, *path), leaf


def nodes_along(tree: Node, path: Path) -> list[Node]:
    """The nodes passed on the way to a leaf, root first."""
    nodes = [tree]
    for index in path[:-1]:
        child = nodes[-1].groups[index][1]
        assert isinstance(child, Node)
        nodes.append(child)
    return nodes


def species_below(node: Node) -> list[str]:
    """The species of the leaves below a node, without repetition, in order."""
    return list(dict.fromkeys(leaf.species for _, leaf in leaf_paths(node)))


def anchors_of(node: Node) -> list[str]:
    """The species of the anchors among the children of a node."""
    return [child.species for _, child in node.groups if isinstance(child, Leaf) and child.anchor]


@cache
def multiplicity(text: str) -> Expr:
    """The multiplicity as a sympy expression."""
    from replica.parts.parse import parse_expression

    return parse_expression(text, None)


@dataclass(frozen=True)
class PairClass:
    """One way in which two replicas of given leaf types can part: at ``depth``, into two groups or two copies."""

    key: Key
    count: Expr
    first: Path
    second: Path
    depth: int


def pair_classes(tree: Node, norms: bool = False) -> list[PairClass]:
    """All classes of replica pairs with their key and number of pairs (a polynomial in the multiplicities).

    With ``norms`` also every replica with itself, as half a pair.
    """
    import sympy as sp

    leaves = list(leaf_paths(tree))
    classes = []
    if norms:
        for path, leaf in leaves:
            nodes = nodes_along(tree, path)
            count = sp.prod([multiplicity(node.groups[g][0]) for node, g in zip(nodes, path, strict=True)])
            classes.append(PairClass((SELF, leaf.species, leaf.species), sp.expand(count / 2), path, path, len(path)))
    for i, (path_a, leaf_a) in enumerate(leaves):
        nodes_a = nodes_along(tree, path_a)
        mult_a = [multiplicity(node.groups[g][0]) for node, g in zip(nodes_a, path_a, strict=True)]
        for path_b, leaf_b in leaves[i:]:
            nodes_b = nodes_along(tree, path_b)
            mult_b = [multiplicity(node.groups[g][0]) for node, g in zip(nodes_b, path_b, strict=True)]
            shared = 0
            while shared < min(len(path_a), len(path_b)) and path_a[shared] == path_b[shared]:
                shared += 1
            half = sp.Rational(1, 2) if path_a == path_b else sp.Integer(1)
            for depth in range(shared + (path_a != path_b)):
                above = sp.prod(mult_a[:depth])
                if depth < shared:
                    here = mult_a[depth] * (mult_a[depth] - 1)
                    below = sp.prod(mult_a[depth + 1 :]) * sp.prod(mult_b[depth + 1 :])
                else:
                    here = sp.Integer(1)
                    below = sp.prod(mult_a[depth:]) * sp.prod(mult_b[depth:])
                count = sp.expand(half * above * here * below)
                if count != 0:
                    key = (nodes_a[depth].name, *_pair(leaf_a.species, leaf_b.species))
                    classes.append(PairClass(key, count, path_a, path_b, depth))
    return classes


def replica_count(tree: Node) -> Expr:
    """The number of constrained replicas, a polynomial in the multiplicities."""
    import sympy as sp

    counts = [
        sp.prod([multiplicity(node.groups[g][0]) for node, g in zip(nodes_along(tree, path), path, strict=True)])
        for path, leaf in leaf_paths(tree)
        if not leaf.free
    ]
    return sp.expand(sp.Add(*counts))


def pair_counts(tree: Node, norms: bool = False) -> dict[Key, Expr]:
    """Number of replica pairs of every existing overlap; they sum to R(R-1)/2 for R replicas in total.

    With ``norms`` also half of every replica, which makes it R R/2.
    """
    import sympy as sp

    counts: dict[Key, Expr] = {}
    for pair in pair_classes(tree, norms):
        counts[pair.key] = sp.expand(counts.get(pair.key, sp.Integer(0)) + pair.count)
    return {key: count for key, count in counts.items() if count != 0}


def has_free_norms(ansatz: Ansatz) -> bool:
    """Whether the overlap of a replica with itself is an order parameter."""
    return any(node == SELF for node, _, _ in ansatz.names())


def check_tree(ansatz: Ansatz) -> None:
    """Refuse a tree whose declaration is inconsistent, with one sentence."""
    counts, names = ansatz.counts(), ansatz.names()
    if missing := [key for key in counts if key not in names]:
        raise UnsupportedAnsatz(f"The ansatz {ansatz.name} gives no name to the overlap {missing[0]}.")
    if unknown := [key for key in names if key not in counts]:
        raise UnsupportedAnsatz(f"The ansatz {ansatz.name} names an overlap {unknown[0]} that no pair of replicas has.")
    if len(set(names.values())) < len(names):
        raise UnsupportedAnsatz(f"The ansatz {ansatz.name} uses one name for two overlaps.")
    for path, leaf in leaf_paths(ansatz.tree):
        if leaf.anchor and multiplicity(nodes_along(ansatz.tree, path)[-1].groups[path[-1]][0]) != 1:
            raise UnsupportedAnsatz(f"The anchor {leaf.species} of the ansatz {ansatz.name} must have multiplicity 1.")
    _check_regression(ansatz, counts)


def _check_regression(ansatz: Ansatz, counts: dict[Key, Expr]) -> None:
    """Refuse a tree in which some overlap would have no variable of its own to come from."""
    anchors: dict[str, set[str]] = {}
    for path, _ in leaf_paths(ansatz.tree):
        for node in nodes_along(ansatz.tree, path):
            anchors.setdefault(node.name, set()).update(anchors_of(node))
    for name, species in anchors.items():
        if len(species) > 1:
            raise UnsupportedAnsatz(f"The node {name} of the ansatz {ansatz.name} has two anchors; it takes one.")
        if any((name, s, s) in counts for s in species):
            raise UnsupportedAnsatz(
                f"The anchor of the node {name} of the ansatz {ansatz.name} has replicas of its own species beside it; "
                "give it a node of its own."
            )
    for name, s, t in counts:
        if s != t and not ({s, t} & anchors[name] or {(name, s, s), (name, t, t)} & counts.keys()):
            raise UnsupportedAnsatz(
                f"The species {s} and {t} of the ansatz {ansatz.name} meet at the node {name} once each; declare one of "
                "them as an anchor."
            )


def prune(tree: Node, vanishing: str) -> Node:
    """What is left of the tree when one multiplicity is 0: the problem that the ansatz is conditioned on."""
    groups: dict[Leaf | Node, Expr] = {}
    for text, child in tree.groups:
        if multiplicity(text).subs(vanishing, 0) == 0:
            continue
        rest: Leaf | Node = prune(child, vanishing) if isinstance(child, Node) else child
        if isinstance(rest, Node) and len(rest.groups) == 1 and multiplicity(rest.groups[0][0]) == 1:
            rest = rest.groups[0][1]
        if isinstance(rest, Leaf) and not rest.teacher:
            rest = Leaf(rest.species, free=rest.free)
        groups[rest] = groups.get(rest, 0) + multiplicity(text)
    return Node(tree.name, tuple((str(mult), child) for child, mult in groups.items()))
