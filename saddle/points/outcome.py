r"""What a solved state is worth: the result with its value, its errors and its status, or the reason for none.

The value is taken from a refined rule at the solution; its difference to the plain rule is the quadrature error.  To it add
the rounding of the terms that the entropy is the sum of, and what the uncertainty of a reference's order parameters does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from replica.ansatz import conjugate
from replica.parts.teacher import generalization_error
from saddle.kernels.quadrature import ROUGH, Rule
from saddle.points.clusters import cluster_point, observable_names
from saddle.points.newton import Attempt, followed
from saddle.points.problem import Observables, Problem, State
from saddle.points.results import Iteration, SaddlePoint, Status
from saddle.points.series_error import response
from saddle.points.setting import Setting
from saddle.points.stability import Stability, of_conditioned, of_replicon
from saddle.points.thermal import THERMAL, temperature, warmth

_EPS = float(np.finfo(float).eps)
_ROUNDING = 16 * _EPS
_FINER = 1.25
"""How much finer the steps of the refined rule are: its error is the plain one's to this power, so that it sees that one."""


def finished(
    setting: Setting,
    problem: Problem,
    values: Mapping[str, float],
    reference: SaddlePoint | None,
    state: State,
    iterations: tuple[Iteration, ...],
    tolerance: float,
) -> SaddlePoint:
    """The result at a solved state: the value by the refined rule, with its errors, checked against its bound."""
    if setting.ansatz.multiplicities:
        return cluster_point(setting, problem, values, state, iterations, tolerance)
    refined, read = _refined(problem, state, setting.rule)
    if refined is None or not math.isfinite(refined.free_entropy):
        return not_converged(setting, values, Attempt(state, iterations, False), tolerance)
    value, residual = refined.free_entropy, state.residual
    quadrature = abs(value - state.free_entropy)
    error = quadrature + _ROUNDING * refined.scale + _reference_error(problem, state, reference)
    for name in problem.imposed:
        error += _EPS * abs(problem.slope(state, name))
    error += response(problem, state, setting.rule).of_free_entropy
    observables, stability = _observables(setting, problem, values, state, reference, read)
    bound = observables.get("bound")
    if isinstance(bound, float) and value > bound + 10 * error + 1e-12:
        message = f"The solution found has entropy {value:.12g} above the bound {bound:.12g}: a spurious branch."
        return without_value(setting, values, Status.NOT_CONVERGED, message, iterations, tolerance)
    if temperature(setting):
        finer = setting.rule.refined(_FINER)
        states = state, followed(problem, state, finer)
        warm = warmth(setting, problem, states, finer, _uncertain(problem, reference))
        observables = {**warm.row(value, error), **observables}
    entropy, uncertainty = (observables.get(f"entropy{of}", plain) for of, plain in (("", value), ("_error", error)))
    numbers = isinstance(entropy, float) and isinstance(uncertainty, float)
    negative = setting.model.weights.counts and numbers and entropy < -uncertainty
    status = Status.NEGATIVE_ENTROPY if negative else Status.CONVERGED
    return SaddlePoint(
        **setting.identity,
        parameters=dict(values),
        order_parameters=order_parameters(problem, state),
        free_entropy=value,
        residual=residual,
        quadrature_error=quadrature,
        error=error,
        status=status,
        message=f"{_message(status, residual)} {stability.reason}".rstrip(),
        iterations=iterations,
        observables=observables,
        warnings=stability.warnings,
        rule=setting.rule_text,
        tolerance=tolerance,
    )


def _refined(problem: Problem, state: State, rule: Rule) -> tuple[State | None, Observables]:
    """The state by a refined rule, and its observables where they belong to a row.

    Where a variance is 0 to rounding, the refined rule is the first that does not make it negative.
    """
    finer, read = rule.refined(_FINER), Observables()
    if problem.imposed:
        found = problem.state(state.coordinates, finer, jacobian=False)
    else:
        found, read = problem.assessed(state, rule, finer)
    for divisor in (1.35, 1.45, 1.3, 1.4):
        if found is None or math.isfinite(found.free_entropy):
            break
        found = problem.state(state.coordinates, Rule(rule.step / divisor, finer.reach), jacobian=False)
    return found, read


def _message(status: Status, residual: float) -> str:
    if status is Status.NEGATIVE_ENTROPY:
        return f"Solved to residual {residual:.1e}; the entropy is negative: typically there is no such configuration."
    return f"Solved to residual {residual:.1e}."


def _observables(
    setting: Setting,
    problem: Problem,
    values: Mapping[str, float],
    state: State,
    reference: SaddlePoint | None,
    read: Observables,
) -> tuple[dict[str, float | bool | None], Stability]:
    """What the ansatz adds to a row: slope, bound and stability, or overlap, distance, replicon and stability."""
    learned = _generalization(setting, state.overlaps) if setting.teacher_overlap else {}
    if setting.ansatz.imposed:
        name = setting.ansatz.imposed[0]
        bound = setting.model.weights.distance_bound(values["distance"])
        stability = of_conditioned(problem, state, reference)
        slope = setting.distance_rate * problem.slope(state, name)
        return {"slope": slope, "bound": bound, "stable": stability.stable, **learned}, stability
    ((name, replicon),) = read["replicons"].items()
    stability, overlap = of_replicon(replicon), state.overlaps.get(name, 0.0)
    distance = (state.overlaps.get(setting.norms[name] or "", 1.0) - overlap) / (2 * setting.model.weights.scale)
    found = {"overlap": overlap, "distance": distance, "replicon": replicon, "stable": stability.stable}
    return {**found, **learned}, stability


def _generalization(setting: Setting, overlaps: Mapping[str, float]) -> dict[str, float | bool | None]:
    """The generalisation error of a student of a teacher, from their overlap."""
    return {"generalization_error": generalization_error(setting.model, overlaps[setting.teacher_overlap])}


def order_parameters(problem: Problem, state: State) -> dict[str, float]:
    """Every overlap and its conjugate, by name."""
    ordered: dict[str, float] = {}
    for overlap, hat in zip(state.overlaps.items(), state.conjugates.items(), strict=True):
        ordered[overlap[0]], ordered[hat[0]] = overlap[1], hat[1]
    for name in problem.shape.given:
        ordered[name] = problem.given[name]
        ordered[conjugate(name)] = problem.given[conjugate(name)]
    for name in problem.meta["zero"]:
        ordered[name] = ordered[conjugate(name)] = 0.0
    return ordered


def _reference_error(problem: Problem, state: State, reference: SaddlePoint | None) -> float:
    """What the uncertainty of the reference's order parameters does to the free entropy, which is not stationary there."""
    if reference is None:
        return 0.0
    # where the reference's fields are far in a tail, exponents that cancel lose as many units of rounding
    total = 2.0 * _EPS * problem.exponent * abs(problem.alpha * state.energetic)
    here, uncertain = problem.state(state.coordinates, ROUGH, jacobian=False), _uncertain(problem, reference)
    for name, value in problem.given.items():
        shift = 1e-9 * max(abs(value), 1e-3)
        moved = Problem(problem.kernel, problem.parameters, {**problem.given, name: value - shift})
        there = moved.state(state.coordinates, ROUGH, jacobian=False)
        if here is not None and there is not None and math.isfinite(there.free_entropy):
            slope = abs(there.free_entropy - here.free_entropy) / shift
            total += slope * uncertain[name]
    return total


def _uncertain(problem: Problem, reference: SaddlePoint | None) -> dict[str, float]:
    """The errors of the order parameters that a reference gives."""
    residual = 0.0 if reference is None else reference.residual
    return {name: 4 * _EPS * max(1.0, abs(value)) + 4 * residual for name, value in problem.given.items()}


def not_converged(
    setting: Setting, values: Mapping[str, float], attempt: Attempt, tolerance: float
) -> SaddlePoint:
    """The result of an iteration that failed, with what stopped it."""
    state = attempt.state
    if state is None or not math.isfinite(state.residual):
        message = "Not converged: the iteration left the domain where the overlap matrix is positive."
    elif state.orientation < 0 and attempt.converged:
        message = "Not converged: only a solution past a fold was found, which is not the physical branch."
    else:
        message = f"Not converged: the residual is {state.residual:.1e}, above the tolerance {tolerance:.1e}."
    return without_value(setting, values, Status.NOT_CONVERGED, message, attempt.iterations, tolerance)


def without_value(
    setting: Setting,
    values: Mapping[str, float],
    status: Status,
    message: str,
    iterations: tuple[Iteration, ...],
    tolerance: float,
) -> SaddlePoint:
    """The result at a point without a value: its status and message, and how far the iteration came."""
    last = iterations[-1].residual if iterations else math.nan
    meta = setting.kernel.META
    names = [conjugate(k) if hat else k for k in meta["overlaps"] for hat in (False, True)] + list(setting.ansatz.extremised)
    symmetric = ("overlap", "distance", "replicon", "stable")
    keys: tuple[str, ...] = ("slope", "bound", "stable") if setting.ansatz.imposed else symmetric
    keys = observable_names(setting) if setting.ansatz.multiplicities else keys
    keys = (*keys, "generalization_error") if setting.teacher_overlap else keys
    keys = (*THERMAL, *keys) if temperature(setting) else keys
    observables: dict[str, float | bool | None] = dict.fromkeys(keys)
    if "bound" in keys:
        observables["bound"] = setting.model.weights.distance_bound(values["distance"])
    return SaddlePoint(
        **setting.identity,
        parameters=dict(values),
        order_parameters=dict.fromkeys(names, math.nan),
        free_entropy=math.nan,
        residual=last,
        quadrature_error=math.nan,
        error=math.nan,
        status=status,
        message=message,
        iterations=iterations,
        observables=observables,
        rule=setting.rule_text,
        tolerance=tolerance,
    )
