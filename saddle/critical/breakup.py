r"""Where the line of vanishing complexity around a reference configuration breaks up: a saddle of the complexity.

At a fixed load the saddle points of ``y`` replicas at a distance ``d`` from a reference form a surface
:math:`F(x, y, d) = 0`, which folds over itself in either parameter.  On it the complexity :math:`\Sigma` vanishes along a
line.  Up to ``alpha_U`` that line runs in one piece from large to small distances; there, two pieces of it touch, at a
point where :math:`\Sigma` and both of its derivatives along the surface vanish, and beyond they are connected otherwise.
Without a choice of coordinates on the surface, and so through its folds, with multipliers :math:`\lambda`, and
:math:`z = (x, \ln y, \ln d)`, this is

.. math:: F(z) = 0, \qquad \nabla_z \Sigma + \lambda \cdot \nabla_z F = 0, \qquad \Sigma = 0

in :math:`(z, \lambda, \alpha)`, solved by Newton's method.  Since :math:`\Sigma` is stationary along the surface, the load
is accurate to second order in everything else.

Along the branch of a fixed number of replicas :math:`\Sigma` has one minimum as long as no such point is near, and a
maximum beside it next to one: there the search begins.  Where every branch has one minimum only, and it falls with ``y``,
the surface has no critical point, and the line stays in one piece.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from saddle.critical.flat_minima import NotFound, NoTouch
from saddle.critical.landmark import Axis, Landmark
from saddle.kernels.quadrature import Rule
from saddle.lines.following import Branch, follow
from saddle.points.clusters import entropies
from saddle.points.outcome import finished
from saddle.points.problem import Problem, State, Vector
from saddle.points.results import Iteration, SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, solve_point

_ANSATZ = "local-entropy-reference"
_SHARES = (0.925, 0.91, 0.94, 0.895, 0.88, 0.955, 0.86, 0.97, 0.8, 0.99, 0.7, 0.5)
"""Loads in units of the capacity at which branches are searched for a start."""
_REPLICAS = (14.0, 9.0, 24.0, 6.0, 40.0, 3.5)
"""Numbers of replicas whose branches are searched."""
_FIRST, _FAR, _RANGE = 6.0, 0.34, (0.004, 0.35)
"""Replicas through which a branch is reached, where it begins, and distances along which it is followed."""
_STRIDE, _NEAR = 0.2, 0.05
"""Longest step along a branch, and how far from a point the chords of its steps may pass that is on it."""
_INNER, _OUTER = 1e-4, 1e-5
"""Steps of the differences of first and second order: what they leave of the place costs the load its square."""
_MOST_STEPS, _LONGEST, _LONGEST_LOAD, _SMALLEST = 20, 0.3, 0.01, 1e-7
_EPS = float(np.finfo(float).eps)
_BOUNDS = (1.5, 1e3), (1e-3, 0.3)
"""Numbers of replicas and distances between which it is sought."""


@dataclass(frozen=True)
class _Critical:
    """A critical point of the complexity on the surface at which it vanishes: ``z``, load, multipliers and derivatives.

    ``rate`` is the derivative of the complexity in the load, ``rounding`` what rounding does to it; ``indefinite`` says
    whether it is a saddle.
    """

    z: Vector
    alpha: float
    multipliers: Vector
    rate: float
    rounding: float
    indefinite: bool


class _Surface:
    """The surface of saddles of one model at one margin, over all loads."""

    def __init__(self, setting: Setting, kappa: float, tolerance: float, rule: Rule) -> None:
        self.setting, self.kappa, self.tolerance, self.rule = setting, kappa, tolerance, rule
        (self.copies,) = setting.ansatz.multiplicities

    def values(self, z: Vector, alpha: float) -> dict[str, float]:
        """All parameters at a point."""
        y, distance = np.exp(z[-2:]).tolist()
        given = {"alpha": alpha, "kappa": self.kappa, self.copies: y, "distance": distance}
        return {**given, "overlap": 1.0 - 2.0 * distance}

    def state(self, z: Vector, alpha: float, jacobian: bool = False) -> tuple[Problem, State]:
        """The problem and its state at a point."""
        problem = problem_of(self.setting, self.values(z, alpha), None)
        state = problem.state(z[:-2], self.rule, jacobian=jacobian)
        if state is None or not math.isfinite(state.residual):
            raise NotFound("the domain of the saddle points was left.")
        return problem, state

    def residuals(self, z: Vector, alpha: float) -> Vector:
        """The saddle-point equations."""
        return self.state(z, alpha)[1].relative.copy()

    def complexity(self, z: Vector, alpha: float) -> float:
        """The complexity."""
        return entropies(*self.state(z, alpha), self.rule).complexity

    def derivatives(self, z: Vector, alpha: float) -> tuple[Vector, Vector]:
        """Those of the equations and of the complexity in ``z``."""
        n = len(z) - 2
        slopes = np.column_stack([self.state(z, alpha, jacobian=True)[1].jacobian, np.zeros((n, 2))])
        gradient = np.empty(n + 2)
        for i, unit in enumerate(np.eye(n + 2) * _INNER):
            gradient[i] = (self.complexity(z + unit, alpha) - self.complexity(z - unit, alpha)) / (2 * _INNER)
            if i >= n:
                slopes[:, i] = (self.residuals(z + unit, alpha) - self.residuals(z - unit, alpha)) / (2 * _INNER)
        return slopes, gradient

    def extended(self, v: Vector) -> tuple[Vector, Vector]:
        """The extended system in ``(z, alpha, multipliers)``, and the derivatives of the equations."""
        n = (len(v) - 3) // 2
        z, alpha = v[: n + 2], float(v[n + 2])
        slopes, gradient = self.derivatives(z, alpha)
        stationary = gradient + slopes.T @ v[n + 3 :]
        return np.array([*self.residuals(z, alpha), *stationary, self.complexity(z, alpha)]), slopes

    def critical(self, z: Vector, alpha: float) -> _Critical:
        """Newton's method on the extended system.

        Raises
        ------
        NotFound
            If it is not reached.
        """
        n = len(z) - 2
        slopes, gradient = self.derivatives(z, alpha)
        v = np.array([*z, alpha, *(-np.linalg.lstsq(slopes.T, gradient, rcond=None)[0])])
        for _ in range(_MOST_STEPS):
            left, slopes = self.extended(v)
            matrix = np.zeros((len(v), len(v)))
            matrix[n : 2 * n + 2, n + 3 :] = slopes.T
            for i, unit in enumerate(np.eye(len(v))[: n + 3] * _OUTER):
                matrix[:, i] = (self.extended(v + unit)[0] - self.extended(v - unit)[0]) / (2 * _OUTER)
            step = np.linalg.solve(matrix, -left)
            longest = float(np.max(np.abs(step[: n + 3])))
            v = v + step * min(1.0, _LONGEST / longest, _LONGEST_LOAD / max(abs(float(step[n + 2])), 1e-300))
            if not all(low < value < high for value, (low, high) in zip(np.exp(v[n : n + 2]), _BOUNDS, strict=True)):
                break
            if longest < _SMALLEST:
                rate = float(matrix[-1, n + 2] + v[n + 3 :] @ matrix[:n, n + 2])
                z, alpha, multipliers = v[: n + 2], float(v[n + 2]), v[n + 3 :]
                rounding = self._rounding(z, alpha, multipliers)
                return _Critical(z, alpha, multipliers, rate, rounding, _indefinite(slopes, matrix, n))
        raise NotFound("Newton's method did not reach a point where two pieces of the line touch.")

    def _rounding(self, z: Vector, alpha: float, multipliers: Vector) -> float:
        """What rounding does to the complexity along the surface."""
        _, state = self.state(z, alpha)
        sizes = math.exp(float(z[-2])) * state.scale
        return _EPS * sizes + float(np.sum(np.abs(multipliers))) * state.noise

    def load(self, found: _Critical) -> float:
        """The load by this rule: the complexity plus multipliers times equations is stationary in all but the load."""
        left = self.complexity(found.z, found.alpha)
        left += float(found.multipliers @ self.residuals(found.z, found.alpha))
        return found.alpha - left / found.rate

    def point(self, found: _Critical) -> SaddlePoint:
        """The solved point, with its errors, on whichever side of a fold."""
        problem, state = self.state(found.z, found.alpha, jacobian=True)
        values = self.values(found.z, found.alpha)
        steps = (Iteration(0, state.residual, 1.0, "newton"),)
        return finished(self.setting, problem, values, None, state, steps, self.tolerance)

    def turns(self, load: float, copies: float) -> list[SaddlePoint] | None:
        """Where the complexity is stationary along the branch of a number of replicas; None if it was not followed whole."""
        branch = self._branch(load, copies)
        if branch is None or branch.reason != "reached":
            return None
        steps = np.diff(branch["complexity"])
        return [branch.points[i + 1] for i in np.flatnonzero(steps[:-1] * steps[1:] < 0.0)]

    def coordinates(self, point: SaddlePoint) -> Vector:
        """A point of a branch as one of the surface."""
        x = problem_of(self.setting, point.parameters, None).to_coordinates(point.order_parameters)
        return np.array([*x, math.log(point.parameters[self.copies]), math.log(point.parameters["distance"])])

    def leads_to(self, found: _Critical) -> bool:
        """Whether the branch of this number of replicas from large distances passes through the point found."""
        branch = self._branch(found.alpha, math.exp(float(found.z[-2])))
        if branch is None or len(branch) < 2:
            return False
        nodes = np.array([self.coordinates(point) for point in branch.points])
        chords, ahead = np.diff(nodes, axis=0), found.z - nodes[:-1]
        share = np.clip(np.sum(ahead * chords, axis=1) / np.sum(chords * chords, axis=1), 0.0, 1.0)
        return bool(np.min(np.linalg.norm(ahead - share[:, np.newaxis] * chords, axis=1)) < _NEAR)

    def _branch(self, load: float, copies: float) -> Branch | None:
        """The branch of a number of replicas from large distances to small ones, through folds."""
        point = None
        for y in (_FIRST, copies):
            values = self.values(np.log([y, _FAR]), load)
            point = solve_point(self.setting, values, point, self.tolerance)
            if not point.converged:
                return None
        assert point is not None
        target = (self.setting.model, self.setting.ansatz)
        settings: dict[str, Any] = {"target": target, "direction": -1.0, "longest": _STRIDE, "tolerance": self.tolerance}
        return follow(point, "distance", _RANGE, **settings)


def _indefinite(slopes: Vector, matrix: Vector, n: int) -> bool:
    """Whether the complexity has a saddle along the surface, from the derivatives of the extended system."""
    tangents = np.linalg.svd(slopes)[2][n:].T
    hessian = tangents.T @ matrix[n : 2 * n + 2, : n + 2] @ tangents
    return bool(np.linalg.det(hessian) < 0.0)


def breakup(axis: Axis, name: str) -> Landmark:
    """``alpha_U``: the load at which the line of vanishing complexity around a reference breaks up.

    Raises
    ------
    NoTouch, NotFound
        If it does not exist, or was not found.
    """
    model = axis.setting.model
    if not model.weights.discrete:
        raise NoTouch(f"the entropies of {model.weights.name} weights are those of volumes: a complexity of 0 says nothing.")
    setting, end = Setting.of((model, _ANSATZ)), axis.capacity().value
    surface = _Surface(setting, axis.kappa, axis.tolerance, setting.rule)
    simple: list[dict[float, float]] = [{} for _ in _SHARES]
    for copies, (i, share) in itertools.product(_REPLICAS, enumerate(_SHARES)):
        turns = surface.turns(share * end, copies)
        if turns is not None and len(turns) == 1:
            simple[i][copies] = _complexity(turns[0])
            continue
        deepest = min(turns or (), key=_complexity, default=None)
        for turn in (turn for turn in turns or () if turn is not deepest):
            try:
                found = surface.critical(surface.coordinates(turn), share * end)
            except (NotFound, ArithmeticError, np.linalg.LinAlgError):
                continue
            if found.indefinite and 0.0 < found.alpha < end and surface.leads_to(found):
                return _touching(axis, name, surface, found)
    if all(_falls(minima) for minima in simple):
        loads = f"at {len(_SHARES)} loads from {min(_SHARES):g} to {max(_SHARES):g} of the capacity"
        replicas = f"for every number of replicas from {min(_REPLICAS):g} to {max(_REPLICAS):g}"
        raise NoTouch(
            f"{loads} the complexity has one minimum over the distance {replicas}, which falls with their number: the "
            "line on which it vanishes stays in one piece, and no two pieces of it touch."
        )
    raise NotFound("no point was found where two pieces of the line of vanishing complexity touch.")


def _complexity(point: SaddlePoint) -> float:
    return float(point.observables["complexity"])  # type: ignore[arg-type]


def _falls(minima: dict[float, float]) -> bool:
    """Whether the minimum of the complexity is known for every number of replicas, and falls with it."""
    return len(minima) == len(_REPLICAS) and bool(np.all(np.diff([minima[y] for y in sorted(minima)]) < 0.0))


def _touching(axis: Axis, name: str, surface: _Surface, found: _Critical) -> Landmark:
    point, setting = surface.point(found), surface.setting
    if not point.converged:
        raise NotFound(f"the saddle point there: {point.message}")
    refined = setting.rule.refined()
    loads = [_Surface(setting, axis.kappa, axis.tolerance, rule).load(found) for rule in (refined, refined.refined())]
    quadrature = abs(loads[1] - loads[0])
    distance, y = point.parameters["distance"], point.parameters[surface.copies]
    return axis.landmark(
        name,
        loads[1],
        quadrature + found.rounding / abs(found.rate) + 4 * _EPS,
        Status.CONVERGED,
        f"At distance {distance:.6g} and y = {y:.6g} the complexity vanishes and has a saddle along the surface.",
        setting=setting,
        residual=point.residual,
        quadrature_error=quadrature,
        order_parameters=point.order_parameters,
        where={"distance": distance, "y": y, "overlap": 1.0 - 2.0 * distance},
        observables={name: point.observables[name] for name in ("complexity", "local_entropy")},
        warnings=point.warnings,
    )
