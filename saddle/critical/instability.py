r"""The load at which the replica-symmetric saddle becomes unstable: the de Almeida-Thouless line at one margin.

The branch is followed from a small load to where its replicon vanishes.  While solutions are uncorrelated the replicon is
linear in the load, :math:`1 - \alpha A`, so that its zero needs no search, and would be a branch point for one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from saddle.critical.capacities import capacity
from saddle.lines.following import SpecialPoint, follow
from saddle.points.fold import LONGEST, BranchPoint, LoadBranch
from saddle.points.outcome import finished
from saddle.points.results import SaddlePoint, Threshold
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, solve_point

_SMALL_LOAD, _LARGE_LOAD = 0.02, 0.9999
_WITHOUT_CAPACITY, _FARTHEST = 20.0, 2e4
"""Loads up to which an instability is sought, first and last, where the load has no end."""
_UNCORRELATED, _PER_OVERLAP = 1e-9, 4.0
"""An overlap that is as good as none, and what it may change of a replicon."""
_ROOT = 1e-9
"""Tolerance of an overlap's coordinate in which the load is all but stationary."""
_EVERYTHING = 30.0
"""Logit of an overlap at which the load is that of overlap 1 to rounding."""
_SEARCHED, _STEP = 5.0, 0.25
"""Margins, in units of the output's standard deviation, between which a marginal one is sought, and steps of the search."""
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Instability:
    """The load of an instability with its error, and the replica-symmetric saddle there."""

    alpha: float
    error: float
    point: SaddlePoint


def largest_load(setting: Setting, kappa: float, tolerance: float) -> float:
    """The replica-symmetric capacity at a margin, or a large load where there is none."""
    limit = capacity(setting.model, kappa, tolerance=tolerance)
    assert isinstance(limit, Threshold)
    return limit.value if limit.converged else _WITHOUT_CAPACITY


def unstable_limit(setting: Setting, kappa: float, tolerance: float) -> bool:
    """Whether the replica-symmetric saddle is known to be unstable at the capacity."""
    limit = capacity(setting.model, kappa, tolerance=tolerance)
    assert isinstance(limit, Threshold)
    return limit.observables.get("stable") is False


def first_instability(setting: Setting, kappa: float, tolerance: float) -> SpecialPoint | None:
    """The first zero of the replicon along the branch in the load at a margin; None if it is stable to the end."""
    start, largest = _start(setting, kappa, tolerance)
    if start is None:
        return None
    goals, target = [_LARGE_LOAD * largest], (setting.model, setting.ansatz)
    while largest == _WITHOUT_CAPACITY and goals[-1] < _FARTHEST:
        goals.append(10.0 * goals[-1])
    for goal in goals:
        branch = follow(start, "alpha", goal, target=target, events=["replicon"])
        if (found := next((special for special in branch.special if special.kind == "replicon"), None)) is not None:
            return found
    return None


def uncorrelated_instability(setting: Setting, kappa: float, tolerance: float) -> Instability | None:
    """The load at which solutions without correlations become unstable, below or above the capacity.

    None where solutions are correlated, or stable at any load.
    """
    start, _ = _start(setting, kappa, tolerance)
    if start is None or abs(overlap := float(start["overlap"] or 0.0)) > _UNCORRELATED:
        return None
    load = start.parameters["alpha"] / (1.0 - float(start["replicon"] or 0.0))
    if not load > 0.0:
        return None
    relative = (start.error + 64 * _EPS + _PER_OVERLAP * abs(overlap)) * load / start.parameters["alpha"]
    return Instability(load, relative * load, start)


def instability(setting: Setting, kappa: float, tolerance: float) -> Instability | None:
    """The load at which the replica-symmetric saddle becomes unstable; None if it is stable to the end."""
    if (found := uncorrelated_instability(setting, kappa, tolerance)) is not None:
        if found.alpha >= largest_load(setting, kappa, tolerance):
            return None
        values = {**found.point.parameters, "alpha": found.alpha}
        return replace(found, point=solve_point(setting, values, found.point, tolerance))
    special = first_instability(setting, kappa, tolerance)
    if special is not None:
        return Instability(special.value, special.error, special.point)
    return _next_to_capacity(setting, kappa, tolerance) if unstable_limit(setting, kappa, tolerance) else None


def _next_to_capacity(setting: Setting, kappa: float, tolerance: float) -> Instability | None:
    """An instability at loads that differ from the capacity by less than the branch in the load is followed to.

    There the overlap still changes, and the load is a function of it, whose slope vanishes with the distance to the
    capacity: the zero of the replicon in the overlap has the load to that much more digits.  Where the overlap is 1 to
    rounding before the replicon vanishes, it does so between that point and the capacity.  None if the branch is not met.
    """
    start, largest = _start(setting, kappa, tolerance)
    if start is None or len(pivots := setting.kernel.META["pivots"]) != 1:
        return None
    values = dict(start.parameters)
    branch = LoadBranch(lambda alpha: problem_of(setting, {**values, "alpha": alpha}, None), pivots[0], setting.rule)
    x = branch.problem_at(values["alpha"]).to_coordinates(start.order_parameters)
    here = there = branch.solve(float(x[branch.at]), x, values["alpha"], tolerance)
    if here is None or there is None:
        return None
    for there in branch.points(here, tolerance, farthest=_EVERYTHING):
        if _replicon(branch, there) < 0.0:
            found, finer = (_marginal(way, there, tolerance) for way in (branch, branch.refined()))
            break
    else:
        if not there.state.coordinates[branch.at] >= _EVERYTHING:
            return None
        found = finer = there
    point = finished(
        setting, branch.problem_at(finer.alpha), {**values, "alpha": finer.alpha}, None, finer.state, (), tolerance
    )
    error = abs(finer.alpha - found.alpha) + found.error + finer.error + _ROOT * abs(finer.slope)
    before_capacity = 2.0 * abs(largest - finer.alpha) + 64 * _EPS * largest  # a load that rises up to there
    return Instability(finer.alpha, min(error, before_capacity), point) if point.converged else None


def _replicon(branch: LoadBranch, at: BranchPoint) -> float:
    return float(min(branch.problem_at(at.alpha).observables(at.state, branch.rule)["replicons"].values()))


def _marginal(branch: LoadBranch, near: BranchPoint, tolerance: float) -> BranchPoint:
    """The saddle at which the replicon vanishes, on the last steps before one where it is negative.

    Raises
    ------
    ArithmeticError
        If the branch is lost on the way.
    """
    from scipy.optimize import brentq

    last = float(near.state.coordinates[branch.at])

    def between(s: float) -> BranchPoint:
        point = branch.solve(s, *near.ahead(s - last), tolerance)
        if point is None:
            raise ArithmeticError(f"the replica-symmetric branch was lost near alpha = {near.alpha:.10g}")
        return point

    return between(brentq(lambda s: _replicon(branch, between(s)), last - LONGEST, last, xtol=_ROOT))


def _start(setting: Setting, kappa: float, tolerance: float) -> tuple[SaddlePoint | None, float]:
    """The saddle at a small load if it has a replicon, and the largest load."""
    largest = largest_load(setting, kappa, tolerance)
    values = setting.resolve({"alpha": _SMALL_LOAD * largest, "kappa": kappa}, tolerance)
    start = solve_point(setting, values, None, tolerance)
    usable = start.converged and isinstance(start.observables.get("replicon"), float)
    return (start if usable else None), largest


def scaled_margin(
    setting: Setting, kappa: float, found: Instability | None, room: float, tolerance: float
) -> float | None:
    """Return a margin at which all is as at this one but for a scale, and unstable overlaps leave ``room`` to 1.

    Next to a margin at which the replicon vanishes in the limit of overlap 1, everything depends on the distance to it
    in units of the square root of what an overlap leaves.  None where that is more than half of ``room`` already.
    """
    margin: float | None = None
    while found is not None and (left := 1.0 - float(found.point["overlap"] or 0.0)) < 0.5 * room:
        limits = marginal_margins(setting, tolerance)
        if not limits:
            return None
        limit = min(limits, key=lambda end: abs(end - kappa))
        margin = kappa = limit + (kappa - limit) * math.sqrt(room / max(left, _EPS))
        found = instability(setting, kappa, tolerance)
    return margin


@lru_cache(maxsize=8)
def marginal_margins(setting: Setting, tolerance: float) -> tuple[float, ...]:
    """Return the margins at which the replicon of continuous weights vanishes in the limit of overlap 1."""
    from scipy.optimize import brentq

    def replicon(kappa: float) -> float:
        found = capacity(setting.model, kappa, tolerance=tolerance)
        assert isinstance(found, Threshold)
        value = found.observables.get("replicon")
        return float(value) if isinstance(value, float) else math.nan

    if setting.model.weights.discrete:
        return ()
    unit = setting.deviation or 1.0
    margins = [unit * (_STEP * i - _SEARCHED) for i in range(round(2.0 * _SEARCHED / _STEP) + 1)]
    values = [replicon(kappa) for kappa in margins]
    found = [kappa for kappa, value in zip(margins, values, strict=True) if value == 0.0]
    for i in range(len(margins) - 1):
        if values[i] * values[i + 1] < 0.0:
            found.append(float(brentq(replicon, margins[i], margins[i + 1], xtol=1e-13, rtol=1e-14)))
    return tuple(found)
