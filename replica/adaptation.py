"""What a model does to a tree of replicas before anything is derived.

A teacher becomes a replica of its own (:mod:`replica.teacher`).  A model that is symmetric under a change of sign of
the weights has typical configurations in pairs ``w, -w``: two replicas whose branches part at the root, each free to
change its sign, have overlap 0.  These overlaps are set to it, so that they are neither variables nor order parameters.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from replica.ansatz import Ansatz
from replica.teacher import ansatz_of

if TYPE_CHECKING:
    from replica.model import Model


@lru_cache(maxsize=256)
def adapt(model: Model, ansatz: Ansatz) -> Ansatz:
    """Return the ansatz as this model needs it; the ansatz itself if nothing is to be done."""
    ansatz = ansatz_of(model, ansatz)
    if model.weights.discrete:
        ansatz = without_spectators(ansatz)
    return without_root(ansatz) if is_even(model) else ansatz


def is_even(model: Model) -> bool:
    """Return whether a configuration and its negative are equivalent."""
    symmetric = set(model.weights.values) == {-value for value in model.weights.values}
    even = getattr(model.constraint, "even", False) and not getattr(model, "teacher", False)
    return bool(even and symmetric and getattr(model.architecture, "odd", False))


def without_spectators(ansatz: Ansatz) -> Ansatz:
    """Return the ansatz without overlaps that nothing depends on; in a determinant they are extremised instead."""
    seen = tuple(entry for entry, key in zip(ansatz.overlaps, ansatz.names(), strict=True) if not ansatz.is_spectator(key))
    return ansatz if seen == ansatz.overlaps else replace(ansatz, overlaps=seen)


def without_root(ansatz: Ansatz) -> Ansatz:
    """Return the ansatz with the overlaps of replicas that part at the root set to 0."""
    root = ansatz.tree.name
    zero = tuple(entry for entry in ansatz.overlaps if entry[0][0] == root)
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
