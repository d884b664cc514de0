r"""Where the entropy vanishes: capacity at given margin, maximal margin at given load.

For discrete weights both are zeros of the replica-symmetric entropy along its branch.  The entropy is stationary in the
order parameters, so that its derivative in the load is the energetic term itself and in the margin the explicit
derivative; a guarded Newton iteration on that line converges quadratically, each step a warm-started saddle.  For
continuous weights the threshold is where the overlap of two solutions reaches 1, a closed form that the derivation supplies.
Broken replica symmetry has its own module (:mod:`saddle.critical.broken_capacity`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from replica import zoo
from replica.ansatz import Ansatz, conjugate
from replica.errors import InputError
from replica.model import Model
from saddle.points.problem import Problem
from saddle.points.results import Iteration, SaddlePoint, Status, Threshold
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, problem_of, solve_point
from saddle.reporting.curve import Curve
from saddle.reporting.temperatures import refuse_temperature
from saddle.sweeping.journal import Journal, Steps

Progress = Callable[[Any], None]
Ansaetze = str | Ansatz | Iterable[str | Ansatz]

_MOST_STEPS = 60
_NEIGHBOURS = 64
"""Units of rounding within which a bracket is a number."""
_UNCORRELATED = 1e-12
"""An overlap that is as good as none, where at 0 a regression on it would be 0/0."""
_EPS = float(np.finfo(float).eps)
_MARGINAL = 1e-12
"""Rounding of a replicon that vanishes."""
_UNSTABLE_LIMIT = (
    "The replica-symmetric saddle is unstable where the overlap reaches 1 (negative replicon): replica symmetry is broken "
    "below the capacity, of which this is an upper bound; the ansatz 1rsb gives a lower one."
)
_LARGEST = "maximal margin"
_UPPER_BOUND = (
    "For a negative margin the replica-symmetric capacity is an upper bound: replica symmetry may be broken below it."
)


def capacity(
    model: Model | str,
    kappa: float | Iterable[float] = 0.0,
    *,
    ansatz: Ansaetze = "rs",
    start: SaddlePoint | Mapping[str, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Threshold | Curve:
    r"""Return the capacity at a margin (a curve for several margins or ansatze).

    Discrete weights: the load at which :math:`\phi_\mathrm{RS}(\alpha, \kappa) = 0` (Krauth & Mezard 1989); under 1RSB the
    same number, where the frozen solution is the right one.  Spherical weights: the load at which ``q`` reaches 1 (Gardner
    1988), an upper bound where replica symmetry is unstable, which is said in ``warnings``; under 1RSB the load at which
    the last states disappear (:mod:`saddle.critical.sat_unsat`).

    Parameters
    ----------
    model : Model or str
    kappa : float or iterable of float
        The margin.
    ansatz : str, Ansatz or iterable of these
        ``"rs"`` (the default), ``"1rsb"``, or both (``"rs,1rsb"``): then a curve with the rows of one after the other.
    start : optional
        Order parameters to start the first saddle from.
    tolerance : float
        Largest undamped residual of the saddle.
    progress : callable, optional
        Called with every finished threshold.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).
    """
    settings = _settings(model, ansatz)
    return _thresholds("capacity", "kappa", "alpha", settings, kappa, start, tolerance, Steps(journal, progress))


def max_margin(
    model: Model | str,
    alpha: float | Iterable[float],
    *,
    ansatz: Ansaetze = "rs",
    start: SaddlePoint | Mapping[str, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Threshold | Curve:
    r"""Return the largest margin at which solutions exist at a load (a curve for several loads or ansatze).

    The inverse of :func:`capacity`: the margin at which the replica-symmetric entropy vanishes, or for spherical
    weights at which the overlap of two solutions reaches 1; under 1RSB that at which the last states disappear.  The
    margin is the extremal one for the constraint: for a window, where a smaller ``kappa`` asks for more, it is the
    smallest window with solutions.

    Parameters
    ----------
    model : Model or str
    alpha : float or iterable of float
        The load.
    ansatz, start, tolerance, progress, journal
        As for :func:`capacity`.
    """
    settings = _settings(model, ansatz)
    return _thresholds("max_margin", "alpha", "kappa", settings, alpha, start, tolerance, Steps(journal, progress))


@lru_cache(maxsize=256)
def maximal_margin(model: Model, alpha: float, tolerance: float = DEFAULT_TOLERANCE) -> float:
    """Return the number behind ``reference_kappa="max"``.

    Raises
    ------
    InputError
        If it does not exist at this load or is singular: then there is no typical solution to refer to.
    """
    if not math.isfinite(alpha) or alpha <= 0.0:
        raise InputError(f"alpha = {alpha:g} must be positive.")
    setting = Setting.of((model, "rs"))
    result = _threshold("max_margin", "alpha", "kappa", setting, alpha, None, tolerance)
    if not result.converged:
        raise InputError(f"The maximal margin at alpha = {alpha:g} could not be found: {result.message}")
    return result.value


def zero_entropy_load(
    setting: Setting,
    kappa: float,
    tolerance: float = DEFAULT_TOLERANCE,
    held: tuple[tuple[str, float], ...] = (),
) -> Threshold:
    """Return the load at which the free entropy of a discrete model vanishes on its branch, whatever that means there.

    ``held`` are parameters besides load and margin, such as a temperature.
    """
    return _zero_entropy(Line("alpha_zero_entropy", "kappa", "alpha", setting, kappa, tolerance, held), None)


def _thresholds(
    name: str,
    fixed: str,
    sought: str,
    settings: Sequence[Setting],
    values: float | Iterable[float],
    start: Any,
    tolerance: float,
    steps: Steps,
) -> Threshold | Curve:
    """One threshold, or a curve of them."""
    from saddle.reporting.reports import as_numbers

    single, listed = isinstance(values, (int, float)), as_numbers(fixed, values)
    for setting in settings:
        for value in listed:
            steps.at({fixed: value}, _threshold, name, fixed, sought, setting, value, start, tolerance)
    return steps.points[0] if single and len(settings) == 1 else Curve(tuple(steps.points))


def _settings(model: Model | str, ansatz: Ansaetze) -> list[Setting]:
    """The model under each ansatz asked for."""
    if isinstance(ansatz, str):
        ansatz = ansatz.split(",")
    listed = [ansatz] if isinstance(ansatz, Ansatz) else list(ansatz)
    if not listed:
        raise InputError("Give an ansatz, or several.")
    found, model = [zoo.as_ansatz(one) for one in listed], zoo.as_model(model)
    if refused := [one.name for one in found if one.imposed or one.given or one.reference]:
        raise InputError(f"The ansatz {refused[0]} imposes an overlap, so that it has no capacity; use rs or 1rsb.")
    return [Setting.of((model, "rs")) if not one.multiplicities else Setting(model, one) for one in found]


def _threshold(
    name: str, fixed: str, sought: str, setting: Setting, value: float, start: Any, tolerance: float
) -> Threshold:
    if not math.isfinite(value):
        raise InputError(f"{fixed} = {value!r} must be a finite number.")
    if fixed == "alpha" and value <= 0.0:
        raise InputError(f"alpha = {value:g} must be positive.")
    if fixed in setting.positive_parameters and value <= 0.0:
        raise InputError(f"{fixed} = {value:g} must be positive for {setting.model.name}.")
    refuse_temperature(setting.model, name.replace("_", "-"))
    line = Line(name, fixed, sought, setting, value, tolerance)
    if setting.model.teacher and (answer := _teachers_answer(line)) is not None:
        return answer
    if setting.ansatz.multiplicities:
        from saddle.critical.broken_capacity import broken_capacity

        unbroken = _threshold(name, fixed, sought, Setting.of((setting.model, "rs")), value, start, tolerance)
        if unbroken.status is Status.ABSENT:
            return line.result(math.nan, math.nan, Status.ABSENT, unbroken.message)
        return broken_capacity(line, unbroken)
    _check_norms(setting)
    if not setting.model.weights.discrete:
        return _volume_limit(line)
    return _zero_entropy(line, start)


def _check_norms(setting: Setting) -> None:
    """Refuse weights whose entropy has no meaning as a number of solutions, or whose norm can grow with the margin."""
    weights = setting.model.weights
    if weights.discrete and not weights.counts:
        raise InputError(f"{weights.name} weights have a prior: their entropy counts nothing and has no zero.")
    if not (weights.discrete or weights.unit_norm):
        raise InputError(f"{weights.name} weights can grow with the margin: ask for spherical ones, at margin 0.")


def _teachers_answer(line: Line) -> Threshold | None:
    """What the existence of a teacher, a solution of margin 0 at any load, says about a threshold; None if nothing."""
    if line.sought == "alpha" and line.value <= 0.0:
        message = (
            "There is no capacity: the teacher is a solution at any load, so that solutions always exist; the load "
            "beyond which it is the only one is alpha_first_order of generalization."
        )
        return line.result(math.nan, math.nan, Status.ABSENT, message)
    if line.sought == "kappa" and line.setting.model.weights.discrete:
        alone = zero_entropy_load(Setting.of((line.setting.model, "rs")), 0.0, line.tolerance)
        if alone.converged and line.value >= alone.value:
            message = f"Beyond alpha = {alone.value:.10g} the teacher is the only solution, and its smallest stability is 0."
            return line.result(0.0, 0.0, Status.CONVERGED, message)
    return None


@dataclass(frozen=True)
class Line:
    """The line in the (load, margin) plane on which a threshold is sought."""

    name: str
    fixed: str
    sought: str
    setting: Setting
    value: float
    tolerance: float
    held: tuple[tuple[str, float], ...] = ()
    """Parameters besides load and margin: temperatures."""

    def at(self, x: float) -> dict[str, float]:
        """The parameters at a point of the line."""
        place = {"alpha": self.value, "kappa": x} if self.sought == "kappa" else {"alpha": x, "kappa": self.value}
        return {**place, **dict(self.held)}

    @property
    def harder(self) -> int:
        """The sign of a step along the line that leaves fewer solutions."""
        return 1 if self.sought == "alpha" else getattr(self.setting.model.constraint, "harder", 1)

    @property
    def domain(self) -> tuple[float, float]:
        """Where the line ends."""
        positive = (*getattr(self.setting.model.constraint, "positive", ()), "alpha")
        return (0.0 if self.sought in positive else -math.inf), math.inf

    def result(self, x: float, error: float, status: Status, message: str, **known: Any) -> Threshold:
        """The threshold as a result."""
        margin = self.value if self.fixed == "kappa" else x
        symmetric = not self.setting.ansatz.multiplicities
        warnings = (_UPPER_BOUND,) if status.has_value and margin < 0.0 and symmetric else ()
        known = {"residual": 0.0, "quadrature_error": 0.0, "order_parameters": {}, **known}
        known["warnings"] = (*warnings, *known.get("warnings", ()))
        return Threshold(
            name=self.name,
            **self.setting.identity,
            parameters={self.fixed: self.value, **dict(self.held)},
            value=x,
            error=error,
            status=status,
            message=message,
            rule=str(self.setting.rule),
            tolerance=self.tolerance,
            **known,
        )


@dataclass
class _Step:
    """Entropy, its derivative along the line and the saddle at one point."""

    x: float
    point: SaddlePoint
    slope: float


def _zero_entropy(line: Line, start: Any) -> Threshold:
    """Newton on the entropy along the line, kept inside a bracket that shrinks with every sign seen."""
    x = _first_guess(line)
    harder = line.harder
    low, high = line.domain
    log: list[Iteration] = []
    here = _entropy_at(line, x, start)
    for count in range(_MOST_STEPS):
        if here is None:
            low, high = (low, min(high, x)) if harder > 0 else (max(low, x), high)
            other = low if harder > 0 else high
            x = 0.5 * (other + x) if math.isfinite(other) else x - harder * (line.setting.deviation or 1.0)
            here = _entropy_at(line, x, None)
            continue
        low, high = (x, high) if (here.point.free_entropy > 0.0) == (harder > 0) else (low, x)
        step = -here.point.free_entropy / here.slope
        log.append(Iteration(count, abs(here.point.free_entropy), 1.0, "newton"))
        if abs(step) <= 4 * _EPS * max(1.0, abs(x)) or abs(here.point.free_entropy) <= 2 * _EPS * _size(here):
            return _found(line, here, tuple(log))
        x = _inside(x + step, low, high, x)
        here = _entropy_at(line, x, here.point)
    # at margins of hundreds the sign of the entropy changes between neighbouring numbers, within what the error covers
    between = high - low <= _NEIGHBOURS * _EPS * max(1.0, abs(low))
    if here is not None and (between or abs(here.point.free_entropy) <= 2 * here.point.error):
        return _found(line, here, tuple(log))
    message = f"The zero of the entropy was not reached in {_MOST_STEPS} steps; it lies between {low:g} and {high:g}."
    unknown = {"residual": math.nan, "quadrature_error": math.nan}
    return line.result(math.nan, math.nan, Status.NOT_CONVERGED, message, iterations=tuple(log), **unknown)


def _size(step: _Step) -> float:
    return max(1.0, abs(step.x * step.slope))


def _inside(x: float, low: float, high: float, before: float) -> float:
    """The point moved into the bracket; steps beyond twice the distance to its ends are cut."""
    if x <= low:
        return 0.5 * (low + before)
    if x >= high:
        return 0.5 * (high + before)
    return x


def _first_guess(line: Line) -> float:
    """Below the annealed bound, which needs one evaluation of the constraint: about where the zero usually is.

    Without order parameters the bound is the answer, and a zero in the margin is sought from margin 1.
    """
    if line.sought == "alpha":
        without_patterns, per_load = _without_overlaps(line)
        if not per_load < 0.0:
            raise InputError(f"kappa = {line.value:g} excludes nothing: there is no capacity.")
        return (0.75 if line.setting.ansatz.names() else 1.0) * without_patterns / -per_load
    return 0.0 if line.domain[0] != 0.0 else 1.0


def _without_overlaps(line: Line) -> tuple[float, float]:
    """Entropy without patterns, and what a load adds to it as long as replicas are uncorrelated."""
    problem = problem_of(line.setting, line.at(1.0), None)
    nothing = dict.fromkeys((*problem.active, *map(conjugate, problem.active)), 0.0)
    nothing |= dict.fromkeys(problem.pivots, _UNCORRELATED)
    place, size = problem.raw_place(nothing), 1 + len(problem.active)
    weights = problem.call("weights", problem.weights_arguments(place, nothing), size, line.setting.rule)
    norms = {k: float(weights[1 + problem.active.index(k)]) for k in problem.meta["norms"]}
    place = problem.raw_place({**nothing, **norms})
    energetic = problem.call("energetic", problem.energetic_arguments(place), size, line.setting.rule)
    return float(weights[0]), float(energetic[0])


def _entropy_at(line: Line, x: float, start: Any) -> _Step | None:
    """The saddle at a point of the line with the total derivative of its entropy along the line."""
    values = line.at(x)
    point = solve_point(line.setting, values, start, line.tolerance)
    if not point.converged:
        return None
    problem = problem_of(line.setting, values, None)
    state = problem.state(problem.to_coordinates(point.order_parameters), line.setting.rule)
    assert state is not None
    if line.sought == "alpha":
        return _Step(x, point, state.energetic)
    return _Step(x, point, problem.observables(state, line.setting.rule)["derivatives"][line.sought])


def _found(line: Line, here: _Step, log: tuple[Iteration, ...]) -> Threshold:
    point, extreme = here.point, getattr(line.setting.model.constraint, "extreme", _LARGEST)
    error = (point.error + abs(point.free_entropy)) / abs(here.slope) + 2 * _EPS * abs(here.x)
    return line.result(
        here.x,
        error,
        Status.CONVERGED,
        f"The entropy vanishes here ({point.free_entropy:.1e}), with residual {point.residual:.1e} of the saddle"
        + (f"; this is the {extreme}." if line.sought == "kappa" and extreme != _LARGEST else "."),
        residual=point.residual,
        quadrature_error=point.quadrature_error / abs(here.slope),
        order_parameters=point.order_parameters,
        iterations=log,
        warnings=point.warnings,
        observables={"replicon": point.observables["replicon"], "stable": point.observables["stable"]},
    )


def _volume_limit(line: Line) -> Threshold:
    """The threshold of continuous weights, from the closed form of the load without volume."""
    problem = Problem(line.setting.kernel, {"alpha": 1.0, "kappa": 0.0}, {})
    if not problem.meta["limit_load"]:
        return _without_limit(line)
    unit, load = line.setting.deviation or 1.0, partial(symmetric_load, line.setting.model)

    def found(x: float, error: float, known: dict[str, Any]) -> Threshold:
        stability = _stability_at_limit(problem, line.at(x), line.setting)
        unstable = stability["stable"] is False
        warnings = (_UNSTABLE_LIMIT,) if unstable and line.at(x)["kappa"] >= 0.0 else ()
        known = {**known, "order_parameters": {"q": 1.0}, "observables": stability, "warnings": warnings}
        return line.result(x, error, Status.CONVERGED, message, **known)

    message = "The overlap of two solutions reaches 1 here (closed form)."
    if line.sought == "alpha":
        value, _ = load(line.value)
        return found(value, 64 * _EPS * value, {})
    kappa, log = 0.0, []
    for count in range(_MOST_STEPS):
        value, slope = load(kappa)
        miss = math.log(value / line.value)
        step = -miss * value / slope
        log.append(Iteration(count, abs(miss), 1.0, "newton"))
        kappa += max(-unit, min(unit, step))
        if abs(step) <= 4 * _EPS * max(unit, abs(kappa)):
            break
    value, slope = load(kappa)
    error = (64 * _EPS * value + abs(value - line.value)) / abs(slope) + 4 * _EPS * abs(kappa)
    if abs(math.log(value / line.value)) > 1e-9:
        message = f"The margin with capacity {line.value:g} was not found."
        return line.result(math.nan, math.nan, Status.NOT_CONVERGED, message, iterations=tuple(log))
    return found(kappa, error, {"iterations": tuple(log)})


def symmetric_load(model: Model, kappa: float) -> tuple[float, float]:
    """Return the load at which the overlap of two solutions reaches 1, and its derivative in the margin."""
    setting = Setting.of((model, "rs"))
    problem = Problem(setting.kernel, {"alpha": 1.0, "kappa": kappa}, {})
    value, slope = problem.call("limit_load", [kappa], 2, setting.rule)
    return float(value), float(slope)


def _without_limit(line: Line) -> Threshold:
    """The answer where the overlap of two solutions reaches 1 at no load."""
    if line.setting.kernel.META["infinite_slope"]:
        what = "capacity" if line.sought == "alpha" else "maximal margin"
        message = (
            f"There is no finite {what}: an activation with a jump correlates the outputs of two solutions with infinite "
            "slope as their overlap tends to 1, so that they have a volume at any load."
        )
    else:
        message = "The load at which the overlap of two solutions reaches 1 is not known for this constraint."
    return line.result(math.nan, math.nan, Status.ABSENT, message)


def _stability_at_limit(problem: Problem, values: Mapping[str, float], setting: Setting) -> dict[str, Any]:
    """The replicon in the limit (0 is marginal, and counts as stable), and what it says."""
    if not problem.meta["limit_replicon"]:
        return {"replicon": None, "stable": None}
    constraint = [values[name] for name in problem.meta["constraint"]]
    factor = float(problem.call("limit_replicon", constraint, 1, setting.rule)[0])
    replicon = 1.0 - values["alpha"] * factor
    return {"replicon": replicon, "stable": bool(replicon >= -_MARGINAL)}


