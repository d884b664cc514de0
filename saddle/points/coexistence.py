"""All saddle points that a fixed list of starts finds at one parameter value, ranked, with the physical one marked.

Starts are deterministic: the regular solution, and Newton's method from a Sobol-like list of points in the coordinates,
where every point is inside the domain.  Solutions that differ by more than the convergence are kept; those of one list are
found again by everybody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from saddle.points.newton import newton
from saddle.points.outcome import finished
from saddle.points.problem import Problem, State
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, problem_of, reference_point, solve_point

_STARTS = 48
_STEEPEST = 8.0
"""Largest logit of a pivot among the starts: overlaps up to 0.9997."""
_STEPS = (math.sqrt(2) % 1, math.sqrt(3) % 1, math.sqrt(5) % 1, math.sqrt(7) % 1, math.sqrt(11) % 1, math.sqrt(13) % 1)
_SAME = 1e-6


@dataclass(frozen=True, kw_only=True)
class CoexistingPoint(SaddlePoint):
    """A saddle point among those that coexist: its rank, whether it is the physical one, and why."""

    branch: int
    physical: bool
    reason: str

    def row(self) -> dict[str, object]:
        """The row as JSON and CSV show it."""
        row = super().row()
        tail = {name: row.pop(name) for name in ("status", "message")}
        return {**row, "branch": self.branch, "physical": self.physical, "reason": self.reason, **tail}


def all_saddles(
    free_entropy: Any, *, alpha: float, kappa: float = 0.0, tolerance: float = DEFAULT_TOLERANCE, **parameters: Any
) -> tuple[CoexistingPoint, ...]:
    """Return the saddle points found at one point of the parameters, the largest free entropy first.

    The physical one is that of the largest free entropy among those that are not past a fold; a solution past a fold
    separates the two branches that meet there.

    Parameters
    ----------
    free_entropy : FreeEntropy or (model, ansatz)
    alpha, kappa, **parameters
        As for :func:`saddle.solve`.

    Raises
    ------
    InputError
        For bad input.
    """
    setting = Setting.of(free_entropy)
    values = setting.resolve({"alpha": alpha, "kappa": kappa, **parameters}, tolerance)
    reference = reference_point(setting, values, tolerance)
    problem = problem_of(setting, values, reference)
    found: list[tuple[SaddlePoint, State]] = []
    regular = solve_point(setting, values, None, tolerance)
    starts = [problem.to_coordinates(regular.order_parameters)] if regular.converged else []
    for x in [*starts, *_starts(problem)]:
        state = _solution(problem, x, setting, tolerance)
        if state is None or any(_same(state, other) for _, other in found):
            continue
        point = finished(setting, problem, values, reference, state, (), tolerance)
        if point.converged:
            found.append((point, state))
    return _ranked(found)


def _starts(problem: Problem) -> list[np.ndarray]:
    points, steep = [], {*problem.pivots, *problem.shape.bounded}
    for index in range(_STARTS):
        x = np.zeros(len(problem.unknown))
        for axis, name in enumerate(problem.unknown):
            share = (0.5 + (index + 1) * _STEPS[axis % len(_STEPS)]) % 1.0
            x[axis] = _STEEPEST * (2 * share - 1) if name in steep else 2.0 * share - 0.5
        points.append(x)
    return points


def _solution(problem: Problem, x: np.ndarray, setting: Setting, tolerance: float) -> State | None:
    with np.errstate(all="ignore"):  # what trial steps outside the domain give is not kept
        try:
            attempt = newton(problem, x, setting.rule, tolerance)
        except (np.linalg.LinAlgError, ZeroDivisionError):
            return None
    obeyed = attempt.converged and attempt.state is not None and problem.obeys_identities(attempt.state)
    return attempt.state if obeyed else None


def _same(a: State, b: State) -> bool:
    names = a.overlaps.keys() & b.overlaps.keys()
    return all(abs(a.overlaps[k] - b.overlaps[k]) < _SAME for k in names)


def _ranked(found: list[tuple[SaddlePoint, State]]) -> tuple[CoexistingPoint, ...]:
    ordered = sorted(found, key=lambda pair: -pair[0].free_entropy)
    forward = [i for i, (_, state) in enumerate(ordered) if state.orientation >= 0]
    best = forward[0] if forward else None
    return tuple(
        _coexisting(point, index, index == best, _reason(index, best, state, len(ordered)))
        for index, (point, state) in enumerate(ordered)
    )


def _reason(index: int, best: int | None, state: State, count: int) -> str:
    if state.orientation < 0:
        return "past a fold: it separates two branches and is not a phase"
    if index == best:
        return "the only solution found" if count == 1 else "the largest free entropy of those that are not past a fold"
    return "metastable: another solution has a larger free entropy"


def _coexisting(point: SaddlePoint, branch: int, physical: bool, reason: str) -> CoexistingPoint:
    known: Mapping[str, Any] = {name: getattr(point, name) for name in SaddlePoint.__dataclass_fields__}
    return CoexistingPoint(**known, branch=branch, physical=physical, reason=reason)
