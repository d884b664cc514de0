r"""Relations between an ansatz and simpler ones, found from its tree and held against it in numbers.

* *flat node*: where the overlaps of a node equal those of its parent, the node does nothing: 1RSB at
  :math:`q_1 = q_0` is replica symmetric, a probe at :math:`p = t` does not know its reference;
* *single copy*: a multiplicity that makes a node's only group a single subtree (:math:`m = 1`) removes the node;
* *typical probes*: where all overlaps between probes and references are equal, what is left is the entropy of the probes
  alone, at zero slope, also at the 0/0 point where all overlaps meet;
* *reference*: with the smallest multiplicity at 0 the tree is that of the reference, whose equations are shared.

Each gives a reduced ansatz, derived on its own, and a point where both must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica.ansatz import SELF, Ansatz, Key, Leaf, Node, conjugate, multiplicity, pair_counts, prune, species_below
from saddle.checking.oracle import affordable, number
from saddle.checking.outcome import Check, Tally

if TYPE_CHECKING:
    import sympy as sp

    from replica.free_entropy import FreeEntropy

_DIGITS = 10
_NEAR = 2.0**-20
"""Distance from the point where all overlaps meet and the regression is 0/0."""
_TINY = 2.0**-40
"""A pivot that other species load on is this instead of 0."""


@dataclass(frozen=True)
class Reduction:
    """A claim: at ``values`` (which replace those of a point) the ansatz equals ``reduced``.

    ``names`` maps overlaps of the ansatz to those of the reduced one whose pair averages they share; ``entropy`` tells
    whether the free entropies agree too.
    """

    name: str
    reduced: Ansatz
    values: dict[str, float]
    names: dict[str, str]
    entropy: bool = True


def reduction_checks(f: FreeEntropy, point: Mapping[str, float]) -> list[Check]:
    """Return every reduction of a free entropy, held against numbers; none for a tree that is as simple as can be."""
    zero = f.ansatz.zero_names().values()
    possible = [r for r in reductions(f.ansatz, point) if not any(r.values.get(name, 0.0) for name in zero)]
    possible = [r for r in possible if r.entropy or not f.energetic_pairs.keys().isdisjoint(r.names)]
    checks = [_held(f, reduction, point) for reduction in possible]
    return [*checks, *_named_reference(f, point)]


def _held(f: FreeEntropy, reduction: Reduction, point: Mapping[str, float]) -> Check:
    from replica.derivation import derive

    simple, values, tally = derive(f.model, reduction.reduced), {**point, **reduction.values}, Tally()
    shared = {name: other for name, other in reduction.names.items() if other in simple.energetic_pairs}
    for name in reduction.names.keys() - shared.keys():
        # the reduced tree has this overlap at its root, where it vanishes by symmetry
        for vanishing in (name, *_bounded_by(f.ansatz, name)):
            values |= {vanishing: _TINY, conjugate(vanishing): _TINY}

    def compare(label: str, mine: sp.Expr, other: sp.Expr) -> None:
        found = number(mine, values, f.definitions, _DIGITS)
        tally.compare(label, found, number(other, values, simple.definitions, _DIGITS))

    if reduction.entropy:
        compare("patterns", f.energetic, simple.energetic)
        compare("interaction + weights", f.interaction + f.entropic, simple.interaction + simple.entropic)
    for name, other in shared.items():
        if name not in f.energetic_pairs:
            continue
        compare(f"<gg> of {name}", f.energetic_pairs[name], simple.energetic_pairs[other])
        if f.model.weights.discrete:
            compare(f"<ww> of {name}", f.weight_pairs[name], simple.weight_pairs[other])
    return tally.outcome(f"reduction: {reduction.name}", 10.0 ** (2 - min(_DIGITS, affordable(f.energetic))))


def _bounded_by(ansatz: Ansatz, name: str) -> list[str]:
    """Overlaps of other species with this one, at its node or above: they vanish where the overlap with itself does."""
    level = {node.name: i for i, node in enumerate(_nodes(ansatz.tree))}
    names = ansatz.names() | ansatz.zero_names()
    node, species, _ = next(key for key, own in names.items() if own == name)
    mixed = (key for key in names if key[0] in level and key[1] != key[2] and species in key[1:])
    return [names[key] for key in mixed if level[key[0]] <= level[node]]


def _named_reference(f: FreeEntropy, point: Mapping[str, float]) -> list[Check]:
    """The ansatz named as the reference against what is left of the tree: same shape, same equations."""
    from replica import zoo
    from replica.derivation import derive

    if f.ansatz.reference not in zoo.ANSATZE:
        return []
    left = pruned(f.ansatz)
    prefix = max((f.ansatz.prefix(s) for s in species_below(left.tree)), key=len)  # a teacher has none
    model = f.model.obeyed(prefix)
    tally, named = Tally(), derive(model, f.ansatz.reference)
    names = dict(f.ansatz.given)
    tally.require("the pruned tree has another shape", same_shape(left.tree, named.ansatz.tree))
    tally.require("the overlaps given are not those of the pruned tree", set(names) == {n for _, n in left.overlaps})
    if not names:
        return []
    outcome = f"reduction: the reference is {f.ansatz.reference}"
    if tally.worst:
        return [tally.outcome(outcome, 0.0)]
    values = {**point, **{name: point[prefix + name] for name in model.constraint.parameters}}
    for here, there in names.items():
        values |= {there: point[here], conjugate(there): point[conjugate(here)]}
    for here, there in names.items():
        found = number(f.energetic_pairs[here], point, f.definitions, _DIGITS)
        expected = number(named.energetic_pairs[there], values, named.definitions, _DIGITS)
        tally.compare(f"<gg> of {here} and {there}", found, expected)
    return [tally.outcome(outcome, 10.0 ** (2 - _DIGITS))]


def reductions(ansatz: Ansatz, point: Mapping[str, float]) -> list[Reduction]:
    """Return every reduction of this ansatz, near a point; overlaps that vanish by symmetry are treated like others."""
    ansatz = replace(ansatz, overlaps=(*ansatz.overlaps, *ansatz.zero), zero=())
    return [*_flat(ansatz, point), *_single(ansatz, point), *_typical(ansatz, point), *_reference(ansatz)]


def _flat(ansatz: Ansatz, point: Mapping[str, float]) -> Iterator[Reduction]:
    names = ansatz.names()
    for parent, node in _edges(ansatz.tree):
        values: dict[str, float] = {}
        renamed: dict[Key, str] = {}
        shared: dict[str, str] = {}
        for key, name in names.items():
            if key[0] != node:
                continue
            above: Key = (parent, key[1], key[2])
            if above in names:
                values |= _both(name, names[above], point)
                shared[name] = names[above]
            else:
                renamed[above] = name
        if not shared:
            continue
        if any(key[0] == node and key[1] != key[2] for key in names):
            values |= {k: v + _TINY for k, v in values.items() if _own(k.removesuffix("hat"), ansatz)}
        tree = _flattened(ansatz.tree, node)
        table = {key: name for key, name in names.items() if key[0] != node} | renamed
        reduced = _reduced(ansatz, tree, table, f"without {node}")
        names_left = {name: name for _, name in reduced.overlaps}
        equal = ", ".join(f"{name} = {above}" for name, above in shared.items())
        yield Reduction(f"{equal} merges {node} into {parent}", reduced, values, names_left | shared)


def _own(name: str, ansatz: Ansatz) -> bool:
    """Whether an overlap is between replicas of one species."""
    return next(key[1] == key[2] for key, own in ansatz.names().items() if own == name)


def _both(name: str, source: str, point: Mapping[str, float]) -> dict[str, float]:
    return {name: point[source], conjugate(name): point[conjugate(source)]}


def _single(ansatz: Ansatz, point: Mapping[str, float]) -> Iterator[Reduction]:
    import sympy as sp

    stay = {sp.Symbol(name) for name in ansatz.multiplicities}
    sizes = {multiplicity(node.groups[0][0]) for node in _nodes(ansatz.tree) if len(node.groups) == 1}
    for size in sorted(sizes, key=str):
        if not size.free_symbols or not size.free_symbols <= stay:
            continue
        symbol = min(size.free_symbols, key=lambda s: ansatz.multiplicities.index(s.name))
        solution = sp.solve(size - 1, symbol)[0]
        tree = _collapsed(_substituted(ansatz.tree, symbol, solution))
        counts = pair_counts(tree, norms=True)
        table = {key: name for key, name in ansatz.names().items() if key in counts}
        reduced = _reduced(ansatz, tree, table, f"{symbol} = {solution}")
        reduced = replace(reduced, multiplicities=tuple(n for n in ansatz.multiplicities if n != symbol.name))
        value = float(solution.subs({s: point[s.name] for s in solution.free_symbols}))
        names = {name: name for name in table.values()}
        yield Reduction(f"{symbol} = {solution} leaves single copies", reduced, {symbol.name: value}, names)


def _typical(ansatz: Ansatz, point: Mapping[str, float]) -> Iterator[Reduction]:
    if len(ansatz.vanishing) < 2:
        return
    reference = set(species_below(prune(ansatz.tree, ansatz.vanishing[0])))
    rest = _without(ansatz.tree, reference)
    if rest is None or not set(species_below(ansatz.tree)) - reference:
        return
    tree = _collapsed(rest)
    names = ansatz.names()
    crossing = [key for key in names if (key[1] in reference) != (key[2] in reference)]
    counts = pair_counts(tree, norms=True)
    table = {key: name for key, name in names.items() if key in counts}
    reduced = replace(_reduced(ansatz, tree, table, "probes"), vanishing=ansatz.vanishing[:1])
    top: dict[tuple[str, str], str] = {}
    for key in sorted(crossing, key=lambda key: point[names[key]]):
        top.setdefault(key[1:], names[key])
    values: dict[str, float] = {}
    for key in crossing:
        values |= _both(names[key], top[key[1:]], point)
    left = {name: name for name in table.values()}
    yield Reduction("typical probes: the entropy of probes alone", reduced, values, left)
    level = {node.name: i for i, node in enumerate(_nodes(ansatz.tree))}
    meeting = {name: 0.5 + _TINY * level[key[0]] for key, name in names.items() if key[0] != SELF}
    meeting |= {names[key]: 0.5 - _NEAR for key in crossing}
    hats = {name: value for name, value in values.items() if name.endswith("hat")}
    yield Reduction("typical probes where all overlaps meet", reduced, hats | meeting, left)


def _reference(ansatz: Ansatz) -> Iterator[Reduction]:
    if len(ansatz.vanishing) < 2:
        return
    reduced = pruned(ansatz)
    names = {name: name for _, name in reduced.overlaps}
    yield Reduction("the pruned tree has the same equations", reduced, {}, names, entropy=False)


def pruned(ansatz: Ansatz) -> Ansatz:
    """The ansatz that is left when the smallest multiplicity is 0."""
    tree = prune(ansatz.tree, ansatz.vanishing[0])
    counts = pair_counts(tree, norms=True)
    table = {key: name for key, name in {**ansatz.names(), **ansatz.zero_names()}.items() if key in counts}
    return replace(_reduced(ansatz, tree, table, "pruned"), vanishing=ansatz.vanishing[1:])


def same_shape(a: Node | Leaf, b: Node | Leaf) -> bool:
    """Whether two trees agree up to the names of nodes and species and the order of groups."""
    import sympy as sp

    if isinstance(a, Leaf) or isinstance(b, Leaf):
        return isinstance(a, Leaf) and isinstance(b, Leaf) and a.anchor == b.anchor
    rest = list(b.groups)
    for text, child in a.groups:
        match = [g for g in rest if sp.cancel(multiplicity(text) - multiplicity(g[0])) == 0 and same_shape(child, g[1])]
        if not match:
            return False
        rest.remove(match[0])
    return not rest


def _reduced(ansatz: Ansatz, tree: Node, table: Mapping[Key, str], suffix: str) -> Ansatz:
    counts = pair_counts(tree, norms=True)
    overlaps = tuple((key, name) for key, name in table.items() if key in counts)
    return replace(
        ansatz, name=f"{ansatz.name} {suffix}", tree=tree, overlaps=overlaps, zero=(), imposed=(), reference="", given=()
    )


def _nodes(tree: Node) -> Iterator[Node]:
    yield tree
    for _, child in tree.groups:
        if isinstance(child, Node):
            yield from _nodes(child)


def _edges(tree: Node) -> list[tuple[str, str]]:
    """Parent and child of every pair of nodes, without repetition."""
    found = [(node.name, child.name) for node in _nodes(tree) for _, child in node.groups if isinstance(child, Node)]
    return list(dict.fromkeys(found))


def _merged(name: str, groups: list[tuple[sp.Expr, Node | Leaf]]) -> Node:
    """A node with equal children joined."""
    total: dict[Node | Leaf, sp.Expr] = {}
    for count, child in groups:
        total[child] = total.get(child, 0) + count
    return Node(name, tuple((str(count.cancel()), child) for child, count in total.items()))


def _flattened(tree: Node, name: str) -> Node:
    """The tree with the groups of the nodes of this name given to their parents; their anchors become ordinary."""
    groups: list[tuple[sp.Expr, Node | Leaf]] = []
    for text, child in tree.groups:
        if isinstance(child, Leaf):
            groups.append((multiplicity(text), child))
        elif child.name != name:
            groups.append((multiplicity(text), _flattened(child, name)))
        else:
            inside = _flattened(child, name)
            for count, below in inside.groups:
                left = replace(below, anchor=False) if isinstance(below, Leaf) else below
                groups.append((multiplicity(text) * multiplicity(count), left))
    return _merged(tree.name, groups)


def _substituted(tree: Node, symbol: sp.Symbol, value: sp.Expr) -> Node:
    groups = []
    for text, child in tree.groups:
        below = child if isinstance(child, Leaf) else _substituted(child, symbol, value)
        groups.append((multiplicity(text).subs(symbol, value), below))
    return _merged(tree.name, groups)


def _collapsed(tree: Node) -> Node:
    """The tree without nodes that hold one single subtree."""
    groups: list[tuple[sp.Expr, Node | Leaf]] = []
    for text, child in tree.groups:
        below: Node | Leaf = child
        if isinstance(child, Node):
            below = _collapsed(child)
            if len(below.groups) == 1 and multiplicity(below.groups[0][0]) == 1:
                below = below.groups[0][1]
        groups.append((multiplicity(text), below))
    if len(groups) == 1 and groups[0][0] == 1 and isinstance(groups[0][1], Node):
        return groups[0][1]
    return _merged(tree.name, groups)


def _without(tree: Node, species: set[str]) -> Node | None:
    """The tree without the leaves of these species, None if nothing is left."""
    groups: list[tuple[sp.Expr, Node | Leaf]] = []
    for text, child in tree.groups:
        below = child if isinstance(child, Leaf) else _without(child, species)
        if below is None or (isinstance(below, Leaf) and below.species in species):
            continue
        groups.append((multiplicity(text), below))
    return _merged(tree.name, groups) if groups else None
