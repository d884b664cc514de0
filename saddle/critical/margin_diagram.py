r"""The phase diagram over the margin of a model without a teacher: capacity (RS and 1RSB) and de Almeida-Thouless line.

Above the 1RSB capacity there are no solutions; below the line on which the replicon of the replica-symmetric saddle vanishes
replica symmetry holds, between that line and the capacity it is broken.  The line is one of events, continued in the
margin (:mod:`saddle.critical.boundaries`) in pieces that do not depend on the margins asked for.  It ends where it meets
the capacity: there the overlap of two solutions reaches 1 with a replicon of 0 in the limit, which is one equation for the
margin.  Where solutions are uncorrelated the load of the instability is explicit.
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
from saddle.critical.instability import first_instability, instability, marginal_margins, uncorrelated_instability
from saddle.points.results import Status, Threshold, with_normalized
from saddle.points.setting import Setting
from saddle.points.solving import DEFAULT_TOLERANCE
from saddle.sweeping.journal import Journal, Steps

_PIECE = 0.25
"""Length of the pieces of the range of margins in each of which the line is found anew."""
_AROUND, _NEXT_TO_THE_END = 0.02, 1e-3
"""How close to its end the line is followed, and within which margins every point is solved for on its own."""
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
    steps = Steps(journal, progress)
    for margin in kappa:
        steps.at({"kappa": margin}, _row, setting, margin, tolerance)
    end = _end(setting, tolerance)
    return Diagram(tuple(steps.points), () if end is None else (with_normalized(end, setting.deviation),))


def _capacities(setting: Setting, kappa: float, tolerance: float) -> dict[str, Threshold]:
    found = {}
    for name, ansatz in (("alpha_c", "rs"), ("alpha_c_1rsb", "1rsb")):
        point = capacity(setting.model, kappa, ansatz=ansatz, tolerance=tolerance)
        assert isinstance(point, Threshold)
        found[name] = point
    return found


@lru_cache(maxsize=64)
def _instability(setting: Setting, number: int, tolerance: float) -> Boundary | None:
    """The line of vanishing replicon in one piece of the range of margins; None if no branch in the load meets it."""
    low, high = number * _PIECE, (number + 1) * _PIECE
    if not setting.kernel.META["pivots"] or not setting.kernel.META["replicons"]:
        return None  # replicas without correlations have no overlap that could split
    if uncorrelated_instability(setting, 0.5 * (low + high), tolerance) is not None:
        return None  # its load is known without a line
    starts = [low, 0.5 * (low + high), high]
    if any(low <= kappa < high for kappa in marginal_margins(setting, tolerance)):
        starts.append(low - _PIECE)  # a line that ends right above a start is too close to the capacity to be met there
    for kappa in starts:
        if (special := first_instability(setting, kappa, tolerance)) is not None:
            return Boundary.through(setting, special, "kappa", (low, high))
    return None


def _end(setting: Setting, tolerance: float) -> dict[str, object] | None:
    """Where the line meets the capacity of continuous weights: the replicon vanishes in the limit of overlap 1."""
    for kappa in marginal_margins(setting, tolerance):
        below = _instability(setting, math.ceil(kappa / _PIECE) - 1, tolerance)
        ends = [] if below is None else [arm.last.parameters["kappa"] for arm in below.arms]
        if ends and min(abs(end - kappa) for end in ends) < _AROUND:
            at = capacity(setting.model, kappa, tolerance=tolerance)
            assert isinstance(at, Threshold)
            place = {"kappa": kappa, "alpha": at.value, "error": 2e-13 + at.error}
            lines = "alpha_AT alpha_c alpha_c_1rsb"
            return {"name": "alpha_AT_end", "lines": lines, **place, "status": str(Status.CONVERGED)}
    return None


def _row(setting: Setting, kappa: float, tolerance: float) -> DiagramRow:
    capacities = _capacities(setting, kappa, tolerance)
    first = capacities["alpha_c"]
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
        place = _instability_at(setting, kappa, first.value if first.converged else math.inf, tolerance)
    except ArithmeticError as reason:
        place, failed = None, True
        messages.append(f"alpha_AT: not converged, {reason}.")
    else:
        if place is None:
            upto = "capacity" if first.converged else "largest loads"
            messages.append(f"alpha_AT absent: the replica-symmetric saddle is stable up to the {upto}.")
    lines |= {"alpha_AT": math.nan, "alpha_AT_error": math.nan}
    if place is not None:
        lines |= {"alpha_AT": place[0], "alpha_AT_error": place[1]}
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


def _instability_at(setting: Setting, kappa: float, limit: float, tolerance: float) -> tuple[float, float] | None:
    """Load and error of the line at a margin, below the capacity there; at its end that of the end."""
    end = _end(setting, tolerance)
    if end is not None and abs(kappa - float(end["kappa"])) <= float(end["error"]):  # type: ignore[arg-type]
        return float(end["alpha"]), float(end["error"])  # type: ignore[arg-type]
    if (linear := uncorrelated_instability(setting, kappa, tolerance)) is not None:
        return (linear.alpha, linear.error) if linear.alpha < limit else None
    near = _NEXT_TO_THE_END * (setting.deviation or 1.0)
    if any(abs(kappa - margin) < near for margin in marginal_margins(setting, tolerance)):
        found = instability(setting, kappa, tolerance)  # where it differs from the capacity by less than a line has digits
        return None if found is None or found.alpha > limit + found.error else (found.alpha, found.error)
    boundary = _instability(setting, math.floor(kappa / _PIECE), tolerance)
    place: Place | None = None if boundary is None else boundary.at(kappa)
    if place is None or place.value > limit + place.error:  # at very negative margins stable solutions are the last ones
        return None
    return place.value, place.error
