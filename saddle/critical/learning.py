r"""What a student learns of its teacher: both branches of saddles along the load, and where they exchange and end.

The branch ``student`` holds the typical configurations compatible with the labels, with an overlap ``r`` with the teacher
below 1.  The branch ``teacher`` is perfect generalisation: only the teacher itself is left, so that ``r = 1`` and the
entropy is 0, at any load.  The branch of larger entropy is the stable phase.  Without margin the student is drawn from
the posterior of the teacher; with one, the teacher is no solution and its branch does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from replica.ansatz import conjugate
from replica.errors import InputError
from replica.model import Model
from saddle.critical.capacities import Line, zero_entropy_load
from saddle.points.outcome import order_parameters
from saddle.points.results import SaddlePoint, Status, Threshold
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, problem_of, solve_point, spinodal
from saddle.reporting.curve import Curve
from saddle.reporting.reports import Numbers, as_numbers
from saddle.sweeping.branches import Place, places
from saddle.sweeping.journal import Journal, Steps

Progress = Callable[[SaddlePoint], None]
Row = Mapping[str, object]

STUDENT, TEACHER = "student", "teacher"
_STABLE, _METASTABLE = "stable", "metastable"
_MARGINAL = 1e-4
"""A replicon this small is that of a fold on the Bayes-optimal line, where both vanish."""


def generalization(
    model: Model | str,
    alpha: Numbers,
    kappa: Numbers = 0.0,
    *,
    start: SaddlePoint | Mapping[str, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return both branches of a student of a teacher, with its generalisation error, along the load.

    Columns: ``alpha, kappa, free_entropy, branch`` (``student`` or ``teacher``), ``phase`` (``stable`` for the branch of
    larger entropy, else ``metastable``), ``r`` (overlap with the teacher), ``generalization_error``
    (:math:`\arccos(r)/\pi`), then those of an entropy curve.  ``thresholds`` has, for every margin,
    ``alpha_first_order``, where the entropies of the two branches cross, and ``alpha_spinodal``, where the student's branch
    ends in a fold; each with its error, or without a value and with the reason.

    Parameters
    ----------
    model : Model or str
        A model with a teacher.
    alpha, kappa : float or iterable of float
        Loads, and margins of the student (at least 0); the margin is fastest.
    start : optional
        Order parameters to start the first point from.
    tolerance : float
        Largest undamped residual.
    progress : callable, optional
        Called with every finished point.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Raises
    ------
    InputError
        For bad input: a model without a teacher, or a negative margin, at which the teacher is surrounded by solutions.

    References
    ----------
    Gyorgyi, Phys. Rev. A 41, 7097 (1990); Sompolinsky, Tishby and Seung, Phys. Rev. Lett. 65, 1683 (1990).
    """
    setting = Setting.of((model, "rs"))
    if not setting.model.teacher:
        raise InputError(f"The model {setting.model.name} has no teacher to generalise from.")
    loads, margins = as_numbers("alpha", alpha), as_numbers("kappa", kappa)
    if low := [k for k in margins if k < 0.0]:
        raise InputError(
            f"kappa = {low[0]:g} is negative: the teacher is then surrounded by solutions, and perfect generalisation is "
            "no branch of its own; ask for a margin of at least 0."
        )
    steps = Steps(journal, progress)
    previous: dict[float, Any] = dict.fromkeys(margins, start)
    for row in places({"alpha": loads, "kappa": margins}):
        student = steps.several(row, partial(_solved, setting, row, previous[row["kappa"]], tolerance))[0]
        previous[row["kappa"]] = student if student.converged else None
    return Curve(tuple(steps.points), thresholds=tuple(row for k in margins for row in _thresholds(setting, k, tolerance)))


def _solved(setting: Setting, row: Place, start: Any, tolerance: float) -> list[SaddlePoint]:
    """The student's point and, where the teacher is a solution, the point of perfect generalisation."""
    values = setting.resolve(row, tolerance)
    student = solve_point(setting, values, start, tolerance)
    learned = student.observables["generalization_error"]
    name = setting.teacher_overlap
    known: dict[str, Any] = {"r": student.order_parameters[name] if student.converged else None}
    if not _teacher_is_solution(values):
        phase = _STABLE if student.status is Status.CONVERGED else None
        return [_as_branch(student, STUDENT, phase, {**known, "generalization_error": learned})]
    ahead = student.converged and student.free_entropy > 0.0
    phase = None if not student.converged else _STABLE if ahead else _METASTABLE
    other = _METASTABLE if ahead else _STABLE
    return [
        _as_branch(student, STUDENT, phase, {**known, "generalization_error": learned}),
        _as_branch(_perfect(student), TEACHER, other, {"r": 1.0, "generalization_error": 0.0}),
    ]


def _teacher_is_solution(values: Mapping[str, float]) -> bool:
    return values["kappa"] <= 0.0


def _as_branch(point: SaddlePoint, branch: str, phase: str | None, learned: Mapping[str, Any]) -> SaddlePoint:
    rest = {name: value for name, value in point.observables.items() if name not in learned}
    return replace(point, observables={"branch": branch, "phase": phase, **learned, **rest})


def _perfect(student: SaddlePoint) -> SaddlePoint:
    """The point where every overlap is 1: the teacher alone, whatever the load."""
    names = [name for name in student.order_parameters if not name.endswith(conjugate(""))]
    order = {key: value for name in names for key, value in ((name, 1.0), (conjugate(name), math.inf))}
    return replace(
        student,
        order_parameters=order,
        free_entropy=0.0,
        residual=0.0,
        quadrature_error=0.0,
        error=0.0,
        status=Status.CONVERGED,
        message="Perfect generalisation: only the teacher itself is left, with entropy 0 (exact; conjugates are infinite).",
        iterations=(),
        observables={**dict.fromkeys(student.observables), "overlap": 1.0, "distance": 0.0},
        warnings=(),
    )


def _thresholds(setting: Setting, kappa: float, tolerance: float) -> list[Row]:
    """First-order transition and spinodal at a margin."""
    found = [transition(name, setting.model, kappa, tolerance) for name in _TRANSITIONS]
    return [
        {"name": t.name, "kappa": kappa, "value": t.value, "error": t.error, "status": str(t.status), "message": t.message}
        for t in found
    ]


def transition(name: str, model: Model | str, kappa: float, tolerance: float = DEFAULT_TOLERANCE) -> Threshold:
    """Return where the student's branch crosses that of its teacher (``alpha_first_order``) or ends (``alpha_spinodal``).

    ``observables`` has its ``overlap`` with the teacher there.

    Parameters
    ----------
    name : str
        ``alpha_first_order`` or ``alpha_spinodal``.
    model : Model or str
        A model with a teacher.
    kappa : float
        Margin of the student.
    tolerance : float
        Largest undamped residual.
    """
    return _TRANSITIONS[name](Line(name, "kappa", "alpha", Setting.of((model, "rs")), kappa, tolerance))


def _first_order(line: Line) -> Threshold:
    if not _teacher_is_solution({"kappa": line.value}):
        why = "with a margin the teacher is no solution: there is no branch to cross; see capacity"
        return _absent(line, f"No transition: {why}.")
    found = zero_entropy_load(line.setting, line.value, line.tolerance)
    if not found.converged:
        return replace(found, name=line.name, observables={"overlap": None})
    r = found.order_parameters[line.setting.teacher_overlap]
    message = "The entropy of the student vanishes and crosses that of the teacher."
    return replace(found, name=line.name, message=message, observables={"overlap": r})


def _spinodal(line: Line) -> Threshold:
    setting, kappa = line.setting, line.value
    fold = spinodal(setting, {"alpha": 1.0, "kappa": kappa}, line.tolerance)
    if fold is None:
        return _absent(line, "The student's branch does not end in a fold.")
    problem, state = problem_of(setting, {"alpha": fold.alpha, "kappa": kappa}, None), fold.point.state
    replicons = problem.observables(state, setting.rule)["replicons"]
    if min(replicons.values()) < -_MARGINAL:
        message = f"The student's branch loses its stability (negative replicon) before it folds, at {fold.alpha:.6g}."
        return _absent(line, message)
    r = state.overlaps[setting.teacher_overlap]
    return line.result(
        fold.alpha,
        fold.error,
        Status.CONVERGED,
        f"The student's branch ends in a fold, at r = {r:.10g}.",
        residual=state.residual,
        quadrature_error=fold.quadrature_error,
        order_parameters=order_parameters(problem, state),
        observables={"overlap": r},
    )


def _absent(line: Line, message: str) -> Threshold:
    return line.result(math.nan, math.nan, Status.ABSENT, message, observables={"overlap": None})


_TRANSITIONS = {"alpha_first_order": _first_order, "alpha_spinodal": _spinodal}
