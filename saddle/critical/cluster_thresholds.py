"""Thresholds of clusters of replicas in the load: where they stop being connected, and where clones open a gap."""

from __future__ import annotations

import math
from collections.abc import Sequence

from replica.model import Model, Perceptron, Threshold
from saddle.critical.clones import smallest_onset
from saddle.critical.flat_minima import SLOPE, Landscape, NotFound, NoTouch, Touch, depth, first_touch, slope
from saddle.critical.instability import Instability, instability, scaled_margin
from saddle.critical.landmark import Axis, Landmark
from saddle.points.results import Number, Status
from saddle.points.setting import Setting
from saddle.points.solving import solve_point

_SMALLEST_CLUSTER = 4e-3
"""Distance between replicas at which the scan of a local entropy ends: below, its slope bends to the annealed end."""
_SHARES, _LARGE_LOAD = (0.7, 0.5, 0.3, 0.1, 0.03, 0.01, 0.003), 0.995
"""Loads in units of the capacity at which the search begins (smaller ones if it is too late there) and ends."""

_TOWARDS = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)
"""Shares of the way from the typical overlap to 1 at which a slope is looked at."""
_ROOM = 5e-4
"""What an overlap must leave to 1, lest rounding hides the sign of a slope."""


def of_replicas(axis: Axis, name: str, y: float) -> Landmark:
    """``alpha_LE_y``: a valley of the slope of ``Phi`` in the overlap touches zero, away from the typical overlap.

    Raises
    ------
    NoTouch, NotFound
        If it does not exist, or was not found.
    """
    model = axis.setting.model
    if _is_convex(model, axis.kappa):
        raise NoTouch(
            "solutions with a margin of at least 0 are a convex piece of the sphere, so that a local entropy rises with the "
            "distance up to the typical one at every load."
        )
    setting, end = Setting.of((model, "local-entropy")), axis.capacity().value
    symmetric, last = Setting.of((model, "rs")), _LARGE_LOAD * end
    close: tuple[float, ...] = ()
    unstable = instability(symmetric, axis.kappa, axis.tolerance)
    if unstable is not None and unstable.alpha < end:
        if _rises_to(axis, y, unstable):
            return _from_the_typical_overlap(axis, name, y, setting, unstable)
        last, close = min(last, unstable.alpha), tuple(share for share in _TOWARDS if share < 0.2)
    touch, unit = _first_touch(axis, y, [share * end for share in _SHARES if share * end < last], last, close)
    point = touch.point
    complexity = float(point.observables["complexity"])  # type: ignore[arg-type]
    empty = f"{name}: the complexity is negative there ({complexity:.4g}); typically there is no such cluster."
    return axis.landmark(
        name,
        touch.parameter * unit,
        touch.error * unit,
        Status.CONVERGED,
        f"At overlap {1.0 - 2.0 * touch.distance:.6g} the slope touches zero ({slope(point):.1e}).",
        setting=setting,
        residual=point.residual,
        quadrature_error=point.quadrature_error,
        order_parameters=point.order_parameters,
        where={**number_of_replicas(name, y), "overlap": 1.0 - 2.0 * touch.distance, "complexity": complexity},
        warnings=(*point.warnings, *((empty,) if complexity < 0.0 else ())),
    )


def _landscape(axis: Axis, kappa: float, y: float, unit: float) -> Landscape:
    """Local entropies of ``y`` replicas at a margin over the load, in a unit."""
    setting, symmetric = Setting.of((axis.setting.model, "local-entropy")), Setting.of((axis.setting.model, "rs"))

    def at(share: float) -> dict[str, float]:
        return {"alpha": share * unit, "kappa": kappa, "y": y}

    def typical(share: float) -> float:
        point = solve_point(symmetric, {"alpha": share * unit, "kappa": kappa}, None, axis.tolerance)
        return 0.5 * (1.0 - point.order_parameters.get("q", 0.0))

    def words(share: float) -> str:
        return f"at alpha = {share * unit:.6g}"

    return Landscape(setting, at, axis.tolerance, farthest=typical, smallest=_SMALLEST_CLUSTER, words=words)


def _first_touch(
    axis: Axis, y: float, loads: Sequence[float], last: float, close: tuple[float, ...]
) -> tuple[Touch, float]:
    """Where the slope first touches zero from the largest of the loads at which it is positive, and the unit of its load.

    Raises
    ------
    NoTouch, NotFound
        If it does not exist, or was not found.
    """
    lands: dict[float, Landscape] = {}
    for load in loads or [last]:
        unit = max(1.0, load)  # steps of a search are those of a parameter of order 1
        land = lands.setdefault(unit, _landscape(axis, axis.kappa, y, unit))
        land.close = close
        if depth(land, load / unit, SLOPE) >= 0.0:
            return first_touch(land, SLOPE, load / unit, last / unit), unit
        last = load
    return first_touch(land, SLOPE, last / unit, last / unit), unit


def _rises_to(axis: Axis, y: float, found: Instability) -> bool:
    """Whether the slope is positive at the load of an instability.

    Where overlaps next to 1 leave no digits to it, it is looked at where all is the same but for a scale.
    """
    symmetric, kappa = Setting.of((axis.setting.model, "rs")), axis.kappa
    margin = scaled_margin(symmetric, kappa, found, _ROOM, axis.tolerance)
    if margin is not None and (there := instability(symmetric, margin, axis.tolerance)) is not None:
        found, kappa = there, margin
    unit = max(1.0, found.alpha)
    return _rises(_landscape(axis, kappa, y, unit), found.alpha / unit)


def _rises(land: Landscape, load: float) -> bool:
    """Whether the slope is positive at all distances below the typical one, close to it and far from it."""
    typical = land.typical_distance(load)
    return all(slope(land.point(load, (1.0 - share) * typical)) > 0.0 for share in _TOWARDS)


def _from_the_typical_overlap(axis: Axis, name: str, y: float, setting: Setting, found: Instability) -> Landmark:
    """Where the slope first touches zero next to the trivial point: on the line of de Almeida-Thouless, at any ``y``."""
    overlap = float(found.point["overlap"] or 0.0)
    sentence = (
        "Continuous, on the line of de Almeida-Thouless: the slope is positive up to this load, and beyond it negative next "
        f"to the typical overlap {overlap:.6g}, where clusters have no complexity."
    )
    return axis.landmark(
        name,
        found.alpha,
        found.error,
        Status.CONVERGED,
        sentence,
        setting=setting,
        residual=found.point.residual,
        quadrature_error=found.point.quadrature_error,
        order_parameters=found.point.order_parameters,
        where={**number_of_replicas(name, y), "overlap": overlap, "complexity": 0.0},
        warnings=found.point.warnings,
    )


def _is_convex(model: Model, kappa: float) -> bool:
    """Whether solutions are an intersection of half-spaces that leave out the origin, on a sphere."""
    weights = model.weights
    spherical = weights.unit_norm and not weights.discrete and isinstance(model.architecture, Perceptron)
    return spherical and isinstance(model.constraint, Threshold) and not model.teacher and kappa >= 0.0


def number_of_replicas(name: str, y: float) -> dict[str, Number]:
    """The number of replicas as a column, where the name of the threshold does not say it."""
    return {"y": "inf" if math.isinf(y) else y} if name == "alpha_LE_y" else {}


def of_clones(axis: Axis, name: str) -> Landmark:
    """``alpha_OGP``: the smallest onset of an overlap gap over integer numbers of clones.

    Raises
    ------
    InputError, NotFound
        If it does not exist, or was not found.
    """
    found = smallest_onset(axis.setting.model, axis.kappa, axis.tolerance)
    if not found.converged:
        raise (NoTouch if found.status.is_answer else NotFound)(found.message)
    where = {"clones": int(found.parameters["clones"]), "overlap": found.observables["overlap"]}
    return axis.as_landmark(name, found, where, setting=Setting.of((axis.setting.model, "local-entropy")))
