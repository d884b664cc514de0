r"""Where flat minima open a gap and stop being monotonic: double zeros of the Franz-Parisi profile.

Around a reference of margin :math:`\kappa_\mathrm{ref}` the profile :math:`\phi(d)` may have a valley.  The gap closes
where the bottom of a valley of the *entropy* touches zero, :math:`\phi = \phi' = 0`; monotonicity is lost where the
bottom of a valley of the *slope* does, :math:`\phi' = \phi'' = 0`.  With :math:`V(\lambda) = \min_d` of the quantity at
one value of the moving parameter (a reference margin, or a load), both are simple zeros of ``V``, and since the bottom is
stationary in ``d`` its derivative is the explicit one, :math:`V' = \partial_\lambda`.  Newton's method on ``V`` is
therefore the extended system in (order parameters, distance, parameter) with all but the parameter eliminated.

That a zero belongs to the *first* valley to touch, over all distances up to the typical one, is checked by a scan at the
solution; a lower valley found there replaces it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from saddle.points.newton import newton
from saddle.points.results import SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, reference_point, solve_point

_FARTHEST, _CLOSER, _RATIO = 0.45, 1.05, 1.28
_SMALLEST_DISTANCE = 1e-8
_NEAR_BOUND = 0.98
"""Fraction of the entropy of all configurations above which nothing happens at smaller distances."""
_SMALL = 0.05
"""A distance below which the slope of continuous weights tends to that of their volume."""
_STENCIL = 1e-3
_MOST_STEPS = 40
_LONGEST_STEP, _CLOSE = 0.5, 0.02


@dataclass(frozen=True)
class Quantity:
    """What touches zero at the bottom of its valley, with its derivative in the logarithm of the distance."""

    name: str
    value: Callable[[SaddlePoint], float]
    derivative: Callable[[Landscape, float, float], float]
    error: Callable[[Landscape, SaddlePoint], float]


@dataclass(frozen=True)
class Valley:
    """The bottom of a valley: its distance, its solved point and the quantity there (minus infinity: no saddle)."""

    distance: float
    point: SaddlePoint | None
    depth: float


@dataclass(frozen=True)
class Touch:
    """A valley whose bottom is zero: the parameter, its error, and the point at the bottom."""

    parameter: float
    error: float
    distance: float
    point: SaddlePoint


class NotFound(Exception):
    """A threshold that could not be computed, with a sentence."""


class NoTouch(Exception):
    """A threshold that does not exist, with a sentence."""


@dataclass
class Landscape:
    """Franz-Parisi profiles along one moving parameter.

    Parameters
    ----------
    setting : Setting
        A model under the Franz-Parisi ansatz.
    at : callable
        All parameters but the distance at a value of the moving one.
    tolerance : float
    seed : SaddlePoint, optional
        Where to start where nothing is known yet: the solution at a neighbouring value of another parameter.
    farthest : callable, optional
        The typical distance, where it is known.
    smallest : float
        Distance at which a scan ends.
    words : callable
        A value of the moving parameter in a sentence.
    close : tuple of float
        How far below the typical distance, relative to it, a scan looks at first.
    """

    setting: Setting
    at: Callable[[float], Mapping[str, float]]
    tolerance: float
    seed: SaddlePoint | None = None
    farthest: Callable[[float], float] | None = None
    smallest: float = _SMALLEST_DISTANCE
    words: Callable[[float], str] = "at {:.6g}".format
    close: tuple[float, ...] = ()
    _points: dict[float, dict[float, SaddlePoint]] = field(default_factory=dict)

    def point(self, parameter: float, distance: float) -> SaddlePoint:
        """The solved point, started from the nearest one known."""
        known = self._points.setdefault(parameter, {})
        if distance not in known:
            known[distance] = solve_point(
                self.setting, self._values(parameter, distance), self._nearest(parameter, distance), self.tolerance
            )
        return known[distance]

    def _values(self, parameter: float, distance: float) -> dict[str, float]:
        overlap = {"overlap": 1.0 - 2.0 * distance} if "overlap" in self.setting.parameter_names() else {}
        return {**self.at(parameter), **overlap, "distance": distance}

    def _nearest(self, parameter: float, distance: float) -> SaddlePoint | None:
        candidates = [
            (abs(math.log(d / distance)) + 10.0 * abs(p - parameter), point)
            for p, line in self._points.items()
            if abs(p - parameter) < 0.05
            for d, point in line.items()
            if point.converged
        ]
        closest = min(candidates, key=lambda c: c[0], default=(math.inf, None))
        return closest[1] if closest[0] < 0.5 else self.seed

    def typical_distance(self, parameter: float) -> float:
        """The distance where the profile is maximal: given, or sought from large distances."""
        if self.farthest is not None:
            return self.farthest(parameter)
        high = self._beyond_the_maximum(parameter)
        low = high
        while not slope(self.point(parameter, low)) > 0.0:
            low /= _RATIO
            if low < _SMALLEST_DISTANCE:
                raise NotFound("the profile has no maximum.")
        return _root(lambda u: slope(self.point(parameter, math.exp(u))), low, high, xtol=1e-8)

    def _beyond_the_maximum(self, parameter: float) -> float:
        """A distance at which the profile falls, below that at which its branch may end, for far probes can freeze."""
        high = _FARTHEST
        while not self.point(parameter, high).converged:
            high /= _CLOSER
            if high < _SMALL:
                raise NotFound("the profile has no saddle at large distances.")
        while slope(self.point(parameter, high)) >= 0.0:
            high = 0.5 * (high + 0.5)
            if high > 0.4999:
                raise NotFound("the profile has no maximum below distance 1/2.")
        if not self.point(parameter, high).converged:
            raise NotFound(f"the branch ends before distance {high:.6g}, and rises up to there.")
        return high

    def scan(self, parameter: float) -> list[SaddlePoint]:
        """Points from the typical distance down to where the profile is that of all configurations, or has no saddle."""
        typical, points = self.typical_distance(parameter), []
        for distance in self._distances(typical):
            points.append(self.point(parameter, distance))
            here = points[-1]
            if not here.converged:
                break
            bound = here.observables.get("bound")
            if isinstance(bound, float) and here.free_entropy > _NEAR_BOUND * bound and slope(here) > 0.0:
                break
            if len(points) > 1 and self._settles(*points[-2:]):
                break
        return points

    def _settles(self, before: SaddlePoint, here: SaddlePoint) -> bool:
        """Whether the slope of continuous weights grows as that of the bare volume does, like the inverse distance."""
        if self.setting.model.weights.discrete or not here.parameters["distance"] < _SMALL:
            return False
        rates = [slope(point) * point.parameters["distance"] for point in (before, here)]
        return rates[1] > 0.0 and abs(rates[1] / rates[0] - 1.0) < 1.0 - _NEAR_BOUND

    def _distances(self, typical: float) -> Iterator[float]:
        """Those of a scan."""
        yield from ((1.0 - share) * typical for share in self.close)
        distance = typical
        while distance > self.smallest:
            distance /= _RATIO
            yield distance

    def valleys(self, parameter: float, quantity: Quantity) -> list[Valley]:
        """The valleys of a quantity below the typical distance, the deepest first; a hole is one without a bottom."""
        points = self.scan(parameter)
        found = [Valley(p.parameters["distance"], None, -math.inf) for p in points if not p.converged]
        solved = [p for p in points if p.converged]
        values = [quantity.value(p) for p in solved]
        for i in range(1, len(solved) - 1):
            if values[i] <= values[i - 1] and values[i] < values[i + 1]:
                ends = solved[i + 1].parameters["distance"], solved[i - 1].parameters["distance"]
                found.append(self._bottom(parameter, quantity, *ends))
        return sorted(found, key=lambda valley: valley.depth)

    def _bottom(self, parameter: float, quantity: Quantity, low: float, high: float) -> Valley:
        from scipy.optimize import minimize_scalar

        def depth(u: float) -> float:
            return quantity.value(self.point(parameter, math.exp(u)))

        bounds = (math.log(low), math.log(high))
        near = math.exp(minimize_scalar(depth, bounds=bounds, method="bounded", options={"xatol": 1e-2}).x)
        try:
            return self.nearby(parameter, quantity, near)
        except NotFound:
            return self._valley(parameter, quantity, near)

    def _valley(self, parameter: float, quantity: Quantity, distance: float) -> Valley:
        point = self.point(parameter, distance)
        return Valley(distance, point, quantity.value(point) if point.converged else -math.inf)

    def nearby(self, parameter: float, quantity: Quantity, distance: float) -> Valley:
        """The bottom of the valley next to a distance, by Newton's method on the derivative."""
        u = math.log(distance)
        for _ in range(_MOST_STEPS):
            here = quantity.derivative(self, parameter, math.exp(u))
            there = quantity.derivative(self, parameter, math.exp(u + _STENCIL))
            curvature = (there - here) / _STENCIL
            if not curvature > 0.0:
                raise NotFound("the valley has no bottom next to the last one.")
            step = max(-0.3, min(0.3, -here / curvature))
            u += step
            if abs(step) < 1e-7:
                return self._valley(parameter, quantity, math.exp(u))
        raise NotFound("the bottom of a valley was not found.")

    def gradient(self, parameter: float, quantity: Quantity, distance: float) -> float:
        """The derivative of the quantity in the moving parameter at fixed distance."""
        shift = 1e-5 * max(1.0, abs(parameter))
        above, below = (quantity.value(self.point(parameter + s, distance)) for s in (shift, -shift))
        return (above - below) / (2.0 * shift)

    def refined_slope(self, point: SaddlePoint) -> float:
        """The slope of a solved point by the refined quadrature rule."""
        values, rule = dict(point.parameters), self.setting.rule.refined()
        numbers = {name: float(value) for name, value in values.items()}
        problem = problem_of(self.setting, numbers, reference_point(self.setting, numbers, self.tolerance))
        state = newton(problem, problem.to_coordinates(point.order_parameters), rule, self.tolerance).state
        if state is None:
            return math.nan
        return self.setting.distance_rate * problem.slope(state, self.setting.ansatz.imposed[0])


def slope(point: SaddlePoint) -> float:
    """The derivative of a profile in the distance."""
    value = point.observables.get("slope")
    return float(value) if point.converged and value is not None else math.nan


def _entropy_derivative(land: Landscape, parameter: float, distance: float) -> float:
    return slope(land.point(parameter, distance)) * distance


def _slope_derivative(land: Landscape, parameter: float, distance: float) -> float:
    above, below = (slope(land.point(parameter, distance * math.exp(s))) for s in (_STENCIL, -_STENCIL))
    return (above - below) / (2.0 * _STENCIL)


def _slope_error(land: Landscape, point: SaddlePoint) -> float:
    size = 1.0 + abs(point.order_parameters.get("phat", slope(point)))
    if math.isinf(float(point.parameters.get("y", 1.0))):  # its own quadrature error covers its slope, at this scale
        return 1e2 * (point.error + point.residual) * size + 1e-12
    return 2.0 * abs(land.refined_slope(point) - slope(point)) + 1e-13 * size + 10.0 * point.residual * size


ENTROPY = Quantity("entropy", lambda p: p.free_entropy, _entropy_derivative, lambda land, p: p.error)
SLOPE = Quantity("slope", slope, _slope_derivative, _slope_error)


def first_touch(land: Landscape, quantity: Quantity, good: float | Sequence[float], bad: float) -> Touch:
    """Return where, from ``good`` to ``bad``, a valley of the quantity first touches zero.

    Of several values of ``good``, the first at which no valley is below zero.

    Raises
    ------
    NoTouch
        If a valley is below zero at every ``good``.
    NotFound
        If it could not be computed, or if nothing touches zero up to ``bad``.
    """
    for first in [good] if isinstance(good, float) else good:
        if depth(land, first, quantity) >= 0.0:
            return touch_near(land, quantity, *_bracket(land, quantity, first, bad))
        bad = first
    failed = [point.message for point in land.scan(bad) if point.status is Status.NOT_CONVERGED]
    if failed:
        raise NotFound(f"{land.words(bad)}, {failed[0]}")
    raise NoTouch(f"the {quantity.name} of the profile is negative somewhere, or has no saddle, already {land.words(bad)}.")


def touch_near(land: Landscape, quantity: Quantity, parameter: float, distance: float) -> Touch:
    """Return the touch next to a parameter and a distance, or a lower valley's, if one lies below it there.

    Raises
    ------
    NotFound
        If it could not be computed.
    """
    start = (parameter, distance)
    for _ in range(4):
        touch = polish(land, quantity, *start)
        lower = [v for v in land.valleys(touch.parameter, quantity) if v.depth < 0.0 and not _same(v, touch)]
        if not lower:
            return touch
        start = (touch.parameter, lower[0].distance)
    raise NotFound(f"several valleys of the {quantity.name} touch zero together.")


def _same(valley: Valley, touch: Touch) -> bool:
    return abs(math.log(valley.distance / touch.distance)) < 0.05


def depth(land: Landscape, parameter: float, quantity: Quantity) -> float:
    """Return the depth of the deepest valley; without one, what is negative down to the end of a scan, or infinity."""
    if valleys := land.valleys(parameter, quantity):
        return valleys[0].depth
    last = quantity.value(land.scan(parameter)[-1])
    return last if last < 0.0 else math.inf


def _bracket(land: Landscape, quantity: Quantity, good: float, bad: float) -> tuple[float, float]:
    """A parameter and the distance of a valley next to the first touch: by steps, then by bisection."""
    steps, last = max(8, math.ceil(abs(bad - good) / _LONGEST_STEP)), good
    for i in range(1, steps + 1):
        trial = good + (bad - good) * i / steps
        if depth(land, trial, quantity) < 0.0:
            bad = trial
            break
        last = trial
    else:
        raise NotFound(f"no valley of the {quantity.name} reaches zero up to the end of the search, {land.words(bad)}.")
    good = last
    for _ in range(_MOST_STEPS):
        middle = 0.5 * (good + bad)
        valleys = land.valleys(middle, quantity)
        if valleys and valleys[0].depth < 0.0:
            bad = middle
        else:
            good = middle
        if valleys and math.isfinite(valleys[0].depth) and abs(bad - good) < _CLOSE:
            return middle, valleys[0].distance
    raise NotFound(f"no valley of the {quantity.name} was found that touches zero.")


def polish(land: Landscape, quantity: Quantity, parameter: float, distance: float) -> Touch:
    """Return where the valley next to a distance touches zero, by Newton's method on its depth in the parameter.

    Raises
    ------
    NotFound
        If it is not reached.
    """
    for _ in range(_MOST_STEPS):
        valley = land.nearby(parameter, quantity, distance)
        if valley.point is None or not math.isfinite(valley.depth):
            raise NotFound("the valley is lost: there is no saddle at its bottom.")
        distance = valley.distance
        gradient = land.gradient(parameter, quantity, distance)
        step = -valley.depth / gradient
        noise = quantity.error(land, valley.point) / abs(gradient)
        if abs(step) <= max(noise, 1e-14):
            return Touch(parameter, noise + abs(step) + 1e-13, distance, valley.point)
        parameter += max(-_CLOSE, min(_CLOSE, step))
    raise NotFound(f"the zero of the {quantity.name} was not reached in {_MOST_STEPS} steps.")


def _root(function: Callable[[float], float], low: float, high: float, xtol: float) -> float:
    """A distance between two at which a function of its logarithm changes sign."""
    from scipy.optimize import brentq

    return math.exp(brentq(function, math.log(low), math.log(high), xtol=xtol, rtol=1e-14))
