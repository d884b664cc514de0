r"""The teacher of a model, as a transformation of any ansatz.

A teacher is a configuration drawn from the weights' own prior; its output labels the patterns, and every student is
measured on the labelled pattern.  In the replicated average it is one more replica, at the root of the tree,

    root[(n, w)]  becomes  root[(1, teacher), (n, w)],

an anchor whose factor :math:`2\,\theta(h)` stands for the two labels (each pattern may be taken with the positive one).
Every species then has an overlap with it: ``r``, and ``r`` with the initial of its prefix for a species whose parameters
have one (``rr`` for the reference of a Franz-Parisi entropy).
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from replica.ansatz import Ansatz, Leaf, Node, anchors_of, leaf_paths, species_below

if TYPE_CHECKING:
    import sympy as sp

    from replica.model import Model

SPECIES = "teacher"
_FREE_LETTERS = "kljubvg"


def label_factor(fld: sp.Expr) -> sp.Expr:
    r"""Return the teacher's factor :math:`2\,\theta(h)`: the two labels of a pattern, taken with the right sign."""
    from replica.expr import Step

    return 2 * Step(fld)


def ansatz_of(model: Model, ansatz: Ansatz) -> Ansatz:
    """Return the ansatz as the model needs it: with a teacher if the model has one."""
    return with_teacher(ansatz) if getattr(model, "teacher", False) else ansatz


def teacher_overlap(ansatz: Ansatz) -> str:
    """Return the name of the overlap of the student (the species without a prefix) with the teacher, or an empty string."""
    students = [s for s in species_below(ansatz.tree) if s != SPECIES and not ansatz.prefix(s)]
    for (_, a, b), name in ansatz.overlaps:
        if SPECIES in (a, b) and students and students[-1] in (a, b):
            return name
    return ""


def generalization_error(model: Model, overlap: float) -> float:
    r"""Return the probability of a wrong answer, :math:`\arccos(r)/\pi` with the correlation ``r`` of the two fields."""
    covariance = model.architecture.covariance
    correlation = float(covariance(overlap)) / float(covariance(1.0))
    return math.acos(min(1.0, max(-1.0, correlation))) / math.pi


def nishimori(model: Model, ansatz: Ansatz) -> tuple[dict[str, float | str], list[tuple[str, str]]]:
    """Return where students are drawn from the posterior of the teacher, and the overlaps that are then equal.

    With all parameters of the constraint at 0 (an inverse temperature at ``"inf"``) its factor may be that of the teacher
    (a threshold without margin).  Then teacher and student are exchangeable: the overlap of a student with the teacher is
    that of two independent students (Nishimori), which rules out every other saddle.  Both are empty where this says
    nothing.
    """
    import sympy as sp

    if not getattr(model, "teacher", False) or ansatz.imposed or ansatz.multiplicities:
        return {}, []
    fld = sp.Symbol("field")
    hard = getattr(model.constraint, "hard", model.constraint)
    origin: dict[str, float | str] = {k: 0.0 if k in hard.parameters else "inf" for k in model.constraint.parameters}
    same = hard.factor(fld, dict.fromkeys(hard.parameters, sp.Integer(0)))
    if sp.simplify(label_factor(fld) - 2 * same) != 0:
        return {}, []
    names, root = ansatz.names(), ansatz.tree.name
    students = [s for s in species_below(ansatz.tree) if s != SPECIES and (root, s, s) in names]
    return origin, [(names[root, min(s, SPECIES), max(s, SPECIES)], names[root, s, s]) for s in students]


def with_teacher(ansatz: Ansatz) -> Ansatz:
    """Return the ansatz with a teacher at its root; unchanged if it has one.

    Multiplicities that are called like one of the new overlaps are renamed.
    """
    if any(leaf.teacher for _, leaf in leaf_paths(ansatz.tree)):
        return ansatz
    species = species_below(ansatz.tree)
    names = _names(ansatz, species)
    tree, vanishing, stays = ansatz.tree, ansatz.vanishing, ansatz.multiplicities
    for taken in {*names.values()} & {*vanishing, *stays}:
        letter = _unused(ansatz, {*names.values()})
        tree = _renamed(tree, taken, letter)
        vanishing = tuple(letter if name == taken else name for name in vanishing)
        stays = tuple(letter if name == taken else name for name in stays)
    teacher = ("1", Leaf(SPECIES, anchor=True, teacher=True))
    # a node takes one anchor: that of the old root keeps the root, and the teacher gets a node above
    root = Node(SPECIES, (teacher, ("1", tree))) if anchors_of(tree) else Node(tree.name, (teacher, *tree.groups))
    overlaps = tuple(((root.name, *sorted((SPECIES, s))), names[s]) for s in species)
    return replace(
        ansatz,
        tree=root,
        overlaps=(*ansatz.overlaps, *overlaps),  # type: ignore[arg-type]
        vanishing=vanishing,
        multiplicities=stays,
        meaning=(*ansatz.meaning, *((names[s], _meaning(ansatz, s, species)) for s in species)),
        given=(*ansatz.given, *_given(ansatz, species, names)),
    )


def _names(ansatz: Ansatz, species: list[str]) -> dict[str, str]:
    """A name for the overlap of every species with the teacher, different from all that are taken."""
    taken = {*ansatz.names().values(), *ansatz.conjugate_names().values()}
    names: dict[str, str] = {}
    for s in species:
        name = "r" + ansatz.prefix(s)[:1]
        if name in taken or name in names.values():
            name = f"r_{s}"
        names[s] = name
    return names


def _meaning(ansatz: Ansatz, species: str, all_species: list[str]) -> str:
    who = "a solution" if len(all_species) == 1 else f"a {'reference solution' if ansatz.prefix(species) else species}"
    return f"overlap of {who} with the teacher"


def _given(ansatz: Ansatz, species: list[str], names: dict[str, str]) -> list[tuple[str, str]]:
    """The teacher overlaps that the conditioning problem determines: those of the species with a prefix."""
    if not ansatz.reference:
        return []
    return [(names[s], "r") for s in species if ansatz.prefix(s)]


def _unused(ansatz: Ansatz, names: set[str]) -> str:
    taken = {*names, *ansatz.names().values(), *ansatz.vanishing, *ansatz.multiplicities}
    return next(letter for letter in _FREE_LETTERS if letter not in taken)


def _renamed(tree: Node, old: str, new: str) -> Node:
    """The tree with one symbol of its multiplicities renamed."""
    groups = [
        (re.sub(rf"\b{old}\b", new, text), child if isinstance(child, Leaf) else _renamed(child, old, new))
        for text, child in tree.groups
    ]
    return Node(tree.name, tuple(groups))
