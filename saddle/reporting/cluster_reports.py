r"""Reports on clusters of solutions: the local entropy of ``y`` real replicas, and the complexity of states under 1RSB.

Points are solved in the order asked for, each started from its neighbour on the same branch
(:mod:`saddle.sweeping.branches`).
On a line of vanishing (or given) external entropy the number of replicas is solved for at every distance:
:math:`\Sigma(y)` decreases, since :math:`\partial_y \Sigma = -y\,\partial_y^2 \Phi`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from replica.errors import InputError
from replica.model import Model
from saddle.points.results import SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, solve_point
from saddle.reporting.curve import Curve
from saddle.reporting.reports import as_numbers
from saddle.reporting.temperatures import Temperatures, as_range, at_temperature
from saddle.sweeping.branches import Place, branches, places
from saddle.sweeping.journal import Journal, Steps

Progress = Callable[[SaddlePoint], None]
Numbers = float | Iterable[float]
Start = SaddlePoint | Mapping[str, float] | None
Solve = Callable[[Setting, dict[str, float], Start, float], SaddlePoint]

_LARGEST_Y = 1e4
_MOST_STEPS = 80
_FACTOR = 4.0
_LOOSE = 1e-6
"""Error of a complexity beyond which its sign tells nothing."""


def local_entropy(
    model: Model | str,
    alpha: Numbers,
    kappa: Numbers = 0.0,
    *,
    y: Any = None,
    overlap: Numbers | None = None,
    distance: Numbers | None = None,
    reference: bool = False,
    external_entropy: float | None = None,
    beta: Temperatures = None,
    start: Start = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return the local entropy of ``y`` real replicas at an imposed overlap, or distance (1 - overlap)/2.

    Columns: ``alpha, kappa, y, overlap, distance, free_entropy`` (:math:`\Phi`, of all ``y`` replicas together),
    ``local_entropy`` (:math:`\phi_\mathrm{int} = \partial_y \Phi`), ``complexity`` (:math:`\Sigma = \Phi - y\,
    \phi_\mathrm{int}`), ``slope`` (of :math:`\Phi` in the distance), the order parameters, errors and status.  ``error``
    is that of ``free_entropy`` (at ``y = inf`` of ``local_entropy``), ``local_entropy_error`` and ``complexity_error`` those
    of the others.

    Parameters
    ----------
    model : Model or str
    alpha, kappa : float or iterable of float
    y : float, "inf", or an iterable of these
        Number of replicas, at least 1.
    overlap, distance : float or iterable of float
        One of them: without ``reference`` of the replicas among each other, with it of each with the reference.  Replicas
        farther apart than typical solutions are those of :mod:`saddle.points.continued`.
    reference : bool
        Whether the replicas surround a reference configuration, which need not be a solution itself.
    external_entropy : float, optional
        In place of ``y``: the number of replicas at which the complexity has this value is solved for at every distance.
    beta : float, "inf" or an iterable of these, optional
        Inverse temperatures, slower than ``y``: every violated pattern costs 1 (or the loss of :func:`replica.soft`).
        Columns ``energy`` (per weight, of one replica) and ``entropy`` = ``free_entropy + y beta energy``;
        ``local_entropy`` is then :math:`\partial_y \Phi + \beta e`, and ``"inf"`` is the hard constraint.
    start : optional
        Order parameters to start the first point of every branch from.
    tolerance : float
        Largest undamped residual.
    progress, journal : optional
        Called with every finished point; what remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Raises
    ------
    InputError
        For bad input.

    References
    ----------
    Baldassi, Ingrosso, Lucibello, Saglietti, Zecchina, Phys. Rev. Lett. 115, 128101 (2015).
    """
    if (y is None) == (external_entropy is None):
        raise InputError("The local entropy needs either y=, the number of replicas, or external_entropy=.")
    if (overlap is None) == (distance is None):
        raise InputError("The local entropy needs either overlap= or distance=, two spellings of one constraint.")
    model, temperatures = at_temperature(model, beta)
    setting = Setting.of((model, "local-entropy-reference" if reference else "local-entropy"))
    spelling, given = ("overlap", overlap) if overlap is not None else ("distance", distance)
    where = as_numbers(spelling, given)
    ranges: dict[str, Sequence[Any]] = {"alpha": as_numbers("alpha", alpha), "kappa": as_numbers("kappa", kappa)}
    ranges |= as_range(temperatures) | ({} if y is None else {"y": _replicas(y)})
    lines = [places(line) for line in branches({**ranges, spelling: where}, spelling)]
    defaults = {} if external_entropy is None else {"y": 1.0}
    return _along(setting, lines, defaults, _solver(external_entropy), start, tolerance, Steps(journal, progress))


def _solver(external_entropy: float | None) -> Solve:
    """What solves a point: at a number of replicas, or at that of the external entropy asked for."""
    if external_entropy is None:
        return solve_point
    target = float(external_entropy)
    return lambda setting, values, start, tolerance: at_external_entropy(setting, values, target, start, tolerance)


def complexity(
    model: Model | str,
    alpha: Numbers,
    kappa: Numbers = 0.0,
    *,
    m: Numbers,
    beta: Temperatures = None,
    start: Start = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return the complexity of states under one step of replica symmetry breaking, along the Parisi parameter.

    Columns: ``alpha, kappa, m, free_entropy`` (:math:`\Phi/m`), ``internal_entropy`` (:math:`\partial_m \Phi`, of one
    state), ``complexity`` (:math:`\Sigma = \Phi - m\,\partial_m \Phi = -m^2\, \partial_m (\Phi/m)`),
    ``replicon, stable``, the order parameters, errors and status; ``error`` is that of ``free_entropy``, and the other two
    have ``internal_entropy_error`` and ``complexity_error``.  At ``m = 1`` the states are those of typical solutions
    (:mod:`saddle.points.typical_states`); where there are none, or none at this ``m``, the status is ``no-saddle``.

    Parameters
    ----------
    model : Model or str
    alpha, kappa : float or iterable of float
    m : float or iterable of float
        Parisi parameters, positive.
    beta : float, "inf" or an iterable of these, optional
        Inverse temperatures, slower than ``m``: every violated pattern costs 1 (or the loss of :func:`replica.soft`).
        Columns ``energy`` (per weight) and ``entropy`` = ``free_entropy + beta energy``; ``internal_entropy`` is then
        :math:`\partial_m \Phi + \beta e`, and ``"inf"`` is the hard constraint.
    start : optional
        Order parameters to start the first point of every branch from.
    tolerance : float
        Largest undamped residual.
    progress : callable, optional
        Called with every finished point.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    References
    ----------
    Monasson, Phys. Rev. Lett. 75, 2847 (1995).
    """
    model, temperatures = at_temperature(model, beta)
    setting = Setting.of((model, "1rsb"))
    ranges = {"alpha": as_numbers("alpha", alpha), "kappa": as_numbers("kappa", kappa), **as_range(temperatures)}
    ranges["m"] = as_numbers("m", m)
    lines = [places(line) for line in branches(ranges)]
    return _along(setting, lines, {}, solve_point, start, tolerance, Steps(journal, progress))


def _along(
    setting: Setting, lines: list[list[Place]], defaults: Place, solve: Solve, start: Start, tolerance: float, steps: Steps
) -> Curve:
    """All branches, each point from the one before it, unless its states are single configurations."""
    # Everything is resolved, and so refused if it is wrong, before the first point is solved.
    resolved = [[setting.resolve({**defaults, **_margin(setting, row)}, tolerance) for row in line] for line in lines]
    for line, given in zip(lines, resolved, strict=True):
        previous = start
        for row, values in zip(line, given, strict=True):
            point = steps.at(row, solve, setting, values, previous, tolerance)
            previous = point if point.converged and point.order_parameters["q1"] < 1.0 else None
    return Curve(tuple(steps.points))


def _margin(setting: Setting, row: Place) -> Place:
    """The row without a margin that the constraint does not have."""
    return row if "kappa" in setting.model.constraint.parameters else {k: v for k, v in row.items() if k != "kappa"}


def _replicas(values: Any) -> list[Any]:
    """Numbers of replicas."""
    listed = [values] if isinstance(values, (str, float, int)) else list(values)
    return [math.inf if value in ("inf", math.inf) else as_numbers("y", value)[0] for value in listed]


def at_external_entropy(
    setting: Setting, values: Mapping[str, float], target: float, start: Start, tolerance: float
) -> SaddlePoint:
    """The point whose number of replicas is such that the complexity is the target, or why there is none."""
    name = setting.ansatz.multiplicities[0]
    known = start.parameters.get(name, 2.0) if isinstance(start, SaddlePoint) else 2.0

    def at(y: float, near: Start) -> SaddlePoint:
        return solve_point(setting, {**values, name: y}, near, tolerance)

    def excess(point: SaddlePoint) -> float:
        return float(point.observables["complexity"]) - target  # type: ignore[arg-type]

    here = at(known, start)
    if not here.converged:
        return here
    factor = _FACTOR if excess(here) > 0.0 else 1.0 / _FACTOR
    there = here
    while excess(there) * excess(here) > 0.0:
        y = min(max(there.parameters[name] * factor, 1.0), _LARGEST_Y)
        if y == there.parameters[name] or uncertain(there) > _LOOSE:
            return _without_crossing(there, target, name)
        here, there = there, at(y, there)
        if not there.converged:
            return there
    if uncertain(there) > _LOOSE:
        return _without_crossing(here, target, name)
    return _crossing(at, excess, name, here, there)


def uncertain(point: SaddlePoint) -> float:
    """The error of the complexity of a solved point."""
    return float(point.observables["complexity_error"])  # type: ignore[arg-type]


def _crossing(
    at: Callable[[float, Start], SaddlePoint],
    excess: Callable[[SaddlePoint], float],
    name: str,
    a: SaddlePoint,
    b: SaddlePoint,
) -> SaddlePoint:
    """The zero between two points: the secant in the logarithm of the number of replicas, kept between them."""
    low, high = sorted((a, b), key=lambda point: point.parameters[name])
    last, here = (a, b) if abs(excess(b)) < abs(excess(a)) else (b, a)
    for _ in range(_MOST_STEPS):
        x, before = math.log(here.parameters[name]), math.log(last.parameters[name])
        if abs(excess(here)) <= 0.5 * uncertain(here) or x == before or excess(here) == excess(last):
            return here
        step = x - excess(here) * (x - before) / (excess(here) - excess(last))
        ends = math.log(low.parameters[name]), math.log(high.parameters[name])
        if not ends[0] < step < ends[1]:
            step = 0.5 * (ends[0] + ends[1])
        found = at(math.exp(step), here)
        if not found.converged:
            return found
        if abs(step - x) < 1e-13:
            return found if abs(excess(found)) < abs(excess(here)) else here
        low, high = (found, high) if excess(found) > 0.0 else (low, found)
        last, here = here, found
    message = f"Not converged: the complexity {excess(here):.1e} off its target after {_MOST_STEPS} steps."
    return _emptied(here, Status.NOT_CONVERGED, message)


def _without_crossing(point: SaddlePoint, target: float, name: str) -> SaddlePoint:
    """The statement that the complexity does not reach its target."""
    side = "above" if point.parameters[name] > 1.0 else "below"
    message = (
        f"No number of replicas with the external entropy {target:g} was found at distance "
        f"{point.parameters['distance']:g}: at {name} = {point.parameters[name]:g} it is {point['complexity']:.6g}, still "
        f"{side}."
    )
    return _emptied(point, Status.NO_SADDLE, message)


def _emptied(point: SaddlePoint, status: Status, message: str) -> SaddlePoint:
    """A point that keeps its parameters and loses its values."""
    return replace(
        point,
        order_parameters=dict.fromkeys(point.order_parameters, math.nan),
        observables=dict.fromkeys(point.observables),
        free_entropy=math.nan,
        error=math.nan,
        quadrature_error=math.nan,
        status=status,
        message=message,
    )
