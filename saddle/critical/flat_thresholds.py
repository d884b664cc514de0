"""Thresholds of flat minima: where the Franz-Parisi profile around the best references opens a gap or stops rising.

At a load the moving parameter is the reference's margin, through the logarithm of its excess over that of the probes, in
which valleys scale; at a margin it is the load, with references of the extremal margin.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from replica.parts.adaptation import is_even
from saddle.critical.flat_minima import ENTROPY, SLOPE, Landscape, Quantity, Touch, first_touch
from saddle.critical.landmark import Axis, Landmark
from saddle.points.results import Status
from saddle.points.setting import Setting

_QUANTITY = {"kappa_gap": ENTROPY, "kappa_mono": SLOPE, "alpha_gap": ENTROPY, "alpha_LE": SLOPE}
_CLOSEST = 1e-5
"""Smallest excess of the reference margin over the probe's that is looked at, relative to the largest."""
_SHARES, _LARGE_LOAD = (0.4, 0.2, 0.1, 0.05), 0.99
"""Loads in units of the capacity at which the search begins (smaller ones if it is too late there) and ends."""


def by_margin(axis: Axis, name: str) -> Landmark:
    """``kappa_gap`` or ``kappa_mono``: from the extremal margin towards that of the probes.

    Raises
    ------
    NoTouch, NotFound
        If it does not exist, or was not found.
    """
    alpha, quantity = axis.alpha, _QUANTITY[name]
    assert alpha is not None
    largest = axis.largest_margin(alpha)
    if (largest - axis.kappa) * axis.harder <= 0.0:
        message = f"There are no solutions: kappa = {axis.kappa:g} is beyond the extremal margin {largest:.10g}."
        return axis.landmark(name, math.nan, math.nan, Status.ABSENT, message, where={"distance": None})
    touch = margin_touch(axis.setting, quantity, alpha, axis.kappa, largest, axis.tolerance)
    return _touching(axis, name, touch, quantity)


def margin_landscape(setting: Setting, alpha: float, kappa: float, tolerance: float) -> Landscape:
    """Profiles at one load; the moving parameter is the logarithm of the reference margin's excess over the probe's."""

    def at(logarithm: float) -> dict[str, float]:
        return {"alpha": alpha, "kappa": kappa, "reference_kappa": kappa + _harder(setting) * math.exp(logarithm)}

    def words(logarithm: float) -> str:
        return f"around references of margin {at(logarithm)['reference_kappa']:.10g}"

    return Landscape(setting, at, tolerance, farthest=_farthest(setting), words=words)


def _harder(setting: Setting) -> int:
    return int(getattr(setting.model.constraint, "harder", 1))


def _farthest(setting: Setting) -> Callable[[float], float] | None:
    """The typical distance where it is known: a half where a solution comes with its mirror image."""
    return (lambda _: 0.5) if is_even(setting.model) else None


def margin_touch(
    setting: Setting, quantity: Quantity, alpha: float, kappa: float, largest: float, tolerance: float
) -> Touch:
    """Where the quantity touches zero as the reference margin goes from ``largest`` to that of the probes, as a margin."""
    land, good = margin_landscape(setting, alpha, kappa, tolerance), log_excess(setting, largest, kappa)
    return as_margin(setting, first_touch(land, quantity, good, good + math.log(_CLOSEST)), kappa)


def log_excess(setting: Setting, margin: float, kappa: float) -> float:
    """The logarithm of how much harder a reference margin is than that of the probes."""
    return math.log(_harder(setting) * (margin - kappa))


def as_margin(setting: Setting, touch: Touch, kappa: float) -> Touch:
    """A touch in the logarithm of the excess margin as one in the margin itself."""
    excess = math.exp(touch.parameter)
    margin = kappa + _harder(setting) * excess
    return Touch(margin, touch.error * excess + 2e-16 * abs(kappa), touch.distance, touch.point)


def by_load(axis: Axis, name: str) -> Landmark:
    """``alpha_gap`` or ``alpha_LE``: around references of the extremal margin, from small loads upwards.

    Raises
    ------
    NoTouch, NotFound
        If it does not exist, or was not found.
    """
    quantity, end = _QUANTITY[name], axis.capacity().value

    def at(alpha: float) -> dict[str, float]:
        return {"alpha": alpha, "kappa": axis.kappa, "reference_kappa": axis.largest_margin(alpha)}

    def words(alpha: float) -> str:
        return f"at alpha = {alpha:.6g}, around references of the extremal margin"

    land = Landscape(axis.setting, at, axis.tolerance, farthest=_farthest(axis.setting), words=words)
    touch = first_touch(land, quantity, [share * end for share in _SHARES], _LARGE_LOAD * end)
    return _touching(axis, name, touch, quantity)


def _touching(axis: Axis, name: str, touch: Touch, quantity: Quantity) -> Landmark:
    point = touch.point
    return axis.landmark(
        name,
        touch.parameter,
        touch.error,
        Status.CONVERGED,
        f"At distance {touch.distance:.6g} the {quantity.name} of the profile touches zero ({quantity.value(point):.1e}), "
        "before any other valley up to the typical distance.",
        residual=point.residual,
        quadrature_error=point.quadrature_error,
        order_parameters=point.order_parameters,
        where={"distance": touch.distance},
        observables={"reference_kappa": point.parameters["reference_kappa"]},
        warnings=point.warnings,
    )
