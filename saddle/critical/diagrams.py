r"""Phase diagrams; that of flat minima: which reference margins have flat, connected or isolated surroundings at each load.

Two lines divide the margins below ``kappa_max``: ``kappa_mono`` and, below it, ``kappa_gap``.  Each is a curve of double
zeros of the profile, continued in the load from the point where it meets ``kappa_max`` (``alpha_LE``, ``alpha_gap``):
the next node is predicted by the secant through the last two and corrected by Newton's method, the step halved where
that fails.  The nodes know nothing of the loads asked for, which say where a line is reported, not where it is: a reported
point is predicted between two nodes, so that it is the same to the last bit whichever others are asked for, and in whichever
process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from replica.errors import InputError
from replica.model import Model
from saddle.critical.capacities import max_margin
from saddle.critical.flat_minima import ENTROPY, SLOPE, NotFound, NoTouch, Quantity, Touch, polish, touch_near
from saddle.critical.flat_thresholds import as_margin, log_excess, margin_landscape, margin_touch
from saddle.critical.landmark import Landmark
from saddle.critical.landmarks import thresholds
from saddle.points.results import Status, Threshold, with_normalized
from saddle.points.setting import Setting, same_constraint
from saddle.points.solving import DEFAULT_TOLERANCE
from saddle.reporting.curve import Curve
from saddle.reporting.reports import as_numbers as numbers
from saddle.sweeping.journal import Journal, Steps

if TYPE_CHECKING:
    import matplotlib.axes

LINES = {"kappa_gap": (ENTROPY, "alpha_gap"), "kappa_mono": (SLOPE, "alpha_LE")}
_ENDS = ("alpha_c", "alpha_LE", "alpha_gap")
_FIRST_STEP, _LONGEST_STEP, _SHORTEST_STEP = 0.004, 0.05, 1e-5


@dataclass(frozen=True, kw_only=True, repr=False)
class DiagramRow(Threshold):
    """One load of a diagram: every line with its error, NaN where it does not exist."""

    lines: dict[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, object]:
        """The row as JSON and CSV show it."""
        known = with_normalized({**self.parameters, **self.lines}, self.deviation)
        return {**known, "status": str(self.status), "message": self.message}


@dataclass(frozen=True)
class Diagram(Curve):
    """Lines of a phase diagram over load or margin: a curve whose ``curves`` are the points where lines end."""

    def plot(self, ax: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
        """The diagram with its regions named (extra ``plot``), in ``ax`` or a figure of its own; returns the axes."""
        if "kappa_max" in self.columns:
            from saddle.reporting.plot_diagram import draw_diagram

            return draw_diagram(self, ax)
        from saddle.reporting.plot_boundaries import draw_boundaries

        return draw_boundaries(self, ax)


def diagram(
    model: Model | str,
    alpha: float | Iterable[float] | None = None,
    kappa: float | Iterable[float] | None = None,
    *,
    beta: float | Iterable[float] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Callable[[Any], None] | None = None,
    journal: Journal | None = None,
) -> Diagram:
    """Return the lines of a phase diagram of a model at every load or margin asked for, in this order.

    With loads: the diagram of flat minima (:func:`flat_minima_diagram`) for probes of one margin, ``kappa``.  Without: that
    over the margin, the capacity and where replica symmetry breaks
    (:func:`saddle.critical.margin_diagram.margin_diagram`), or for a
    student of a teacher its transition and spinodals (:func:`saddle.critical.teacher_diagram.teacher_diagram`).

    Parameters
    ----------
    model : Model or str
    alpha : float or iterable of float, optional
        Loads at which the lines of flat minima are reported.
    kappa : float or iterable of float, optional
        Without loads, margins at which lines are reported; with them, the margin of the probes (default 0).
    beta : float or iterable of float, optional
        Inverse temperatures, in place of margins, for a student of a teacher.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Raises
    ------
    InputError
        For bad input, such as several margins along with loads.
    """
    settings: dict[str, Any] = {"tolerance": tolerance, "progress": progress, "journal": journal}
    margins = None if kappa is None else numbers("kappa", kappa)
    same_constraint(Setting.of((model, "franz-parisi")))
    if Setting.of((model, "rs")).model.teacher:
        if alpha is not None:
            raise InputError("The diagram of a student goes over margins (kappa) or inverse temperatures (beta), not loads.")
        from saddle.critical.teacher_diagram import teacher_diagram

        return teacher_diagram(model, margins, None if beta is None else numbers("beta", beta), **settings)
    if beta is not None:
        raise InputError("Only the diagram of a student of a teacher goes over inverse temperatures.")
    if alpha is not None:
        if margins is not None and len(margins) != 1:
            raise InputError(f"Over the load a diagram has one margin of the probes, not {len(margins)}.")
        return flat_minima_diagram(model, alpha, 0.0 if margins is None else margins[0], **settings)
    from saddle.critical.margin_diagram import margin_diagram

    if margins is None:
        raise InputError("Give the loads (alpha) of a diagram of flat minima, or margins (kappa) for one over the margin.")
    return margin_diagram(model, margins, **settings)


def flat_minima_diagram(
    model: Model | str,
    alpha: float | Iterable[float],
    kappa: float = 0.0,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    progress: Callable[[Any], None] | None = None,
    journal: Journal | None = None,
) -> Diagram:
    """Return ``kappa_max``, ``kappa_gap`` and ``kappa_mono`` at every load, in the order asked for.

    The margins above ``kappa_max`` have no solutions; references between ``kappa_mono`` and ``kappa_max`` are flat, between
    ``kappa_gap`` and ``kappa_mono`` connected but not monotonic, and below ``kappa_gap`` gapped.  ``curves`` holds the ends
    of the lines, ``alpha_LE`` and ``alpha_gap``, and the capacity.

    Parameters
    ----------
    model : Model or str
    alpha : float or iterable of float
        Loads at which the lines are reported.
    kappa : float
        Margin of the probes.
    journal : Journal, optional
        What remembers points of an earlier run (:mod:`saddle.sweeping.journal`).

    Returns
    -------
    Diagram
        Columns ``alpha, kappa_max, kappa_max_error, kappa_gap, kappa_gap_error, kappa_mono, kappa_mono_error``, NaN where
        a line does not exist; for committees behind every margin its normalised twin (``kappa_max_normalized``).
    """
    setting = Setting.of((model, "franz-parisi"))
    loads = numbers("alpha", alpha)
    ends, lines = _lines(setting, kappa, tolerance)
    steps = Steps(journal, progress)
    for load in loads:
        steps.at({"alpha": load}, _row, setting, load, kappa, lines, tolerance)
    marks = (_mark(point, kappa) for point in ends.values())
    return Diagram(tuple(steps.points), tuple(with_normalized(mark, setting.deviation) for mark in marks))


def _mark(end: Landmark, kappa: float) -> dict[str, object]:
    """The end of a line as an entry of ``curves``: its load, and the reference margin there."""
    return {
        "name": end.name,
        "alpha": end.value,
        "error": end.error,
        "reference_kappa": end.observables.get("reference_kappa", kappa if end.converged else None),
        "status": str(end.status),
    }


Node = tuple[float, Touch]
Reported = Touch | str | None
"""A point of a line; None where the line does not exist, a sentence where it was not found."""


@dataclass
class Line:
    """One line of double zeros in the (load, reference margin) plane, in nodes from its end to smaller loads.

    The nodes lie where the continuation needs them, whatever loads are asked for, and are added as far down as one was asked
    for: a reported point is predicted between the two around it, and does not depend on any other.
    """

    setting: Setting
    quantity: Quantity
    kappa: float
    tolerance: float
    end: Landmark
    nodes: list[Node] = field(default_factory=list)
    step: float = _FIRST_STEP
    lost: bool = False

    def at(self, load: float) -> Reported:
        """The line at a load; None above its end, a sentence where it was not found."""
        if self.end.status is Status.ABSENT or load >= self.end.value:
            return None
        try:
            return as_margin(self.setting, self._touch(load), self.kappa)
        except NotFound as reason:
            return f"not converged at this load: {reason}"

    def _touch(self, load: float) -> Touch:
        """Between two nodes, where there are some; otherwise afresh."""
        if self.end.converged and not self.nodes:
            self.nodes.append((self.end.value, self._end(self.end)))
        while self.nodes and self.nodes[-1][0] > load and not self.lost:
            self._extend()
        below = next((i for i, (at, _) in enumerate(self.nodes) if at <= load), None)
        if below is None:
            return self._afresh(load)
        try:
            return self._correct(load, self.nodes[below - 1], self.nodes[below], touch_near)
        except NotFound:
            return self._afresh(load)

    def _end(self, end: Landmark) -> Touch:
        margin = float(end.observables["reference_kappa"])  # type: ignore[arg-type]
        distance = float(end.where["distance"])  # type: ignore[arg-type]
        seed = margin_landscape(self.setting, end.value, self.kappa, self.tolerance)
        excess = log_excess(self.setting, margin, self.kappa)
        return Touch(excess, 0.0, distance, seed.point(excess, distance))

    def _extend(self) -> None:
        """Add a node below the last, in steps that shrink where the corrector fails; where it goes on failing, afresh."""
        last, before = self.nodes[-1], self.nodes[-2:][0]
        while self.step >= _SHORTEST_STEP:
            there = max(last[0] - self.step, 0.5 * last[0])
            try:
                self.nodes.append((there, self._correct(there, before, last, polish)))
                self.step = min(1.5 * self.step, _LONGEST_STEP)
                return
            except NotFound:
                self.step *= 0.5
        self.step = _FIRST_STEP
        there = max(last[0] - self.step, 0.5 * last[0])
        try:
            self.nodes.append((there, self._afresh(there)))
        except NotFound:
            self.lost = True

    def _correct(self, load: float, first: Node, second: Node, corrector: Callable[..., Touch]) -> Touch:
        """The point of the line at a load, predicted from two others (or one).

        Where it is reported, the corrector is one that lets no other valley lie lower.
        """
        nearest = min(second, first, key=lambda node: abs(node[0] - load))[1]
        land = replace(margin_landscape(self.setting, load, self.kappa, self.tolerance), seed=nearest.point)
        touch, other = first[1], second[1]
        share = (load - first[0]) / (second[0] - first[0]) if second[0] != first[0] else 0.0
        parameter = touch.parameter + share * (other.parameter - touch.parameter)
        return corrector(land, self.quantity, parameter, touch.distance * (other.distance / touch.distance) ** share)

    def _afresh(self, load: float) -> Touch:
        """Without a neighbour: sought from the maximal margin downwards."""
        from saddle.critical.capacities import maximal_margin

        largest = maximal_margin(self.setting.model, load, self.tolerance)
        try:
            touch = margin_touch(self.setting, self.quantity, load, self.kappa, largest, self.tolerance)
        except NoTouch as reason:
            raise NotFound(f"the line was lost: {reason}") from reason
        excess = log_excess(self.setting, touch.parameter, self.kappa)
        return Touch(excess, touch.error * math.exp(-excess), touch.distance, touch.point)


@lru_cache(maxsize=4)
def _lines(setting: Setting, kappa: float, tolerance: float) -> tuple[dict[str, Landmark], dict[str, Line]]:
    """The ends of the lines and the lines, kept for the next loads that are asked for."""
    found = thresholds(setting.model, kappa=kappa, only=_ENDS, tolerance=tolerance)
    ends = {point.name: point for point in found if isinstance(point, Landmark)}
    lines = {name: Line(setting, quantity, kappa, tolerance, ends[end]) for name, (quantity, end) in LINES.items()}
    return ends, lines


def _row(setting: Setting, load: float, kappa: float, drawn: dict[str, Line], tolerance: float) -> DiagramRow:
    largest = max_margin(setting.model, load, tolerance=tolerance)
    assert isinstance(largest, Threshold)
    lines = {"kappa_max": largest.value, "kappa_max_error": largest.error}
    at = {name: line.at(load) for name, line in drawn.items()}
    failed = [] if largest.status.is_answer else [f"kappa_max: {largest.message}"]
    for name, touch in at.items():
        found = touch if isinstance(touch, Touch) else None
        lines[name] = found.parameter if found else math.nan
        lines[f"{name}_error"] = found.error if found else math.nan
        if isinstance(touch, str):
            failed.append(f"{name} {touch}")
    absent = " ".join(_absent([name for name, touch in at.items() if touch is None], drawn))
    return diagram_row(
        setting,
        {"alpha": load, "kappa": kappa},
        lines,
        Status.NOT_CONVERGED if failed else Status.CONVERGED,
        "; ".join(failed) or absent or "All lines exist here.",
        tolerance=tolerance,
        residual=largest.residual,
        quadrature_error=largest.quadrature_error,
    )


def _absent(missing: list[str], drawn: dict[str, Line]) -> Iterator[str]:
    """Why lines do not exist at a load: nowhere, or not beyond their ends."""
    ended = [name for name in missing if drawn[name].end.status is not Status.ABSENT]
    if ended:
        yield f"{' and '.join(ended)} absent: the end of the line is at a smaller load."
    for reason in dict.fromkeys(drawn[name].end.message for name in missing if name not in ended):
        names = [name for name in missing if name not in ended and drawn[name].end.message == reason]
        yield f"{' and '.join(names)} {reason[0].lower()}{reason[1:]}"


def diagram_row(
    setting: Setting,
    parameters: dict[str, float],
    lines: dict[str, float],
    status: Status,
    message: str,
    *,
    tolerance: float,
    residual: float = 0.0,
    quadrature_error: float = 0.0,
) -> DiagramRow:
    """One margin of a diagram; its ``value`` is that of the first line."""
    names = list(lines)
    return DiagramRow(
        name="diagram",
        model=setting.model.name,
        options=dict(setting.model.options),
        deviation=setting.deviation,
        ansatz=setting.ansatz.name,
        parameters=parameters,
        value=lines[names[0]],
        error=lines[names[1]],
        residual=residual,
        quadrature_error=quadrature_error,
        order_parameters={},
        status=status,
        message=message,
        lines=lines,
        kernel=setting.key,
        rule=str(setting.rule),
        tolerance=tolerance,
    )
