"""What a model does to a tree of replicas before anything is derived.

A teacher becomes a replica of its own (:mod:`replica.parts.teacher`).  A model that is symmetric under a change of sign of
the weights has typical configurations in pairs ``w, -w``: replicas whose branches part at the root have overlap 0 where
one of the branches is free to change its sign.  These overlaps are set to it, so that they are neither variables nor order
parameters.  Where the weights do not fix their norm, the overlap of a replica with itself becomes an order parameter.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from replica.ansatz import Ansatz, Node, pair_classes, species_below
from replica.errors import InputError
from replica.parts.teacher import ansatz_of

if TYPE_CHECKING:
    from replica.model import Model


@lru_cache(maxsize=256)
def adapt(model: Model, ansatz: Ansatz) -> Ansatz:
    """Return the ansatz as this model needs it; the ansatz itself if nothing is to be done.

    Raises
    ------
    InputError
        If the architecture or a teacher takes weights of fixed norm only, and these are not.
    """
    if not model.weights.unit_norm:
        if getattr(model, "teacher", False) or not getattr(model.architecture, "any_norm", False):
            part = "teacher" if getattr(model, "teacher", False) else f"architecture {model.architecture.name}"
            raise InputError(f"The {part} of {model.name} takes weights of fixed norm, unlike {model.weights.name} weights.")
        ansatz = ansatz.with_free_norms()
    ansatz = ansatz_of(model, ansatz)
    if model.weights.discrete:
        ansatz = without_spectators(ansatz)
    return without_root(ansatz, {s for s in species_below(ansatz.tree) if is_even(model.obeyed(ansatz.prefix(s)))})


def is_even(model: Model) -> bool:
    """Return whether a configuration and its negative are equivalent."""
    symmetric = set(model.weights.values) == {-value for value in model.weights.values}
    symmetric &= getattr(model.weights, "symmetric", True)
    even = getattr(model.constraint, "even", False) and not getattr(model, "teacher", False)
    return bool(even and symmetric and getattr(model.architecture, "odd", False))


def without_spectators(ansatz: Ansatz) -> Ansatz:
    """Return the ansatz without overlaps that nothing depends on; in a determinant they are extremised instead."""
    seen = tuple(entry for entry, key in zip(ansatz.overlaps, ansatz.names(), strict=True) if not ansatz.is_spectator(key))
    return ansatz if seen == ansatz.overlaps else replace(ansatz, overlaps=seen)


def without_root(ansatz: Ansatz, even: set[str]) -> Ansatz:
    """Return the ansatz with overlaps that part at the root set to 0, where one branch has replicas of even species only."""
    if not even:
        return ansatz
    root, free = ansatz.tree.name, set()
    for pair in pair_classes(ansatz.tree):
        branches = (ansatz.tree.groups[path[0]][1] for path in (pair.first, pair.second))
        if pair.key[0] == root and any({*species_below(Node("branch", (("1", b),)))} <= even for b in branches):
            free.add(pair.key)
    zero = tuple(entry for entry, key in zip(ansatz.overlaps, ansatz.names(), strict=True) if key in free)
    if not zero:
        return ansatz
    names = {name for _, name in zero}
    return replace(
        ansatz,
        overlaps=tuple(entry for entry in ansatz.overlaps if entry not in zero),
        zero=(*ansatz.zero, *zero),
        imposed=tuple(name for name in ansatz.imposed if name not in names),
        given=tuple((here, there) for here, there in ansatz.given if here not in names),
    )
