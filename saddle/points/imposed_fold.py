r"""Where real replicas around a reference have no saddle: beyond the fold of their branch in the distance.

With few replicas the branch that comes from large distances turns back at a smallest one.  A point that was not
reached is approached from a larger distance along the branch, past the fold if there is one; the fold is a solution of the
equations extended by the singularity of their Jacobian (:mod:`saddle.continuation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from saddle.points.outcome import finished, without_value
from saddle.points.problem import Problem, State
from saddle.points.results import SaddlePoint, Status
from saddle.points.setting import Setting

_RATIOS = (1.5, 2.5, 5.0, 12.0, 40.0)
_FARTHEST = 0.45
_LONGEST = 0.5


def beyond_imposed_fold(
    setting: Setting,
    values: Mapping[str, float],
    solved: Callable[[Mapping[str, float]], tuple[Problem, State] | None],
    tolerance: float,
) -> SaddlePoint | None:
    """Return the answer at a distance that was not reached: the saddle there, or that the branch folds before.

    Parameters
    ----------
    setting, values, tolerance
        As for any point.
    solved : callable
        The problem and its state from scratch at other values; None where it fails.
    """
    from saddle.lines.following import follow

    if not (setting.ansatz.imposed and setting.ansatz.multiplicities) or setting.ansatz.extremised:
        return None
    goal = values["distance"]
    for ratio in _RATIOS:
        distance = min(goal * ratio, _FARTHEST)
        moved = {**values, "distance": distance}
        moved |= {"overlap": 1.0 - 2.0 * distance} if "overlap" in values else {}
        if distance <= goal or (found := solved(moved)) is None:
            continue
        start = finished(setting, found[0], moved, None, found[1], (), tolerance)
        if not start.converged:
            continue
        ends = (goal, min(1.1 * distance, 0.49))
        branch = follow(start, "distance", ends, target=(setting.model, setting.ansatz), direction=-1.0, longest=_LONGEST)
        if folds := [special.value for special in branch.special if special.kind == "fold"]:
            message = (
                f"No saddle: the branch from larger distances ends in a fold at distance {folds[0]:.8g}, and none was "
                "found at smaller ones; ask for a larger distance or more replicas."
            )
            point = without_value(setting, values, Status.BRANCH_END, message, (), tolerance)
            return replace(point, window=(0.0, folds[0]))
        if branch.last.parameters["distance"] == goal:
            return branch.last
    return None
