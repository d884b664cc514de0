r"""One Franz-Parisi profile: the entropy around a reference as a function of the distance, and what it says.

The typical distance is where the free entropy is maximal: a zero of its slope, found by root finding on solved points.
``positive`` and ``monotonic`` hold below it within the range asked for.  Both are decided by the extrema of entropy
and slope that lie between solved points, which are located by minimisation over solved points as well.

At finite temperature the free entropy is not a number of configurations and may be negative where there are many:
``positive`` is about the entropy, that of the probes at their energy, while ``monotonic`` and the typical distance are about
the free entropy, of which a dip is a barrier between a reference and typical configurations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from saddle.points.results import SaddlePoint, Status, with_normalized
from saddle.points.setting import Setting
from saddle.points.solving import reference_point, solve_point
from saddle.sweeping.branches import Place
from saddle.sweeping.journal import Steps

_COARSE = 24
_ROOT_TOLERANCE = 1e-13


class Profile:
    """A Franz-Parisi curve at given load and margins.

    Parameters
    ----------
    setting : Setting
        The model under the Franz-Parisi ansatz.
    line : sequence of mappings
        The resolved parameters of every point, in order.
    tolerance : float
    """

    def __init__(self, setting: Setting, line: Sequence[Mapping[str, float]], tolerance: float) -> None:
        self.setting, self.line, self.tolerance = setting, line, tolerance
        self.fixed = {name: value for name, value in line[0].items() if name != "distance"}
        self.points: list[SaddlePoint] = []
        self._empty: list[SaddlePoint] = []
        reference_point(setting, line[0], tolerance)

    def solve(
        self, places: Sequence[Place], start: SaddlePoint | Mapping[str, float] | None, steps: Steps
    ) -> list[SaddlePoint]:
        """Solve every point of the line in order, each from its neighbour; ``places`` are the points as asked for."""
        previous = start
        for place, values in zip(places, self.line, strict=True):
            point = steps.at(place, self._point, values["distance"], previous)
            self._remember(point)
            self.points.append(point)
            previous = point if point.converged else None
        return self.points

    def at(self, distance: float) -> SaddlePoint:
        """The solved point at a distance, started from the nearest one known."""
        if distance not in self._known:
            near = min(self._known.values(), key=lambda p: abs(p.parameters["distance"] - distance), default=None)
            point = self._point(distance, near)
            if not point.converged:
                return point
            self._known[distance] = point
        return self._known[distance]

    def _point(self, distance: float, start: SaddlePoint | Mapping[str, float] | None) -> SaddlePoint:
        """Solve at a distance, unless it lies in a window that an earlier point found to have no saddle."""
        values = {**self.fixed, "distance": distance}
        for empty in self._empty:
            assert empty.window is not None
            if empty.window[0] < distance < empty.window[1]:
                bound = self.setting.model.weights.distance_bound(distance)
                return replace(empty, parameters=values, observables={**empty.observables, "bound": bound})
        point = solve_point(self.setting, values, start, self.tolerance)
        if start is not None and point.status is Status.NOT_CONVERGED:  # a neighbour can be a worse start than none
            cold = solve_point(self.setting, values, None, self.tolerance)
            point = cold if cold.converged else point
        self._remember(point)
        return point

    def _remember(self, point: SaddlePoint) -> None:
        """Keep a point without a saddle, so that others in its window need no search."""
        if point.window is not None and all(point.window != empty.window for empty in self._empty):
            self._empty.append(point)

    @cached_property
    def _known(self) -> dict[float, SaddlePoint]:
        return {p.parameters["distance"]: p for p in self.points if p.converged}

    def summary(self) -> dict[str, object]:
        """The entry of this curve under ``curves``: typical distance, positive, monotonic, and why one is null."""
        distances = sorted(self._known)
        typical = self._typical(distances)
        verdict: dict[str, object] = {"positive": None, "monotonic": None}
        end = min(typical, distances[-1]) if distances and typical is not None else distances[-1] if distances else None
        if distances and end is not None:
            grid = self._grid(distances, end)
            complete = all(p.converged for p in self.points if p.parameters["distance"] <= end)
            verdict = self._verdict(grid, complete)
        fixed = with_normalized(self.fixed, self.setting.deviation)
        return {**fixed, "typical_distance": typical, "typical_distance_error": self._error(typical), **verdict}

    def _typical(self, distances: list[float]) -> float | None:
        """The zero of the slope with the largest entropy in the range, None if the range holds no maximum.

        Where overlaps vanish by symmetry, a probe is as far from a typical configuration as from its negative.
        """
        if self.setting.ansatz.zero:
            return 0.5
        grid = self._grid(distances, distances[-1]) if distances else []
        maxima = []
        for left, right in itertools.pairwise(grid):
            if _slope(left) > 0.0 >= _slope(right):
                maxima.append(self._root(left.parameters["distance"], right.parameters["distance"]))
        return max(maxima, key=lambda d: self.at(d).free_entropy, default=None)

    def _grid(self, distances: list[float], end: float) -> list[SaddlePoint]:
        """Solved points from the smallest distance to ``end``: those asked for, and enough between them."""
        start = distances[0]
        inside = {d for d in distances if d <= end} | {end}
        if len(inside) < _COARSE and end > start:
            inside |= {start * (end / start) ** (i / _COARSE) for i in range(1, _COARSE)}
        return [p for p in (self.at(d) for d in sorted(inside)) if p.converged]

    def _root(self, low: float, high: float) -> float:
        from scipy.optimize import brentq

        return float(brentq(lambda d: _slope(self.at(d)), low, high, xtol=_ROOT_TOLERANCE, rtol=1e-15))

    def _verdict(self, grid: list[SaddlePoint], complete: bool) -> dict[str, object]:
        """Whether entropy and slope are positive at their smallest, which is sought between the points of the grid."""
        interior = grid[:-1] or grid
        entropies = [_entropy(p) for p in grid]
        slopes = [_slope(p) for p in interior]
        lowest = min(entropies)
        if lowest > 0.0:
            lowest = min(lowest, self._smallest(grid, entropies, _entropy))
        flattest = min(slopes)
        if flattest > 0.0:
            flattest = min(flattest, self._smallest(interior, slopes, _slope))
        positive, monotonic = lowest > 0.0, flattest > 0.0
        # A hole in the curve leaves a positive verdict open, while a negative one stands.
        return {
            "positive": positive if complete or not positive else None,
            "monotonic": monotonic if complete or not monotonic else None,
        }

    def _smallest(
        self, grid: list[SaddlePoint], values: list[float], quantity: Callable[[SaddlePoint], float]
    ) -> float:
        """The smallest value between grid points, by bounded minimisation around every local minimum of the grid."""
        from scipy.optimize import minimize_scalar

        smallest = min(values)
        for i in range(1, len(grid) - 1):
            if values[i] <= values[i - 1] and values[i] <= values[i + 1]:
                bounds = (grid[i - 1].parameters["distance"], grid[i + 1].parameters["distance"])
                found = minimize_scalar(
                    lambda d: quantity(self.at(float(d))), bounds=bounds, method="bounded", options={"xatol": 1e-9}
                )
                if math.isfinite(found.fun):
                    smallest = min(smallest, float(found.fun))
        return smallest

    def _error(self, typical: float | None) -> float | None:
        """Uncertainty of the typical distance: rounding and residual of the slope over its derivative."""
        if typical is None:
            return None
        if self.setting.ansatz.zero:
            return 0.0
        step = 1e-4 * typical
        curvature = abs(_slope(self.at(typical + step)) - _slope(self.at(typical - step))) / (2 * step)
        point = self.at(typical)
        noise = abs(_slope(point)) + 10 * (point.error + point.residual)
        return noise / curvature + _ROOT_TOLERANCE if curvature > 0.0 else math.nan


def _entropy(point: SaddlePoint) -> float:
    """The entropy of the probes: at zero temperature the free entropy."""
    value: Any = point.observables.get("entropy", point.free_entropy)
    return float(value) if value is not None else math.nan


def _slope(point: SaddlePoint) -> float:
    value: Any = point.observables["slope"]
    return float(value) if value is not None else math.nan
