r"""First-order transitions: where two saddles of one free entropy have the same value, as a line in a second parameter.

Both saddles are unknown, with the load at which they exchange:

.. math:: F(x_1, \alpha; \mu) = 0, \qquad F(x_2, \alpha; \mu) = 0, \qquad \phi(x_1, \alpha; \mu) = \phi(x_2, \alpha; \mu)

This is a system like that of any event, and its line is followed in the same way.  It ends where the two saddles become one,
in the cusp in which the folds of both branches meet; equal saddles solve the equations everywhere and are excluded.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from saddle.continuation import Arclength
from saddle.critical.boundaries import MOST_POINTS, Boundary, Node, pieces_of
from saddle.lines.event_lines import LINE_TOLERANCE, EventFamily
from saddle.lines.following import Branch
from saddle.lines.parameter_line import inner, outer
from saddle.points.problem import Vector
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting
from saddle.systems import Smooth, solve

_EPS = float(np.finfo(float).eps)
_SHORTEST = 1e-4
_FIRST_RATE, _LONGEST_RATE, _CLOSEST = 0.03, 0.1, 1e-4
"""Towards a border: steps in the logarithm of the distance to it, and the smallest share of the distance that is tried."""
_APART = 0.05
"""Smallest difference of the coordinates of two saddles."""


@dataclass
class TransitionFamily(EventFamily):
    """The equations of a first-order transition in one parameter, over a second one; unknowns are both saddles."""

    @property
    def system(self) -> TransitionSystem:  # type: ignore[override]
        """The extended system over the second parameter."""
        return TransitionSystem(self)

    def halves(self, z: Vector) -> tuple[Vector, Vector, float]:
        """The coordinates of both saddles, and the parameter that is solved for."""
        n = (len(z) - 1) // 2
        return z[:n], z[n:-1], float(z[-1]) * self.scale

    def point(self, z: Vector, mu: float) -> SaddlePoint | None:
        """The first of both saddles."""
        x, _, at = self.halves(z)
        return self.at(mu).point(x, at)

    def rounding(self, z: Vector, mu: float) -> Vector | None:
        """The rounding error of the residuals; None outside the domain."""
        x, y, at = self.halves(z)
        states = [state for half in (x, y) if (state := self.at(mu).state(half, at)) is not None]
        if len(states) < 2:
            return None
        noise = np.concatenate([np.full(len(x), state.noise) for state in states])
        return np.append(noise, sum(64 * _EPS * (1.0 + state.scale) for state in states))


@dataclass(frozen=True)
class TransitionSystem:
    """Two saddles of equal free entropy as a system over the second parameter."""

    family: TransitionFamily

    def residuals(self, z: Vector, mu: float) -> Vector | None:
        """The residuals of both saddles and the difference of their free entropies."""
        x, y, at = self.family.halves(z)
        line = self.family.at(mu)
        values = [line.residuals(half, at) for half in (x, y)]
        entropies = [line.scalar("entropy")(half, at) for half in (x, y)]
        if any(value is None for value in values) or float(np.max(np.abs(x - y))) < _APART:
            return None
        return np.concatenate([*values, [entropies[0] - entropies[1]]])

    def jacobian(self, z: Vector, mu: float) -> Vector | None:
        """Their derivatives; those in the load and of the entropies are central differences."""
        x, y, at = self.family.halves(z)
        line, found = self.family.at(mu), Smooth(self.residuals).jacobian(z, mu)
        slopes = [line.jacobian(half, at) for half in (x, y)]
        if found is None or slopes[0] is None or slopes[1] is None:
            return None
        n = len(x)
        found[:n, :n], found[n : 2 * n, n : 2 * n] = slopes
        return found


def transition_line(
    setting: Setting, branch: Branch, parameter: str, low: float, high: float, *, cusp: SaddlePoint | None, singular: bool
) -> Boundary | None:
    """The line of transitions between the first and the last sheet of a branch in the load that folds twice.

    Parameters
    ----------
    setting : Setting
    branch : Branch
        In the load, at one value of the second parameter.
    parameter : str
        The second parameter.
    low, high : float
        Up to where the line is followed.
    cusp : SaddlePoint, optional
        The cusp in which it ends at ``low``, where both saddles are one.
    singular : bool
        Whether ``high`` is a border of the domain, where unknowns diverge.
    """
    flips = [i for i, (a, b) in enumerate(itertools.pairwise(branch.past_fold)) if a != b]
    if len(flips) < 2:
        return None
    first, last = branch.points[: flips[0] + 1], branch.points[flips[1] + 1 :]
    fixed = dict(branch.points[0].parameters)
    family = TransitionFamily(setting, fixed, "alpha", parameter, "entropy", setting.rule)
    guess = _crossing(family, first, last)
    here = inner(parameter, fixed[parameter])
    z = None if guess is None else solve(family.system, guess, here, LINE_TOLERANCE)
    if z is None:
        return None
    scale = max(abs(fixed[parameter]), abs(low), abs(high))
    algorithm = Arclength(scale=scale, tolerance=LINE_TOLERANCE, most=MOST_POINTS, shortest=_SHORTEST)

    def arm(end: float) -> tuple[Node, ...]:
        path = algorithm.follow(family.system, z, here, inner(parameter, end))
        return next(pieces_of([(outer(parameter, node.parameter), node.x) for node in path.nodes]), ())

    down = arm(low)
    if cusp is not None:
        x, at = np.split(EventFamily.start(family, cusp), [-1])
        down = (*down, (cusp.parameters[parameter], np.concatenate([x, x, at])))
    arms = (down, _towards(family, z, fixed[parameter], high) if singular else arm(high))
    return Boundary(family, tuple(nodes for nodes in arms if nodes))


def _towards(family: TransitionFamily, z: Vector, start: float, border: float) -> tuple[Node, ...]:
    """The line from a point towards a border at which its unknowns diverge like logarithms of the distance to it."""
    nodes, rate, slope = [(start, z)], _FIRST_RATE, np.zeros_like(z)
    while abs(nodes[-1][0] - border) > _CLOSEST * abs(start - border) and rate > _SHORTEST:
        there = border + math.exp(-rate) * (nodes[-1][0] - border)
        found = solve(family.system, nodes[-1][1] + rate * slope, inner(family.second, there), LINE_TOLERANCE)
        if found is None:
            rate *= 0.5
            continue
        slope = (found - nodes[-1][1]) / rate
        nodes.append((there, found))
        rate = min(1.5 * rate, _LONGEST_RATE)
    return tuple(nodes)


def _crossing(
    family: TransitionFamily, first: tuple[SaddlePoint, ...], last: tuple[SaddlePoint, ...]
) -> Vector | None:
    """The unknowns near the load at which the free entropies of two sheets cross, by interpolation on both."""
    sheets = [sorted(sheet, key=lambda point: point.parameters["alpha"]) for sheet in (first, last)]
    loads = [np.array([point.parameters["alpha"] for point in sheet]) for sheet in sheets]
    entropies = [np.array([point.free_entropy for point in sheet]) for sheet in sheets]
    low, high = max(at[0] for at in loads), min(at[-1] for at in loads)
    if not low < high:
        return None
    grid = np.linspace(low, high, 201)
    gap = np.interp(grid, loads[0], entropies[0]) - np.interp(grid, loads[1], entropies[1])
    crossed = np.flatnonzero(gap[:-1] * gap[1:] <= 0.0)
    if not len(crossed):
        return None
    alpha = float(grid[crossed[0]])
    halves = []
    for sheet, at in zip(sheets, loads, strict=True):
        x = np.array([EventFamily.start(family, point)[:-1] for point in sheet])
        halves.append(np.array([np.interp(alpha, at, x[:, i]) for i in range(x.shape[1])]))
    return np.concatenate([*halves, [alpha / family.scale]])
