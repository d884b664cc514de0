r"""The phase diagram over the margin of a model without a teacher: capacity (RS and 1RSB) and de Almeida-Thouless line.

Above the 1RSB capacity there are no solutions; below the line on which the replicon of the replica-symmetric saddle vanishes
replica symmetry holds, between that line and the capacity it is broken.  The line is one of events, continued in the
margin (:mod:`saddle.critical.boundaries`).  It ends where it meets the capacity: there the overlap of two solutions
reaches 1 with a replicon of 0 in the limit, which is one equation for the margin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from replica.model import Model
from saddle.critical.boundaries import Boundary, Place
from saddle.critical.capacities import capacity
from saddle.critical.diagrams import Diagram, DiagramRow, diagram_row
from saddle.critical.instability import first_instability
from saddle.points.results import Status, Threshold
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE
from saddle.sweeping.journal import Journal, Steps

_AROUND = 0.02
LINES = ("alpha_c", "alpha_c_1rsb", "alpha_AT")


def margin_diagram(
    model: Model | str,
    kappa: Sequence[float],
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Callable[[Any], None] | None = None,
    journal: Journal | None = None,
) -> Diagram:
    """Return ``alpha_c``, ``alpha_c_1rsb`` and ``alpha_AT`` at every margin, in the order asked for.

    Parameters
    ----------
    model : Model or str
        Without a teacher.
    kappa : sequence of float
        Margins at which the lines are reported.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Returns
    -------
    Diagram
        Columns ``kappa, alpha_c, alpha_c_error, alpha_c_1rsb, ..., alpha_AT, ...``, NaN where a line does not exist;
        ``curves`` holds the point in which the line of de Almeida-Thouless meets the capacity.
    """
    setting = Setting.of((model, "rs"))
    boundary, end = _lines(setting, (min(kappa), max(kappa)), tolerance)
    steps = Steps(journal, progress)
    for margin in kappa:
        steps.at({"kappa": margin}, _row, setting, margin, boundary, end, tolerance)
    return Diagram(tuple(steps.points), () if end is None else (end,))


def _capacities(setting: Setting, kappa: float, tolerance: float) -> dict[str, Threshold]:
    found = {}
    for name, ansatz in (("alpha_c", "rs"), ("alpha_c_1rsb", "1rsb")):
        point = capacity(setting.model, kappa, ansatz=ansatz, tolerance=tolerance)
        assert isinstance(point, Threshold)
        found[name] = point
    return found


@lru_cache(maxsize=4)
def _lines(
    setting: Setting, span: tuple[float, float], tolerance: float
) -> tuple[Boundary | None, dict[str, object] | None]:
    """The line of vanishing replicon and where it ends, kept for where a diagram goes on."""
    boundary = _instability(setting, span, tolerance)
    return boundary, _end(setting, boundary, tolerance)


def _instability(setting: Setting, span: tuple[float, float], tolerance: float) -> Boundary | None:
    """The line of vanishing replicon, from the first margin at which a branch in the load meets it; None if none does."""
    low, high = span
    if not setting.kernel.META["pivots"] or not setting.kernel.META["replicons"]:
        return None  # replicas without correlations have no overlap that could split
    for kappa in dict.fromkeys((low, 0.75 * low + 0.25 * high, 0.5 * (low + high), high)):
        if (special := first_instability(setting, kappa, tolerance)) is not None:
            return Boundary.through(setting, special, "kappa", span)
    return None


def _end(setting: Setting, boundary: Boundary | None, tolerance: float) -> dict[str, object] | None:
    """Where the line meets the capacity of continuous weights: the replicon vanishes in the limit of overlap 1."""
    from scipy.optimize import brentq

    if boundary is None or setting.model.weights.discrete:
        return None
    last = next((arm.last for arm in boundary.arms if arm.reason != "reached"), None)
    if last is None:
        return None

    def replicon(kappa: float) -> float:
        found = capacity(setting.model, kappa, tolerance=tolerance)
        assert isinstance(found, Threshold)
        value = found.observables.get("replicon")
        return float(value) if isinstance(value, float) else math.nan

    near = last.parameters["kappa"]
    ends = (near - _AROUND, near + _AROUND)
    if not replicon(ends[0]) * replicon(ends[1]) < 0.0:
        return None
    kappa = float(brentq(replicon, *ends, xtol=1e-13, rtol=1e-14))
    at = capacity(setting.model, kappa, tolerance=tolerance)
    assert isinstance(at, Threshold)
    error = 2e-13 + at.error
    place = {"kappa": kappa, "alpha": at.value, "error": error}
    return {"name": "alpha_AT_end", "lines": "alpha_AT alpha_c alpha_c_1rsb", **place, "status": str(Status.CONVERGED)}


def _row(
    setting: Setting, kappa: float, boundary: Boundary | None, end: dict[str, object] | None, tolerance: float
) -> DiagramRow:
    capacities = _capacities(setting, kappa, tolerance)
    lines: dict[str, float] = {}
    messages: list[str] = []
    failed = False
    for name, threshold in capacities.items():
        lines[name] = threshold.value if threshold.converged else math.nan
        lines[f"{name}_error"] = threshold.error if threshold.converged else math.nan
        if not threshold.converged:
            failed = failed or not threshold.status.is_answer
            messages.append(f"{name}: {threshold.message}")
    try:
        place = _instability_at(boundary, kappa, end)
    except ArithmeticError as reason:
        place, failed = None, True
        messages.append(f"alpha_AT: not converged, {reason}.")
    else:
        if place is None:
            messages.append("alpha_AT absent: the replica-symmetric saddle is stable up to the capacity.")
    lines |= {"alpha_AT": math.nan, "alpha_AT_error": math.nan}
    if place is not None:
        lines |= {"alpha_AT": place[0], "alpha_AT_error": place[1]}
    first = capacities["alpha_c"]
    return diagram_row(
        setting,
        {"kappa": kappa},
        lines,
        Status.NOT_CONVERGED if failed else Status.CONVERGED,
        " ".join(messages) or "All lines exist here.",
        tolerance=tolerance,
        residual=first.residual,
        quadrature_error=first.quadrature_error,
    )


def _instability_at(
    boundary: Boundary | None, kappa: float, end: dict[str, object] | None
) -> tuple[float, float] | None:
    """Load and error of the line at a margin; at its end that of the end."""
    if end is not None and abs(kappa - float(end["kappa"])) <= float(end["error"]):  # type: ignore[arg-type]
        return float(end["alpha"]), float(end["error"])  # type: ignore[arg-type]
    place: Place | None = None if boundary is None else boundary.at(kappa)
    if place is None:
        return None
    return place.value, place.error
