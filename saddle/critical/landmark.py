"""A threshold as a row among others on one axis: with its definition, its own status, and where it happens.

Whatever is wrong with one threshold stays in its row: :class:`NoTouch` and refused input say that it does not exist
(``absent``), :class:`NotFound` and numerical failures that it could not be computed (``not-converged``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from replica.errors import InputError
from saddle.critical.capacities import capacity, max_margin, maximal_margin
from saddle.critical.flat_minima import NotFound, NoTouch
from saddle.points.results import Number, Status, Threshold, normalized_value, with_normalized
from saddle.points.setting import Setting

DEFINITIONS = {
    "kappa_max": "largest margin with solutions: the replica-symmetric entropy vanishes",
    "kappa_gap": "smallest reference margin with a non-negative Franz-Parisi entropy up to the typical distance",
    "kappa_mono": "smallest reference margin with a Franz-Parisi entropy that increases up to the typical distance",
    "alpha_c": "capacity: the largest load with solutions",
    "alpha_gap": "load where kappa_gap reaches kappa_max: around every reference there is a gap",
    "alpha_LE": "load where kappa_mono reaches kappa_max: the flattest minima break up",
    "alpha_LE_y": "smallest load where the slope of the local entropy of y replicas in their overlap touches zero",
    "alpha_LE_y_inf": "the same for infinitely many replicas",
    "alpha_U": "load where the line of vanishing complexity around a reference configuration breaks up",
    "alpha_OGP": "smallest load, over all numbers of clones, above which so many solutions miss some mutual overlap",
    "alpha_d": "dynamical transition: smallest load at which typical solutions lie in states (1RSB at m = 1, q1 > q0)",
    "alpha_K": "condensation: load at which the complexity of the states of typical solutions vanishes",
    "alpha_first_order": "load where the entropies of the student and of perfect generalisation cross",
    "alpha_spinodal": "load where the branch of students that do not know the teacher ends",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Landmark(Threshold):
    """A threshold as a row among others: with its definition and where on the profile it happens."""

    definition: str
    where: Mapping[str, Number] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """The row as JSON and CSV show it."""
        return {
            "name": self.name,
            "value": self.value,
            **normalized_value(self.name, self.value, self.deviation),
            "error": self.error,
            "definition": self.definition,
            **self.where,
            "order_parameters": dict(self.order_parameters),
            "status": str(self.status),
            "message": self.message,
            **with_normalized(self.parameters, self.deviation),
        }


@dataclass(frozen=True)
class Axis:
    """The line in parameter space on which thresholds of one model are sought."""

    setting: Setting
    alpha: float | None
    kappa: float
    tolerance: float

    @property
    def parameters(self) -> dict[str, float]:
        """What is the same for all thresholds."""
        return {"kappa": self.kappa} if self.alpha is None else {"alpha": self.alpha, "kappa": self.kappa}

    @property
    def harder(self) -> int:
        """The sign of a change of the margin that leaves fewer solutions."""
        return int(getattr(self.setting.model.constraint, "harder", 1))

    def landmark(self, name: str, value: float, error: float, status: Status, message: str, **known: Any) -> Landmark:
        """A row of this axis."""
        known = {"residual": 0.0, "quadrature_error": 0.0, "order_parameters": {}, "setting": self.setting, **known}
        setting = known.pop("setting")
        return Landmark(
            name=name,
            model=setting.model.name,
            options=dict(setting.model.options),
            deviation=setting.deviation,
            ansatz=setting.ansatz.name,
            parameters=self.parameters,
            value=value,
            error=error,
            status=status,
            message=message,
            definition=DEFINITIONS[name],
            kernel=setting.key,
            rule=str(setting.rule),
            tolerance=self.tolerance,
            **known,
        )

    def as_landmark(self, name: str, found: Threshold, where: Mapping[str, Number], **known: Any) -> Landmark:
        """A threshold that was found elsewhere, as a row of this axis."""
        return self.landmark(
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
            where=where,
            **known,
        )

    def guarded(self, name: str, nowhere: Mapping[str, Number], compute: Callable[[], Landmark]) -> Landmark:
        """What a computation gives; where it fails, a row without a value that says why."""
        try:
            return compute()
        except (InputError, NoTouch) as reason:
            status, message = Status.ABSENT, f"Absent: {reason}"
        except NotFound as reason:
            status, message = Status.NOT_CONVERGED, f"Not converged: {reason}"
        except (ArithmeticError, RuntimeError, ValueError) as reason:  # of the numerical libraries
            status, message = Status.NOT_CONVERGED, f"Not converged: the computation broke down ({reason})."
        return self.landmark(name, math.nan, math.nan, status, message, where=nowhere)

    def capacity(self) -> Threshold:
        """The capacity at this margin.

        Raises
        ------
        NoTouch, NotFound
            If it does not exist, or was not found.
        """
        found = capacity(self.setting.model, self.kappa, tolerance=self.tolerance)
        assert isinstance(found, Threshold)
        return _required(found, "the capacity")

    def largest_margin(self, alpha: float) -> float:
        """The margin of the hardest constraint that has solutions at a load.

        Raises
        ------
        NoTouch, NotFound
            If it does not exist, or was not found.
        """
        model = self.setting.model
        if not model.weights.discrete:
            raise NoTouch(
                f"the overlap of {model.weights.name} weights tends to 1 at the maximal margin, so that there is no typical "
                "reference there."
            )
        try:
            return maximal_margin(model, alpha, self.tolerance)
        except InputError:
            found = max_margin(model, alpha, tolerance=self.tolerance)
            assert isinstance(found, Threshold)
            return _required(found, f"the extremal margin at alpha = {alpha:g}").value


def _required(found: Threshold, what: str) -> Threshold:
    """A threshold that another one needs."""
    if found.converged:
        return found
    raise (NoTouch if found.status.is_answer else NotFound)(f"{what}: {found.message}")
