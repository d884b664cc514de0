r"""The load at which the last states of solutions disappear, under broken replica symmetry.

The limit is derived (:mod:`replica.limits.sat_limit`): a load :math:`\alpha(q_0, c) = -S/E` to be minimised over the outer
overlap
and the strength.  On two borders of the domain, ``c -> 0`` and ``q0 -> 1``, it equals the replica-symmetric value and all
its derivatives in logarithmic coordinates vanish, so that an iteration can end there as if it had found something; there,
too, both terms are small differences.  So the minimum is sought where it is: on a grid first, with the generated gradient
then, and it is accepted only as a true minimum that lies below the replica-symmetric value.  Where replica symmetry is
stable up to its capacity, the border is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from saddle.kernels.quadrature import Rule
from saddle.points.problem import Problem, Vector
from saddle.points.results import Iteration

_EPS = float(np.finfo(float).eps)
_LOGITS = np.linspace(-8.0, 20.0, 29)
_LOG_WIDENINGS = np.linspace(-3.0, 9.0, 25)
_COARSE = Rule(0.3, 8.0)
_DIFFERENCE = 1e-4
_LONGEST_STEP = 1.0
_MOST_STEPS = 60
_ROUNDING = 64 * _EPS


@dataclass(frozen=True)
class Load:
    """The load at a point: coordinates, value, gradient of its logarithm, derivatives in the constraint's parameters.

    ``noise`` is the error of the value relative to it, by rounding (the energetic term is a mean of logarithms that cancel
    where the strength is small) and by the covariance of the fields where that is a series.
    """

    coordinates: Vector
    value: float
    gradient: Vector
    slopes: dict[str, float]
    noise: float


@dataclass(frozen=True)
class Minimum:
    """Where the load is smallest, the curvatures there and the way to it."""

    load: Load
    curvatures: Vector
    quadrature_error: float
    iterations: tuple[Iteration, ...]

    @property
    def residual(self) -> float:
        """The largest derivative of the logarithm of the load in the logarithmic coordinates."""
        return float(np.max(np.abs(self.load.gradient)))

    @property
    def error(self) -> float:
        """Absolute error of the smallest load: quadrature, rounding, and what is left to the minimum."""
        left = float(self.load.gradient @ self.load.gradient) / max(float(np.min(self.curvatures)), _EPS)
        return self.quadrature_error + self.load.value * (self.load.noise + left)


class SatProblem:
    """The load of the last states as a function of coordinates: the logit of ``q0`` and the logarithm of ``c (1 - q0)``.

    Parameters
    ----------
    kernel : module
        Of the model under an ansatz whose ``META["sat_limit"]`` is not None.
    constraint : mapping
        The constraint's parameters.
    """

    def __init__(self, kernel: Any, constraint: Mapping[str, float]) -> None:
        self.meta = kernel.META
        self._names: list[str] = self.meta["constraint"]
        self._constraint = [constraint[name] for name in self._names]
        multiplicities = dict.fromkeys(self.meta["multiplicities"], 0.0)
        self._problem = Problem(kernel, {"alpha": 1.0, **constraint, **multiplicities}, {})

    def order_parameters(self, x: Vector) -> dict[str, float]:
        """The overlaps, the strength and the values that the others have in the limit."""
        overlap, _, strength = self._unknowns(x)
        limit = self.meta["sat_limit"]
        outer, strength_name = limit["unknowns"]
        return {outer: overlap, limit["saturated"]: 1.0, limit["multiplicity"]: 0.0, strength_name: strength}

    def _unknowns(self, x: Vector) -> tuple[float, float, float]:
        overlap, left = 1.0 / (1.0 + math.exp(-x[0])), 1.0 / (1.0 + math.exp(x[0]))
        return overlap, left, math.exp(x[1]) / left

    def load(self, x: Vector, rule: Rule) -> Load:
        """The load at these coordinates."""
        overlap, left, strength = self._unknowns(x)
        inexact = self.meta["covariance_error"]
        count = 6 + len(self._names) + int(inexact)
        out = self._problem.call("sat_limit", [overlap, strength, left, *self._constraint], count, rule)
        entropic, energetic = float(out[0]), float(out[1])
        value = -entropic / energetic
        raw = out[2:4] / entropic - out[4:6] / energetic
        # from (q0, c) to the coordinates, in which c = exp(x[1]) / (1 - q0)
        gradient = np.array([overlap * left * (raw[0] + strength / left * raw[1]), strength * raw[1]])
        slopes = {name: -value * float(out[6 + i]) / energetic for i, name in enumerate(self._names)}
        noise = _ROUNDING * (1.0 + 1.0 / abs(energetic))
        if inexact:
            noise += abs(float(out[-1]) / energetic) * self._covariance_error(overlap, rule)
        return Load(x, value, gradient, slopes, noise)

    def _covariance_error(self, overlap: float, rule: Rule) -> float:
        """The error of the covariance of the fields at the outer overlap, for a kernel that is a series."""
        limit, names = self.meta["sat_limit"], self.meta["overlaps"]
        overlaps = [1.0 if name == limit["saturated"] else overlap for name in names]
        errors = self._problem.call("covariance_error", overlaps, 2 * len(self.meta["active"]) + 1, rule)
        return float(errors[2 * self.meta["active"].index(limit["unknowns"][0]) + 1])


def minimum(
    problem: SatProblem, rule: Rule, tolerance: float, border: float, start: Vector | None = None
) -> Minimum | None:
    """Return the smallest load, or None if none below the ``border`` value was found; from a grid unless given a start."""
    x = _lowest_of_grid(problem, border) if start is None else start
    if x is None:
        return None
    log: list[Iteration] = []
    here = problem.load(x, rule)
    for count in range(_MOST_STEPS):
        step, curvatures = _newton_step(problem, here, rule)
        there, damping = _shorter(problem, here, step, rule)
        log.append(Iteration(count, float(np.max(np.abs(here.gradient))), damping, "newton"))
        if there is None:
            break
        done = float(np.max(np.abs(here.gradient))) <= tolerance
        here = there
        if done:
            break
    curvatures = _newton_step(problem, here, rule)[1]
    refined = problem.load(here.coordinates, rule.refined())
    quadrature = abs(refined.value - here.value)
    found = Minimum(_with_value(here, refined.value), curvatures, quadrature, tuple(log))
    genuine = bool(np.all(curvatures > 0.0)) and found.load.value < border - found.error
    return found if genuine and found.residual <= max(tolerance, 1e3 * here.noise) else None


def _with_value(load: Load, value: float) -> Load:
    return Load(load.coordinates, value, load.gradient, load.slopes, load.noise)


def _lowest_of_grid(problem: SatProblem, border: float) -> Vector | None:
    """The grid point of the smallest load; None if no point is below the border value by more than rounding."""
    lowest, place = border, None
    for logit in _LOGITS:
        for log_widening in _LOG_WIDENINGS:
            x = np.array([logit, log_widening])
            load = problem.load(x, _COARSE)
            if math.isfinite(load.value) and load.value < lowest * (1.0 - load.noise):
                lowest, place = load.value, x
    return place


def _newton_step(problem: SatProblem, here: Load, rule: Rule) -> tuple[Vector, Vector]:
    """A descending Newton step, and the curvatures: the Hessian is differences of the generated gradient."""
    columns = []
    for unit in np.eye(2):
        ahead = problem.load(here.coordinates + _DIFFERENCE * unit, rule).gradient
        behind = problem.load(here.coordinates - _DIFFERENCE * unit, rule).gradient
        columns.append((ahead - behind) / (2 * _DIFFERENCE))
    hessian = np.array(columns)
    curvatures, axes = np.linalg.eigh((hessian + hessian.T) / 2)
    along = axes.T @ here.gradient
    step = -axes @ (along / np.maximum(np.abs(curvatures), 1e-12))
    longest = float(np.max(np.abs(step)))
    return step * min(1.0, _LONGEST_STEP / longest) if longest > 0.0 else step, curvatures


def _shorter(problem: SatProblem, here: Load, step: Vector, rule: Rule) -> tuple[Load | None, float]:
    """The first of the full, half, quarter... step that reduces the load, or, at the bottom, the gradient."""
    size = float(np.max(np.abs(here.gradient)))
    for halving in range(20):
        damping = 0.5**halving
        there = problem.load(here.coordinates + damping * step, rule)
        lower = there.value < here.value * (1.0 - here.noise)
        flatter = abs(there.value - here.value) <= 4 * here.noise * here.value
        if lower or (flatter and float(np.max(np.abs(there.gradient))) < size):
            return there, damping
    return None, 0.0
