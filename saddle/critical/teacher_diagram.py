r"""The phase diagram of a student of a teacher, over the margin of the student or over the inverse temperature.

Without margin the teacher is a solution of its own at any load, with entropy 0: the transition to it is where the entropy of
the student's saddle vanishes, and the student's saddle goes on as a metastable one up to a fold, the spinodal.  A
temperature changes neither the free entropy of the teacher nor this picture.  At a negative margin the teacher is surrounded
by solutions, a saddle of its own with a fold at its lower end: the transition is where both have the same
entropy, and all three lines end in the cusp of the line of folds, beyond which student and teacher are one phase.
At a positive margin the teacher is no solution: there is a capacity and no transition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from replica.errors import InputError
from replica.model import Model
from saddle.critical.boundaries import Place
from saddle.critical.diagrams import Diagram, DiagramRow, diagram_row
from saddle.critical.learning import check_teacher_without_energy
from saddle.critical.teacher_lines import (
    FIRST_ORDER,
    LINES,
    SPINODAL,
    SPINODAL_TEACHER,
    check_transition,
    critical_mark,
    critical_point,
    lines_at,
    next_to_zero,
    place_on,
)
from saddle.points.results import SaddlePoint, Status, with_normalized
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE
from saddle.reporting.temperatures import at_temperature
from saddle.sweeping.journal import Journal, Steps

DEFAULT_MARGINS = (*(round(-0.2 + 0.01 * i, 2) for i in range(20)), 0.0, 0.02, 0.04, 0.06, 0.08, 0.1)
_CLOSE = 1e-6
"""Relative distance of two spinodals, next to the critical point, that is the uncertainty of the transition between them."""
_MARGINAL = 1e-4
"""A replicon this small is that of a fold on the Bayes-optimal line, where both vanish."""


def teacher_diagram(
    model: Model | str,
    kappa: Sequence[float] | None = None,
    beta: Sequence[float] | None = None,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Callable[[Any], None] | None = None,
    journal: Journal | None = None,
) -> Diagram:
    """Return the transition and the spinodals of a student of a teacher at every margin or inverse temperature.

    Parameters
    ----------
    model : Model or str
        With a teacher.
    kappa, beta : sequence of float, optional
        Margins (at zero temperature), or inverse temperatures (without margin); by default margins around 0.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Returns
    -------
    Diagram
        Columns ``alpha_first_order`` (student and teacher exchange), ``alpha_spinodal`` (the student's saddle ends),
        ``alpha_spinodal_teacher`` (that around the teacher ends) and ``alpha_c`` (no solutions above), each with its error,
        NaN where a line does not exist; ``curves`` holds the critical point in which the first three end.

    References
    ----------
    Gyorgyi, Phys. Rev. A 41, 7097 (1990); Sompolinsky, Tishby and Seung, Phys. Rev. Lett. 65, 1683 (1990).
    """
    if kappa is not None and beta is not None:
        raise InputError("A diagram goes over margins or over inverse temperatures: give kappa or beta, not both.")
    hot, _ = at_temperature(model, None if beta is None else list(beta))
    setting = Setting.of((hot, "rs"))
    check_teacher_without_energy(hot)
    name = "kappa" if beta is None else "beta"
    values = [float(v) for v in (beta if beta is not None else DEFAULT_MARGINS if kappa is None else kappa)]
    if bad := [v for v in values if not math.isfinite(v)]:
        raise InputError(f"{name} = {bad[0]} must be a finite number.")
    if name == "beta" and (bad := [v for v in values if v <= 0.0]):
        raise InputError(f"beta = {bad[0]:g} must be positive.")
    check_transition(setting, name, tolerance)
    steps = Steps(journal, progress)
    for value in values:
        steps.at({name: value}, _row, setting, name, value, tolerance)
    critical = critical_point(setting, tolerance) if name == "kappa" and min(values) < 0.0 else None
    marks = () if critical is None else (with_normalized(critical_mark(critical), setting.deviation),)
    return Diagram(tuple(steps.points), marks)


def _row(setting: Setting, name: str, value: float, tolerance: float) -> DiagramRow:
    """All lines at one margin or temperature."""
    found = lines_at(setting, name, value, tolerance)
    places: dict[str, Place] = {}
    failed, told = {}, []
    for line, boundary in found.items():
        try:
            places[line] = place_on(boundary, value)
        except ArithmeticError as reason:
            failed[line] = f"{line}: not converged, {reason}"
    if FIRST_ORDER in failed and (bracket := _between_spinodals(places)) is not None:
        places[FIRST_ORDER] = bracket
        del failed[FIRST_ORDER]
    if FIRST_ORDER in failed and name == "kappa" and (close := next_to_zero(setting, value, tolerance)) is not None:
        places[FIRST_ORDER] = close
        del failed[FIRST_ORDER]
    if SPINODAL in places and _replicon(places[SPINODAL].point) < -_MARGINAL:
        told.append("The student's saddle breaks replica symmetry before it ends.")
        del places[SPINODAL]
    lines: dict[str, float] = {}
    for line in LINES:
        lines[line] = places[line].value if line in places else math.nan
        lines[f"{line}_error"] = places[line].error if line in places else math.nan
    status = Status.NOT_CONVERGED if failed else Status.CONVERGED
    message = "; ".join(failed.values()) + "." if failed else " ".join([_message(name, value, not found), *told])
    return diagram_row(setting, {name: value}, lines, status, message, tolerance=tolerance)


def _between_spinodals(places: Mapping[str, Place]) -> Place | None:
    """The transition between two spinodals, where they are too close to tell both saddles apart."""
    ends = [places[line] for line in (SPINODAL, SPINODAL_TEACHER) if line in places]
    if len(ends) < 2 or abs(ends[0].value - ends[1].value) > _CLOSE * ends[0].value:
        return None
    middle, half = 0.5 * (ends[0].value + ends[1].value), 0.5 * abs(ends[0].value - ends[1].value)
    return Place(middle, half + ends[0].error + ends[1].error, ends[0].point)


def _message(name: str, value: float, one_phase: bool) -> str:
    if name == "beta":
        return "The teacher is the other phase at any load, with free entropy 0."
    if value > 0.0:
        return "With a positive margin the teacher is no solution: there is a capacity and no transition."
    if value == 0.0:
        return "The teacher is a solution of its own at any load: its branch has no spinodal."
    if one_phase:
        return "No transition: beyond the critical point student and teacher are one phase."
    return "The teacher is surrounded by solutions: both phases end in a spinodal."


def _replicon(point: SaddlePoint) -> float:
    value = point.observables.get("replicon")
    return float(value) if isinstance(value, float) else 0.0
