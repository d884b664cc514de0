r"""Solve the saddle-point equations of a derived free entropy at one point of its parameters.

The stages of a solution are: the problem that the ansatz is conditioned on (the reference of a Franz-Parisi entropy),
Newton from a start or from the fixed-point map, and, where an overlap is imposed, an approach along the branch.  A point
past a fold, above the entropy of all configurations at its distance, or with a residual above the tolerance has no value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from replica.ansatz import conjugate
from replica.errors import InputError, UnsupportedAnsatz
from saddle.kernels.quadrature import Rule
from saddle.points.along_branch import FAR_AWAY, Approach, along_branch
from saddle.points.branch import Side
from saddle.points.broken import broken_point
from saddle.points.continued import continued_attempt, continues
from saddle.points.cooling import cooled
from saddle.points.fold import Fold, fold_in_load
from saddle.points.growing import Reached, follow_multiplicity
from saddle.points.imposed_fold import beyond_imposed_fold
from saddle.points.infinite_point import infinite_point, is_infinite
from saddle.points.newton import Attempt, FixedPoint, newton
from saddle.points.outcome import finished, not_converged, without_value
from saddle.points.problem import Problem, State
from saddle.points.results import SaddlePoint, Status
from saddle.points.setting import Setting, is_number
from saddle.points.typical import TypicalBranch

DEFAULT_TOLERANCE = 1e-12
_FIXED_POINT_STEPS = (2, 4, 16, 64)
_SEEDS = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.5)
"""Logits of overlaps."""
_SCOUTING_STEPS = (2, 10)
_ZERO_ENTROPY = 1e-9
_SMALL_LOAD = 0.1
"""A load at which the fixed-point map contracts, whatever the margin."""


class SaddleError(RuntimeError):
    """A point without a value, raised where ``throw=True`` asked for it; ``.result`` holds what is known."""

    def __init__(self, result: SaddlePoint) -> None:
        super().__init__(result.message)
        self.result = result


def solve(
    free_entropy: Any,
    *,
    alpha: float,
    kappa: float = 0.0,
    start: SaddlePoint | Mapping[str, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    throw: bool = False,
    **parameters: Any,
) -> SaddlePoint:
    r"""Return the saddle point of a free entropy at one point of its parameters.

    Parameters
    ----------
    free_entropy : FreeEntropy or (model, ansatz)
        What :func:`replica.derive` returned, or the pair it would be derived from (objects or names): then a compiled
        kernel is found without deriving anything.
    alpha, kappa : float
        Load and margin.
    start : SaddlePoint or mapping, optional
        Order parameters to start from, e.g. an earlier result or ``{"q": 0.9}``; what is missing is taken from the
        point without patterns.  A start that leads nowhere is not a failure: the point is then solved from scratch.
    tolerance : float
        Largest undamped residual that counts as converged.
    throw : bool
        Raise :class:`SaddleError` for a point without a value.
    **parameters
        What the ansatz needs besides: ``reference_kappa`` (a number or ``"max"``) and ``distance`` for Franz-Parisi.

    Returns
    -------
    SaddlePoint
        With ``status`` ``converged`` or ``negative-entropy`` (a value), ``no-saddle`` or ``branch-end`` (there is none,
        and the message says where the branches are), or ``not-converged``.

    Raises
    ------
    InputError
        For bad input, in one sentence.
    """
    setting = Setting.of(free_entropy)
    values = setting.resolve({"alpha": alpha, "kappa": kappa, **parameters}, tolerance)
    known: Any = {} if start is None or isinstance(start, SaddlePoint) else start
    if not isinstance(known, Mapping) or not all(is_number(value) for value in known.values()):
        raise InputError(f"start = {start!r} is neither an earlier result nor order parameters by name.")
    result = solve_point(setting, values, start, tolerance)
    if throw and not result.converged:
        raise SaddleError(result)
    return result


@lru_cache(maxsize=512)
def _reference_point(setting: Setting, parameters: tuple[tuple[str, float], ...], tolerance: float) -> SaddlePoint:
    return solve_point(setting, dict(parameters), None, min(tolerance, DEFAULT_TOLERANCE))


def reference_point(setting: Setting, values: Mapping[str, float], tolerance: float) -> SaddlePoint | None:
    """The solved problem that the setting is conditioned on, None if there is none.

    Raises
    ------
    InputError
        If it has no solutions to refer to: the reference margin is above the maximal one.
    """
    reference = setting.reference
    if reference is None:
        return None
    prefix = next(prefix for _, prefix in setting.ansatz.prefixes if prefix)
    model = reference.model
    parameters = {"alpha": values["alpha"]} | {c: values[prefix + c] for c in model.constraint.parameters}
    point = _reference_point(reference, tuple(parameters.items()), tolerance)
    empty = point.status is Status.NO_SADDLE
    entropy = point.observables.get("entropy", point.free_entropy)
    if setting.model.weights.counts and point.converged and isinstance(entropy, float):
        empty = empty or entropy < -_ZERO_ENTROPY
    if empty and hasattr(model.constraint, "temperature"):
        raise InputError(
            f"The entropy of the reference is {entropy:.6g} at these parameters: typically there is no such configuration; "
            f"ask for a smaller load or a smaller {prefix}{model.constraint.temperature}."
        )
    if empty:
        from saddle.critical.capacities import maximal_margin

        largest = maximal_margin(model, values["alpha"], tolerance)
        constraint = model.constraint
        name = prefix + constraint.parameters[0]
        above = getattr(constraint, "harder", 1) > 0
        raise InputError(
            f"{name} = {values[name]:.12g} is {'above' if above else 'below'} the "
            f"{getattr(constraint, 'extreme', 'maximal margin')} {largest:.10f} at alpha = {values['alpha']:g}: "
            f"no solution has it; ask for at {'most' if above else 'least'} that, or for max."
        )
    return point


def problem_of(setting: Setting, values: Mapping[str, float], reference: SaddlePoint | None) -> Problem:
    """The equations at these parameters."""
    parameters = dict(values)
    for name in setting.ansatz.imposed:
        parameters[name] = setting.imposed_value(values)
    given = {}
    if reference is not None:
        for here, there in setting.ansatz.given:
            given[here] = reference.order_parameters[there]
            given[conjugate(here)] = reference.order_parameters[conjugate(there)]
    return Problem(setting.kernel, parameters, given)


def solve_point(
    setting: Setting,
    values: Mapping[str, float],
    start: SaddlePoint | Mapping[str, float] | None,
    tolerance: float,
) -> SaddlePoint:
    """Solve at resolved parameters: reference, start or cold start, branch, errors."""
    if is_infinite(setting, values):
        return infinite_point(setting, values, start, tolerance)
    reference = reference_point(setting, values, tolerance)
    if reference is not None and not reference.converged:
        return without_value(setting, values, Status.NOT_CONVERGED, f"The reference: {reference.message}", (), tolerance)
    if setting.ansatz.extremised:
        symmetric = Setting.of((setting.model, "rs"))
        at = {name: values[name] for name in symmetric.parameter_names()}

        return broken_point(
            setting, values, start, tolerance, lambda moved, near: solve_point(symmetric, {**at, **moved}, near, tolerance)
        )
    problem = problem_of(setting, values, reference)
    if (answer := _beyond_limit(setting, problem, values, tolerance)) is not None:
        return answer
    if start is not None and (point := _continued_from(setting, values, start, tolerance)) is not None:
        return point
    if start is not None:
        attempt = _from_start(problem, start, setting.rule, tolerance)
        if attempt is not None and (state := _sound(problem, attempt)) is not None:
            return finished(setting, problem, values, reference, state, attempt.iterations, tolerance)
    attempt = cold_start(problem, setting.rule, tolerance)
    if not _acceptable(attempt) and setting.ansatz.multiplicities:
        attempt = _with_growing_multiplicity(setting, values, attempt, tolerance)
        if not _acceptable(attempt) and (point := _continued(setting, values, tolerance)) is not None:
            return point
    elif not _acceptable(attempt) and setting.ansatz.imposed:
        return _along_branch(setting, values, reference, attempt, tolerance)
    if not _acceptable(attempt) and problem.unknown == problem.pivots:
        attempt = _away_from_zero(problem, attempt, setting.rule, tolerance)
    if _sound(problem, attempt) is None:
        point = beyond_imposed_fold(setting, values, partial(_from_scratch, setting, tolerance), tolerance)
        if point is not None:
            return point
    if _sound(problem, attempt) is None:
        attempt = _with_growing_load(setting, values, reference, attempt, tolerance)
    if (state := _sound(problem, attempt)) is None:
        return beyond_fold(setting, values, tolerance) or not_converged(setting, values, attempt, tolerance)
    point = finished(setting, problem, values, reference, state, attempt.iterations, tolerance)
    if setting.model.teacher and point.observables.get("stable") is False:  # no student's, if that branch has ended before
        return beyond_fold(setting, values, tolerance) or point
    return point


def _from_scratch(setting: Setting, tolerance: float, values: Mapping[str, float]) -> tuple[Problem, State] | None:
    """A problem and its state without a start, if few steps lead there."""
    problem = problem_of(setting, values, None)
    attempt = cold_start(problem, setting.rule, tolerance)
    if not _acceptable(attempt):
        attempt = _with_growing_multiplicity(setting, values, attempt, tolerance)
    state = _sound(problem, attempt)
    return None if state is None else (problem, state)


def _continued(setting: Setting, values: Mapping[str, float], tolerance: float) -> SaddlePoint | None:
    """The answer at an imposed overlap below the replica-symmetric one, None above it."""
    if not continues(setting):
        return None
    symmetric = Setting.of((setting.model, "rs"))
    typical = _reference_point(symmetric, tuple((name, values[name]) for name in symmetric.parameter_names()), tolerance)
    try:
        found = continued_attempt(setting.continued, values, typical, tolerance)
    except UnsupportedAnsatz as error:
        return without_value(setting, values, Status.NOT_CONVERGED, f"Not converged: {error}", (), tolerance)
    if found is None:
        return None
    problem, attempt = found
    if attempt.state is None:
        return not_converged(setting, values, attempt, tolerance)
    return finished(setting.continued, problem, values, None, attempt.state, attempt.iterations, tolerance)


def _continued_from(
    setting: Setting, values: Mapping[str, float], start: SaddlePoint | Mapping[str, float], tolerance: float
) -> SaddlePoint | None:
    """The answer from a start whose clusters are closer to each other than their replicas, if it leads there."""
    known = start.order_parameters if isinstance(start, SaddlePoint) else start
    if not continues(setting):
        return None
    ((outer, inner),) = setting.kernel.META["ceilings"].items()
    if not known.get(outer, 0.0) > known.get(inner, 1.0):
        return None
    problem = problem_of(setting.continued, values, None)
    attempt = _from_start(problem, start, setting.rule, tolerance)
    if attempt is None or not _acceptable(attempt) or attempt.state is None:
        return None
    return finished(setting.continued, problem, values, None, attempt.state, attempt.iterations, tolerance)


def _acceptable(attempt: Attempt) -> bool:
    """Converged, and not past a fold."""
    return attempt.converged and attempt.state is not None and attempt.state.orientation >= 0


def _sound(problem: Problem, attempt: Attempt) -> State | None:
    """The state of a solution on the physical branch, None if there is none."""
    return attempt.state if _acceptable(attempt) and not _spurious(problem, attempt) else None


def _spurious(problem: Problem, attempt: Attempt) -> bool:
    """Whether a solution breaks an exact identity between overlaps: it is on a branch that means nothing."""
    return attempt.state is not None and attempt.converged and not problem.obeys_identities(attempt.state)


def _from_start(
    problem: Problem, start: SaddlePoint | Mapping[str, float], rule: Rule, tolerance: float
) -> Attempt | None:
    known = dict(start.order_parameters if isinstance(start, SaddlePoint) else start)
    names = problem.shape.order_parameters
    if unknown := [name for name in known if name not in names]:
        raise InputError(f"start has no order parameter {unknown[0]!r} here; they are {', '.join(sorted(names))}.")
    if bad := [name for name, value in known.items() if not math.isfinite(value)]:
        raise InputError(f"start has {bad[0]} = {known[bad[0]]}; it must be a finite number.")
    bounded = {*problem.active} - {*problem.shape.norm_of, *problem.shape.norms, *problem.shape.imposed_norms}
    if bad := [name for name, value in known.items() if name in bounded and abs(value) > 1.0]:
        raise InputError(f"start has {bad[0]} = {known[bad[0]]:g}; an overlap lies between -1 and 1.")
    if not {*problem.unknown} <= known.keys():
        origin = FixedPoint(problem, rule)
        if not origin.alive:
            return None
        known = {**origin.overlaps, **origin.conjugates, **known}
    x = problem.to_coordinates(known)
    return newton(problem, x, rule, tolerance)


def cold_start(
    problem: Problem, rule: Rule, tolerance: float, stages: tuple[int, ...] = _FIXED_POINT_STEPS, most: int = 40
) -> Attempt:
    """Newton after a few, then more and more steps of the fixed-point map; the last attempt if none succeeds."""
    start = FixedPoint(problem, rule)
    attempt = Attempt(None, (), False)
    for steps in stages:
        if not start.advance(steps):
            break
        found = newton(problem, start.coordinates(), rule, tolerance, most=most, first=len(start.log))
        attempt = Attempt(found.state, (*start.log, *found.iterations), found.converged)
        if _acceptable(attempt):
            break
    return attempt


def _away_from_zero(problem: Problem, failed: Attempt, rule: Rule, tolerance: float) -> Attempt:
    """Newton from overlaps of all sizes, for problems that leave a saddle at overlap 0 through an instability.

    Of several solutions that with the lowest free entropy is the replica-symmetric one: each bounds it from above.
    """
    found = [newton(problem, np.full(len(problem.pivots), x), rule, tolerance) for x in _SEEDS]
    found = [attempt for attempt in found if _acceptable(attempt) and not _spurious(problem, attempt)]
    return min(found, key=lambda attempt: attempt.state.free_entropy if attempt.state else math.inf, default=failed)


def _with_growing_load(
    setting: Setting, values: Mapping[str, float], reference: SaddlePoint | None, failed: Attempt, tolerance: float
) -> Attempt:
    """Follow the branch from a small load, where the fixed-point map contracts, to the load asked for."""
    load, goal, factor = values["alpha"] * 2.0**-10, values["alpha"], 2.0
    current = cold_start(problem_of(setting, {**values, "alpha": load}, reference), setting.rule, tolerance)
    while _acceptable(current) and current.state is not None and load < goal and factor > 1.0 + 1e-9:
        trial = min(load * factor, goal)
        problem = problem_of(setting, {**values, "alpha": trial}, reference)
        found = newton(problem, current.state.coordinates, setting.rule, tolerance, most=15)
        if _acceptable(found):
            load, current, factor = trial, found, min(factor**1.5, 2.0)
        else:
            factor = math.sqrt(factor)
    return current if load == goal else failed


def _with_growing_multiplicity(
    setting: Setting, values: Mapping[str, float], failed: Attempt, tolerance: float
) -> Attempt:
    """Follow the branch from one replica in a cluster to the number asked for."""
    name = setting.ansatz.multiplicities[0]

    def problem_at(multiplicity: float) -> Problem:
        return problem_of(setting, {**values, name: multiplicity}, None)

    start = cold_start(problem_at(1.0), setting.rule, tolerance)
    if not _acceptable(start):
        return failed
    reached = follow_multiplicity(problem_at, Reached(1.0, start), values[name], setting.rule, tolerance)
    return reached.attempt if reached.value == values[name] else failed


def _along_branch(
    setting: Setting, values: Mapping[str, float], reference: SaddlePoint | None, failed: Attempt, tolerance: float
) -> SaddlePoint:
    """Reach an imposed distance along the branches from both sides, or say where they end."""

    def warmer(moved: Mapping[str, float]) -> Problem | None:
        there = reference_point(setting, moved, tolerance)
        return problem_of(setting, moved, there) if there is None or there.converged else None

    fixed = tuple((name, value) for name, value in values.items() if name not in ("distance", "overlap"))
    approach = Approach(
        setting,
        values,
        reference,
        tolerance,
        lambda distance: problem_of(setting, {**values, "distance": distance}, reference),
        partial(_scouted, setting.rule, tolerance),
        lambda: _typical_branch(setting, fixed, tolerance),
        lambda: None if reference is None else _alone(setting, values, tolerance),
    )
    far = max(values["distance"], FAR_AWAY)
    start = partial(cold_start, rule=setting.rule, tolerance=tolerance)

    def from_higher_temperatures() -> Side | None:
        attempt = cooled({**values, "distance": far}, setting.temperatures, warmer, start, setting.rule, tolerance)
        found = None if attempt is None else _sound(approach.problem_at(far), attempt)
        return None if found is None else Side(far, found)

    return along_branch(approach, from_higher_temperatures, failed)


def _scouted(rule: Rule, tolerance: float, problem: Problem) -> State | None:
    """A state without a start, if few steps lead there."""
    attempt = cold_start(problem, rule, tolerance, _SCOUTING_STEPS, most=12)
    return attempt.state if _acceptable(attempt) else None


def _alone(setting: Setting, values: Mapping[str, float], tolerance: float) -> SaddlePoint:
    """The saddle of the probes' constraint without a reference."""
    symmetric = Setting.of((setting.model.obeyed(""), "rs"))
    return _reference_point(symmetric, tuple((name, values[name]) for name in symmetric.parameter_names()), tolerance)


@lru_cache(maxsize=64)
def _typical_branch(
    setting: Setting, fixed: tuple[tuple[str, float], ...], tolerance: float
) -> TypicalBranch | None:
    """The branches at these parameters, whatever the distance: their ends are the same for all points of a row."""
    values = dict(fixed)
    reference = reference_point(setting, values, tolerance)
    shape = (len(setting.kernel.META["pivots"]), len(setting.kernel.META["active"]), len(setting.kernel.META["imposed"]))
    plain = setting.model.weights.discrete and setting.model.weights.unit_norm and not setting.model.teacher
    if reference is None or not plain or shape != (1, 3, 1) or setting.temperatures:
        return None
    symmetric, probe = Setting.of((setting.model.obeyed(""), "rs")), _alone(setting, values, tolerance)
    (name,), (given,) = symmetric.kernel.META["pivots"] or [""], setting.kernel.META["given"]
    if not probe.converged or not name:
        return None
    overlap, hat = probe.order_parameters[name], probe.order_parameters[conjugate(name)]
    room = math.sqrt(max(overlap * problem_of(setting, {**values, "distance": 0.25}, reference).given[given], 0.0))
    return TypicalBranch(
        lambda distance: problem_of(setting, {**values, "distance": distance}, reference),
        partial(_scouted, setting.rule, tolerance),
        overlap,
        hat,
        room,
        setting.rule,
        tolerance,
    )


@lru_cache(maxsize=256)
def _fold_at(setting: Setting, fixed: tuple[tuple[str, float], ...], tolerance: float) -> Fold | None:
    def problem_at(alpha: float) -> Problem:
        return problem_of(setting, {"alpha": alpha, **dict(fixed)}, None)

    start = cold_start(problem_at(_SMALL_LOAD), setting.rule, tolerance)
    if not _acceptable(start) or start.state is None:
        return None
    problem, state = problem_at(_SMALL_LOAD), start.state
    # a coordinate that turns before the load does is no parameter of the branch: another one is
    held = [*problem.pivots, *(name for name in problem.unknown if name not in problem.pivots)]
    folds = (fold_in_load(problem_at, name, state, _SMALL_LOAD, setting.rule, tolerance) for name in held)
    return next((fold for fold in folds if fold is not None), None)


def spinodal(setting: Setting, values: Mapping[str, float], tolerance: float) -> Fold | None:
    """The fold in which the branch without patterns ends as the load grows, at these parameters; None if it has none."""
    if setting.ansatz.imposed or setting.reference is not None or not setting.kernel.META["pivots"]:
        return None
    fixed = tuple((name, value) for name, value in values.items() if name != "alpha")
    return _fold_at(setting, fixed, min(tolerance, DEFAULT_TOLERANCE))


def beyond_fold(setting: Setting, values: Mapping[str, float], tolerance: float) -> SaddlePoint | None:
    """The answer beyond the load at which the branch ends in a fold, None below it."""
    fold = spinodal(setting, values, tolerance)
    if fold is None or values["alpha"] < fold.alpha - fold.error:
        return None
    message = f"No saddle: the branch that starts without patterns ends in a fold at alpha = {fold.alpha:.10g}"
    if setting.model.teacher and values.get("kappa", 0.0) < 0.0:
        message += "; beyond it the solutions around the teacher are left, a saddle that all_saddles finds"
    elif setting.model.teacher:
        message += "; beyond it the teacher itself is left (perfect generalisation: r = 1, entropy 0)"
    return without_value(setting, values, Status.NO_SADDLE, message + ".", (), tolerance)


@lru_cache(maxsize=512)
def _limit_load(setting: Setting, constraint: tuple[float, ...]) -> float:
    """The load at which the overlap of two solutions reaches 1, at these parameters of the constraint."""
    given = dict(zip(setting.kernel.META["constraint"], constraint, strict=True))
    problem = Problem(setting.kernel, {"alpha": 1.0, **given}, {})
    return float(problem.call("limit_load", list(constraint), 1 + len(constraint), setting.rule)[0])


def _beyond_limit(
    setting: Setting, problem: Problem, values: Mapping[str, float], tolerance: float
) -> SaddlePoint | None:
    """The answer where there is no saddle: at and above the load at which the overlap of two solutions reaches 1."""
    if not problem.meta["limit_load"]:
        return None
    limit = _limit_load(setting, tuple(values[c] for c in problem.meta["constraint"]))
    if values["alpha"] < limit:
        return None
    what = (
        f"the overlap of two solutions reaches 1 at alpha = {limit:.10g}"
        if setting.model.weights.discrete
        else f"the overlap of two solutions reaches 1 at the capacity {limit:.10g}, where their volume vanishes"
    )
    message = f"There is no saddle at alpha = {values['alpha']:g}: {what}; ask for a smaller load or margin."
    return without_value(setting, values, Status.NO_SADDLE, message, (), tolerance)
