r"""What a solved state of clusters of replicas is worth: internal and external entropy with their errors.

With :math:`\Phi(m)` the free entropy of all ``m`` replicas of a cluster (a state of 1RSB, or ``y`` real replicas), the
entropy inside of a cluster is :math:`\Phi'(m)`, and the entropy of clusters, :math:`\Sigma = \Phi - m\,\Phi'`, their
complexity.  At finite temperature :math:`\Phi' = s - \beta e` is the free entropy inside of a cluster; the entropy ``s`` is
reported.  None of these is stationary in the order parameters: the state is therefore moved to the solution by the refined
rule, with one more step of Newton's method, and the change of every number is part of its error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from saddle.kernels.quadrature import Rule
from saddle.points.newton import Attempt
from saddle.points.problem import Problem, State
from saddle.points.results import Iteration, Number, SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.thermal import energy, heat, temperature

_ROUNDING = 16 * float(np.finfo(float).eps)
_FINER = 1.2
"""How much finer the steps of the refined rule are: enough to see the error of the plain one, cheap in two dimensions."""
_MUCH_FINER = 2.0
_SLOWLY = 2.0
"""The same for averages that may branch, whose error falls like the step, and what their difference is multiplied by."""


@dataclass(frozen=True)
class Entropies:
    """The free entropy, and that of all copies split into an internal and an external part."""

    free_entropy: float
    internal: float
    complexity: float

    def difference(self, other: Entropies) -> float:
        """The largest difference of any of the numbers."""
        return max(
            abs(self.free_entropy - other.free_entropy),
            abs(self.internal - other.internal),
            abs(self.complexity - other.complexity),
        )


def entropies(problem: Problem, state: State, rule: Rule) -> Entropies:
    """The entropies of the first multiplicity that stays, at a state."""
    name = problem.meta["multiplicities"][0]
    internal, copies = problem.internal(state, rule)[name], problem.copies(state)[name]
    total = copies * state.free_entropy
    return Entropies(state.free_entropy, internal, total - problem.parameters[name] * internal)


def improved(problem: Problem, state: State, rule: Rule) -> State | None:
    """The state after one step of Newton's method by a finer rule, with the Jacobian of the state itself."""
    here = problem.state(state.coordinates, rule, jacobian=False)
    if here is None or not math.isfinite(here.residual):
        return None
    step = np.linalg.lstsq(state.jacobian, -here.relative, rcond=None)[0]
    moved = problem.state(here.coordinates + step, rule, jacobian=False)
    return moved if moved is not None and math.isfinite(moved.residual) else None


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

    continued = setting.variant == "continued"
    refined = setting.rule.refined(_MUCH_FINER if continued else _FINER)
    better = improved(problem, state, refined)
    if better is None:
        return not_converged(setting, values, Attempt(state, iterations, False), tolerance)
    found = entropies(problem, better, refined)
    warm, plain = (energy(setting, problem, at, rule) for at, rule in ((better, refined), (state, setting.rule)))
    inside = found.internal + heat(setting, values, warm)
    difference = found.difference(entropies(problem, state, setting.rule)) + abs(heat(setting, values, warm - plain))
    quadrature = difference * (_SLOWLY if continued else 1.0)
    size = max(1.0, *(problem.parameters[name] for name in setting.ansatz.multiplicities))
    error = quadrature + _ROUNDING * size * better.scale
    negative = setting.model.weights.counts and inside < -error
    status = Status.NEGATIVE_ENTROPY if negative else Status.CONVERGED
    observables = _thermal(setting, problem, values, better, warm) | _observables(setting, problem, better, found, inside)
    return SaddlePoint(
        **setting.identity,
        parameters=dict(values),
        order_parameters={**order_parameters(problem, better), **_multiplicities(setting, problem)},
        free_entropy=found.free_entropy,
        residual=state.residual,
        quadrature_error=quadrature,
        error=error,
        status=status,
        message=_message(status, state.residual, found.complexity, error),
        iterations=iterations,
        observables=observables,
        warnings=_warnings(observables),
        rule=str(setting.rule),
        tolerance=tolerance,
    )


def observable_names(setting: Setting) -> tuple[str, ...]:
    """Names of what an ansatz with a multiplicity adds to a row."""
    internal = "local_entropy" if setting.ansatz.imposed else "internal_entropy"
    return (internal, "complexity", *(("slope",) if setting.ansatz.imposed else ("replicon", "stable")))


def _thermal(
    setting: Setting, problem: Problem, values: Mapping[str, float], state: State, energy: float
) -> dict[str, Number]:
    """Energy of a replica and entropy of all that the free entropy is about; nothing without a temperature."""
    if not temperature(setting):
        return {}
    copies = setting.ansatz.multiplicities[0]
    counted = problem.parameters[copies] / problem.copies(state)[copies]
    return {"energy": energy, "entropy": state.free_entropy + counted * heat(setting, values, energy)}


def _observables(
    setting: Setting, problem: Problem, state: State, found: Entropies, inside: float
) -> dict[str, Number]:
    names = observable_names(setting)
    known: dict[str, Number] = {names[0]: inside, "complexity": found.complexity}
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
