r"""Follow a saddle point in any of its parameters, past folds, with events.

The equations of a setting at fixed other parameters are a system for :mod:`saddle.continuation`; what a path leaves is a
branch of solved points with their errors, special points among them, and the reason why it ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path as File
from typing import TYPE_CHECKING, Any

import numpy as np

from replica import zoo
from replica.errors import InputError
from replica.parts.constraints import soft
from saddle.continuation import Arclength, Path
from saddle.lines.parameter_line import LOGARITHMIC, ParameterLine, UserEvent, inner, named
from saddle.points.results import Iteration, SaddlePoint, Status
from saddle.points.setting import Setting, is_number
from saddle.points.solving import DEFAULT_TOLERANCE
from saddle.reporting.curve import Curve
from saddle.reporting.temperatures import temperature_of

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

    from saddle.lines.event_lines import EventLine

_SHARE = 0.01


@dataclass(frozen=True)
class SpecialPoint:
    """A special point of a branch: ``kind`` (``fold``, ``branch-point``, or an event's name) and the point itself.

    ``value`` is that of the ``parameter`` that varies, with its absolute ``error`` (nan for a branch point, where the
    equations are singular).
    """

    kind: str
    value: float
    point: SaddlePoint
    parameter: str = ""
    error: float = math.nan

    def __repr__(self) -> str:
        return f"{self.kind} at {self.parameter} = {self.value:.12g} (error {self.error:.1e})"

    def continue_in(self, second: str, to: float | tuple[float, float], **settings: Any) -> EventLine:
        """Return the line of such points in a second parameter: :func:`saddle.follow_event` from here.

        A user's own event needs its function again: ``event=(name, function)``.
        """
        from saddle.lines.event_lines import follow_event

        return follow_event(self.point, self.parameter, second, to, **{"event": self.kind, **settings})


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

    def __repr__(self) -> str:
        return "\n".join([repr(self.curve), *map(repr, self.special), self.message])

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
        from saddle.reporting.plot_branch import draw_branch

        return draw_branch(self, ax, quantity)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the branch as JSON, to be loaded by :func:`load_branch` and followed further."""
        from saddle.reporting.document import dumps

        File(path).write_text(dumps(self.stored()) + "\n", encoding="utf-8")

    def stored(self) -> dict[str, Any]:
        """What a file holds of it."""
        return {
            "parameter": self.parameter,
            "points": [_plain(point) for point in self.points],
            "past_fold": list(self.past_fold),
            "special": [{**vars(s), "point": _plain(s.point)} for s in self.special],
            "reason": self.reason,
            "message": self.message,
        }

    @property
    def direction(self) -> float | None:
        """The sign of the parameter's last change; None for a single point."""
        if len(self.points) < 2:
            return None
        before, last = (point.parameters[self.parameter] for point in self.points[-2:])
        return math.copysign(1.0, last - before)

    def further(self, to: float | tuple[float, float], *, target: Any = None, events: Iterable[UserEvent] = ()) -> Branch:
        """Return this branch followed further from its last point, in the direction in which it was going."""
        rest = follow(self.last, self.parameter, to, target=target, events=events, direction=self.direction)
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
        special = tuple(_restored_special(s) for s in stored["special"])
        points = tuple(_restored(row) for row in stored["points"])
        past = tuple(bool(flag) for flag in stored["past_fold"])
        known = (stored["parameter"], points, past, special, stored["reason"], stored["message"])
        if "kind" not in stored:
            return Branch(*known)
        from saddle.lines.event_lines import EventLine

        errors = tuple(math.nan if error is None else error for error in stored["errors"])
        return EventLine(*known, stored["kind"], stored["solved_for"], errors)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no branch that Branch.save wrote.") from error


def _plain(point: SaddlePoint) -> dict[str, Any]:
    stored = asdict(replace(point, target=None))
    del stored["target"]
    return {**stored, "status": str(point.status)}


def _restored_special(stored: Mapping[str, Any]) -> SpecialPoint:
    error = math.nan if stored["error"] is None else stored["error"]
    return SpecialPoint(**{**stored, "point": _restored(stored["point"]), "error": error})


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
    setting = setting_of(start, target)
    if parameter == "overlap":
        ends = ((1.0 - to[0]) / 2, (1.0 - to[1]) / 2) if isinstance(to, tuple) else (1.0 - to) / 2
        flipped = None if direction is None else -direction
        return follow(
            start, "distance", ends, target=target, events=events, direction=flipped, longest=longest, tolerance=tolerance
        )
    check_start(start, parameter)
    line = ParameterLine(setting, dict(start.parameters), parameter, tolerance, setting.rule)
    here = float(start.parameters[parameter])
    x = line.problem(here).to_coordinates(start.order_parameters)
    events = tuple(events)
    goal, scalars = inner_goal(parameter, to, here), line.scalars(events)
    for name, scalar in scalars.items():
        if math.isnan(scalar(x, line.inner(here))):
            raise InputError(f"The event {name!r} has no value at the start, so that its zeros cannot be sought.")
    scale = scale_of(parameter, goal, here)
    algorithm = Arclength(longest=longest, first=min(0.05, longest), scale=scale, tolerance=tolerance)
    path = algorithm.follow(line, x, line.inner(here), goal, scalars, direction)
    if not path.nodes:
        raise InputError(f"{path.message} Give the model and ansatz that it solves as target=.")
    return _branch(line, path, events)


def setting_of(start: SaddlePoint, target: Any) -> Setting:
    """What a point solves: the target, or what its names say."""
    if target is not None:
        return Setting.of(target)
    model = zoo.model(start.model, **start.options)
    if "beta" in start.parameters and not temperature_of(model):
        model = soft(model)
    setting = Setting.of((model, start.ansatz))
    names = {*setting.parameter_names()} - {*setting.ansatz.extremised}
    if missing := names - start.parameters.keys():
        raise InputError(f"The start has no {min(missing)}: give the model and ansatz that it solves as target=.")
    return setting


def check_start(start: SaddlePoint, *parameters: str) -> None:
    """Refuse a point without a value, and parameters that it does not have."""
    if not start.converged:
        raise InputError(f"The start has no value to follow ({start.status}): {start.message}")
    for parameter in parameters:
        if parameter not in start.parameters:
            raise InputError(f"There is no parameter {parameter!r} to follow; there are {', '.join(start.parameters)}.")


Goal = float | tuple[float, float]


def inner_goal(parameter: str, to: Goal, start: float) -> Goal:
    """Where to stop as the algorithm sees it.

    Raises
    ------
    InputError
        If the start lies outside the range to stay in, or an end is no finite number.
    """
    for end in to if isinstance(to, tuple) else (to,):
        if not (is_number(end) and math.isfinite(end)):
            raise InputError(f"to = {end!r} is not a finite number for {parameter} to reach.")
        if parameter in LOGARITHMIC and not end > 0.0:
            raise InputError(f"to = {end:g} cannot be reached: {parameter} is followed in its logarithm and stays positive.")
    if isinstance(to, tuple) and not min(to) <= start <= max(to):
        raise InputError(f"{parameter} = {start:g} of the start lies outside the range {min(to):g} to {max(to):g}.")
    return (inner(parameter, to[0]), inner(parameter, to[1])) if isinstance(to, tuple) else inner(parameter, to)


def scale_of(parameter: str, goal: Goal, here: float) -> float:
    """The size of a parameter, to which its changes are compared."""
    sizes = [abs(end) for end in (goal if isinstance(goal, tuple) else (goal,))]
    return 1.0 if parameter in LOGARITHMIC else max(_SHARE, abs(here), *sizes)


def _branch(line: ParameterLine, path: Path, events: tuple[UserEvent, ...]) -> Branch:
    """A path as a branch."""
    from saddle.lines.event_lines import FOLD, location_error

    known: dict[str, UserEvent] = {FOLD: FOLD, **{named(event)[0]: event for event in events}}
    points, past = [], []
    for node in path.nodes:
        point, state = line.point(node.x, node.parameter), line.state(node.x, node.parameter)
        if point is not None and state is not None:
            points.append(point)
            past.append(state.orientation < 0)
    special = []
    for found in path.special:
        point = line.point(found.x, found.parameter)
        if point is not None:
            error = location_error(line, known[found.kind], found.x, found.parameter) if found.kind in known else math.nan
            special.append(SpecialPoint(found.kind, line.outer(found.parameter), point, line.parameter, error))
    reason, message = line.end(path)
    return Branch(line.parameter, tuple(points), tuple(past), tuple(special), reason, message)
