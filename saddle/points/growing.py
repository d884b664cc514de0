r"""Reaching a saddle with many replicas from one with few: the multiplicity grows at fixed overlaps.

One replica in a cluster feels nothing of its imposed overlap with others, so that this saddle is found like a
replica-symmetric one.  From there the number of replicas grows by factors that shrink where Newton's method fails.  The
couplings of ``y`` replicas scale like ``1/y`` relative to those between clusters; the guess follows that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from replica.ansatz import conjugate
from saddle.kernels.quadrature import Rule
from saddle.points.newton import Attempt, newton
from saddle.points.problem import Problem, State, Vector

ProblemAt = Callable[[float], Problem]

_LARGEST_FACTOR = 4.0
_SMALLEST_FACTOR = 1.0 + 1e-6


@dataclass(frozen=True)
class Reached:
    """How far a saddle could be followed in a parameter: the last value, and the attempt there."""

    value: float
    attempt: Attempt


def follow_multiplicity(
    problem_at: ProblemAt, start: Reached, goal: float, rule: Rule, tolerance: float
) -> Reached:
    """Follow a converged saddle from one number of replicas to another; return where it got to.

    Parameters
    ----------
    problem_at : callable
        The problem at a multiplicity.
    start : Reached
        A converged attempt with its multiplicity.
    goal : float
        The multiplicity asked for.
    """
    here, factor = start, _LARGEST_FACTOR
    while here.value != goal and factor > _SMALLEST_FACTOR:
        ratio = goal / here.value
        there = goal if abs(math.log(ratio)) <= math.log(factor) else here.value * factor ** math.copysign(1.0, ratio - 1.0)
        problem, state = problem_at(there), here.attempt.state
        assert state is not None
        attempt = newton(problem, predicted(problem, state, here.value / there), rule, tolerance, most=15)
        if attempt.converged and attempt.state is not None and attempt.state.orientation == state.orientation:
            here, factor = Reached(there, attempt), min(factor**1.5, _LARGEST_FACTOR)
        else:
            factor = math.sqrt(factor)
    return here


def predicted(problem: Problem, state: State, ratio: float) -> Vector:
    """Coordinates at another multiplicity: what conjugates of imposed overlaps exceed those above by, times a ratio."""
    values = {**state.overlaps, **state.conjugates}
    above = {imposed: free for free, imposed in problem.meta["ceilings"].items()}
    for name in problem.imposed:
        if name in above:
            base = state.conjugates[conjugate(above[name])]
            values[conjugate(name)] = base + (state.conjugates[conjugate(name)] - base) * ratio
    return problem.to_coordinates(problem.impose(values))
