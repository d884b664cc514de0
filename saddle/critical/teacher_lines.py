r"""The lines of the phase diagram of a student of a teacher, in pieces of the range of margins or temperatures.

Each piece is fixed by the model alone: its lines are found at one margin (or temperature) of it and continued to its ends,
so that a place on a line does not depend on which others are asked for, nor on who computes them.  Pieces of negative
margins halve from the critical one to margin 0, where the lines are singular; those of temperatures double.

Towards margin 0 the lines are continuous: around the teacher :math:`1 - r` falls like the square of the margin, up to
logarithms, and the spinodal of that phase falls to load 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from replica.errors import InputError
from saddle.critical.boundaries import Boundary, Place
from saddle.critical.capacities import zero_entropy_load
from saddle.critical.transitions import transition_line
from saddle.lines.event_lines import follow_event
from saddle.lines.following import Branch, SpecialPoint, follow
from saddle.points.results import Status
from saddle.points.setting import Setting
from saddle.points.solving import solve_point

FIRST_ORDER, CAPACITY = "alpha_first_order", "alpha_c"
SPINODAL, SPINODAL_TEACHER = "alpha_spinodal", "alpha_spinodal_teacher"
LINES = (FIRST_ORDER, SPINODAL, SPINODAL_TEACHER, CAPACITY)
_LOADS = (0.1, 20.0)
_LARGEST = 1e5
"""A load up to which the student's branch is followed at high temperature."""
_START = 0.3
_COLD = 32.0
"""An inverse temperature at which a student is as good as without errors."""
_FARTHEST = -1.0
"""A margin below that at which student and teacher become one phase, whatever margins are asked for."""
_HALVINGS = 8
"""Halvings of that margin in which one with two phases is sought."""
_LAST = 5
"""The piece of negative margins that reaches 0."""
_ANCHOR = 0.75
"""Where in a piece of negative margins its lines are found, as a share of its lower end."""
_NEXT_TO_ZERO = -1e-4
"""A margin next to which that of the transition at smaller ones is told from the student's saddle alone."""
_WIDTH = 0.25
"""Length of a piece of positive margins."""

Lines = Mapping[str, Boundary | None]
"""The lines that exist somewhere, by name; None for one that was not found."""


def lines_at(setting: Setting, name: str, value: float, tolerance: float) -> Lines:
    """Return the lines around a margin (``kappa``) or an inverse temperature (``beta``)."""
    if name == "beta":
        return _heated(setting, math.floor(math.log2(value)), tolerance)
    if value > 0.0:
        return _without_teacher(setting, math.floor(value / _WIDTH), tolerance)
    if value == 0.0:
        return _without_margin(setting, tolerance)
    critical = critical_point(setting, tolerance)
    far = _FARTHEST if critical is None else critical.value
    if value <= far:
        return {} if critical is not None else dict.fromkeys((FIRST_ORDER, SPINODAL, SPINODAL_TEACHER))
    return _two_phases(setting, min(math.floor(math.log2(far / value)), _LAST), tolerance)


def place_on(boundary: Boundary | None, value: float) -> Place:
    """A line at a margin or temperature.

    Raises
    ------
    ArithmeticError
        If it was not found there.
    """
    if boundary is None:
        raise ArithmeticError("the line was not found in this range")
    place = boundary.at(value)
    if place is None:
        values = sorted(node[0] for nodes in boundary.pieces for node in nodes)
        raise ArithmeticError(f"followed from {values[0]:.6g} to {values[-1]:.6g}, beyond which it is lost in rounding")
    return place


def next_to_zero(setting: Setting, margin: float, tolerance: float) -> Place | None:
    """Return the transition at a margin so close to 0 that the teacher's own saddle is a matter of rounding.

    It lies below the load at which the entropy of the student vanishes, by what the entropy of the solutions around the
    teacher makes: less than at a larger negative margin.  None if that one is not known, or is this one.
    """
    if not _NEXT_TO_ZERO < margin < 0.0:
        return None
    limits = [zero_entropy_load(setting, kappa, tolerance) for kappa in (_NEXT_TO_ZERO, margin)]
    try:
        there = place_on(lines_at(setting, "kappa", _NEXT_TO_ZERO, tolerance).get(FIRST_ORDER), _NEXT_TO_ZERO)
    except ArithmeticError:
        return None
    half = 0.5 * (limits[0].value - there.value)
    values = setting.resolve({"alpha": limits[1].value - half, "kappa": margin}, tolerance)
    point = solve_point(setting, values, limits[1].order_parameters, tolerance)
    if not (limits[0].converged and limits[1].converged and point.converged and half > 0.0):
        return None
    return Place(values["alpha"], half + there.error + limits[0].error + limits[1].error, point)


def check_transition(setting: Setting, name: str, tolerance: float) -> None:
    """Refuse a model whose student has no transition without margin or at a low temperature.

    Raises
    ------
    InputError
    """
    found = _ends(_branch(setting, name, 0.0 if name == "kappa" else _COLD, tolerance))
    for kind, what in (("entropy", "zero of the entropy"), ("fold", "fold")):
        if kind not in found:
            raise InputError(f"{setting.model.name} has no {what} along the load, so that there is no transition to draw.")


@lru_cache(maxsize=8)
def critical_point(setting: Setting, tolerance: float) -> SpecialPoint | None:
    """Return the cusp in which the spinodals of student and teacher meet, over the margin; None if none is found."""
    for halving in range(_HALVINGS):
        margin = _FARTHEST * 0.5**halving
        folds = _folds(_branch(setting, "kappa", margin, tolerance))
        if folds and halving > 0:
            span, target = (2.0 * margin, margin), (setting.model, setting.ansatz)
            line = follow_event(folds[0].point, "alpha", "kappa", span, event="fold", direction=-1.0, target=target)
            return next((special for special in line.special if special.kind == "cusp"), None)
        if folds:
            return None
    return None


def critical_mark(cusp: SpecialPoint) -> dict[str, object]:
    """The critical point as an entry of ``curves``."""
    place = {"kappa": cusp.value, "alpha": cusp.point.parameters["alpha"], "error": cusp.error}
    return {"name": "critical_point", "lines": " ".join(LINES[:3]), **place, "status": str(Status.CONVERGED)}


@lru_cache(maxsize=64)
def _heated(setting: Setting, doubling: int, tolerance: float) -> Lines:
    """Between two powers of 2 of the inverse temperature, from the larger one on; loads grow with the temperature."""
    span, upto = (2.0**doubling, 2.0 ** (doubling + 1)), _LOADS[1]
    found = _ends(_branch(setting, "beta", span[1], tolerance))
    while len(found) < 2 and upto < _LARGEST:
        upto *= 10.0
        found = _ends(_branch(setting, "beta", span[1], tolerance, upto))
    kinds = ((FIRST_ORDER, "entropy"), (SPINODAL, "fold"))
    return {line: _through(setting, found.get(kind), "beta", span) for line, kind in kinds}


@lru_cache(maxsize=64)
def _without_teacher(setting: Setting, number: int, tolerance: float) -> Lines:
    """At positive margins the teacher is no solution: there is the capacity, where the entropy vanishes."""
    span = (number * _WIDTH, (number + 1) * _WIDTH)
    limit = zero_entropy_load(setting, span[0], tolerance)
    if not limit.converged:
        return {CAPACITY: None}
    values = setting.resolve({"alpha": limit.value, "kappa": span[0]}, tolerance)
    point = solve_point(setting, values, limit.order_parameters, tolerance)
    start = SpecialPoint("entropy", limit.value, point, "alpha", limit.error) if point.converged else None
    return {CAPACITY: _through(setting, start, "kappa", span)}


@lru_cache(maxsize=8)
def _without_margin(setting: Setting, tolerance: float) -> Lines:
    """Without margin the teacher is a solution of its own at any load, whose entropy is 0."""
    found = _ends(_branch(setting, "kappa", 0.0, tolerance))
    kinds = ((FIRST_ORDER, "entropy"), (SPINODAL, "fold"))
    return {line: _through(setting, found.get(kind), "kappa", (0.0, 0.0)) for line, kind in kinds}


@lru_cache(maxsize=16)
def _two_phases(setting: Setting, number: int, tolerance: float) -> Lines:
    """At negative margins both phases end in folds and exchange in between; the first piece begins in the cusp."""
    critical = critical_point(setting, tolerance)
    far = _FARTHEST if critical is None else critical.value
    low, high = far * 0.5**number, 0.0 if number == _LAST else far * 0.5 ** (number + 1)
    branch = _branch(setting, "kappa", _ANCHOR * low, tolerance)
    folds = _folds(branch)
    if len(folds) < 2:
        return dict.fromkeys((FIRST_ORDER, SPINODAL, SPINODAL_TEACHER))
    span = (2.0 * low if number == 0 else low, high)  # in the cusp itself the equations are singular
    student, teacher = (_through(setting, fold, "kappa", span) for fold in folds[:2])
    cusp = critical.point if critical is not None and number == 0 else None
    first = transition_line(setting, branch, "kappa", low, high, cusp=cusp, singular=number == _LAST)
    return {FIRST_ORDER: first, SPINODAL: student, SPINODAL_TEACHER: teacher}


def _through(setting: Setting, start: SpecialPoint | None, name: str, span: tuple[float, float]) -> Boundary | None:
    """The line of an event, as far as its margin or temperature has not turned back."""
    return None if start is None else Boundary.through(setting, start, name, span).before_turning()


def _branch(setting: Setting, name: str, value: float, tolerance: float, upto: float = _LOADS[1]) -> Branch:
    """The student's branch along the load, past its folds."""
    values = {"alpha": _START, "kappa": 0.0, name: value}
    values = setting.resolve({key: values[key] for key in setting.parameter_names()}, tolerance)
    start = solve_point(setting, values, None, tolerance)
    target = (setting.model, setting.ansatz)
    return follow(start, "alpha", (_LOADS[0], upto), target=target, events=["entropy"], direction=1.0)


def _ends(branch: Branch) -> dict[str, SpecialPoint]:
    """The first zero of the entropy and the first fold of a branch, by kind."""
    return {point.kind: point for point in reversed(branch.special) if point.kind in ("entropy", "fold")}


def _folds(branch: Branch) -> list[SpecialPoint]:
    return [point for point in branch.special if point.kind == "fold"]
