r"""Following a saddle in an imposed overlap where the equations are almost degenerate, up to where its branch ends.

Where reference and probes have nearly the same margin near the largest one, the overlaps almost agree, and the Jacobian has
singular values of 1e-10 of its largest: a solution lies in a long, curved and narrow valley of the residuals.  Three
things lead along it.  The step of Newton's method is judged by the correction that would follow it with the same Jacobian,
which does not depend on how residuals are combined [Deuflhard, Newton Methods for Nonlinear Problems, section 3.3].  The
guess extrapolates four points, so that it lies in the valley already.  And along the branch either the distance is held or
the coordinate of a pivot, whichever moves: where the probes freeze, an overlap tends to 1 at a finite distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from replica.ansatz import conjugate
from saddle.kernels.quadrature import Rule
from saddle.points.branch import Side
from saddle.points.problem import Problem, State, Vector

ProblemAt = Callable[[float], Problem]

_EPS = float(np.finfo(float).eps)
_MOST, _ORDER, _MOST_POINTS = 12, 4, 400
_LONGEST_CORRECTION, _LEAST_DAMPING = 1.5, 1e-3
_SOLVED, _STALLED = 1e-7, 1e-5
"""Corrections of the coordinates that are none, and below which rounding may hold up a solution."""
_FIRST, _SHORTEST, _GROWTH, _CUT = 1e-4, 1e-9, 2.0, 0.25
_LONGEST_IN_DISTANCE, _LONGEST_IN_PIVOT = 0.25, 0.7
_TURNING = 8.0
"""How many times faster than the logarithm of the distance a coordinate moves that is held instead."""
_NO_ROOM, _LITTLE_ROOM, _DIVERGENCE = 1e-5, 1e-3, 1e-3
"""What an overlap of frozen probes has left to 1, where the branch is not followed further, and where rounding may turn it;
the product of a conjugate and the square of that which tells from probes next to a reference."""
_CHANGE = 1e-7
_FARTHEST = math.log(math.nextafter(0.5, 0.0))
"""The logarithm of the largest distance that has an overlap above 0."""


@dataclass(frozen=True)
class End:
    """Where a branch was followed to: the side, and whether the goal was reached, it froze, folded, or was lost."""

    side: Side
    how: str


@dataclass(frozen=True)
class _Point:
    """A solved saddle: coordinates with the logarithm of the distance as the last one, and its state."""

    y: Vector
    state: State

    @property
    def distance(self) -> float:
        return math.exp(float(self.y[-1]))


def _size(step: Vector, at: Vector) -> float:
    """The largest change of a coordinate, relative where it is large."""
    return float(np.max(np.abs(step) / (1.0 + 0.1 * np.abs(at))))


class Valley:
    """A branch of saddles over the distance, in coordinates of which one is held at a time.

    Parameters
    ----------
    problem_at : callable
        The problem at a distance.
    rule : Rule
    tolerance : float
        Largest relative residual that counts as solved; where rounding is larger, a correction that has stopped to shrink.
    """

    def __init__(self, problem_at: ProblemAt, rule: Rule, tolerance: float) -> None:
        self.problem_at, self.rule, self.tolerance = problem_at, rule, tolerance

    def _state(self, y: Vector, jacobian: bool = True) -> State | None:
        state = self.problem_at(math.exp(min(float(y[-1]), _FARTHEST))).state(y[:-1], self.rule, jacobian)
        return state if state is not None and bool(np.all(np.isfinite(state.relative))) else None

    def _matrix(self, y: Vector, state: State, held: int) -> Vector | None:
        """The Jacobian in the coordinates that are not held; that in the distance by a central difference."""
        n = len(y) - 1
        if held == n:
            return state.jacobian
        ends = [self._state(np.append(y[:-1], y[-1] + change), jacobian=False) for change in (_CHANGE, -_CHANGE)]
        if ends[0] is None or ends[1] is None:
            return None
        slope = (ends[0].relative - ends[1].relative) / (2.0 * _CHANGE)
        return np.column_stack([np.delete(state.jacobian, held, axis=1), slope])

    def correct(self, guess: Vector, held: int, passing: bool = True) -> _Point | None:
        """The saddle with one coordinate held, None if it is not reached; on the way a small correction is enough."""
        y, free = np.array(guess, dtype=float), np.delete(np.arange(len(guess)), held)
        state = self._state(y)
        for _ in range(_MOST):
            if state is None:
                return None
            largest, rounding = float(np.max(np.abs(state.relative))), self._rounding(y, state)
            if largest <= max(self.tolerance, state.noise):
                return _Point(y, state)
            matrix = self._matrix(y, state, held)
            if matrix is None:
                return None
            try:
                inverse = np.linalg.inv(matrix)
            except np.linalg.LinAlgError:
                return None
            step = -inverse @ state.relative
            size = _size(step, y[free])
            if size <= (_SOLVED if passing else 0.0):
                return _Point(y, state)
            damping, moved = min(1.0, _LONGEST_CORRECTION / size), None
            while damping > _LEAST_DAMPING:
                trial = y.copy()
                trial[free] += damping * step
                moved = self._state(trial)
                if moved is not None and _size(inverse @ moved.relative, y[free]) <= (1.0 - 0.25 * damping) * size:
                    break
                damping, moved = 0.5 * damping, None
            if moved is None:
                return _Point(y, state) if size <= _STALLED and largest <= 64.0 * rounding else None
            y, state = trial, moved
        return None

    def _rounding(self, y: Vector, state: State) -> float:
        """What rounding the coordinates does to the relative residuals."""
        return max(state.noise, _EPS * float(np.max(np.abs(state.jacobian) @ np.abs(y[:-1]))))

    def follow(self, start: Side, goal: float) -> End:
        """Follow the branch from a solved saddle to a distance, or to where it ends."""
        last, target = len(start.state.coordinates), math.log(goal)
        found = self.correct(np.append(start.state.coordinates, math.log(start.distance)), last)
        if found is None:
            return End(start, "lost")
        points, held = [found], last
        way = math.copysign(1.0, target - found.y[last])
        step = way * min(_FIRST, abs(target - float(found.y[last])))
        for _ in range(_MOST_POINTS):
            here = points[-1]
            goes = float(here.y[held]) + step
            if held == last and (target - goes) * way <= 0.0:
                goes = target
            point = self.correct(_extrapolated(points, held, goes), held)
            if point is None or not _continues(here, point):
                step *= _CUT
                if abs(step) < _SHORTEST:
                    return End(Side(here.distance, here.state), "lost")
                continue
            if (target - float(point.y[last])) * way <= 0.0:
                return self._arrived(points, point, held, target)
            if (float(point.y[last]) - float(here.y[last])) * way <= 0.0:
                return End(Side(here.distance, here.state), "frozen" if _room(here.state) < _LITTLE_ROOM else "fold")
            points.append(point)
            if _room(point.state) < _NO_ROOM:
                return End(Side(_limit(points), point.state), "frozen")
            held, step = self._next(points, held, step)
        return End(Side(points[-1].distance, points[-1].state), "lost")

    def _arrived(self, points: list[_Point], beyond: _Point | None, held: int, target: float) -> End:
        """The saddle at the goal, which lies between the last point and the one beyond it."""
        last = len(points[-1].y) - 1
        if held != last and beyond is not None:
            share = (target - points[-1].y[last]) / (beyond.y[last] - points[-1].y[last])
            guess = points[-1].y + share * (beyond.y - points[-1].y)
            guess[last] = target
            beyond = self.correct(guess, last)
        found = None if beyond is None else self.correct(beyond.y, last, passing=False)
        if found is None:
            return End(Side(points[-1].distance, points[-1].state), "lost")
        return End(Side(math.exp(target), found.state), "goal")

    def _next(self, points: list[_Point], held: int, step: float) -> tuple[int, float]:
        """What is held next, and the step in it."""
        last = len(points[-1].y) - 1
        change = points[-1].y - points[-2].y
        state = points[-1].state
        pivots = [state.shape.unknown.index(name) for name in state.pivots]
        fastest = max(pivots, key=lambda i: abs(float(change[i])))
        turning = float(change[fastest]) > _TURNING * abs(float(change[last])) and float(points[-1].y[fastest]) > 0.0
        chosen = fastest if turning else last
        longest = _LONGEST_IN_PIVOT if turning else _LONGEST_IN_DISTANCE
        if chosen != held:
            step = float(change[chosen])
        return chosen, math.copysign(min(abs(step) * _GROWTH, longest), float(change[chosen]))


def _continues(before: _Point, after: _Point) -> bool:
    """Whether two neighbouring points are on one branch: no jump in any coordinate."""
    return _size(after.y - before.y, before.y) < _LONGEST_CORRECTION


def _extrapolated(points: list[_Point], held: int, goes: float) -> Vector:
    """The polynomial in the held coordinate through the last points, as far back as it moved one way."""
    used = [points[-1]]
    for point in points[-2:-_ORDER - 1:-1]:
        if len(used) > 1 and (used[-1].y[held] - point.y[held]) * (used[-2].y[held] - used[-1].y[held]) <= 0.0:
            break
        if used[-1].y[held] == point.y[held]:
            break
        used.append(point)
    at = [float(point.y[held]) for point in used]
    guess = np.zeros_like(points[-1].y)
    for i, point in enumerate(used):
        weight = math.prod((goes - at[j]) / (at[i] - at[j]) for j in range(len(at)) if j != i)
        guess = guess + weight * point.y
    guess[held] = goes
    return guess


def _room(state: State) -> float:
    r"""What the overlap of probes that freeze has left to 1; infinite where they do not.

    In that limit their conjugate is :math:`\hat q \sim 1/(1-q)^2`; next to a reference ``q`` tends to 1 without it.
    """
    rooms = ((state.place.remaining[name], state.conjugates[conjugate(name)]) for name in state.pivots)
    return min((left for left, hat in rooms if hat * left * left > _DIVERGENCE), default=math.inf)


def _limit(points: list[_Point]) -> float:
    """The distance at which the overlap reaches 1, which it approaches linearly."""
    (d0, left0), (d1, left1) = (
        (point.distance, min(point.state.place.remaining[name] for name in point.state.pivots)) for point in points[-2:]
    )
    return d1 + (d1 - d0) * left1 / (left0 - left1) if left0 > left1 else d1
