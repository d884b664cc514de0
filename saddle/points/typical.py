r"""The branch of probes around a reference that goes through the typical distance, where every one of them is.

A typical solution for the probes' constraint feels no reference: the overlap of its probes is replica-symmetric, and its
overlap with every replica of the reference is the same, :math:`p = t = \tau` with :math:`\hat p = \hat t`.  What is left is
one equation for :math:`\tau`.  From this saddle the branch is followed both ways, to where it ends; where solutions are few
that is a narrow range of distances, in which no trial without a start arrives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from replica.ansatz import conjugate
from saddle.kernels.quadrature import Rule
from saddle.points.branch import SMALLEST_DISTANCE, ColdStart, ProblemAt, Side, follow
from saddle.points.problem import Problem
from saddle.points.valley import End, Valley

_HALVINGS = 60
_LARGEST_DISTANCE = 0.4999999
_DECADES = tuple(SMALLEST_DISTANCE * 10.0**k for k in range(9))
_FEW = 2
"""How many decades may fail before it is said that no branch starts at small distances."""
_NEXT_TO = 1e-12


@dataclass(frozen=True)
class TypicalBranch:
    """The branch of the typical distance and that of the smallest ones, at fixed parameters but for the distance.

    Parameters
    ----------
    problem_at : callable
        The problem at a distance.
    cold : callable
        A solver without a start, for single problems.
    overlap : float
        The overlap of two typical solutions of the probes' constraint.
    room : float
        The largest overlap that a positive overlap matrix leaves them with the reference.
    rule : Rule
    tolerance : float
    """

    problem_at: ProblemAt
    cold: ColdStart
    overlap: float
    conjugate: float
    room: float
    rule: Rule
    tolerance: float

    @cached_property
    def start(self) -> Side | None:
        """The typical saddle; None where the equations degenerate, as for a reference of the probes' own margin."""
        low, high = 0.0, self.room * (1.0 - _NEXT_TO)
        for _ in range(_HALVINGS):
            tau = 0.5 * (low + high)
            low, high = (tau, high) if self._mapped(tau)[0] > tau else (low, tau)
        tau = 0.5 * (low + high)
        distance, hat = 0.5 * (1.0 - tau), self._mapped(tau)[1]
        if not (0.0 < distance < 0.5 and math.isfinite(hat)):
            return None
        problem = self.problem_at(distance)
        values = self._overlaps(problem, tau)
        hats = {conjugate(name): self.conjugate if name in problem.pivots else hat for name in problem.active}
        x = np.append(problem.to_coordinates({**values, **hats}), math.log(distance))
        found = self.valley.correct(x, len(x) - 1) if np.all(np.isfinite(x)) else None
        return None if found is None or found.state.orientation < 0 else Side(distance, found.state)

    @cached_property
    def valley(self) -> Valley:
        """What follows the branch."""
        return Valley(self.problem_at, self.rule, self.tolerance)

    def _overlaps(self, problem: Problem, tau: float) -> dict[str, float]:
        return {name: self.overlap if name in problem.pivots else tau for name in problem.active}

    def _mapped(self, tau: float) -> tuple[float, float]:
        """The overlap with the reference that follows from an overlap, and the conjugate; nan where there is none."""
        problem = self.problem_at(0.5 * (1.0 - tau))
        place, n = problem.raw_place(self._overlaps(problem, tau)), len(problem.active)
        if min(place.pivots.values()) <= 0.0:
            return math.nan, math.nan
        at = 1 + problem.shape.index[problem.imposed[0]]
        free = 1 + next(i for i, name in enumerate(problem.active) if name in problem.free and name not in problem.pivots)
        hat = problem.alpha * float(problem.call("energetic", problem.energetic_arguments(place), 1 + n, self.rule)[free])
        hats = {conjugate(name): self.conjugate if name in problem.pivots else hat for name in problem.active}
        weights = problem.call("weights", problem.weights_arguments(place, hats), 1 + n, self.rule)
        return float(weights[at]), hat

    @cached_property
    def _upper(self) -> End | None:
        return None if self.start is None else self.valley.follow(self.start, _LARGEST_DISTANCE)

    @cached_property
    def _lower(self) -> End | None:
        return None if self.start is None else self.valley.follow(self.start, SMALLEST_DISTANCE)

    def towards(self, distance: float) -> End | None:
        """How far the branch of the typical distance goes towards a distance; None if that branch is not known."""
        if self.start is None:
            return None
        upwards = distance > self.start.distance
        end = self._upper if upwards else self._lower
        beyond = end is not None and (distance > end.side.distance) == upwards
        if end is not None and beyond and end.how in ("frozen", "fold"):
            return end
        return self.valley.follow(self.start, distance)

    @cached_property
    def smallest(self) -> Side | None:
        """The end of the branch from the smallest distances, where it meets the typical distance or ends before."""
        if self.start is None:
            return None
        best: Side | None = None
        for distance in (d for d in _DECADES if d < self.start.distance):
            state = self.cold(self.problem_at(distance))
            if state is None and (best is not None or distance > _DECADES[_FEW]):
                break
            best = best if state is None else Side(distance, state)
        return None if best is None else follow(self.problem_at, best, self.start.distance, self.rule, self.tolerance)
