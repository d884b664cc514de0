"""Checks of a derivation that ship with it, for the user's own model and tree too.

Each holds the derived expressions against something that was not used to derive them, at a generic point inside the
domain that is made from the tree: pair counts, explicit replicas at integer multiplicities, small multiplicities,
differences of the free entropy, one more level of the tree, simpler trees, and the compiled kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saddle.checking.outcome import Check

if TYPE_CHECKING:
    from replica.ansatz import Ansatz
    from replica.free_entropy import FreeEntropy
    from replica.model import Model

__all__ = ["Check", "check"]


def check(
    model: Model | FreeEntropy | str, ansatz: Ansatz | str | None = None, *, thorough: bool = False
) -> tuple[Check, ...]:
    """Return the checks of a model under an ansatz (objects or names), or of a free entropy alone.

    Parameters
    ----------
    model : Model, str or FreeEntropy
        A model, the name of one that ships, or what ``replica.derive`` returned.
    ansatz : Ansatz or str, optional
        A tree of replica groups or the name of one; none for a free entropy.
    thorough : bool
        More digits, more replicas and a second point (minutes instead of seconds).

    Raises
    ------
    InputError
        If a name is unknown, a tree is inconsistent, or the arguments fit neither form.
    """
    from saddle.checking.derivatives import gradient_checks, replicon_check
    from saddle.checking.finite import finite_checks, limit_check, pair_counts_check
    from saddle.checking.interior import interior_point
    from saddle.checking.kernels import kernel_checks
    from saddle.checking.reductions import reduction_checks

    f = _free_entropy(model, ansatz)
    found = [pair_counts_check(f)]
    for variant in range(2 if thorough else 1):
        point = interior_point(f, variant)
        found += [
            *finite_checks(f, point, thorough),
            limit_check(f, point),
            *gradient_checks(f, point, 30),
            replicon_check(f, point),
            *reduction_checks(f, point),
            *kernel_checks(f, point),
        ]
    return tuple(found)


def _free_entropy(model: Model | FreeEntropy | str, ansatz: Ansatz | str | None) -> FreeEntropy:
    from replica.derivation import derive
    from replica.errors import InputError
    from replica.free_entropy import FreeEntropy

    if isinstance(model, FreeEntropy):
        if ansatz is not None:
            raise InputError("A free entropy has its ansatz already; check it alone.")
        return model
    if ansatz is None:
        raise InputError("Check a model under an ansatz, or what replica.derive returned.")
    return derive(model, ansatz)
