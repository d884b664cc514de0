r"""Lines of folds and events in two parameters: phase boundaries, followed past their own turning points.

Where a branch in one parameter folds, or a scalar ``e`` of its points vanishes, one condition is added to the saddle
equations and that parameter is solved for as well:

.. math:: F(x, \lambda; \mu) = 0, \qquad e(x, \lambda; \mu) = 0

(``e`` is the component of the branch's tangent in :math:`\lambda` at a fold).  This is again a system with a parameter,
:math:`\mu`, and is followed like a branch.  Where a line of folds turns back in :math:`\mu` two folds meet: in a cusp if
:math:`\lambda` is stationary along the line as well.  Every point is solved once more with a refined quadrature rule; how
far that moves it, and what rounding leaves open, is its error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from replica.errors import InputError
from saddle.continuation import Arclength, Event, Node, Path, Special
from saddle.kernels.quadrature import Rule
from saddle.lines.following import Branch, Goal, SpecialPoint, check_start, inner_goal, scale_of, setting_of
from saddle.lines.parameter_line import LOGARITHMIC, ParameterLine, UserEvent, inner, moved_to, named, outer, why_ended
from saddle.points.problem import Vector
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting
from saddle.systems import EventSystem, FoldSystem, Scaled, correct, solve

if TYPE_CHECKING:
    import matplotlib.axes

FOLD = "fold"
LINE_TOLERANCE = 1e-12
_EPS = float(np.finfo(float).eps)
_STATIONARY = 1e-3
"""Share of the solved parameter in the direction of a line below which it does not change: a cusp."""


@dataclass(frozen=True, repr=False)
class EventLine(Branch):
    """A line of folds or events: a branch in ``parameter`` whose points lie where the event happens.

    Attributes
    ----------
    kind : str
        ``fold`` or the name of the event.
    solved_for : str
        The parameter in which the event happens.
    errors : tuple of float
        How far each point may lie from the true line, in either parameter.
    """

    kind: str
    solved_for: str
    errors: tuple[float, ...]

    def plot(self, ax: matplotlib.axes.Axes | None = None, quantity: str = "") -> matplotlib.axes.Axes:
        """The parameter that is solved for (or another quantity) over the one that varies, special points marked."""
        return super().plot(ax, quantity or self.solved_for)

    def stored(self) -> dict[str, Any]:
        """What a file holds of it."""
        return {**super().stored(), "kind": self.kind, "solved_for": self.solved_for, "errors": list(self.errors)}

    def further(
        self, to: Goal, *, target: Any = None, events: Iterable[UserEvent] = (), event: UserEvent | None = None
    ) -> EventLine:
        """Return this line followed further from its last point, in the direction in which it was going.

        A user's own event needs its function again: ``event=(name, function)``.
        """
        settings: dict[str, Any] = {"event": event or self.kind, "target": target, "events": events}
        rest = follow_event(self.last, self.solved_for, self.parameter, to, direction=self.direction, **settings)
        return replace(
            self,
            points=self.points + rest.points[1:],
            past_fold=self.past_fold + rest.past_fold[1:],
            special=self.special + rest.special,
            reason=rest.reason,
            message=rest.message,
            errors=self.errors + rest.errors[1:],
        )


def follow_event(
    start: SaddlePoint,
    parameter: str,
    second: str,
    to: Goal,
    *,
    event: UserEvent,
    target: Any = None,
    events: Iterable[UserEvent] = (),
    direction: float | None = None,
    longest: float = 0.3,
    most: int = 2000,
) -> EventLine:
    """Return the line along which an event in one parameter moves as a second one varies, past its turning points.

    Parameters
    ----------
    start : SaddlePoint
        A point at which the event happens, or from which Newton's method finds it in ``parameter``.
    parameter : str
        In which the event happens; it is solved for.
    second : str
        Which parameter is varied.
    to : float or pair of floats
        Where to stop in the second parameter, or a range to stay in (for a line that turns back).
    event : str or (name, function)
        ``fold``; ``entropy``, ``slope``, ``replicon`` or ``complexity`` for where it vanishes; or a function of a
        :class:`SaddlePoint` that does.
    target : FreeEntropy or (model, ansatz), optional
        What the point solves; found from its names by default.
    events : iterable of str or (name, function)
        Scalars whose zeros along the line are solved for.
    direction : float, optional
        Sign of the first change of the second parameter, where ``to`` is a range.
    longest : float
        Longest step, in coordinates of order 1.
    most : int
        Largest number of points.

    Returns
    -------
    EventLine
        With special points ``cusp`` or ``turning-point`` where it turns back, and the reason why it ends.

    Raises
    ------
    InputError
        If the start has no value, a parameter or an event does not exist, or there is no such event next to the start.
    """
    check_start(start, parameter, second)
    if parameter == second:
        raise InputError(f"An event in {parameter} is continued in another parameter.")
    setting = setting_of(start, target)
    here, goal = inner(second, start.parameters[second]), inner_goal(second, to, start.parameters[second])
    family = EventFamily(setting, dict(start.parameters), parameter, second, event, setting.rule)
    z = family.solution(start)
    if z is None:
        raise InputError(f"No {family.kind} in {parameter} was found next to the start.")
    scale = scale_of(second, goal, here)
    algorithm = Arclength(longest=longest, first=min(0.05, longest), scale=scale, most=most, tolerance=LINE_TOLERANCE)
    path = algorithm.follow(family.system, z, here, goal, family.scalars(events), direction)
    if not path.nodes:
        raise InputError(f"The {family.kind} in {parameter} next to the start cannot be followed: {path.message}")
    return _line(family, path, scale)


@dataclass
class EventFamily:
    """The equations of an event in one parameter, over a second one.

    Parameters
    ----------
    setting : Setting
    fixed : dict
        All parameters of a point near the event.
    parameter, second : str
        The parameter that is solved for, and the one that varies (none if empty).
    event : str or (name, function)
    rule : Rule
    """

    setting: Setting
    fixed: dict[str, float]
    parameter: str
    second: str
    event: UserEvent
    rule: Rule
    _lines: dict[float, ParameterLine] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """The name of the event."""
        return FOLD if self.event == FOLD else named(self.event)[0]

    @property
    def scale(self) -> float:
        """The size of the parameter that is solved for."""
        return 1.0 if self.parameter in LOGARITHMIC else max(1e-2, abs(self.fixed[self.parameter]))

    def refined(self) -> EventFamily:
        """The same with a refined rule."""
        return replace(self, rule=self.rule.refined(), _lines={})

    def at(self, mu: float) -> ParameterLine:
        """The branch at an (inner) value of the second parameter."""
        if mu not in self._lines:
            if len(self._lines) > 8:
                self._lines.clear()
            fixed = moved_to(self.fixed, self.second, outer(self.second, mu)) if self.second else self.fixed
            self._lines[mu] = ParameterLine(self.setting, fixed, self.parameter, LINE_TOLERANCE, self.rule)
        return self._lines[mu]

    @property
    def system(self) -> FoldSystem | EventSystem:
        """The extended system over the second parameter."""
        if self.event == FOLD:
            return FoldSystem(self.at, self.scale)
        return EventSystem(self.at, lambda x, at, mu: self.at(mu).scalar(self.event)(x, at), self.scale)

    def scalars(self, events: Iterable[UserEvent]) -> dict[str, Event]:
        """Further events as functions of the unknowns of the extended system."""

        def along(event: UserEvent) -> Event:
            return lambda z, mu: self.at(mu).scalar(event)(z[:-1], float(z[-1]) * self.scale)

        return {named(event)[0]: along(event) for event in events}

    def start(self, point: SaddlePoint) -> Vector:
        """The unknowns at a point."""
        line = self.at(inner(self.second, point.parameters[self.second]))
        here = point.parameters[self.parameter]
        x = line.problem(here).to_coordinates(point.order_parameters)
        return np.append(x, line.inner(here) / self.scale)

    def solution(self, point: SaddlePoint) -> Vector | None:
        """The unknowns where the event happens next to a point, at its value of the second parameter."""
        return solve(self.system, self.start(point), inner(self.second, point.parameters[self.second]), LINE_TOLERANCE)

    def point(self, z: Vector, mu: float) -> SaddlePoint | None:
        """The solved point at unknowns and (inner) second parameter."""
        return self.at(mu).point(z[:-1], float(z[-1]) * self.scale)

    def rounding(self, z: Vector, mu: float) -> Vector | None:
        """The rounding error of the residuals; None outside the domain."""
        state = self.at(mu).state(z[:-1], float(z[-1]) * self.scale)
        if state is None:
            return None
        return np.append(np.full(len(z) - 1, state.noise), state.noise + 64 * _EPS * (1.0 + state.scale))

    def polished(self, z: Vector, mu: float, tangent: Vector, scale: float) -> tuple[Vector, float, float] | None:
        """A point of the line by the refined rule, orthogonally to ``tangent``, and its error; None if it is lost.

        ``tangent`` is in the unknowns and the second parameter over ``scale``: along the last of these alone the second
        parameter is kept.
        """
        finer = self.refined()
        scaled, base = Scaled(finer.system, scale), np.append(z, mu / scale)
        found = correct(scaled, base, tangent, 0.0, LINE_TOLERANCE)
        if found is None:
            return None
        slopes, residuals = scaled.slopes(found), scaled.residuals(found)
        rounding = finer.rounding(found[:-1], float(found[-1]) * scale)
        if slopes is None or residuals is None or rounding is None:
            return None
        noise = np.append(np.abs(residuals) + np.minimum(rounding, LINE_TOLERANCE), 0.0)
        try:
            moved = np.abs(np.linalg.inv(np.vstack([slopes, tangent]))) @ noise + np.abs(found - base)
        except np.linalg.LinAlgError:
            return None
        last = float(found[-1]) * scale
        sizes = (outer_size(self.parameter, found[-2] * self.scale), outer_size(self.second, last))
        error = max(float(moved[-2]) * self.scale * sizes[0], float(moved[-1]) * scale * sizes[1])
        return found[:-1], last, error


def location_error(line: ParameterLine, event: UserEvent, x: Vector, parameter: float) -> float:
    """How far the parameter of an event that was found on a branch may be off; nan if that cannot be told."""
    family = EventFamily(line.setting, line.values(line.outer(parameter)), line.parameter, "", event, line.rule)
    z, unit = np.append(x, parameter / family.scale), np.append(np.zeros(len(x) + 1), 1.0)
    found = family.polished(z, 0.0, unit, 1.0)
    return math.nan if found is None else found[2]


def outer_size(name: str, at: float) -> float:
    """The derivative of a parameter in what the algorithm sees of it."""
    return math.exp(at) if name in LOGARITHMIC else 1.0


def _line(family: EventFamily, path: Path, scale: float) -> EventLine:
    """A path of the extended system as a line: every point solved by the refined rule."""
    points, past, errors = [], [], []
    for node in path.nodes:
        placed = family.polished(node.x, node.parameter, node.tangent, scale)
        z, mu, error = placed if placed is not None else (node.x, node.parameter, math.nan)
        point, state = family.point(z, mu), family.at(mu).state(z[:-1], float(z[-1]) * family.scale)
        if point is not None and state is not None:
            points.append(point)
            errors.append(error)
            past.append(state.orientation < 0 and family.event != FOLD)
    special = [found for found in (_special(family, path, at, scale) for at in path.special) if found is not None]
    reason, message = _end(family, path)
    found = (tuple(points), tuple(past), tuple(special))
    return EventLine(family.second, *found, reason, message, family.kind, family.parameter, tuple(errors))


def _end(family: EventFamily, path: Path) -> tuple[str, str]:
    if not path.nodes:
        return path.reason, path.message
    last: Node = path.nodes[-1]
    line, at = family.at(last.parameter), float(last.x[-1]) * family.scale
    value = outer(family.second, last.parameter)
    return why_ended(path, family.second, value, line.state(last.x[:-1], at), line.refusal(at))


def _special(family: EventFamily, path: Path, found: Special, scale: float) -> SpecialPoint | None:
    point = family.point(found.x, found.parameter)
    if point is None:
        return None
    kind = found.kind if found.kind != FOLD else _turn(family, found, scale)
    error = _turn_error(family, found, scale) if found.kind == FOLD else math.nan
    return SpecialPoint(kind, outer(family.second, found.parameter), point, family.second, error)


def _turn_error(family: EventFamily, found: Special, scale: float) -> float:
    """How far the refined rule moves the second parameter where it turns, and what is left of it."""
    finer = FoldSystem(lambda _: family.refined().system, scale)
    start = np.append(found.x, found.parameter / scale)
    z = solve(finer, start, 0.0, LINE_TOLERANCE)
    if z is None:
        return math.nan
    size = outer_size(family.second, found.parameter)
    return (abs(float(z[-1] - start[-1])) * scale + 1e3 * LINE_TOLERANCE * scale) * size


def _turn(family: EventFamily, found: Special, scale: float) -> str:
    """What a line does where its second parameter turns: folds that meet in a cusp, or another turning point."""
    slopes = Scaled(family.system, scale).slopes(np.append(found.x, found.parameter / scale))
    if family.event != FOLD or slopes is None:
        return "turning-point"
    return "cusp" if abs(float(np.linalg.svd(slopes)[2][-1][-2])) < _STATIONARY else "turning-point"
