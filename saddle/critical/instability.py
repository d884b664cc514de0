r"""The load at which the replica-symmetric saddle becomes unstable: the de Almeida-Thouless line at one margin.

The branch is followed from a small load to where its replicon vanishes.  While solutions are uncorrelated the replicon is
linear in the load, :math:`1 - \alpha A`, so that its zero needs no search, and would be a branch point for one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from saddle.critical.capacities import capacity
from saddle.lines.following import SpecialPoint, follow
from saddle.points.results import SaddlePoint, Threshold
from saddle.points.setting import Setting
from saddle.points.solving import solve_point

_SMALL_LOAD, _LARGE_LOAD = 0.02, 0.9999
_WITHOUT_CAPACITY, _FARTHEST = 20.0, 2e4
"""Loads up to which an instability is sought, first and last, where the load has no end."""
_UNCORRELATED, _PER_OVERLAP = 1e-9, 4.0
"""An overlap that is as good as none, and what it may change of a replicon."""
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
    return None if special is None else Instability(special.value, special.error, special.point)


def _start(setting: Setting, kappa: float, tolerance: float) -> tuple[SaddlePoint | None, float]:
    """The saddle at a small load if it has a replicon, and the largest load."""
    largest = largest_load(setting, kappa, tolerance)
    values = setting.resolve({"alpha": _SMALL_LOAD * largest, "kappa": kappa}, tolerance)
    start = solve_point(setting, values, None, tolerance)
    usable = start.converged and isinstance(start.observables.get("replicon"), float)
    return (start if usable else None), largest
