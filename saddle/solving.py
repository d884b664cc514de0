r"""Solve the saddle-point equations of a derived free entropy at one point of its parameters.

The stages of a solution are: the problem that the ansatz is conditioned on (the reference of a Franz-Parisi entropy),
Newton from a start or from the fixed-point map, and, where an overlap is imposed, an approach along the branch.  The
value is taken from a refined rule at the solution; its difference to the plain rule is the quadrature error.  A point
past a fold, above the entropy of all configurations at its distance, or with a residual above the tolerance has no value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from replica import zoo
from replica.ansatz import Ansatz, conjugate
from replica.errors import InputError
from replica.model import Model
from saddle.branch import SMALLEST_DISTANCE, Side, approach
from saddle.kernel import kernel_key, load_kernel
from saddle.newton import Attempt, FixedPoint, newton
from saddle.problem import Problem, State
from saddle.quadrature import Rule
from saddle.results import Iteration, SaddlePoint, Status

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy

Target = "FreeEntropy | tuple[Model | str, Ansatz | str]"

DEFAULT_TOLERANCE = 1e-12
_FIXED_POINT_STEPS = (2, 4, 16, 64)
_SCOUTING_STEPS = (2, 10)
_EPS = float(np.finfo(float).eps)
_ROUNDING = 16 * _EPS
_ZERO_ENTROPY = 1e-9
_SENSITIVITY_RULE = Rule(0.25, 8.0)


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
    result = solve_point(setting, values, start, tolerance)
    if throw and not result.converged:
        raise SaddleError(result)
    return result


@dataclass(frozen=True)
class Setting:
    """A model under an ansatz, with what is needed to solve it: plain data until the kernel is asked for."""

    model: Model
    ansatz: Ansatz

    @classmethod
    def of(cls, target: Any) -> Setting:
        """The setting of a free entropy, or of a (model, ansatz) pair of objects or names."""
        if isinstance(target, tuple) and len(target) == 2:
            model, ansatz = target
        elif hasattr(target, "model") and hasattr(target, "ansatz"):
            model, ansatz = target.model, target.ansatz
        else:
            raise InputError("Solve what replica.derive returned, or a pair (model, ansatz).")
        model = zoo.model(model) if isinstance(model, str) else model
        ansatz = zoo.ansatz(ansatz) if isinstance(ansatz, str) else ansatz
        if ansatz.multiplicities:
            raise InputError(
                f"The ansatz {ansatz.name} is derived but has no solver yet; rs and franz-parisi can be solved."
            )
        return cls(model, ansatz)

    @cached_property
    def kernel(self) -> ModuleType:
        """The compiled kernel module."""
        return load_kernel(self.model, self.ansatz)

    @property
    def key(self) -> str:
        """Key of the kernel."""
        return kernel_key(self.model, self.ansatz)

    @property
    def rule(self) -> Rule:
        """The plain quadrature rule: finer where only one-dimensional integrals are needed."""
        return Rule(0.1) if not self.ansatz.imposed else Rule()

    @property
    def reference(self) -> Setting | None:
        """The setting that this one is conditioned on."""
        return Setting(self.model, zoo.ansatz(self.ansatz.reference)) if self.ansatz.reference else None

    def parameter_names(self) -> list[str]:
        """Names of the parameters, in the order of rows: load, margins, distance."""
        names = [
            prefix + name
            for prefix in dict.fromkeys(["", *(prefix for _, prefix in self.ansatz.prefixes)])
            for name in self.model.constraint.parameters
        ]
        return ["alpha", *names, *(["distance"] if self.ansatz.imposed else [])]

    def resolve(self, given: Mapping[str, Any], tolerance: float) -> dict[str, float]:
        """Every parameter as a number, checked; ``"max"`` as a reference margin becomes the maximal margin."""
        names = self.parameter_names()
        if missing := [name for name in names if name not in given]:
            raise InputError(f"The ansatz {self.ansatz.name} needs {missing[0]}=.")
        if extra := [name for name in given if name not in names]:
            raise InputError(f"The ansatz {self.ansatz.name} takes no {extra[0]}; it takes {', '.join(names)}.")
        if not (isinstance(tolerance, (int, float)) and 0.0 < tolerance < 1e-2):
            raise InputError(f"tolerance = {tolerance!r} must be a positive number below 0.01.")
        values = {}
        for name in names:
            value = given[name]
            if value == "max" and name.startswith("reference_"):
                from saddle.thresholds import maximal_margin

                value = maximal_margin(self.model, values["alpha"], tolerance)
            values[name] = _number(name, value)
        _check_domain(values)
        return values


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} = {value!r} is not a number.") from None
    if not math.isfinite(number):
        raise InputError(f"{name} = {value!r} must be a finite number.")
    return number


def _check_domain(values: Mapping[str, float]) -> None:
    if values["alpha"] <= 0.0:
        raise InputError(f"alpha = {values['alpha']:g} must be positive.")
    if "distance" in values and not 0.0 < values["distance"] < 0.5:
        raise InputError(f"distance = {values['distance']:g} must lie between 0 and 1/2, both excluded.")


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
    parameters = {"alpha": values["alpha"]} | {c: values[prefix + c] for c in setting.model.constraint.parameters}
    point = _reference_point(reference, tuple(parameters.items()), tolerance)
    empty = point.status is Status.NO_SADDLE
    if empty or (setting.model.weights.discrete and point.converged and point.free_entropy < -_ZERO_ENTROPY):
        from saddle.thresholds import maximal_margin

        largest = maximal_margin(setting.model, values["alpha"], tolerance)
        name = prefix + setting.model.constraint.parameters[0]
        raise InputError(
            f"{name} = {values[name]:.12g} is above the maximal margin {largest:.10f} at alpha = {values['alpha']:g}: "
            f"no solution has it; ask for at most that, or for max."
        )
    return point


def problem_of(setting: Setting, values: Mapping[str, float], reference: SaddlePoint | None) -> Problem:
    """The equations at these parameters."""
    parameters = dict(values)
    for name in setting.ansatz.imposed:
        parameters[name] = 1.0 - 2.0 * values["distance"]
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
    reference = reference_point(setting, values, tolerance)
    if reference is not None and not reference.converged:
        return _without_value(setting, values, Status.NOT_CONVERGED, f"The reference: {reference.message}", (), tolerance)
    problem = problem_of(setting, values, reference)
    if (answer := _beyond_limit(setting, problem, values, tolerance)) is not None:
        return answer
    attempt = None
    if start is not None:
        attempt = _from_start(problem, start, setting.rule, tolerance)
    if attempt is None or not _acceptable(attempt):
        attempt = cold_start(problem, setting.rule, tolerance)
    if not _acceptable(attempt) and setting.ansatz.imposed:
        return _along_branch(setting, values, reference, attempt, tolerance)
    if not _acceptable(attempt):
        attempt = _with_growing_load(setting, values, reference, attempt, tolerance)
    if not _acceptable(attempt) or attempt.state is None:
        return _not_converged(setting, values, attempt, tolerance)
    return finished(setting, problem, values, reference, attempt.state, attempt.iterations, tolerance)


def _acceptable(attempt: Attempt) -> bool:
    """Converged, and not past a fold."""
    return attempt.converged and attempt.state is not None and attempt.state.orientation >= 0


def _from_start(
    problem: Problem, start: SaddlePoint | Mapping[str, float], rule: Rule, tolerance: float
) -> Attempt | None:
    known = dict(start.order_parameters if isinstance(start, SaddlePoint) else start)
    names = {*problem.active, *(conjugate(k) for k in problem.active), *problem.given}
    if unknown := [name for name in known if name not in names]:
        raise InputError(f"start has no order parameter {unknown[0]!r} here; they are {', '.join(sorted(names))}.")
    if bad := [name for name, value in known.items() if not math.isfinite(value)]:
        raise InputError(f"start has {bad[0]} = {known[bad[0]]}; it must be a finite number.")
    origin = FixedPoint(problem, rule)
    if not origin.alive:
        return None
    x = problem.to_coordinates({**origin.overlaps, **origin.conjugates, **known})
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


def _along_branch(
    setting: Setting, values: Mapping[str, float], reference: SaddlePoint | None, failed: Attempt, tolerance: float
) -> SaddlePoint:
    """Reach an imposed distance along the branches from both sides, or say where they end."""

    def problem_at(distance: float) -> Problem:
        return problem_of(setting, {**values, "distance": distance}, reference)

    def cold(problem: Problem) -> State | None:
        attempt = cold_start(problem, setting.rule, tolerance, _SCOUTING_STEPS, most=12)
        return attempt.state if _acceptable(attempt) else None

    state, below, above = approach(problem_at, cold, values["distance"], setting.rule, tolerance)
    if state is not None:
        steps = (*failed.iterations, Iteration(len(failed.iterations), state.residual, 1.0, "branch"))
        return finished(setting, problem_at(values["distance"]), values, reference, state, steps, tolerance)
    if below is None and above is None:
        return _not_converged(setting, values, failed, tolerance)
    status, message = _where_branches_end(setting, values, below, above)
    point = _without_value(setting, values, status, message, failed.iterations, tolerance)
    window = (below.distance if below is not None else 0.0, above.distance if above is not None else 0.5)
    return replace(point, window=window)


def _where_branches_end(
    setting: Setting, values: Mapping[str, float], below: Side | None, above: Side | None
) -> tuple[Status, str]:
    """Status and sentence for a distance that no branch reaches."""
    if above is None:
        assert below is not None
        return Status.BRANCH_END, (
            f"No saddle: the branch ends at distance {below.distance:.4g} ({_how_it_ends(below.state)}), and none was "
            "found at larger distances."
        )
    upper = f"the one from the typical distance ends at {above.distance:.4g} ({_how_it_ends(above.state)})"
    if below is not None:
        return Status.NO_SADDLE, (
            f"Window without a saddle: the branch from small distances ends at {below.distance:.4g} "
            f"({_how_it_ends(below.state)}), {upper}."
        )
    if _reference_is_inside(setting, values):
        return Status.NO_SADDLE, (
            f"Window without a saddle: the branch from small distances ends below {SMALLEST_DISTANCE:g}, {upper}."
        )
    return Status.BRANCH_END, (
        f"No saddle: the branch ends at distance {above.distance:.4g} ({_how_it_ends(above.state)}), and there is none "
        "at smaller distances, where the reference is not inside the probe's constraint."
    )


def _reference_is_inside(setting: Setting, values: Mapping[str, float]) -> bool:
    """Whether the reference fulfils the probe's constraint with room to spare, so that probes surround it closely."""
    constraint = setting.model.constraint
    prefix = next((prefix for _, prefix in setting.ansatz.prefixes if prefix), "")
    inner = {name: values[prefix + name] for name in constraint.parameters}
    return constraint.implies(inner, {name: values[name] for name in constraint.parameters})


def _how_it_ends(state: State) -> str:
    closest = max(state.pivots, key=lambda name: state.overlaps[name])
    if state.overlaps[closest] > 0.99 and max(map(abs, state.conjugates.values())) > 100.0:
        return f"the probes freeze: {closest} tends to 1 and its conjugate to infinity"
    return "in a fold"


def _beyond_limit(
    setting: Setting, problem: Problem, values: Mapping[str, float], tolerance: float
) -> SaddlePoint | None:
    """The answer where there is no saddle: at and above the load at which the overlap of two solutions reaches 1."""
    if not problem.meta["limit_load"]:
        return None
    limit = float(problem.call("limit_load", [values[c] for c in problem.meta["constraint"]], 2, setting.rule)[0])
    if values["alpha"] < limit:
        return None
    what = (
        f"the overlap of two solutions reaches 1 at alpha = {limit:.10g}"
        if setting.model.weights.discrete
        else f"the overlap of two solutions reaches 1 at the capacity {limit:.10g}, where their volume vanishes"
    )
    message = f"There is no saddle at alpha = {values['alpha']:g}: {what}; ask for a smaller load or margin."
    return _without_value(setting, values, Status.NO_SADDLE, message, (), tolerance)


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
    refined = problem.state(state.coordinates, setting.rule.refined(), jacobian=False)
    if refined is None or not math.isfinite(refined.free_entropy):
        return _not_converged(setting, values, Attempt(state, iterations, False), tolerance)
    value = refined.free_entropy
    quadrature = abs(value - state.free_entropy)
    error = quadrature + _ROUNDING * refined.scale + _reference_error(problem, state, reference)
    observables = _observables(setting, problem, values, state)
    bound = observables.get("bound")
    if isinstance(bound, float) and value > bound + 10 * error + 1e-12:
        message = f"The solution found has entropy {value:.12g} above the bound {bound:.12g}: a spurious branch."
        return _without_value(setting, values, Status.NOT_CONVERGED, message, iterations, tolerance)
    negative = setting.model.weights.discrete and value < -error
    status = Status.NEGATIVE_ENTROPY if negative else Status.CONVERGED
    return SaddlePoint(
        model=setting.model.name,
        ansatz=setting.ansatz.name,
        parameters=dict(values),
        order_parameters=_order_parameters(problem, state),
        free_entropy=value,
        residual=state.residual,
        quadrature_error=quadrature,
        error=error,
        status=status,
        message=_message(status, state.residual),
        iterations=iterations,
        observables=observables,
        warnings=_warnings(observables),
        kernel=setting.key,
        rule=str(setting.rule),
        tolerance=tolerance,
    )


def _message(status: Status, residual: float) -> str:
    if status is Status.NEGATIVE_ENTROPY:
        return f"Solved to residual {residual:.1e}; the entropy is negative: typically there is no such configuration."
    return f"Solved to residual {residual:.1e}."


def _warnings(observables: Mapping[str, Any]) -> tuple[str, ...]:
    if observables.get("stable") is False:
        return ("The replica-symmetric saddle is unstable here (negative replicon): replica symmetry is broken.",)
    return ()


def _observables(
    setting: Setting, problem: Problem, values: Mapping[str, float], state: State
) -> dict[str, float | bool | None]:
    """What the ansatz adds to a row: slope and bound, or overlap, distance and stability."""
    if setting.ansatz.imposed:
        name = setting.ansatz.imposed[0]
        bound = setting.model.weights.distance_bound(values["distance"])
        return {"slope": -2.0 * problem.slope(state, name), "bound": bound}
    (name,) = problem.active
    replicon = problem.observables(state, setting.rule)["replicons"][name]
    overlap = state.overlaps[name]
    return {"overlap": overlap, "distance": (1.0 - overlap) / 2, "replicon": replicon, "stable": bool(replicon > 0.0)}


def _order_parameters(problem: Problem, state: State) -> dict[str, float]:
    ordered: dict[str, float] = {}
    for name in problem.active:
        ordered[name] = state.overlaps[name]
        ordered[conjugate(name)] = state.conjugates[conjugate(name)]
    for name in problem.meta["given"]:
        ordered[name] = problem.given[name]
        ordered[conjugate(name)] = problem.given[conjugate(name)]
    return ordered


def _reference_error(problem: Problem, state: State, reference: SaddlePoint | None) -> float:
    """What the uncertainty of the reference's order parameters does to the free entropy, which is not stationary there."""
    if reference is None:
        return 0.0
    total, here = 0.0, problem.state(state.coordinates, _SENSITIVITY_RULE, jacobian=False)
    for name, value in problem.given.items():
        shift = 1e-9 * max(abs(value), 1e-3)
        moved = Problem(problem.kernel, problem.parameters, {**problem.given, name: value - shift})
        there = moved.state(state.coordinates, _SENSITIVITY_RULE, jacobian=False)
        if here is not None and there is not None and math.isfinite(there.free_entropy):
            slope = abs(there.free_entropy - here.free_entropy) / shift
            total += slope * (4 * _EPS * max(1.0, abs(value)) + 4 * reference.residual)
    return total


def _not_converged(
    setting: Setting, values: Mapping[str, float], attempt: Attempt, tolerance: float
) -> SaddlePoint:
    state = attempt.state
    if state is None or not math.isfinite(state.residual):
        message = "Not converged: the iteration left the domain where the overlap matrix is positive."
    elif state.orientation < 0 and attempt.converged:
        message = "Not converged: only a solution past a fold was found, which is not the physical branch."
    else:
        message = f"Not converged: the residual is {state.residual:.1e}, above the tolerance {tolerance:.1e}."
    return _without_value(setting, values, Status.NOT_CONVERGED, message, attempt.iterations, tolerance)


def _without_value(
    setting: Setting,
    values: Mapping[str, float],
    status: Status,
    message: str,
    iterations: tuple[Iteration, ...],
    tolerance: float,
) -> SaddlePoint:
    last = iterations[-1].residual if iterations else math.nan
    names = [conjugate(k) if hat else k for k in setting.ansatz.names().values() for hat in (False, True)]
    keys = ("slope", "bound") if setting.ansatz.imposed else ("overlap", "distance", "replicon", "stable")
    observables: dict[str, float | bool | None] = dict.fromkeys(keys)
    if setting.ansatz.imposed:
        observables["bound"] = setting.model.weights.distance_bound(values["distance"])
    return SaddlePoint(
        model=setting.model.name,
        ansatz=setting.ansatz.name,
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
        kernel=setting.key,
        rule=str(setting.rule),
        tolerance=tolerance,
    )
