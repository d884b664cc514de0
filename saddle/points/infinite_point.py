"""The result at infinite multiplicity: local entropy and complexity, in the form of every other saddle point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from replica.ansatz import conjugate
from saddle.points.clusters import observable_names
from saddle.points.infinite_replicas import InfinitePoint, InfiniteProblem, solve_infinite
from saddle.points.results import Number, SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.thermal import THERMAL, temperature


def is_infinite(setting: Setting, values: Mapping[str, float]) -> bool:
    """Whether a multiplicity that stays is infinite."""
    names = setting.ansatz.multiplicities
    return bool(names) and any(math.isinf(values.get(name, 1.0)) for name in names)


def infinite_point(
    setting: Setting,
    values: Mapping[str, float],
    start: SaddlePoint | Mapping[str, float] | None,
    tolerance: float,
) -> SaddlePoint:
    r"""Return the saddle for infinitely many replicas.

    The free entropy of all of them has no value; ``local_entropy`` is its limit per replica, which ``error`` is about, and
    ``complexity`` the next order.  At finite temperature the limit is a free entropy, and ``local_entropy`` has the heat of
    a replica besides.  ``slope`` is the derivative of the limit in the distance.  Overlaps and conjugates between clusters
    have those inside as limits; ``C`` and ``B`` say how fast, :math:`q_0 = q_1 - C/y` and
    :math:`\hat q_1 = \hat q_0 + B/y`.

    Raises
    ------
    UnsupportedAnsatz
        If there is no such limit for this model and ansatz, with the reason.
    """
    constraint = {name: values[name] for name in setting.model.constraint.parameters}
    problem = InfiniteProblem(setting.model, setting.ansatz, values["alpha"], constraint)
    known = start.order_parameters if isinstance(start, SaddlePoint) else start
    imposed = setting.imposed_value(values)
    rate = setting.distance_rate
    if problem.relations:  # the distance itself, in units of a squared weight
        imposed, rate = -imposed, -rate
    found = solve_infinite(problem, imposed, tolerance, known)
    hot = temperature(setting)
    found = _with_heat(found, hot, values[hot]) if hot and found.status.has_value else found
    negative = found.status.has_value and setting.model.weights.counts and found.local_entropy < -found.local_entropy_error
    status = Status.NEGATIVE_ENTROPY if negative else found.status
    return SaddlePoint(
        **replace(setting, variant="infinite").identity,
        parameters=dict(values),
        order_parameters=_order_parameters(problem, found),
        free_entropy=math.nan,
        residual=found.residual,
        quadrature_error=found.quadrature_error,
        error=found.local_entropy_error,
        status=status,
        message=_message(found, status),
        iterations=found.iterations,
        observables=_observables(setting, found, rate),
        rule=problem.rule,
        tolerance=tolerance,
    )


def _observables(setting: Setting, found: InfinitePoint, rate: float) -> dict[str, Number]:
    inside, outside = (found.local_entropy, found.local_entropy_error), (found.complexity, found.complexity_error)
    numbers = zip(observable_names(setting), (*inside, *outside, rate * found.slope), strict=True)
    known: dict[str, Number] = {name: value if math.isfinite(value) else None for name, value in numbers}
    if hot := temperature(setting):
        energy = -found.constraint_slopes[hot]  # that of one replica; the entropy of all of them has no value
        both = (energy, found.constraint_errors[hot]) if math.isfinite(energy) else ()
        return {**dict.fromkeys(THERMAL), **dict(zip(THERMAL, both, strict=False)), **known}
    return known


def _with_heat(found: InfinitePoint, hot: str, beta: float) -> InfinitePoint:
    r"""The point with the entropy in a cluster, :math:`\phi + \beta e`; at zero temperature no pattern is violated."""
    if math.isinf(beta):
        cold = [{**known, hot: 0.0} for known in (found.constraint_slopes, found.constraint_errors)]
        return replace(found, constraint_slopes=cold[0], constraint_errors=cold[1])
    return replace(
        found,
        local_entropy=found.local_entropy - beta * found.constraint_slopes[hot],
        local_entropy_error=found.local_entropy_error + beta * found.constraint_errors[hot],
    )


def _order_parameters(problem: InfiniteProblem, found: InfinitePoint) -> dict[str, float]:
    """Overlaps and conjugates in the order of the ansatz, then the coefficients of their approach."""
    limits = {name: limit for name, (limit, _) in problem.shifts.items()}
    shifts = [shift for _, shift in problem.shifts.values()]
    ordered: dict[str, float] = {}
    for overlap in problem.ansatz.names().values():
        for name in (overlap, conjugate(overlap)):
            if (value := found.values.get(limits.get(name, name))) is not None:
                ordered[name] = value
    return ordered | {name: found.values[name] for name in sorted(shifts)}


def _message(found: InfinitePoint, status: Status) -> str:
    if status is Status.NEGATIVE_ENTROPY:
        return f"{found.message} The entropy inside of a cluster is negative: it is empty."
    if status is Status.CONVERGED and found.complexity < -found.complexity_error:
        return f"{found.message} The complexity is negative: typically there is no such cluster."
    return found.message
