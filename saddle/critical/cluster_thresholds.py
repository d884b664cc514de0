"""Thresholds of clusters of replicas in the load: where they stop being connected, and where clones open a gap."""

from __future__ import annotations

import math

from replica.model import Model, Perceptron, Threshold
from saddle.critical.clones import smallest_onset
from saddle.critical.flat_minima import SLOPE, Landscape, NotFound, NoTouch, first_touch, slope
from saddle.critical.landmark import Axis, Landmark
from saddle.points.results import Number, Status
from saddle.points.setting import Setting
from saddle.points.solving import solve_point

_SMALLEST_CLUSTER = 4e-3
"""Distance between replicas at which the scan of a local entropy ends: below, its slope bends to the annealed end."""
_SHARES, _LARGE_LOAD = (0.7, 0.5, 0.3, 0.1), 0.995
"""Loads in units of the capacity at which the search begins (smaller ones if it is too late there) and ends."""


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

    def at(alpha: float) -> dict[str, float]:
        return {"alpha": alpha, "kappa": axis.kappa, "y": y}

    def typical(alpha: float) -> float:
        point = solve_point(Setting.of((model, "rs")), {"alpha": alpha, "kappa": axis.kappa}, None, axis.tolerance)
        return 0.5 * (1.0 - point.order_parameters.get("q", 0.0))

    def words(alpha: float) -> str:
        return f"at alpha = {alpha:.6g}"

    land = Landscape(setting, at, axis.tolerance, farthest=typical, smallest=_SMALLEST_CLUSTER, words=words)
    touch = first_touch(land, SLOPE, [share * end for share in _SHARES], _LARGE_LOAD * end)
    point = touch.point
    complexity = float(point.observables["complexity"])  # type: ignore[arg-type]
    empty = f"{name}: the complexity is negative there ({complexity:.4g}); typically there is no such cluster."
    return axis.landmark(
        name,
        touch.parameter,
        touch.error,
        Status.CONVERGED,
        f"At overlap {1.0 - 2.0 * touch.distance:.6g} the slope touches zero ({slope(point):.1e}).",
        setting=setting,
        residual=point.residual,
        quadrature_error=point.quadrature_error,
        order_parameters=point.order_parameters,
        where={**number_of_replicas(name, y), "overlap": 1.0 - 2.0 * touch.distance, "complexity": complexity},
        warnings=(*point.warnings, *((empty,) if complexity < 0.0 else ())),
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
