r"""All thresholds of a model on one axis: where solutions end, and where flat minima open a gap or break up.

At given load and margin the axis is the reference's margin (``kappa_max``, ``kappa_gap``, ``kappa_mono``), at given
margin alone it is the load (``alpha_c``, ``alpha_LE``, ``alpha_gap``).  Each is a row with its own status: one that does
not exist (``absent``, with a sentence) or could not be computed never hides another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from replica.errors import InputError
from replica.model import Model
from saddle.capacities import capacity, max_margin, maximal_margin
from saddle.curve import Curve
from saddle.flat_minima import ENTROPY, SLOPE, Landscape, NotFound, Quantity, Touch, first_touch, slope
from saddle.journal import Journal, Steps
from saddle.results import Number, Status, Threshold
from saddle.setting import Setting
from saddle.solving import DEFAULT_TOLERANCE, solve_point

DEFINITIONS = {
    "kappa_max": "largest margin with solutions: the replica-symmetric entropy vanishes",
    "kappa_gap": "smallest reference margin with a non-negative Franz-Parisi entropy up to the typical distance",
    "kappa_mono": "smallest reference margin with a Franz-Parisi entropy that increases up to the typical distance",
    "alpha_c": "capacity: the largest load with solutions",
    "alpha_gap": "load where kappa_gap reaches kappa_max: around every reference there is a gap",
    "alpha_LE": "load where kappa_mono reaches kappa_max: the flattest minima break up",
    "alpha_LE_y": "smallest load where the slope of the local entropy of y replicas in their overlap touches zero",
    "alpha_LE_y_inf": "the same for infinitely many replicas",
}
_BY_MARGIN = ("kappa_max", "kappa_gap", "kappa_mono")
_BY_LOAD = ("alpha_c", "alpha_LE", "alpha_gap", "alpha_LE_y_inf")
_LARGE_DEVIATIONS = ("alpha_LE_y", "alpha_LE_y_inf")


def offered(at_load: bool, replicas: bool = False) -> tuple[str, ...]:
    """Names of the thresholds at a given load, or in the load; with those at given numbers of replicas."""
    return _BY_MARGIN if at_load else _BY_LOAD + (("alpha_LE_y",) if replicas else ())


_QUANTITY = {"kappa_gap": ENTROPY, "kappa_mono": SLOPE, "alpha_gap": ENTROPY, "alpha_LE": SLOPE}
_CLOSEST = 1e-5
"""Smallest excess of the reference margin over the probe's that is looked at, relative to the largest."""


@dataclass(frozen=True, kw_only=True)
class Landmark(Threshold):
    """A threshold as a row among others: with its definition and where on the profile it happens."""

    definition: str
    where: Mapping[str, Number] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """The row as JSON and CSV show it."""
        return {
            "name": self.name,
            "value": self.value,
            "error": self.error,
            "definition": self.definition,
            **self.where,
            "order_parameters": dict(self.order_parameters),
            "status": str(self.status),
            "message": self.message,
        }


def thresholds(
    model: Model | str,
    *,
    alpha: float | None = None,
    kappa: float = 0.0,
    y: float | Iterable[float] = (),
    only: Iterable[str] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Callable[[Any], None] | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return the thresholds of a model: in the reference's margin at a given load, or else in the load.

    With ``alpha``: ``kappa_max`` (:math:`\phi_\mathrm{RS} = 0`), ``kappa_gap`` (:math:`\phi = \phi' = 0` for the
    Franz-Parisi entropy) and ``kappa_mono`` (:math:`\phi' = \phi'' = 0`).  Without: ``alpha_c`` and the loads
    ``alpha_gap`` and ``alpha_LE`` at which the latter two reach ``kappa_max`` (Baldassi et al., arXiv 2107.01163).

    Parameters
    ----------
    model : Model or str
    alpha : float, optional
        The load.
    kappa : float
        Margin of the probes.
    y : float or iterable of float
        Numbers of replicas for ``alpha_LE_y``, a row each.
    only : iterable of str, optional
        Names of the thresholds wanted, in this order; all of them by default.
    tolerance : float
        Largest undamped residual of the saddles.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.journal`).

    Returns
    -------
    Curve
        One row a threshold: ``name, value, error, definition``, where it happens (``distance``), ``order_parameters``,
        ``status`` (``absent`` with a sentence where it does not exist) and ``message``.

    Raises
    ------
    InputError
        For bad input.
    """
    setting = Setting.of((model, "franz-parisi"))
    replicas = [float(value) for value in (y if isinstance(y, Iterable) else (y,))]
    if bad := [value for value in replicas if not value > 1.0]:
        raise InputError(f"y = {bad[0]:g} must be above 1: one replica has no overlap to impose.")
    known = offered(alpha is not None, bool(replicas))
    names = tuple(known if only is None else only)
    if wrong := [name for name in names if name not in known]:
        missing = " (give y=)" if wrong[0] == "alpha_LE_y" and alpha is None else ""
        raise InputError(f"There is no threshold {wrong[0]} here{missing}; there are {', '.join(known)}.")
    axis = _Axis(setting, alpha, float(kappa), tolerance)
    steps = Steps(journal, progress)
    for name in names:
        for given in [{"y": value} for value in replicas] if name == "alpha_LE_y" else [{}]:
            place = {**axis.parameters, "name": name, **given}
            steps.several(place, partial(_rows, axis, name, given.values()))
    return Curve(tuple(steps.points))


def _rows(axis: _Axis, name: str, replicas: Iterable[float]) -> Iterator[Landmark]:
    """The rows of one name: one, or one for every number of replicas."""
    if name in _LARGE_DEVIATIONS:
        for y in replicas if name == "alpha_LE_y" else (math.inf,):
            yield _large_deviations(axis, name, y)
    else:
        yield _row(axis, name)


@dataclass(frozen=True)
class _Axis:
    """The line in parameter space on which thresholds are sought."""

    setting: Setting
    alpha: float | None
    kappa: float
    tolerance: float

    @property
    def parameters(self) -> dict[str, float]:
        return {"kappa": self.kappa} if self.alpha is None else {"alpha": self.alpha, "kappa": self.kappa}

    def landmark(self, name: str, value: float, error: float, status: Status, message: str, **known: Any) -> Landmark:
        """A row of this axis."""
        known = {"residual": 0.0, "quadrature_error": 0.0, "order_parameters": {}, **known}
        return Landmark(
            name=name,
            model=self.setting.model.name,
            options=dict(self.setting.model.options),
            deviation=self.setting.deviation,
            ansatz=self.setting.ansatz.name,
            parameters=self.parameters,
            value=value,
            error=error,
            status=status,
            message=message,
            definition=DEFINITIONS[name],
            kernel=self.setting.key,
            rule=str(self.setting.rule),
            tolerance=self.tolerance,
            **known,
        )

    def without(self, name: str, status: Status, message: str) -> Landmark:
        """A row without a value."""
        return self.landmark(name, math.nan, math.nan, status, message, where={"distance": None})


def _row(axis: _Axis, name: str) -> Landmark:
    """One threshold; what goes wrong stays in its row."""
    if name in ("kappa_max", "alpha_c"):
        return _end_of_solutions(axis, name)
    try:
        return _by_margin(axis, name) if axis.alpha is not None else _by_load(axis, name)
    except NotFound as reason:
        return axis.without(name, Status.NOT_CONVERGED, f"Not converged: {reason}")


def _end_of_solutions(axis: _Axis, name: str) -> Landmark:
    model = axis.setting.model
    if axis.alpha is not None:
        found = max_margin(model, axis.alpha, tolerance=axis.tolerance)
    else:
        found = capacity(model, axis.kappa, tolerance=axis.tolerance)
    assert isinstance(found, Threshold)
    return axis.landmark(
        name,
        found.value,
        found.error,
        found.status,
        found.message,
        residual=found.residual,
        quadrature_error=found.quadrature_error,
        order_parameters=found.order_parameters,
        iterations=found.iterations,
        warnings=found.warnings,
    )


def _by_margin(axis: _Axis, name: str) -> Landmark:
    """``kappa_gap`` or ``kappa_mono``, sought by the logarithm of the excess margin, in which valleys scale."""
    alpha, quantity = axis.alpha, _QUANTITY[name]
    assert alpha is not None
    largest = maximal_margin(axis.setting.model, alpha, axis.tolerance)
    if largest <= axis.kappa:
        message = f"There are no solutions: kappa = {axis.kappa:g} is above the maximal margin {largest:.10g}."
        return axis.without(name, Status.ABSENT, message)
    touch = margin_touch(axis.setting, quantity, alpha, axis.kappa, largest, axis.tolerance)
    if touch is None:
        what = "negative somewhere" if quantity is ENTROPY else "not monotonic"
        message = f"Absent: even around solutions of the maximal margin {largest:.10g} the entropy is {what}."
        return axis.without(name, Status.ABSENT, message)
    return _touching(axis, name, touch, quantity)


def margin_landscape(setting: Setting, alpha: float, kappa: float, tolerance: float) -> Landscape:
    """Profiles at one load; the moving parameter is the logarithm of the reference margin's excess over the probe's."""

    def at(logarithm: float) -> dict[str, float]:
        return {"alpha": alpha, "kappa": kappa, "reference_kappa": kappa + math.exp(logarithm)}

    return Landscape(setting, at, tolerance)


def margin_touch(
    setting: Setting, quantity: Quantity, alpha: float, kappa: float, largest: float, tolerance: float
) -> Touch | None:
    """Where the quantity touches zero as the reference margin decreases from ``largest``, as a margin."""
    land = margin_landscape(setting, alpha, kappa, tolerance)
    good = math.log(largest - kappa)
    touch = first_touch(land, quantity, good, good + math.log(_CLOSEST))
    return None if touch is None else as_margin(touch, kappa)


def as_margin(touch: Touch, kappa: float) -> Touch:
    """A touch in the logarithm of the excess margin as one in the margin itself."""
    excess = math.exp(touch.parameter)
    return Touch(kappa + excess, touch.error * excess + 2e-16 * abs(kappa), touch.distance, touch.point)


def _by_load(axis: _Axis, name: str) -> Landmark:
    """``alpha_gap`` or ``alpha_LE``: around references of the maximal margin, from small loads upwards."""
    model, quantity = axis.setting.model, _QUANTITY[name]
    end = capacity(model, axis.kappa, tolerance=axis.tolerance)
    assert isinstance(end, Threshold)
    if not end.converged:
        raise NotFound(f"the capacity was not found: {end.message}")

    def at(alpha: float) -> dict[str, float]:
        margin = maximal_margin(model, alpha, axis.tolerance)
        return {"alpha": alpha, "kappa": axis.kappa, "reference_kappa": margin}

    land = Landscape(axis.setting, at, axis.tolerance)
    touch = first_touch(land, quantity, _SMALL_LOAD * end.value, _LARGE_LOAD * end.value)
    if touch is None:
        message = f"Absent: already at {_SMALL_LOAD:g} of the capacity it is lost around the maximal margin."
        return axis.without(name, Status.ABSENT, message)
    return _touching(axis, name, touch, quantity)


_SMALL_LOAD, _LARGE_LOAD = 0.4, 0.99
_SMALLEST_CLUSTER = 4e-3
"""Distance between replicas at which the scan of a local entropy ends: below, its slope bends to the annealed end."""


def _large_deviations(axis: _Axis, name: str, y: float) -> Landmark:
    """``alpha_LE_y``: a valley of the slope of ``Phi`` in the overlap touches zero, away from the typical overlap."""
    model = axis.setting.model
    where: dict[str, Number] = {"y": "inf" if math.isinf(y) else y} if name == "alpha_LE_y" else {}
    nowhere = {**where, "overlap": None, "complexity": None}
    try:
        setting = Setting.of((model, "local-entropy"))
        end = capacity(model, axis.kappa, tolerance=axis.tolerance)
        assert isinstance(end, Threshold)
        if not end.converged:
            raise NotFound(f"the capacity was not found: {end.message}")

        def at(alpha: float) -> dict[str, float]:
            return {"alpha": alpha, "kappa": axis.kappa, "y": y}

        def typical(alpha: float) -> float:
            point = solve_point(Setting.of((model, "rs")), {"alpha": alpha, "kappa": axis.kappa}, None, axis.tolerance)
            return 0.5 * (1.0 - point.order_parameters["q"])

        land = Landscape(setting, at, axis.tolerance, farthest=typical, smallest=_SMALLEST_CLUSTER)
        touch = first_touch(land, SLOPE, _LOADS_OF_CLUSTERS[0] * end.value, _LOADS_OF_CLUSTERS[1] * end.value)
    except NotFound as reason:
        message = f"Not converged: {reason}"
        return axis.landmark(name, math.nan, math.nan, Status.NOT_CONVERGED, message, where=nowhere)
    if touch is None:
        message = f"Absent: already at {_LOADS_OF_CLUSTERS[0]:g} of the capacity the slope is negative somewhere."
        return axis.landmark(name, math.nan, math.nan, Status.ABSENT, message, where=nowhere)
    point = touch.point
    complexity = float(point.observables["complexity"])  # type: ignore[arg-type]
    empty = f"{name}: the complexity is negative there ({complexity:.4g}); typically there is no such cluster."
    return axis.landmark(
        name,
        touch.parameter,
        touch.error,
        Status.CONVERGED,
        f"At overlap {1.0 - 2.0 * touch.distance:.6g} the slope touches zero ({slope(point):.1e}).",
        residual=point.residual,
        quadrature_error=point.quadrature_error,
        order_parameters=point.order_parameters,
        where={**where, "overlap": 1.0 - 2.0 * touch.distance, "complexity": complexity},
        warnings=(*point.warnings, *((empty,) if complexity < 0.0 else ())),
    )


_LOADS_OF_CLUSTERS = (0.7, 0.995)


def _touching(axis: _Axis, name: str, touch: Touch, quantity: Quantity) -> Landmark:
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
