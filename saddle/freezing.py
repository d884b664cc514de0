r"""Following a branch to where it freezes or folds: a coordinate is held, and the distance solved for.

Where probes freeze, a conjugate grows like :math:`(d - d_*)^{-1/2}`, so that steps of the distance get shorter and shorter.
Steps of the logarithm of that coordinate do not, and the distance converges.  Past a fold the distance turns back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from saddle.problem import Problem, State, Vector
from saddle.quadrature import Rule

_STEP, _LONGEST, _SHORTEST = 0.2, 0.6, 0.02
_CONVERGED = 1e-7
"""Relative change of the distance in a step at which its limit is reached."""
_MOST_STEPS, _MOST_NEWTON = 200, 8
_NUDGE = 1e-6
_LARGEST_CHANGE = 2.0


class Point(NamedTuple):
    """A solution on a branch: the logarithm of its distance, and its state."""

    log_distance: float
    state: State


def follow_coordinate(
    problem_at: Callable[[float], Problem], before: Point, here: Point, goal: float, rule: Rule, tolerance: float
) -> Point:
    """Return how far the branch through two points goes in the direction from one to the other, short of the goal."""
    direction = math.copysign(1.0, here.log_distance - before.log_distance)
    change = np.abs(here.state.coordinates - before.state.coordinates)
    held = int(np.argmax(change / (1.0 + 0.1 * np.abs(here.state.coordinates))))
    step = math.copysign(_STEP, _scale(here, held) - _scale(before, held))
    for _ in range(_MOST_STEPS):
        ratio = step / (_scale(here, held) - _scale(before, held))
        x = here.state.coordinates + ratio * (here.state.coordinates - before.state.coordinates)
        x[held] = math.sinh(_scale(here, held) + step)
        found = _solved(problem_at, x, here.log_distance, held, rule, tolerance)
        if found is None or not _on_branch(here.state, found.state, held):
            step /= 2
            if abs(step) < _SHORTEST:
                break
            continue
        progress = direction * (found.log_distance - here.log_distance)
        if progress <= 0.0 or direction * (found.log_distance - goal) >= 0.0:
            break
        before, here = here, found
        if progress < _CONVERGED:
            break
        step = math.copysign(min(1.5 * abs(step), _LONGEST), step)
    return here


def _scale(point: Point, held: int) -> float:
    """The held coordinate, on a scale that is linear for small and logarithmic for large values."""
    return math.asinh(point.state.coordinates[held])


def _on_branch(before: State, after: State, held: int) -> bool:
    """Whether two neighbouring states are on one branch: no jump in any other coordinate, no change of orientation."""
    change = np.abs(after.coordinates - before.coordinates)
    change[held] = 0.0
    return bool(np.all(change < _LARGEST_CHANGE)) and after.orientation == before.orientation


def _solved(
    problem_at: Callable[[float], Problem], x: Vector, log_distance: float, held: int, rule: Rule, tolerance: float
) -> Point | None:
    """Newton's method in the other coordinates and the logarithm of the distance."""
    others = [i for i in range(len(x)) if i != held]
    for _ in range(_MOST_NEWTON):
        state = problem_at(math.exp(log_distance)).state(x, rule)
        if state is None or not math.isfinite(state.residual):
            return None
        if float(np.max(np.abs(state.relative))) <= max(tolerance, state.noise):
            return Point(log_distance, state)
        nudged = problem_at(math.exp(log_distance + _NUDGE)).state(x, rule, jacobian=False)
        if nudged is None:
            return None
        matrix = np.column_stack([state.jacobian[:, others], (nudged.relative - state.relative) / _NUDGE])
        if not np.all(np.isfinite(matrix)):
            return None
        step = np.linalg.lstsq(matrix, -state.relative, rcond=None)[0]
        step *= min(1.0, 1.0 / max(float(np.max(np.abs(step))), 1e-300))
        x[others] += step[:-1]
        log_distance += float(step[-1])
    return None
