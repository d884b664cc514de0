r"""What a student learns of its teacher: both branches of saddles along the load, and where they exchange and end.

The branch ``student`` holds the typical configurations compatible with the labels, with an overlap ``r`` with the teacher
below 1.  The branch ``teacher`` is perfect generalisation: only the teacher itself is left, so that ``r = 1`` and the
entropy is 0, at any load.  The branch of larger entropy is the stable phase.  Without margin the student is drawn from
the posterior of the teacher; with one, the teacher is no solution and its branch does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import sympy as sp

from replica.ansatz import conjugate
from replica.errors import InputError
from replica.model import Model
from replica.parts.losses import loss_function
from saddle.critical.capacities import Line, zero_entropy_load
from saddle.critical.teacher_lines import FIRST_ORDER, lines_at, next_to_zero, place_on
from saddle.points.outcome import order_parameters
from saddle.points.results import SaddlePoint, Status, Threshold
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE, problem_of, solve_point, spinodal
from saddle.points.thermal import THERMAL
from saddle.reporting.curve import Curve
from saddle.reporting.reports import Numbers, as_numbers
from saddle.reporting.temperatures import Temperatures, as_range, at_temperature
from saddle.sweeping.branches import Place, places
from saddle.sweeping.journal import Journal, Steps

Progress = Callable[[SaddlePoint], None]
Row = Mapping[str, object]

STUDENT, TEACHER = "student", "teacher"
_STABILITIES = (1e-3, 0.1, 1.0, 5.0)
"""Stabilities of the teacher at which a loss must vanish."""
_STABLE, _METASTABLE = "stable", "metastable"
_MARGINAL = 1e-4
"""A replicon this small is that of a fold on the Bayes-optimal line, where both vanish."""


def generalization(
    model: Model | str,
    alpha: Numbers,
    kappa: Numbers = 0.0,
    *,
    beta: Temperatures = None,
    start: SaddlePoint | Mapping[str, float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> Curve:
    r"""Return both branches of a student of a teacher, with its generalisation error, along the load.

    Columns: ``alpha, kappa, free_entropy, branch`` (``student`` or ``teacher``), ``phase`` (``stable`` for the branch of
    larger free entropy, else ``metastable``), ``r`` (overlap with the teacher), ``generalization_error``
    (:math:`\arccos(r)/\pi`), then those of an entropy curve.  ``thresholds`` has, for every margin,
    ``alpha_first_order``, where the free entropies of both branches cross, and ``alpha_spinodal``, where the student's
    branch ends in a fold; each with its error, or without a value and with the reason.

    Parameters
    ----------
    model : Model or str
        A model with a teacher.
    alpha, kappa : float or iterable of float
        Loads, and margins of the student (at least 0), which are faster.
    beta : float, "inf" or an iterable of these, optional
        Inverse temperatures of the student, fastest, without a margin: every pattern that contradicts the teacher costs 1
        (or the loss of :func:`replica.soft`, which must not cost the teacher anything).
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
        For bad input: a model without a teacher, a negative margin, at which the teacher is surrounded by solutions, or a
        temperature at which the teacher has an energy.

    References
    ----------
    Gyorgyi, Phys. Rev. A 41, 7097 (1990); Sompolinsky, Tishby and Seung, Phys. Rev. Lett. 65, 1683 (1990).
    """
    model, temperatures = at_temperature(model, beta)
    setting = Setting.of((model, "rs"))
    if not setting.model.teacher:
        raise InputError(f"The model {setting.model.name} has no teacher to generalise from.")
    loads, margins = as_numbers("alpha", alpha), as_numbers("kappa", kappa)
    if temperatures[0]:
        check_teacher_without_energy(setting.model, margins)
    if low := [k for k in margins if k < 0.0]:
        raise InputError(
            f"kappa = {low[0]:g} is negative: the teacher is then surrounded by solutions, and perfect generalisation is "
            "no branch of its own; ask for a margin of at least 0."
        )
    steps = Steps(journal, progress)
    lines = places({"kappa": margins, **as_range(temperatures)})
    previous: dict[tuple[float, ...], Any] = {tuple(line.values()): start for line in lines}
    for row in places({"alpha": loads, "kappa": margins, **as_range(temperatures)}):
        line = tuple(value for name, value in row.items() if name != "alpha")
        student = steps.several(row, partial(_solved, setting, row, previous[line], tolerance))[0]
        previous[line] = student if student.converged else None
    thresholds = tuple(entry for line in lines for entry in _thresholds(setting, line, tolerance))
    return Curve(tuple(steps.points), thresholds=thresholds)


def check_teacher_without_energy(model: Model, margins: Iterable[float] = ()) -> None:
    """Refuse a temperature at which the free entropy of the teacher is not 0: its stabilities have all positive values.

    Raises
    ------
    InputError
        For a loss that costs the teacher something, or a margin that it does not have.
    """
    loss = getattr(model.constraint, "text", "")
    if loss and any(loss_function(loss)(sp.Float(x)).written.evalf() != 0 for x in _STABILITIES):
        raise InputError(
            f"The loss {loss!r} costs the teacher itself something: perfect generalisation is no branch of energy 0; ask "
            "for the energy and the generalization_error of the student (entropy)."
        )
    if any(margins):
        raise InputError(
            "At a finite temperature the teacher has an energy at a positive margin, at which some of its patterns are "
            "violated: ask without a margin."
        )


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
        observables={**dict.fromkeys(student.observables), **_without_energy(student), "overlap": 1.0, "distance": 0.0},
        warnings=(),
    )


def _without_energy(student: SaddlePoint) -> dict[str, float]:
    """Energy and entropy of the teacher, exactly, where a student has them."""
    return {name: 0.0 for name in THERMAL if name in student.observables}


def _thresholds(setting: Setting, line: Place, tolerance: float) -> list[Row]:
    """First-order transition and spinodal at a margin, or a temperature."""
    held = tuple((name, float(value)) for name, value in line.items() if name != "kappa")
    found = [transition(name, setting.model, line["kappa"], tolerance, held) for name in _TRANSITIONS]
    return [
        {"name": t.name, **line, "value": t.value, "error": t.error, "status": str(t.status), "message": t.message}
        for t in found
    ]


def transition(
    name: str,
    model: Model | str,
    kappa: float,
    tolerance: float = DEFAULT_TOLERANCE,
    held: tuple[tuple[str, float], ...] = (),
) -> Threshold:
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
    held : tuple of pairs
        The inverse temperature by name, if the student has one.
    """
    return _TRANSITIONS[name](Line(name, "kappa", "alpha", Setting.of((model, "rs")), kappa, tolerance, held))


def _first_order(line: Line) -> Threshold:
    if not _teacher_is_solution({"kappa": line.value}):
        why = "with a margin the teacher is no solution: there is no branch to cross; see capacity"
        return _absent(line, f"No transition: {why}.")
    if line.value < 0.0:
        return _exchange(line)
    found = zero_entropy_load(line.setting, line.value, line.tolerance, line.held)
    if not found.converged:
        return replace(found, name=line.name, observables={"overlap": None})
    r = found.order_parameters[line.setting.teacher_overlap]
    what = "free entropy" if line.held else "entropy"
    message = f"The {what} of the student vanishes and crosses that of the teacher."
    return replace(found, name=line.name, message=message, observables={"overlap": r})


def _exchange(line: Line) -> Threshold:
    """At a negative margin the teacher is surrounded by solutions: the saddles of both phases have the same entropy."""
    lines = lines_at(line.setting, "kappa", line.value, line.tolerance)
    if not lines:
        return _absent(line, "No transition: at a margin this negative student and teacher are one phase.")
    try:
        place = place_on(lines.get(FIRST_ORDER), line.value)
    except ArithmeticError as reason:
        close = next_to_zero(line.setting, line.value, line.tolerance)
        if close is None:
            message = f"Not converged: {reason}."
            return line.result(math.nan, math.nan, Status.NOT_CONVERGED, message, observables={"overlap": None})
        place = close
    return line.result(
        place.value,
        place.error,
        Status.CONVERGED,
        "The entropy of the student and that of the solutions around the teacher are the same.",
        residual=place.point.residual,
        quadrature_error=place.point.quadrature_error,
        order_parameters=place.point.order_parameters,
        observables={"overlap": place.point.order_parameters[line.setting.teacher_overlap]},
    )


def _spinodal(line: Line) -> Threshold:
    setting = line.setting
    fold = spinodal(setting, line.at(1.0), line.tolerance)
    if fold is None:
        return _absent(line, "The student's branch does not end in a fold.")
    problem, state = problem_of(setting, line.at(fold.alpha), None), fold.point.state
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
