r"""Following a saddle in an imposed overlap, when a single point cannot be reached from scratch.

A saddle with an imposed overlap may exist on one side of a window of distances, on both, or nowhere near: near the
margin of the probe the branch that comes from the typical distance ends where the probes freeze (an overlap tends to 1
and its conjugate to infinity), and the one that comes from distance zero ends in a fold.  Here a target is approached
from the nearest solvable distances on both sides, in steps of :math:`\ln d` that shrink where the corrector fails; if
neither arrives, the two ends of the branches are the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saddle.kernels.quadrature import Rule
from saddle.points.newton import newton
from saddle.points.problem import Problem, State, Vector

ProblemAt = Callable[[float], Problem]
ColdStart = Callable[[Problem], State | None]

_RATIOS = (1.25, 1.6, 2.5, 5.0, 12.0, 40.0, 200.0, 2000.0, 3e4, 1e6)
SMALLEST_DISTANCE = 1e-9
"""Below it rounding is all that an overlap has left to 1."""
_LARGEST_DISTANCE = 0.4999999
_FIRST_STEP, _LONGEST_STEP, _SHORTEST_STEP = 0.1, 0.5, 1e-7
_LARGEST_CHANGE = 1.5


@dataclass(frozen=True)
class Side:
    """How far a branch could be followed towards a target: the last distance and its state."""

    distance: float
    state: State


def approach(
    problem_at: ProblemAt, cold: ColdStart, target: float, rule: Rule, tolerance: float
) -> tuple[State | None, Side | None, Side | None]:
    """Return the state at the target distance, or None with the ends of the branches below and above it.

    Parameters
    ----------
    problem_at : callable
        The problem at a distance.
    cold : callable
        A solver without a start, for single problems.
    target : float
        The distance asked for.
    """
    above = _reach(problem_at, cold, target, [target * r for r in _RATIOS], rule, tolerance)
    if above is not None and above.distance == target:
        return above.state, None, None
    below = _reach(problem_at, cold, target, [target / r for r in _RATIOS], rule, tolerance)
    if below is not None and below.distance == target:
        return below.state, None, None
    return None, below, above


def _reach(
    problem_at: ProblemAt, cold: ColdStart, target: float, starts: list[float], rule: Rule, tolerance: float
) -> Side | None:
    """Follow the branch of the first solvable start towards the target."""
    seen = set()
    for start in starts:
        distance = min(max(start, SMALLEST_DISTANCE), _LARGEST_DISTANCE)
        if distance in seen or (distance - target) * (start - target) <= 0.0:
            continue
        seen.add(distance)
        state = cold(problem_at(distance))
        if state is not None:
            return follow(problem_at, Side(distance, state), target, rule, tolerance)
    return None


def follow(problem_at: ProblemAt, start: Side, target: float, rule: Rule, tolerance: float) -> Side:
    """Follow a branch from ``start`` towards the distance ``target``; return where it got to."""
    here, goal = math.log(start.distance), math.log(target)
    current, previous, previous_x = start.state, None, None
    step = math.copysign(min(_FIRST_STEP, abs(goal - here)), goal - here)
    while here != goal and abs(step) > _SHORTEST_STEP:
        there = goal if abs(step) >= abs(goal - here) else here + step
        guess = _predict(here, current.coordinates, previous, previous_x, there)
        distance = target if there == goal else math.exp(there)
        attempt = newton(problem_at(distance), guess, rule, tolerance, most=10, halvings=2)
        state = attempt.state
        if attempt.converged and state is not None and _continues(current, state):
            previous, previous_x = here, current.coordinates
            here, current = there, state
            step = math.copysign(min(abs(step) * 1.5, _LONGEST_STEP), step)
        else:
            step /= 2
    return Side(target if here == goal else math.exp(here), current)


def _predict(here: float, x: Vector, previous: float | None, previous_x: Vector | None, there: float) -> Vector:
    """The secant through the last two points, or the last point."""
    if previous is None or previous_x is None:
        return x
    return x + (x - previous_x) * ((there - here) / (here - previous))


def _continues(before: State, after: State) -> bool:
    """Whether two neighbouring states are on one branch: no jump in any coordinate, no change of orientation."""
    change = np.abs(after.coordinates - before.coordinates)
    scale = 1.0 + 0.1 * np.abs(before.coordinates)
    return bool(np.all(change < _LARGEST_CHANGE * scale)) and after.orientation == before.orientation
