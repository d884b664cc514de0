"""All saddle points that a fixed list of starts finds at one parameter value, ranked, with the physical one marked.

Starts are deterministic: the regular solution, and Newton's method from a Sobol-like list of points in the coordinates,
where every point is inside the domain; then, where a solution past a fold is found or the regular branch may have ended,
from where these branches, followed through their folds, come to the load again.  Solutions that differ by more than the
convergence are kept; those of one list are found again by everybody.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from saddle.points.fold import LoadBranch
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
_SMALLER, _LARGER = 0.1, 10.0
"""Loads, in units of that asked for, from which the regular branch is followed and up to which any is."""


@dataclass(frozen=True, kw_only=True, repr=False)
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

    def kept(x: np.ndarray) -> State | None:
        """A saddle that is new, from a start."""
        state = _solution(problem, x, setting, tolerance)
        if state is None or any(_same(state, other) for _, other in found):
            return None
        point = finished(setting, problem, values, reference, state, (), tolerance)
        if not point.converged:
            return None
        found.append((point, state))
        return state

    regular = solve_point(setting, values, None, tolerance)
    starts = [problem.to_coordinates(regular.order_parameters)] if regular.converged else []
    for x in [*starts, *_starts(problem)]:
        kept(x)
    if reference is None and not setting.ansatz.imposed:
        seeds = [(alpha, point.order_parameters) for point, state in found if state.orientation < 0]
        if setting.model.teacher or not regular.converged:
            smaller = solve_point(setting, {**values, "alpha": _SMALLER * alpha}, None, tolerance)
            seeds += [(_SMALLER * alpha, smaller.order_parameters)] if smaller.converged else []
        for load, order in seeds:
            for x in _across_folds(setting, values, load, order, tolerance):
                kept(x)
    return _ranked(found)


def _across_folds(
    setting: Setting, values: Mapping[str, float], load: float, order: Mapping[str, float], tolerance: float
) -> Iterator[np.ndarray]:
    """Starts wherever the branch of a saddle at some load, followed through its folds, comes to the load of ``values``."""
    alpha = values["alpha"]

    def problem_at(load: float) -> Problem:
        return problem_of(setting, {**values, "alpha": load}, None)

    x = problem_at(load).to_coordinates(dict(order))
    for name, direction in itertools.product(problem_at(load).unknown, (1.0, -1.0)):
        branch = LoadBranch(problem_at, name, setting.rule)
        with np.errstate(all="ignore"):  # what trial steps outside the domain give is not kept
            last = branch.solve(float(x[branch.at]), x, load, tolerance)
            for here in branch.points(last, tolerance, direction=direction) if last is not None else ():
                if last is None or here.alpha > _LARGER * alpha:
                    break
                if (here.alpha - alpha) * (last.alpha - alpha) < 0.0:
                    share = (alpha - last.alpha) / (here.alpha - last.alpha)
                    yield last.state.coordinates + share * (here.state.coordinates - last.state.coordinates)
                last = here


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
        _coexisting(point, index, index == best, _reason(point, state, index == best, len(ordered)))
        for index, (point, state) in enumerate(ordered)
    )


def _reason(point: SaddlePoint, state: State, best: bool, count: int) -> str:
    if state.orientation < 0:
        return "past a fold: it separates two branches and is not a phase"
    unstable = point.observables.get("stable") is False
    if best:
        first = "the only solution found" if count == 1 else "the largest free entropy of those that are not past a fold"
        return f"{first}, though unstable (negative replicon): replica symmetry is broken" if unstable else first
    if unstable:
        return "unstable (negative replicon): replica symmetry is broken there, so that it is no metastable phase"
    return "metastable: another solution has a larger free entropy"


def _coexisting(point: SaddlePoint, branch: int, physical: bool, reason: str) -> CoexistingPoint:
    known: Mapping[str, Any] = {name: getattr(point, name) for name in SaddlePoint.__dataclass_fields__}
    return CoexistingPoint(**known, branch=branch, physical=physical, reason=reason)
