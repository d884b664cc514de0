r"""What a solved state of clusters of replicas is worth: internal and external entropy with their errors.

With :math:`\Phi(m)` the free entropy of all ``m`` replicas of a cluster (a state of 1RSB, or ``y`` real replicas), the
entropy inside of a cluster is :math:`\Phi'(m)`, and the entropy of clusters, :math:`\Sigma = \Phi - m\,\Phi'`, their
complexity.  At finite temperature :math:`\Phi' = s - \beta e` is the free entropy inside of a cluster; the entropy ``s`` is
reported.  None of these is stationary in the order parameters: the state is therefore moved to the solution by the refined
rule, with one more step of Newton's method, and the change of every number is part of its error.  Each has an error of its
own: close to an inner overlap of 1 that of the free entropy is far smaller than those of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from saddle.kernels.quadrature import Rule
from saddle.points.newton import Attempt, followed
from saddle.points.problem import Problem, State
from saddle.points.results import Iteration, Number, SaddlePoint, Status
from saddle.points.series_error import errors_of_derivative
from saddle.points.setting import Setting
from saddle.points.thermal import Warmth, energy, temperature, warmth

_EPS = float(np.finfo(float).eps)
_ROUNDING = 16 * _EPS
_FINER = 1.2
"""How much finer the steps of the refined rule are: enough to see the error of the plain one, cheap in two dimensions."""
_MUCH_FINER = 2.0
_SLOWLY = 2.0
"""The same for averages that may branch, whose error falls like the step, and what their difference is multiplied by."""

_NUDGE = 1e-4
"""Relative change of a multiplicity for a slope that scales an error."""


@dataclass(frozen=True)
class Entropies:
    """The free entropy, and that of all copies split into an internal and an external part."""

    free_entropy: float
    internal: float
    complexity: float

    def difference(self, other: Entropies) -> Entropies:
        """How far each of the numbers is from the other one."""
        return Entropies(
            abs(self.free_entropy - other.free_entropy),
            abs(self.internal - other.internal),
            abs(self.complexity - other.complexity),
        )


def entropies(problem: Problem, state: State, rule: Rule) -> Entropies:
    """The entropies of the first multiplicity that stays, at a state."""
    return _entropies(problem, state, rule)[0]


def _entropies(problem: Problem, state: State, rule: Rule) -> tuple[Entropies, Entropies]:
    """The entropies at a state, and the sums of the sizes of their terms.

    An average of a small power is close to 1: its logarithm is rounded like that, however small it is itself.
    """
    name = problem.meta["multiplicities"][0]
    (internal, size), copies = problem.internal(state, rule)[name], problem.copies(state)[name]
    total, count = copies * state.free_entropy, problem.parameters[name]
    found = Entropies(state.free_entropy, internal, total - count * internal)
    averages = 1.0 + problem.alpha
    return found, Entropies(state.scale + averages / copies, size, copies * state.scale + averages + count * size)


def cluster_point(
    setting: Setting,
    problem: Problem,
    values: Mapping[str, float],
    state: State,
    iterations: tuple[Iteration, ...],
    tolerance: float,
) -> SaddlePoint:
    """The result at a solved state of an ansatz with a multiplicity that stays."""
    from saddle.points.outcome import not_converged, order_parameters

    refined = setting.rule.refined(_MUCH_FINER if setting.variant == "continued" else _FINER)
    better = followed(problem, state, refined)
    if better is None:
        return not_converged(setting, values, Attempt(state, iterations, False), tolerance)
    found, sizes = _entropies(problem, better, refined)
    change = found.difference(entropies(problem, state, setting.rule))
    quadrature, errors = _errors(setting, problem, state, change, sizes)
    warm = warmth(setting, problem, (state, better), refined)
    if setting.ansatz.extremised and not {*setting.ansatz.extremised} <= values.keys():
        # m is a zero of the complexity, and moves the internal entropy by what moves it over m
        uncertain = abs(found.complexity) + errors.complexity
        of_m = uncertain / problem.parameters[setting.ansatz.multiplicities[0]]
        errors = replace(errors, internal=errors.internal + of_m)
        if warm.beta:
            warm = replace(warm, error=warm.error + uncertain * _energy_over_complexity(setting, problem, state))
    inside = found.internal + warm.heat
    errors = replace(errors, internal=errors.internal + warm.beta * warm.error)
    negative = setting.model.weights.counts and inside < -errors.internal
    status = Status.NEGATIVE_ENTROPY if negative else Status.CONVERGED
    observables: dict[str, Number] = {**_thermal(setting, problem, better, errors.free_entropy, warm)}
    observables |= _observables(setting, problem, better, replace(found, internal=inside), errors)
    return SaddlePoint(
        **setting.identity,
        parameters=dict(values),
        order_parameters={**order_parameters(problem, better), **_multiplicities(setting, problem)},
        free_entropy=found.free_entropy,
        residual=state.residual,
        quadrature_error=quadrature,
        error=errors.free_entropy,
        status=status,
        message=_message(status, state.residual, found.complexity, errors.complexity),
        iterations=iterations,
        observables=observables,
        warnings=_warnings(observables),
        rule=str(setting.rule),
        tolerance=tolerance,
    )


def _errors(
    setting: Setting, problem: Problem, state: State, change: Entropies, sizes: Entropies
) -> tuple[float, Entropies]:
    """The quadrature error of the free entropy, and the errors of all entropies.

    These are their changes from the plain to the refined rule, the rounding of their terms and of the overlaps in them, and
    what covariances that are series leave out.
    """
    name = problem.meta["multiplicities"][0]
    copies, rounded = problem.copies(state)[name], _rounded_overlaps(problem, state)
    inside = 2.0 * copies * rounded / problem.parameters[name]  # it grows like the square of the multiplicity
    slowly = _SLOWLY if setting.variant == "continued" else 1.0
    left_out = errors_of_derivative(problem, state, setting.rule, name)
    imposed = _EPS * sum(abs(problem.slope(state, name)) for name in problem.imposed)
    quadrature = slowly * change.free_entropy
    return quadrature, Entropies(
        quadrature + _ROUNDING * sizes.free_entropy + imposed + left_out[0] + rounded,
        slowly * change.internal + _ROUNDING * sizes.internal + imposed + left_out[1] + inside,
        slowly * change.complexity + _ROUNDING * sizes.complexity + imposed + left_out[2] + 3.0 * copies * rounded,
    )


def _rounded_overlaps(problem: Problem, state: State) -> float:
    """What rounding an overlap does to the free entropy.

    This is stationary in it, but as the difference of an entropic and an energetic part that see it rounded differently; for
    many replicas each of them changes by far more than its own rounding.
    """
    pairs = np.array([state.energetic_pairs[k] * state.overlaps[k] for k in problem.active])
    return float(_EPS * problem.alpha * np.abs(pairs) @ np.abs(problem.interaction_weights))


def observable_names(setting: Setting) -> tuple[str, ...]:
    """Names of what an ansatz with a multiplicity adds to a row."""
    internal = "local_entropy" if setting.ansatz.imposed else "internal_entropy"
    split = (internal, f"{internal}_error", "complexity", "complexity_error")
    return (*split, *(("slope",) if setting.ansatz.imposed else ("replicon", "stable")))


def _thermal(setting: Setting, problem: Problem, state: State, error: float, warm: Warmth) -> dict[str, float]:
    """Energy of a replica and entropy of all that the free entropy is about; nothing without a temperature."""
    if not temperature(setting):
        return {}
    copies = setting.ansatz.multiplicities[0]
    counted = problem.parameters[copies] / problem.copies(state)[copies]
    return warm.row(state.free_entropy, error, counted)


def _energy_over_complexity(setting: Setting, problem: Problem, state: State) -> float:
    """By how much the energy changes with the complexity, along the multiplicity."""
    name = setting.ansatz.multiplicities[0]
    there = Problem(problem.kernel, {**problem.parameters, name: problem.parameters[name] * (1.0 + _NUDGE)}, problem.given)
    moved = followed(there, state, setting.rule)
    if moved is None:
        return math.inf
    energies = [energy(setting, p, s, setting.rule) for p, s in ((problem, state), (there, moved))]
    outside = [entropies(p, s, setting.rule).complexity for p, s in ((problem, state), (there, moved))]
    return abs((energies[1] - energies[0]) / (outside[1] - outside[0]))


def _observables(
    setting: Setting, problem: Problem, state: State, found: Entropies, errors: Entropies
) -> dict[str, Number]:
    numbers = (found.internal, errors.internal, found.complexity, errors.complexity)
    known: dict[str, Number] = dict(zip(observable_names(setting), numbers, strict=False))
    if setting.ansatz.imposed:
        return known | {"slope": setting.distance_rate * problem.slope(state, setting.ansatz.imposed[0])}
    replicons = problem.observables(state, setting.rule)["replicons"]
    replicon = min(replicons.values()) if replicons else None
    return known | {"replicon": replicon, "stable": None if replicon is None else bool(replicon > 0.0)}


def _multiplicities(setting: Setting, problem: Problem) -> dict[str, float]:
    """Extremised multiplicities are order parameters too."""
    return {name: problem.parameters[name] for name in setting.ansatz.extremised}


def _message(status: Status, residual: float, complexity: float, error: float) -> str:
    if status is Status.NEGATIVE_ENTROPY:
        return f"Solved to residual {residual:.1e}; the entropy inside of a cluster is negative: it is empty."
    if complexity < -error:
        return f"Solved to residual {residual:.1e}; the complexity is negative: typically there is no such cluster."
    return f"Solved to residual {residual:.1e}."


def _warnings(observables: Mapping[str, Number]) -> tuple[str, ...]:
    if observables.get("stable") is False:
        return ("The saddle is unstable here (negative replicon): replica symmetry is broken further.",)
    return ()
