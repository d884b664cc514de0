r"""Is a replica-symmetric saddle stable?  The sign of its replicon (de Almeida & Thouless 1978), and a sentence.

The replicon of a group of replicas is one minus the load times both factors that the derivation supplies.  A conditioned
problem has two groups that can break: the replicas around which it is conditioned, and its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from saddle.kernels.quadrature import Rule

if TYPE_CHECKING:
    from saddle.points.problem import Problem, State
    from saddle.points.results import SaddlePoint

_SIGN = Rule(0.4, 8.0)
"""A rule for signs: four digits."""
_UNDECIDED = 1e-2
"""Replicons for whose sign four digits are too few."""
NO_CRITERION = "No stability criterion applies: no group of replicas has an overlap of its own that could split."
UNSTABLE = "The replica-symmetric saddle is unstable here (negative replicon): replica symmetry is broken."
_UNSTABLE_REFERENCE = (
    "The reference's replica-symmetric saddle is unstable (negative replicon): replica symmetry is broken among the "
    "solutions that it is typical of."
)
_UNSTABLE_PROBES = (
    "The probes' replica-symmetric saddle is unstable (negative replicon): replica symmetry is broken around the reference."
)


@dataclass(frozen=True)
class Stability:
    """Whether a saddle is stable (None where no criterion applies), the sentence that belongs to it, and the warnings."""

    stable: bool | None
    reason: str = ""
    warnings: tuple[str, ...] = ()


_STABLE, _UNSTABLE = Stability(True), Stability(False, "", (UNSTABLE,))


def of_replicon(replicon: float | None) -> Stability:
    """Stability of a single group of replicas."""
    if replicon is None:
        return Stability(None, NO_CRITERION)
    return _STABLE if replicon > 0.0 else _UNSTABLE


def of_conditioned(problem: Problem, state: State, reference: SaddlePoint | None) -> Stability:
    """Stability of a saddle around a reference: of the reference's own saddle and of the probes'."""
    own = problem.observables(state, _SIGN)["replicons"] if problem.meta["replicons"] else {}
    if own and not abs(min(own.values())) > _UNDECIDED:
        own = problem.observables(state, Rule())["replicons"]
    signs = {_UNSTABLE_PROBES: min(own.values()) > 0.0} if own else {}
    before = reference.observables.get("stable") if reference is not None else None
    if isinstance(before, bool):
        signs[_UNSTABLE_REFERENCE] = before
    if not signs:
        return Stability(None, NO_CRITERION)
    return Stability(all(signs.values()), "", tuple(text for text, stable in signs.items() if not stable))
