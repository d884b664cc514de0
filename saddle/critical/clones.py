r"""The overlap gap of ``m`` clones: the load at which no ``m`` solutions exist at some mutual overlap.

With :math:`\Phi` the free entropy of ``m`` real replicas at mutual overlap :math:`q_1`, the load :math:`\alpha(q_1)` at
which :math:`\phi_m = \Phi/m` vanishes falls below the capacity between :math:`q_1 = q_{\rm RS}` and :math:`q_1 = 1`, where
both ends give the capacity back.  Its minimum, where :math:`\phi_m = \partial_{q_1} \phi_m = 0`, is the onset of the gap.
The free entropy is stationary in the order parameters: :math:`\partial_\alpha \Phi` is the energetic term and
:math:`\partial_{q_1} \Phi` the imposed overlap's own equation, so that :math:`\alpha(q_1)` is found by Newton's method and
its minimum as the root of a derivative, never from differences.  Weights without a fixed norm are set at a distance
:math:`d`, with :math:`q_1 = Q - 2 d` in units of the largest squared weight, and the norm ``Q`` is extremised at each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from replica.ansatz import conjugate
from replica.errors import InputError
from replica.model import Model
from saddle.critical.capacities import zero_entropy_load
from saddle.kernels.quadrature import Rule
from saddle.points.newton import newton
from saddle.points.problem import State, Vector
from saddle.points.results import Iteration, Status, Threshold
from saddle.points.series_error import response
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, problem_of, solve_point
from saddle.reporting.curve import Curve
from saddle.reporting.reports import Numbers, as_numbers
from saddle.reporting.temperatures import refuse_temperature
from saddle.sweeping.branches import places
from saddle.sweeping.journal import Journal, Steps

Progress = Callable[[Threshold], None]

_ANSATZ = "local-entropy"
_EPS = float(np.finfo(float).eps)
_MIDDLE, _SMALLEST, _LARGEST, _RATIO = 0.02, 1e-6, 0.4999, 1.3
"""Distances between clones that are scanned for the smallest load: from the middle outwards, by a factor."""
_MOST_STEPS = 40
_FEWEST, _USUAL, _MOST_CLONES = 2, (3, 4, 5), 200
"""Clones that have a mutual overlap; numbers that usually bracket the smallest load; the largest that is tried."""
_ROOT = 1e-11
"""Tolerance of the root in the logarithm of the distance."""


def ogp(
    model: Model | str,
    kappa: Numbers = 0.0,
    clones: int | Iterable[int] = (2, 3, 4, 5),
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return the loads at which ``m`` clones open an overlap gap, and the smallest over ``m``.

    For every number ``m`` of clones, the smallest load at which :math:`\phi_m(q_1) = 0` for some mutual overlap
    :math:`q_1`: above it, there are no ``m`` solutions at this overlap.  Where the norm of the weights is not fixed, clones
    are set at a distance instead, and their overlap follows from it.  Columns: ``kappa, clones, value`` and ``alpha`` (the
    load), ``overlap`` and ``distance`` (where the gap opens), order parameters, errors and status.  ``top`` is the minimum
    over the clones, if the numbers asked for bracket it; else it has no value, and says why.

    Parameters
    ----------
    model : Model or str
        A model with discrete weights.
    kappa : float or iterable of float
        The margin.
    clones : int or iterable of int
        Numbers of clones, at least 2.
    tolerance : float
        Largest undamped residual of the saddles.
    progress : callable, optional
        Called with every finished threshold.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Raises
    ------
    InputError
        For bad input, and for continuous weights and those with a prior, whose entropy counts nothing.

    References
    ----------
    Gamarnik, PNAS 118, e2108492118 (2021), on overlap gaps; replica-symmetric values of several models: arXiv 2607.27000.
    """
    setting = _discrete(model)
    margins, numbers = as_numbers("kappa", kappa), _clone_numbers(clones)
    steps = Steps(journal, progress)
    for row in places({"kappa": margins, "clones": numbers}):
        steps.at(row, _onset, setting, row["kappa"], row["clones"], tolerance)
    points = steps.points
    return Curve(tuple(points), top=_smallest(points) if len(margins) == 1 and len(points) > 1 else None)


def smallest_onset(model: Model | str, kappa: float, tolerance: float = DEFAULT_TOLERANCE) -> Threshold:
    """Return the smallest load over all numbers of clones at which they open an overlap gap.

    Numbers are added beyond the largest one as long as that is the best, by a quarter of it, and then around the best one
    until both of its neighbours lie higher; up to :data:`_MOST_CLONES`, which a failure says.

    Raises
    ------
    InputError
        For continuous weights and those with a prior, whose entropy counts nothing.
    """
    setting = _discrete(model)
    known = {m: _onset(setting, kappa, m, tolerance) for m in _USUAL}
    while True:
        best = min(known, key=lambda m: known[m].value if known[m].converged else math.inf)
        if not known[best].converged:
            return _smallest([known[m] for m in sorted(known)])
        if best == max(known):
            missing = [best + max(1, best // 4)]
        else:
            missing = [m for m in (best - 1, best + 1) if m >= _FEWEST and m not in known]
        if not missing:
            return _smallest([known[m] for m in sorted(known)])
        if max(missing) > _MOST_CLONES:
            at = known[best].value
            reason = f"The load still falls at {best} clones ({at:.6g}); more than {_MOST_CLONES} are not tried."
            return _without(setting, kappa, best, tolerance, Status.NOT_CONVERGED, reason)
        known |= {m: _onset(setting, kappa, m, tolerance) for m in missing}


def _discrete(model: Model | str) -> Setting:
    """The setting of a model whose solutions can be counted."""
    refuse_temperature(model, "ogp")
    setting = Setting.of((model, _ANSATZ))
    if not setting.model.weights.discrete:
        raise InputError(
            f"The weights of {setting.model.name} are continuous: their entropy is that of a volume, and its zero does not "
            "say where solutions end; ask for discrete weights."
        )
    if not setting.model.weights.counts:
        raise InputError(
            f"The weights of {setting.model.name} have a prior: their entropy counts no configurations, and its zero does "
            "not say where solutions end."
        )
    return setting


def _clone_numbers(clones: Any) -> list[int]:
    found = as_numbers("clones", clones)
    if bad := [m for m in found if m != round(m) or m < _FEWEST]:
        raise InputError(f"clones = {bad[0]:g} counts solutions with a mutual overlap: an integer of at least 2.")
    return [int(m) for m in found]


@dataclass(frozen=True)
class _Vanishing:
    """The load at which the free entropy of the clones vanishes at a distance, and its derivative in ``ln d``."""

    distance: float
    alpha: float
    slope: float
    state: State
    miss: float
    log: tuple[Iteration, ...]

    @property
    def rounding(self) -> float:
        """What rounding and the entropy that is left do to the load."""
        return (16 * _EPS * self.state.scale + abs(self.miss)) / abs(self.state.energetic) + 4 * _EPS * self.alpha


class _Clones:
    """The clones of one model at one margin."""

    def __init__(self, setting: Setting, kappa: float, number: int, tolerance: float) -> None:
        self.setting, self.kappa, self.number, self.tolerance = setting, kappa, number, tolerance
        self.overlap = setting.ansatz.imposed[0]

    def values(self, distance: float, alpha: float) -> dict[str, float]:
        """Every parameter at a distance between clones and a load."""
        copies = self.setting.ansatz.multiplicities[0]
        given = {"alpha": alpha, "kappa": self.kappa, copies: self.number, "distance": distance}
        return self.setting.resolve(given, self.tolerance)

    def cold(self, distance: float, alpha: float) -> Vector | None:
        """Coordinates of a saddle found from scratch, None if there is none."""
        values = self.values(distance, alpha)
        point = solve_point(self.setting, values, None, self.tolerance)
        return problem_of(self.setting, values, None).to_coordinates(point.order_parameters) if point.converged else None

    def vanishing(self, distance: float, alpha: float, x: Vector, rule: Rule) -> _Vanishing | None:
        """Newton's method for the load at which the free entropy vanishes, from a load and the coordinates nearby."""
        last, log = math.inf, []
        for count in range(_MOST_STEPS):
            problem = problem_of(self.setting, self.values(distance, alpha), None)
            attempt = newton(problem, x, rule, self.tolerance, most=20)
            state = attempt.state
            if state is None or not attempt.converged or state.orientation < 0 or not self._inside(state):
                return None
            step = -state.free_entropy / state.energetic
            log.append(Iteration(count, abs(state.free_entropy), 1.0, "newton"))
            if abs(state.free_entropy) <= 2 * _EPS * state.scale or (abs(step) < 1e-11 * alpha and abs(step) >= last):
                rate = -problem.slope(state, self.overlap) * self.setting.distance_rate * distance / state.energetic
                return _Vanishing(distance, alpha, rate, state, state.free_entropy, tuple(log))
            last, x = abs(step), state.coordinates
            alpha += max(-0.3 * alpha, min(0.3 * alpha, step))
        return None

    def _inside(self, state: State) -> bool:
        """Whether clones are closer to each other than to other clones."""
        apart = [k for k in state.shape.pivots if k not in state.shape.norms]
        return all(state.overlaps[k] < state.overlaps[self.overlap] for k in apart)

    def scan(self, alpha: float) -> list[_Vanishing]:
        """The loads over all distances where they exist, from the smallest distance to the largest."""
        for share in (0.95, 0.85, 0.7, 0.4):
            x = self.cold(_MIDDLE, share * alpha)
            first = None if x is None else self.vanishing(_MIDDLE, share * alpha, x, self.setting.rule)
            if first is not None:
                closer, farther = self._outwards(first, 1.0 / _RATIO), self._outwards(first, _RATIO)
                return [*reversed(closer), first, *farther]
        return []

    def _outwards(self, start: _Vanishing, ratio: float) -> list[_Vanishing]:
        """The loads at distances from a known one outwards, as far as they exist."""
        found, here = [], start
        while _SMALLEST <= (distance := here.distance * ratio) <= _LARGEST:
            there = self.vanishing(distance, here.alpha, here.state.coordinates, self.setting.rule)
            if there is None:
                break
            found.append(there)
            here = there
        return found

    def minimum(self, low: _Vanishing, high: _Vanishing) -> _Vanishing:
        """The smallest load between two distances at which its derivatives have opposite signs."""
        from scipy.optimize import brentq

        found = [low, high]

        def slope(log_distance: float) -> float:
            near = min(found, key=lambda point: abs(math.log(point.distance) - log_distance))
            point = self.vanishing(math.exp(log_distance), near.alpha, near.state.coordinates, self.setting.rule)
            if point is None:
                raise ArithmeticError("the branch was lost between two of its points")
            found.append(point)
            return point.slope

        brentq(slope, math.log(low.distance), math.log(high.distance), xtol=_ROOT, rtol=1e-14)
        return min(found, key=lambda point: abs(point.slope))


def _onset(setting: Setting, kappa: float, number: int, tolerance: float) -> Threshold:
    """The smallest load at which a number of clones has no solutions at some overlap."""
    setting.resolve({"alpha": 1.0, "kappa": kappa, setting.ansatz.multiplicities[0]: number, "distance": 0.05}, tolerance)
    known: dict[str, Any] = {"setting": setting, "kappa": kappa, "number": number, "tolerance": tolerance}
    capacity = zero_entropy_load(Setting.of((setting.model, "rs")), kappa, tolerance)
    if not capacity.converged:
        return _without(**known, status=Status.NOT_CONVERGED, message=f"The capacity: {capacity.message}")
    clones = _Clones(setting, kappa, number, tolerance)
    scanned = clones.scan(capacity.value)
    lowest = min(range(len(scanned)), key=lambda i: scanned[i].alpha, default=0)
    if not 0 < lowest < len(scanned) - 1 or scanned[lowest].alpha >= capacity.value:
        message = f"No overlap of the clones was found at which their entropy vanishes below {capacity.value:.6g}."
        return _without(**known, status=Status.NOT_CONVERGED, message=message)
    low, here, high = scanned[lowest - 1 : lowest + 2]
    ends = (here, high) if here.slope < 0.0 else (low, here)
    point = clones.minimum(*ends)
    refined = clones.vanishing(point.distance, point.alpha, point.state.coordinates, setting.rule.refined())
    if refined is None:
        return _without(**known, status=Status.NOT_CONVERGED, message="Not converged with a refined quadrature rule.")
    return _with_value(point, refined, capacity.value, **known)


def _with_value(
    point: _Vanishing, refined: _Vanishing, capacity: float, setting: Setting, kappa: float, number: int, tolerance: float
) -> Threshold:
    quadrature = abs(refined.alpha - point.alpha)
    # near the minimum the load is a parabola: the slope that the root leaves over costs its square
    error = quadrature + refined.rounding + abs(point.slope) * 1e-6
    state = refined.state
    values = _Clones(setting, kappa, number, tolerance).values(refined.distance, refined.alpha)
    left_out = response(problem_of(setting, values, None), state, setting.rule).of_free_entropy
    error += left_out / abs(state.energetic)
    overlap = state.overlaps[setting.ansatz.imposed[0]]
    where = f"overlap {overlap:.6g}" if setting.model.weights.unit_norm else f"distance {refined.distance:.6g}"
    return replace(
        _without(setting, kappa, number, tolerance, Status.CONVERGED, ""),
        value=refined.alpha,
        error=error,
        residual=state.residual,
        quadrature_error=quadrature,
        order_parameters={k: v for pair in _pairs(state) for k, v in pair},
        message=(
            f"Above this load no {number} solutions have the mutual {where}, below the capacity "
            f"{capacity:.10g}: the entropy of the clones and its derivative vanish ({refined.miss:.1e}, {point.slope:.1e})."
        ),
        observables={"alpha": refined.alpha, "overlap": overlap, "distance": refined.distance},
        iterations=point.log,
    )


def _pairs(state: State) -> list[tuple[tuple[str, float], ...]]:
    return [((k, q), (conjugate(k), state.conjugates[conjugate(k)])) for k, q in state.overlaps.items()]


def _without(setting: Setting, kappa: float, number: int, tolerance: float, status: Status, message: str) -> Threshold:
    """A threshold without a value."""
    return Threshold(
        name="ogp",
        **setting.identity,
        parameters={"kappa": kappa, "clones": number},
        value=math.nan,
        error=math.nan,
        residual=math.nan,
        quadrature_error=math.nan,
        order_parameters={},
        status=status,
        message=message,
        observables=dict.fromkeys(("alpha", "overlap", "distance")),
        rule=str(setting.rule),
        tolerance=tolerance,
    )


def _smallest(points: list[Threshold]) -> Threshold:
    """The smallest load over the numbers of clones, without a value where these do not bracket it."""
    by_number = {point.parameters["clones"]: point for point in points if point.converged}
    best = min(by_number, key=lambda m: by_number[m].value, default=None)
    needed = [] if best is None else [m for m in (best - 1, best + 1) if m >= _FEWEST and m not in by_number]
    if best is not None and not needed:
        message = f"The smallest load over the numbers of clones is that of {best:g} clones."
        return replace(by_number[best], message=message)
    missing = "no number of clones has a value" if best is None else f"{' and '.join(f'{m:g}' for m in needed)} is missing"
    reason = f"The smallest load over the numbers of clones is not bracketed by those asked for: {missing}."
    empty = replace(points[0], value=math.nan, error=math.nan, order_parameters={}, observables={})
    failed = best is None or any(point.parameters["clones"] in needed for point in points)
    return replace(empty, status=Status.NOT_CONVERGED if failed else Status.ABSENT, message=reason)
