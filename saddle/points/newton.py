r"""Newton's method on a saddle-point problem, guarded, with a fixed-point starter.

The starter iterates the physical map, overlaps -> conjugates -> overlaps, from the point without patterns
(all free conjugates zero): it stays in the domain and on the branch that is connected to it.  Newton then takes over in
coordinates that cannot leave the domain; a step that does not reduce the *undamped* residual is halved.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import count, repeat
from typing import NamedTuple

import numpy as np

from replica.ansatz import conjugate
from saddle.kernels.quadrature import Rule
from saddle.points.problem import Problem, State, Vector
from saddle.points.results import Iteration

_LONGEST_STEP = 4.0
_INNER_STEPS = 60
_BORDER = -10.0
"""Coordinate of a small pivot."""

_iteration = partial(tuple.__new__, Iteration)
"""An iteration from the values of its fields: what a named tuple's own constructor does, without a frame of Python."""


class Attempt(NamedTuple):
    """Where an iteration ended: its last state (None if the start was outside the domain), and how it got there."""

    state: State | None
    iterations: tuple[Iteration, ...]
    converged: bool


def newton(
    problem: Problem, x: Vector, rule: Rule, tolerance: float, most: int = 40, first: int = 0, halvings: int = 12
) -> Attempt:
    """Return the outcome of Newton's method from the coordinates ``x``.

    It runs compiled (:func:`saddle.kernels.stepping.newton`).  Converged means undamped residuals, relative to what the
    overlaps have left to 1, of at most ``tolerance``; one more step is then taken if it improves them.
    """
    state, log, converged = problem.newton(x, rule, tolerance, most, halvings)
    steps = zip(count(first), log[::2], log[1::2], repeat("newton"))
    return Attempt(state, tuple(map(_iteration, steps)), converged)


def followed(problem: Problem, state: State, rule: Rule) -> State | None:
    """The state after one step of Newton's method with the Jacobian of another one, by a finer rule or at nearby parameters.

    None where that leaves the domain.
    """
    here = problem.state(state.coordinates, rule, jacobian=False)
    if here is None or not math.isfinite(here.residual):
        return None
    step = np.linalg.lstsq(state.jacobian, -here.relative, rcond=None)[0]
    moved = problem.state(here.coordinates + step, rule, jacobian=False)
    return moved if moved is not None and math.isfinite(moved.residual) else None


def _norm(residuals: Vector) -> float:
    return math.sqrt(float(residuals @ residuals))


class FixedPoint:
    """The physical map of a problem, started from the point without patterns."""

    def __init__(self, problem: Problem, rule: Rule) -> None:
        self.problem, self.rule = problem, rule
        self.log: list[Iteration] = []
        self.overlaps = problem.impose(dict.fromkeys(problem.free, 0.0))
        self.pairs, self.imposed = np.zeros(len(problem.active)), np.zeros(len(problem.imposed))
        self.conjugates = problem.free_conjugates(self.pairs, self.imposed)
        self.alive = self._weights()

    def coordinates(self) -> Vector:
        """Where the map is now, moved inside the domain if it sits on the border."""
        return self.problem.to_coordinates({**self.overlaps, **self.conjugates})

    def advance(self, steps: int) -> bool:
        """Take steps of the map; false if it broke down."""
        for _ in range(steps):
            if not self.alive:
                return False
            problem, n = self.problem, len(self.problem.active)
            place = problem.place(self.coordinates())
            if place is None:
                self.alive = False
                return False
            arguments = problem.energetic_arguments(place)
            out = problem.call("energetic", arguments, n + 1, self.rule)
            self.pairs = problem.alpha * out[1:]
            self.conjugates = problem.free_conjugates(self.pairs, self.imposed)
            before = dict(self.overlaps)
            self.alive = bool(np.all(np.isfinite(out))) and self._weights()
            change = max((abs(self.overlaps[k] - before[k]) for k in problem.free), default=0.0)
            self.log.append(Iteration(len(self.log), change, 1.0, "fixed-point"))
        return self.alive

    def _weights(self) -> bool:
        return self._discrete() if self.problem.discrete else self._continuous()

    def _discrete(self) -> bool:
        """Overlaps from conjugates; conjugates of imposed overlaps such that these have their values."""
        problem, n = self.problem, len(self.problem.active)
        imposed = [problem.active.index(k) for k in problem.imposed]
        place = problem.raw_place(self.overlaps)
        for _ in range(_INNER_STEPS):
            arguments = problem.weights_arguments(place, self.conjugates)
            out = problem.call("weights_jacobian", arguments, 1 + n + n * n, self.rule)
            if not np.isfinite(out).all():
                return False
            self.overlaps.update({k: float(out[1 + problem.shape.index[k]]) for k in problem.free})
            problem.impose(self.overlaps)
            miss = np.array([self.overlaps[k] for k in problem.imposed]) - out[1 + np.array(imposed, dtype=int)]
            if not imposed or max(map(abs, miss.tolist())) < 1e-9:
                return True
            step = self._imposed_step(miss, problem.imposed_slopes(out[1 + n :].reshape(n, n)))
            self.imposed = self.imposed + step
            self.conjugates = problem.free_conjugates(self.pairs, self.imposed)
        return False

    def _imposed_step(self, miss: Vector, slopes: Vector) -> Vector:
        """A step of conjugates of imposed overlaps; where one alone is saturated, towards where it is not."""
        longest = max(1.0, 0.25 * max(map(abs, self.imposed.tolist())))
        if len(miss) == 1:
            slope = float(slopes[0, 0])
            if abs(slope) * longest > abs(float(miss[0])):
                return miss / slope
            return np.copysign(longest, miss if slope >= 0.0 else -miss)
        step = np.linalg.lstsq(slopes, miss, rcond=None)[0]
        return step * min(1.0, longest / max(*map(abs, step.tolist()), 1e-300))

    def _continuous(self) -> bool:
        """Overlaps whose conjugates (as functions of the overlaps) are the given ones, by damped Newton."""
        problem, n, m = self.problem, len(self.problem.active), len(self.problem.free)
        target = np.array([self.conjugates[conjugate(k)] for k in problem.free])
        if not np.any(target):
            return self._without_patterns()

        def miss_at(x: Vector) -> tuple[Vector, Vector]:
            place = problem.place(x)
            if place is None:
                return np.full(m, math.nan), np.eye(m)
            out = problem.call("weights_jacobian", problem.weights_arguments(place, {}), 1 + n + n * m, self.rule)
            slopes = problem.tied(out[1 + n :].reshape(n, m)) @ place.chain[:m, :m]
            return (problem.tied(out[1 : 1 + n]) - target) / size, slopes / size[:, None]

        size = 1.0 + np.abs(target)
        x = self.coordinates()
        miss, slopes = miss_at(x)
        for _ in range(_INNER_STEPS):
            if float(np.max(np.abs(miss))) < 1e-9 or not (np.all(np.isfinite(miss)) and np.all(np.isfinite(slopes))):
                break
            step = np.linalg.lstsq(slopes, -miss, rcond=None)[0]
            step *= min(1.0, _LONGEST_STEP / max(float(np.max(np.abs(step))), 1e-300))
            for halving in range(12):
                trial_miss, trial_slopes = miss_at(x + step * 0.5**halving)
                if np.all(np.isfinite(trial_miss)) and _norm(trial_miss) < _norm(miss):
                    break
            else:
                break
            x, miss, slopes = x + step * 0.5**halving, trial_miss, trial_slopes
        place = problem.place(x)
        if place is None or not np.all(np.isfinite(miss)):
            return False
        self.overlaps = place.overlaps
        return True

    def _without_patterns(self) -> bool:
        """Overlaps at vanishing conjugates: pivots at the border, cross overlaps where they explain the least.

        What the cross overlaps explain is quadratic in them, so that its minimum is one linear system.
        """
        problem = self.problem
        cross = [i for i, k in enumerate(problem.free) if k not in problem.pivots]
        x = np.array([_BORDER if k in problem.pivots else 0.0 for k in problem.free])
        if cross:
            flat = problem.explained_gradient(x)[cross]
            units = np.eye(len(x))
            curvature = np.array([problem.explained_gradient(x + units[i])[cross] - flat for i in cross]).T
            x[cross] = np.linalg.lstsq(curvature, -flat, rcond=None)[0]
        place = problem.place(x)
        if place is not None:
            self.overlaps = place.overlaps
        return place is not None
