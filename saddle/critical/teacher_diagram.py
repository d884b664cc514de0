r"""The phase diagram of a student of a teacher, over the margin of the student or over the inverse temperature.

Without margin the teacher is a solution of its own at any load, with entropy 0: the transition to it is where the entropy of
the student's saddle vanishes, and the student's saddle goes on as a metastable one up to a fold, the spinodal.  A
temperature changes neither the free entropy of the teacher nor this picture.  At a negative margin the teacher is surrounded
by solutions, a saddle of its own with a fold at its lower end: the transition is where both have the same
entropy, and all three lines end in the cusp of the line of folds, beyond which student and teacher are one phase.
Towards margin 0 the lines are continuous: around the teacher :math:`1 - r` falls like the square of the margin, up to
logarithms, and the spinodal of that phase falls to load 0.
At a positive margin the teacher is no solution: there is a capacity and no transition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from replica.errors import InputError
from replica.model import Model
from saddle.critical.boundaries import Boundary
from saddle.critical.diagrams import Diagram, diagram_row
from saddle.lines.following import Branch, SpecialPoint, follow
from saddle.points.results import Status
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, solve_point
from saddle.reporting.temperatures import at_temperature
from saddle.sweeping.journal import Journal, Steps

DEFAULT_MARGINS = (*(round(-0.2 + 0.01 * i, 2) for i in range(20)), 0.0, 0.02, 0.04, 0.06, 0.08, 0.1)
_LOADS = (0.1, 20.0)
_START = 0.3
_MARGINAL = 1e-4
"""A replicon this small is that of a fold on the Bayes-optimal line, where both vanish."""
_BELOW_CUSP = -1.0
"""A margin below that at which the line of folds turns back, whatever margins are asked for."""
_BETWEEN = 0.5
"""Share of the way to the critical margin at which the transition of two saddles is found first."""


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
    name = "kappa" if beta is None else "beta"
    values = [float(v) for v in (beta if beta is not None else DEFAULT_MARGINS if kappa is None else kappa)]
    if bad := [v for v in values if not math.isfinite(v)]:
        raise InputError(f"{name} = {bad[0]} must be a finite number.")
    lines = _lines(setting, name, tuple(values), tolerance)
    steps = Steps(journal, progress)
    for value in values:
        steps.at({name: value}, lines.row, value, tolerance)
    return Diagram(tuple(steps.points), () if lines.critical is None else (lines.critical,))


@dataclass(frozen=True)
class _Lines:
    """All lines of the diagram, and the point in which they end."""

    setting: Setting
    name: str
    empty: Boundary
    student: Boundary
    teacher: Boundary | None
    transition: Boundary | None
    critical: dict[str, object] | None

    @classmethod
    def of(cls, setting: Setting, name: str, values: Sequence[float], tolerance: float) -> _Lines:
        """Found without margin (or at the lowest temperature asked for) and continued over the range of all values."""
        origin = 0.0 if name == "kappa" else max(values)
        span = (min(*values, origin), max(*values, origin))
        special = {point.kind: point for point in reversed(_branch(setting, name, origin, tolerance).special)}
        if missing := [kind for kind in ("entropy", "fold") if kind not in special]:
            what = "zero of the entropy" if missing[0] == "entropy" else "fold"
            raise InputError(f"{setting.model.name} has no {what} along the load, so that there is no transition to draw.")
        cut = span if name == "beta" else (_BELOW_CUSP if span[0] < 0.0 else 0.0, 0.0)
        student = Boundary.through(setting, special["fold"], name, cut)
        cusp = next((s for arm in student.arms for s in arm.special if s.kind == "cusp"), None)
        transition = None
        if name == "kappa" and span[0] < 0.0:
            transition = None if cusp is None else _transition(setting, cusp.value, tolerance)
        empty = Boundary.through(setting, special["entropy"], name, span if name == "beta" else (0.0, span[1]))
        teacher = student.only([1]) if len(student.pieces) > 1 else None
        return cls(setting, name, empty, student.only([0]), teacher, transition, _critical(cusp))

    def row(self, value: float, tolerance: float) -> Any:
        """One margin or temperature."""
        wanted: dict[str, Boundary | None] = {
            "alpha_first_order": self.empty if self.name == "beta" or value == 0.0 else self.transition,
            "alpha_spinodal": self.student,
            "alpha_spinodal_teacher": self.teacher,
            "alpha_c": self.empty if self.name == "kappa" and value > 0.0 else None,
        }
        if self.name == "kappa" and value >= 0.0:
            wanted |= {"alpha_spinodal_teacher": None}
        if self.name == "kappa" and value > 0.0:
            wanted |= {"alpha_first_order": None, "alpha_spinodal": None}
        lines: dict[str, float] = {}
        failed = []
        for name, boundary in wanted.items():
            try:
                place = None if boundary is None else boundary.at(value)
            except ArithmeticError as reason:
                place = None
                failed.append(f"{name}: not converged, {reason}")
            if place is None and boundary is not None and self._exists(value) and not failed:
                failed.append(f"{name}: not followed up to here, where 1 - r rounds so close to margin 0")
            unstable = name == "alpha_spinodal" and place is not None and _replicon(place.point) < -_MARGINAL
            lines[name] = math.nan if place is None or unstable else place.value
            lines[f"{name}_error"] = math.nan if place is None or unstable else place.error
        status = Status.NOT_CONVERGED if failed else Status.CONVERGED
        message = "; ".join(failed) + "." if failed else self._message(value)
        return diagram_row(self.setting, {self.name: value}, lines, status, message, tolerance=tolerance)

    def _exists(self, value: float) -> bool:
        """Whether student and teacher are two phases here."""
        return self.name == "beta" or self.critical is None or value > float(self.critical["kappa"])  # type: ignore[arg-type]

    def _message(self, value: float) -> str:
        if self.name == "beta":
            return "The teacher is the other phase at any load, with free entropy 0."
        if value > 0.0:
            return "With a positive margin the teacher is no solution: there is a capacity and no transition."
        if value == 0.0:
            return "The teacher is a solution of its own at any load: its branch has no spinodal."
        if not self._exists(value):
            return "No transition: beyond the critical point student and teacher are one phase."
        return "The teacher is surrounded by solutions: both phases end in a spinodal."


@lru_cache(maxsize=4)
def _lines(setting: Setting, name: str, values: tuple[float, ...], tolerance: float) -> _Lines:
    """All lines, kept for where a diagram goes on."""
    return _Lines.of(setting, name, values, tolerance)


def _branch(setting: Setting, name: str, value: float, tolerance: float, upto: float = _LOADS[1]) -> Branch:
    """The student's branch along the load, past its folds."""
    values = {"alpha": _START, "kappa": 0.0, name: value}
    values = setting.resolve({key: values[key] for key in setting.parameter_names()}, tolerance)
    start = solve_point(setting, values, None, tolerance)
    target = (setting.model, setting.ansatz)
    return follow(start, "alpha", (_LOADS[0], upto), target=target, events=["entropy"], direction=1.0)


def _transition(setting: Setting, critical: float, tolerance: float) -> Boundary | None:
    from saddle.critical.transitions import transition_line

    branch = _branch(setting, "kappa", _BETWEEN * critical, tolerance, upto=4.0)
    return transition_line(setting, branch, "kappa", critical, 0.0)


def _critical(cusp: SpecialPoint | None) -> dict[str, object] | None:
    if cusp is None:
        return None
    place = {"kappa": cusp.value, "alpha": cusp.point.parameters["alpha"], "error": cusp.error}
    names = "alpha_first_order alpha_spinodal alpha_spinodal_teacher"
    return {"name": "critical_point", "lines": names, **place, "status": str(Status.CONVERGED)}


def _replicon(point: Any) -> float:
    value = point.observables.get("replicon")
    return float(value) if isinstance(value, float) else 0.0
