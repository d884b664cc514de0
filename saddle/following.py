r"""Follow a saddle point in any of its parameters, past folds, with events.

The equations of a setting at fixed other parameters are a system for :mod:`saddle.continuation`; what a path leaves is a
branch of solved points with their errors, special points among them, and the reason why it ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path as File
from typing import TYPE_CHECKING, Any

import numpy as np

from replica.errors import InputError
from saddle.continuation import Arclength, Event, Node, Path, Vector
from saddle.curve import Curve
from saddle.outcome import finished
from saddle.problem import Problem, State
from saddle.results import Iteration, SaddlePoint, Status
from saddle.setting import Setting
from saddle.solving import DEFAULT_TOLERANCE, problem_of, reference_point

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

UserEvent = str | tuple[str, Callable[[SaddlePoint], float]]

EVENTS: dict[str, Callable[[SaddlePoint], float]] = {
    "entropy": lambda point: point.free_entropy,
    "slope": lambda point: _number(point, "slope"),
    "replicon": lambda point: _number(point, "replicon"),
    "complexity": lambda point: _number(point, "complexity"),
}
"""Scalars whose zeros can be asked for by name."""
_SHARE = 0.01
_LIMIT_NOISE, _SMALL_PIVOT = 1e-6, 1e-7


def _number(point: SaddlePoint, name: str) -> float:
    value = point.observables.get(name)
    return float(value) if isinstance(value, (int, float)) else math.nan


@dataclass(frozen=True)
class SpecialPoint:
    """A special point of a branch: ``kind`` (``fold``, ``branch-point``, or an event's name) and the point itself."""

    kind: str
    value: float
    point: SaddlePoint


@dataclass(frozen=True)
class Branch:
    """A branch of saddle points in one parameter.

    Attributes
    ----------
    parameter : str
        What was varied.
    points : tuple of SaddlePoint
        In the order of the path, past folds too.
    past_fold : tuple of bool
        Whether a point lies beyond an odd number of folds.
    special : tuple of SpecialPoint
        Folds, branch points and events, each solved for.
    reason, message : str
        Why the branch ends (``reached``, ``closed``, ``fold``, ``domain``, ``positivity``, ``quadrature``, ``lost``,
        ``length``), and a sentence.
    """

    parameter: str
    points: tuple[SaddlePoint, ...]
    past_fold: tuple[bool, ...]
    special: tuple[SpecialPoint, ...]
    reason: str
    message: str

    @property
    def curve(self) -> Curve:
        """The points as a curve, with its columns and tables."""
        return Curve(self.points)

    @property
    def last(self) -> SaddlePoint:
        """The last good point."""
        return self.points[-1]

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.curve[name]

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame of the columns, with ``past_fold`` and the ``special`` points in their places."""
        frame = self.curve.to_pandas()
        frame["past_fold"] = list(self.past_fold)
        frame["special"] = ""
        if self.special:
            import pandas

            marks = Curve(tuple(special.point for special in self.special)).to_pandas()
            marks["special"] = [special.kind for special in self.special]
            marks["past_fold"] = False
            frame = pandas.concat([frame, marks], ignore_index=True)
        return frame

    def plot(self, ax: matplotlib.axes.Axes | None = None, quantity: str = "free_entropy") -> matplotlib.axes.Axes:
        """The quantity over the parameter: stable parts solid, unstable ones dashed, special points marked."""
        from saddle.plot_branch import draw_branch

        return draw_branch(self, ax, quantity)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the branch as JSON, to be loaded by :func:`load_branch` and followed further."""
        from saddle.document import dumps

        stored = {
            "parameter": self.parameter,
            "points": [_plain(point) for point in self.points],
            "past_fold": list(self.past_fold),
            "special": [{"kind": s.kind, "value": s.value, "point": _plain(s.point)} for s in self.special],
            "reason": self.reason,
            "message": self.message,
        }
        File(path).write_text(dumps(stored) + "\n", encoding="utf-8")

    def further(self, to: float | tuple[float, float], *, target: Any = None, events: Iterable[UserEvent] = ()) -> Branch:
        """Return this branch followed further from its last point, in the direction in which it was going."""
        direction = None
        if len(self.points) > 1:
            before, last = (point.parameters[self.parameter] for point in self.points[-2:])
            direction = math.copysign(1.0, last - before)
        rest = follow(self.last, self.parameter, to, target=target, events=events, direction=direction)
        flip = self.past_fold[-1] != rest.past_fold[0]
        return Branch(
            self.parameter,
            self.points + rest.points[1:],
            self.past_fold + tuple(past != flip for past in rest.past_fold[1:]),
            self.special + rest.special,
            rest.reason,
            rest.message,
        )


def load_branch(path: str | PathLike[str]) -> Branch:
    """Return a branch that :meth:`Branch.save` wrote.

    Raises
    ------
    InputError
        If the file cannot be read or holds no branch.
    """
    try:
        stored = json.loads(File(path).read_text(encoding="utf-8"))
        special = tuple(SpecialPoint(s["kind"], s["value"], _restored(s["point"])) for s in stored["special"])
        points = tuple(_restored(row) for row in stored["points"])
        past = tuple(bool(flag) for flag in stored["past_fold"])
        return Branch(stored["parameter"], points, past, special, stored["reason"], stored["message"])
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no branch that Branch.save wrote.") from error


def _plain(point: SaddlePoint) -> dict[str, Any]:
    return {**asdict(point), "status": str(point.status)}


def _restored(stored: Mapping[str, Any]) -> SaddlePoint:
    known = dict(stored)
    known["status"] = Status(known["status"])
    known["iterations"] = tuple(Iteration(*step) for step in known["iterations"])
    known["warnings"] = tuple(known["warnings"])
    known["window"] = tuple(known["window"]) if known["window"] else None
    for name in ("free_entropy", "residual", "quadrature_error", "error", "tolerance"):
        known[name] = math.nan if known[name] is None else known[name]
    return SaddlePoint(**known)


def follow(
    start: SaddlePoint,
    parameter: str,
    to: float | tuple[float, float],
    *,
    target: Any = None,
    events: Iterable[UserEvent] = (),
    direction: float | None = None,
    longest: float = 0.3,
    tolerance: float = DEFAULT_TOLERANCE,
) -> Branch:
    """Return the branch of a saddle point in one parameter, past folds, until the parameter reaches ``to``.

    Parameters
    ----------
    start : SaddlePoint
        A solved point.
    parameter : str
        Which parameter is varied: ``alpha``, ``kappa``, ``reference_kappa``, ``distance``, ``m``, ``y``, ``beta``, or
        ``overlap`` (1 - 2 distance).
    to : float or pair of floats
        Where to stop, or a range to stay in (for a branch that turns back).
    target : FreeEntropy or (model, ansatz), optional
        What the point solves; found from its names by default.
    events : iterable of str or (name, function)
        Scalars of a point whose zeros are solved for: ``entropy, slope, replicon, complexity``, or a function of a
        :class:`SaddlePoint`.
    direction : float, optional
        Sign of the first change of the parameter, where ``to`` is a range.
    longest : float
        Longest step, in coordinates of order 1.

    Raises
    ------
    InputError
        If the start has no value, the parameter does not exist, or an event is unknown.
    """
    setting = Setting.of(target if target is not None else (start.model, start.ansatz))
    if parameter == "overlap":
        ends = ((1.0 - to[0]) / 2, (1.0 - to[1]) / 2) if isinstance(to, tuple) else (1.0 - to) / 2
        flipped = None if direction is None else -direction
        return follow(
            start, "distance", ends, target=target, events=events, direction=flipped, longest=longest, tolerance=tolerance
        )
    if not start.converged:
        raise InputError(f"The start has no value to follow ({start.status}): {start.message}")
    if parameter not in start.parameters:
        raise InputError(f"There is no parameter {parameter!r} to follow; there are {', '.join(start.parameters)}.")
    line = _Line(setting, dict(start.parameters), parameter, tolerance, _events(events))
    here = float(start.parameters[parameter])
    x = line.problem(here).to_coordinates(start.order_parameters)
    goal = (line.inner(to[0]), line.inner(to[1])) if isinstance(to, tuple) else line.inner(to)
    sizes = [abs(end) for end in (goal if isinstance(goal, tuple) else (goal,))]
    scale = 1.0 if line.logarithmic else max(_SHARE, abs(here), *sizes)
    algorithm = Arclength(longest=longest, first=min(0.05, longest), scale=scale, tolerance=line.tolerance)
    return line.branch(algorithm.follow(line, x, line.inner(here), goal, line.scalars(), direction))


def _events(events: Iterable[UserEvent]) -> dict[str, Callable[[SaddlePoint], float]]:
    found = {}
    for event in events:
        if isinstance(event, str):
            if event not in EVENTS:
                raise InputError(f"There is no event {event!r}; there are {', '.join(EVENTS)}, or (name, function).")
            found[event] = EVENTS[event]
        else:
            name, function = event
            found[name] = function
    return found


@dataclass
class _Line:
    """The equations along one parameter as a system, and its solutions as points."""

    setting: Setting
    fixed: dict[str, float]
    parameter: str
    tolerance: float
    events: dict[str, Callable[[SaddlePoint], float]]
    _last: tuple[bytes, float, State | None] | None = field(default=None, repr=False)

    @property
    def logarithmic(self) -> bool:
        """Whether the logarithm of the parameter is what varies evenly."""
        return self.parameter == "distance"

    def inner(self, value: float) -> float:
        """The parameter as the algorithm sees it."""
        return math.log(value) if self.logarithmic else float(value)

    def outer(self, at: float) -> float:
        """The parameter itself."""
        return math.exp(at) if self.logarithmic else at

    def values(self, at: float) -> dict[str, float]:
        return {**self.fixed, self.parameter: at}

    def problem(self, at: float) -> Problem:
        values = self.values(at)
        return problem_of(self.setting, values, reference_point(self.setting, values, self.tolerance))

    def state(self, x: Vector, at: float) -> State | None:
        """The state at coordinates and parameter, the last one remembered; None outside the domain."""
        key, at = x.tobytes(), self.outer(at)
        if self._last is None or self._last[:2] != (key, at):
            try:
                with np.errstate(all="ignore"):  # what a trial step outside the domain gives is not kept
                    state = self.problem(at).state(x, self.setting.rule)
            except (InputError, ZeroDivisionError):
                state = None
            if state is not None and not (math.isfinite(state.residual) and state.noise < _LIMIT_NOISE):
                state = None
            self._last = (key, at, state)
        return self._last[2]

    def residuals(self, x: Vector, parameter: float) -> Vector | None:
        """Relative residuals of the saddle equations, in units of their rounding where that exceeds the tolerance."""
        state = self.state(x, parameter)
        return None if state is None else state.relative * self._unit(state)

    def jacobian(self, x: Vector, parameter: float) -> Vector | None:
        """Their derivatives in the coordinates."""
        state = self.state(x, parameter)
        return None if state is None else state.jacobian * self._unit(state)

    def _unit(self, state: State) -> float:
        return min(1.0, self.tolerance / state.noise)

    def scalars(self) -> dict[str, Event]:
        """The events as functions of coordinates and parameter."""

        def scalar(function: Callable[[SaddlePoint], float]) -> Event:
            return lambda x, at: _value(function, self.point(x, self.outer(at)))

        return {name: scalar(function) for name, function in self.events.items()}

    def point(self, x: Vector, at: float) -> SaddlePoint | None:
        """The solved point with its errors."""
        values, problem = self.values(at), self.problem(at)
        state = problem.state(x, self.setting.rule)
        if state is None:
            return None
        reference = reference_point(self.setting, values, self.tolerance)
        steps = (Iteration(0, state.residual, 1.0, "continuation"),)
        return finished(self.setting, problem, values, reference, state, steps, self.tolerance)

    def branch(self, path: Path) -> Branch:
        """The path as a branch."""
        points, past = [], []
        for node in path.nodes:
            point, state = self.point(node.x, self.outer(node.parameter)), self.state(node.x, node.parameter)
            if point is not None and state is not None:
                points.append(point)
                past.append(state.orientation < 0)
        special = []
        for found in path.special:
            point = self.point(found.x, self.outer(found.parameter))
            if point is not None:
                special.append(SpecialPoint(found.kind, self.outer(found.parameter), point))
        reason, message = self._end(path)
        return Branch(self.parameter, tuple(points), tuple(past), tuple(special), reason, message)

    def _end(self, path: Path) -> tuple[str, str]:
        """Why the path ended, in terms of the saddle point there."""
        if path.reason != "lost":
            name = f"ln {self.parameter}" if self.logarithmic else self.parameter
            return path.reason, path.message.replace("parameter", name)
        last: Node = path.nodes[-1]
        state = self.state(last.x, last.parameter)
        where = f"{self.parameter} = {self.outer(last.parameter):.10g}"
        if state is None:
            return "domain", f"The branch ends at the border of its domain, at {where}."
        if state.noise > 0.1 * _LIMIT_NOISE:
            return "quadrature", f"Beyond {where} an overlap is too close to 1 for the quadrature to resolve it."
        smallest = min(state.pivots.values(), default=1.0)
        if smallest < _SMALL_PIVOT:
            return "positivity", f"At {where} the overlap matrix stops being positive (a pivot is {smallest:.1e})."
        return "lost", f"No solution was found beyond {where}; the last good point is there."


def _value(function: Callable[[SaddlePoint], float], point: SaddlePoint | None) -> float:
    return math.nan if point is None else function(point)
