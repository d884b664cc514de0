r"""Where a branch of saddle points turns in a fold in the load: a spinodal.

The load enters the saddle equations through the conjugates alone, :math:`\hat Q = \alpha A(Q)`, so that along a branch it is
a function of any coordinate ``s`` that is held instead: unknown are then the other coordinates and :math:`\alpha`, with
a regular Jacobian through the fold, where :math:`d\alpha/ds = 0`.  The derivative comes from the same Jacobian; its root
is found by bracketing, and since :math:`\alpha` is stationary there, the value is accurate to second order in the
error of the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from saddle.kernels.quadrature import Rule
from saddle.points.newton import newton
from saddle.points.problem import Problem, State, Vector

ProblemAt = Callable[[float], Problem]

_EPS = float(np.finfo(float).eps)
LONGEST = 0.5
"""Longest step along a branch."""
_STEP, _SHORTEST, _FARTHEST = 0.25, 1e-4, 25.0
_ON_THE_WAY, _LOOSE, _ROOT = 1e-5, 1e-9, 3e-7
"""Residuals on the way to a fold and next to it; tolerance of its coordinate, in which the load is stationary."""
_MOST_STEPS, _MOST_NEWTON = 400, 30


@dataclass(frozen=True)
class BranchPoint:
    """A saddle on the branch: load, derivatives of load and coordinates along the branch, and how well it is solved."""

    alpha: float
    slope: float
    tangent: Vector
    state: State
    error: float

    def ahead(self, step: float) -> tuple[Vector, float]:
        """Coordinates and load a step further along the tangent."""
        return self.state.coordinates + step * self.tangent, self.alpha + step * self.slope


@dataclass(frozen=True)
class Fold:
    """Where a branch turns in the load: the saddle there, and the absolute error of its load."""

    point: BranchPoint
    error: float
    quadrature_error: float

    @property
    def alpha(self) -> float:
        """The load at the fold."""
        return self.point.alpha


class LoadBranch:
    """A branch of saddles along which one coordinate is held and the load solved for.

    Parameters
    ----------
    problem_at : callable
        The problem at a load.
    held : str
        The free overlap whose coordinate parametrises the branch.
    rule : Rule
    """

    def __init__(self, problem_at: ProblemAt, held: str, rule: Rule) -> None:
        self.problem_at, self.held, self.rule = problem_at, held, rule
        self.at = problem_at(1.0).unknown.index(held)

    def refined(self) -> LoadBranch:
        """The same with a refined rule."""
        return LoadBranch(self.problem_at, self.held, self.rule.refined())

    def solve(self, s: float, x: Vector, alpha: float, tolerance: float, enough: float = 0.0) -> BranchPoint | None:
        """The saddle whose held coordinate is ``s``, by Newton from ``x`` and a load; None if it is not reached.

        Steps are taken as long as they reduce the residual, or until it is ``enough``.
        """
        x = np.array(x, dtype=float)
        x[self.at] = s
        best: tuple[float, BranchPoint] | None = None
        for _ in range(_MOST_NEWTON):
            problem = self.problem_at(alpha)
            state = problem.state(x, self.rule)
            if state is None or not math.isfinite(state.residual):
                return None
            relative, matrix, sizes = state.relative, state.jacobian.copy(), np.ones(len(x))
            sizes[self.at] = max(1.0, alpha)
            held = matrix[:, self.at].copy()
            matrix[:, self.at] = problem.load_derivative(state, self.rule)  # the load takes the place of what is held
            try:
                inverse = np.linalg.inv(matrix)
            except np.linalg.LinAlgError:
                return None
            step, along = -inverse @ relative, -inverse @ held
            size = float(np.max(np.abs(relative)))
            noise = float(np.abs(inverse[self.at]) @ np.full(len(step), state.noise + size))
            if best is not None and size >= best[0] and best[0] <= max(tolerance, state.noise):
                return best[1]
            slope, along[self.at] = float(along[self.at]), 1.0
            best = (size, BranchPoint(alpha, slope, along, state, noise))
            if size <= enough:
                return best[1]
            longest = float(np.max(np.abs(step) / sizes))  # that of the load counts relative to a large one
            if not math.isfinite(longest):
                return None
            step *= min(1.0, 1.0 / longest) if longest > 0.0 else 1.0
            alpha = max(alpha + float(step[self.at]), 0.5 * alpha)
            step[self.at] = 0.0
            x += step
        return None

    def points(
        self,
        here: BranchPoint,
        tolerance: float,
        enough: float = 0.0,
        direction: float = 1.0,
        farthest: float = _FARTHEST,
    ) -> Iterator[BranchPoint]:
        """Saddles further and further along the branch, in steps that shrink where it is lost, and to where it ends."""
        s, step = float(here.state.coordinates[self.at]), _STEP
        for _ in range(_MOST_STEPS):
            if abs(s) >= farthest or step <= _SHORTEST:
                return
            ahead = direction * step
            there = self.solve(s + ahead, *here.ahead(ahead), tolerance, enough)
            if there is None or abs(there.alpha - here.alpha - ahead * here.slope) > 0.2 * here.alpha:
                step /= 2
                continue
            yield there
            s, here, step = s + ahead, there, min(1.5 * step, LONGEST)

    def fold(self, start: State, alpha: float, tolerance: float) -> BranchPoint | None:
        """The first maximum of the load along the branch from a solved saddle; None if it rises to the end."""
        here = self.solve(float(start.coordinates[self.at]), start.coordinates, alpha, tolerance)
        if here is None or not here.slope > 0.0:
            return None
        for there in self.points(here, tolerance, _ON_THE_WAY):
            if there.slope <= 0.0:
                return self.turn(here, there, tolerance)
            here = there
        return None

    def turn(self, low: BranchPoint, high: BranchPoint, tolerance: float) -> BranchPoint | None:
        """Where the derivative of the load vanishes between two saddles."""
        from scipy.optimize import brentq

        found = {float(p.state.coordinates[self.at]): p for p in (low, high)}

        def slope(s: float) -> float:
            if s in found:
                return found[s].slope
            nearest = min(found, key=lambda at: abs(at - s))
            point = self.solve(s, *found[nearest].ahead(s - nearest), tolerance, _LOOSE)
            if point is None:
                raise ArithmeticError("the branch was lost between two of its points")
            found[s] = point
            return point.slope

        brentq(slope, *found, xtol=_ROOT, rtol=1e-14)
        best = min(found, key=lambda at: abs(found[at].slope))
        return self.solve(best, found[best].state.coordinates, found[best].alpha, tolerance)


def fold_in_load(problem_at: ProblemAt, held: str, start: State, alpha: float, rule: Rule, tolerance: float) -> Fold | None:
    """Return the fold in which the branch of a solved saddle ends as the load grows, None if it has none."""
    branch = LoadBranch(problem_at, held, rule)
    point = branch.fold(start, alpha, tolerance)
    return None if point is None else judged(branch, point, tolerance)


def judged(branch: LoadBranch, point: BranchPoint, tolerance: float) -> Fold | None:
    """Return the fold at a saddle of a branch in which the load is stationary, None if the refined rule loses it.

    The error covers the residual and rounding, the slope that is left, and the difference to a refined rule at the
    same coordinate.
    """
    s = float(point.state.coordinates[branch.at])
    refined = branch.refined().solve(s, point.state.coordinates, point.alpha, tolerance)
    if refined is None:
        return None
    quadrature = abs(refined.alpha - point.alpha)
    # near its maximum the load is a parabola: a slope left over by the root costs its square
    width = 1e-6
    error = quadrature + point.error + refined.error + abs(point.slope) * width + 4 * _EPS * point.alpha
    return Fold(refined, error, quadrature)


def solved_state(problem: Problem, order_parameters: dict[str, float], rule: Rule, tolerance: float) -> State | None:
    """The state of order parameters that are already solved."""
    return newton(problem, problem.to_coordinates(order_parameters), rule, tolerance).state
