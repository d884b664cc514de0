"""What a model does to a tree of replicas before anything is derived.

A teacher becomes a replica of its own (:mod:`replica.teacher`).  A model that is symmetric under a change of sign of
the weights has typical configurations in pairs ``w, -w``: two replicas whose branches part at the root, each free to
change its sign, have overlap 0.  These overlaps are set to it, so that they are neither variables nor order parameters.
Where the weights do not fix their norm, the overlap of a replica with itself becomes an order parameter.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from replica.ansatz import Ansatz
from replica.errors import InputError
from replica.teacher import ansatz_of

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
    return without_root(ansatz) if is_even(model) else ansatz


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
