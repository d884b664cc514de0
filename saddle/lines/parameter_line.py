r"""The saddle equations of a setting along one of its parameters, as a system for :mod:`saddle.continuation`.

Unknowns are the coordinates of :mod:`saddle.points.problem`, in which every overlap matrix is positive.  Residuals are
relative
to what an overlap has left to 1, and are measured in units of their rounding error where that exceeds the tolerance, so that
close to the border a solution counts as one as long as it can be told from none.  Events are scalars of a state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from replica.errors import InputError
from saddle.continuation import Event, Path
from saddle.kernels.quadrature import Rule
from saddle.points.outcome import finished
from saddle.points.problem import Problem, State
from saddle.points.results import Iteration, SaddlePoint
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, reference_point
from saddle.systems import Vector

UserEvent = str | tuple[str, Callable[[SaddlePoint], float]]
"""The name of an event of :data:`EVENTS`, or a name of one's own with a function of the solved point."""

_LIMIT_NOISE, _SMALL_PIVOT = 1e-6, 1e-7
_NEXT_TO = 1e-3


def _entropy(line: ParameterLine, state: State, at: float) -> float:
    return state.free_entropy


def _slope(line: ParameterLine, state: State, at: float) -> float:
    imposed = line.setting.ansatz.imposed
    return line.setting.distance_rate * line.problem(at).slope(state, imposed[0]) if imposed else math.nan


def _replicon(line: ParameterLine, state: State, at: float) -> float:
    problem = line.problem(at)
    if not problem.meta["replicons"]:
        return math.nan
    return min(problem.observables(state, line.rule)["replicons"].values())


def _complexity(line: ParameterLine, state: State, at: float) -> float:
    point = line.finished(state, at)
    return number_of(point, "complexity")


EVENTS: dict[str, Callable[[ParameterLine, State, float], float]] = {
    "entropy": _entropy,
    "slope": _slope,
    "replicon": _replicon,
    "complexity": _complexity,
}
"""Scalars whose zeros can be asked for by name."""


def number_of(point: SaddlePoint, name: str) -> float:
    """An observable of a point as a number, nan where it has none."""
    value = point.observables.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


LOGARITHMIC = frozenset({"distance"})
"""Parameters whose logarithm is what varies evenly."""
_LARGEST_LOG = 700.0
"""Beyond it an exponential overflows, which a trial step outside the domain may ask for."""


def inner(name: str, value: float) -> float:
    """A parameter as the algorithm sees it."""
    return math.log(value) if name in LOGARITHMIC else float(value)


def outer(name: str, at: float) -> float:
    """The parameter itself."""
    return math.exp(min(at, _LARGEST_LOG)) if name in LOGARITHMIC else at


def moved_to(values: dict[str, float], parameter: str, at: float) -> dict[str, float]:
    """The parameters with one of them at another value; overlap and distance are two spellings of one constraint."""
    found = {**values, parameter: at}
    if parameter == "distance" and "overlap" in found:
        found["overlap"] = 1.0 - 2.0 * at
    return found


def named(event: UserEvent) -> tuple[str, Callable[[ParameterLine, State, float], float]]:
    """The name of an event and the scalar of a state whose zero it is.

    Raises
    ------
    InputError
        If there is no event of this name.
    """
    if isinstance(event, str):
        if event not in EVENTS:
            raise InputError(f"There is no event {event!r}; there are {', '.join(EVENTS)}, or (name, function).")
        return event, EVENTS[event]
    name, function = event
    return name, lambda line, state, at: function(line.finished(state, at))


@dataclass
class ParameterLine:
    """The equations along one parameter as a system, and its solutions as points.

    Parameters
    ----------
    setting : Setting
    fixed : dict
        All parameters, resolved; the value of the one that varies is not used.
    parameter : str
        The one that varies.
    tolerance : float
    rule : Rule
        With which quantities are integrated.
    """

    setting: Setting
    fixed: dict[str, float]
    parameter: str
    tolerance: float
    rule: Rule
    _last: tuple[bytes, float, State | None] | None = field(default=None, repr=False)
    _refused: tuple[float, str] | None = field(default=None, repr=False)

    def inner(self, value: float) -> float:
        """The parameter as the algorithm sees it."""
        return inner(self.parameter, value)

    def outer(self, at: float) -> float:
        """The parameter itself."""
        return outer(self.parameter, at)

    def values(self, at: float) -> dict[str, float]:
        """All parameters at a value of the one that varies; overlap and distance are two spellings of one."""
        return moved_to(self.fixed, self.parameter, at)

    def problem(self, at: float) -> Problem:
        """The equations at a value of the parameter."""
        values = self.values(at)
        return problem_of(self.setting, values, reference_point(self.setting, values, self.tolerance))

    def state(self, x: Vector, at: float) -> State | None:
        """The state at coordinates and (inner) parameter, the last one remembered; None outside the domain."""
        key, at = x.tobytes(), self.outer(at)
        if self._last is None or self._last[:2] != (key, at):
            try:
                with np.errstate(all="ignore"):  # what a trial step outside the domain gives is not kept
                    state = self._problem_inside(at).state(x, self.rule)
            except InputError as refusal:
                state, self._refused = None, (at, str(refusal))
            except ZeroDivisionError:
                state = None
            if state is not None and not (math.isfinite(state.residual) and state.noise < _LIMIT_NOISE):
                state = None
            self._last = (key, at, state)
        return self._last[2]

    def _problem_inside(self, at: float) -> Problem:
        """The equations, unless the parameter cannot have this value at all."""
        ansatz = self.setting.ansatz
        positive = ("alpha", "distance", *ansatz.multiplicities, *self.setting.positive_parameters)
        for name, value in self.values(at).items():
            if name in ansatz.multiplicities and name not in ansatz.extremised and value < 1.0:
                raise InputError(f"{name} counts replicas: it is at least 1.")
            if value <= 0.0 and name in positive:
                raise InputError(f"{name} is positive.")
        return self.problem(at)

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

    def scalar(self, event: UserEvent) -> Event:
        """An event as a function of coordinates and (inner) parameter; nan outside the domain."""
        _, value = named(event)

        def at(x: Vector, parameter: float) -> float:
            state = self.state(x, parameter)
            return math.nan if state is None else value(self, state, self.outer(parameter))

        return at

    def scalars(self, events: Iterable[UserEvent]) -> dict[str, Event]:
        """Events by name."""
        return {named(event)[0]: self.scalar(event) for event in events}

    def finished(self, state: State, at: float) -> SaddlePoint:
        """A state as a solved point with its errors."""
        values = self.values(at)
        reference = reference_point(self.setting, values, self.tolerance)
        steps = (Iteration(0, state.residual, 1.0, "continuation"),)
        return finished(self.setting, self.problem(at), values, reference, state, steps, self.tolerance)

    def point(self, x: Vector, parameter: float) -> SaddlePoint | None:
        """The solved point at coordinates and (inner) parameter."""
        state = self.state(x, parameter)
        return None if state is None else self.finished(state, self.outer(parameter))

    def end(self, path: Path) -> tuple[str, str]:
        """Why a path of this system ended, and a sentence."""
        if not path.nodes:
            return path.reason, path.message
        last = path.nodes[-1]
        state = self.state(last.x, last.parameter)
        return why_ended(path, self.parameter, self.outer(last.parameter), state, self.refusal(last.parameter))

    def refusal(self, parameter: float) -> str:
        """Why values of the (inner) parameter next to this one are not allowed; empty if they are."""
        if self._refused is None:
            return ""
        at, sentence = self._refused
        return sentence if abs(at - self.outer(parameter)) <= _NEXT_TO * max(1.0, abs(at)) else ""


def why_ended(path: Path, name: str, value: float, state: State | None, refusal: str = "") -> tuple[str, str]:
    """Why a path in the parameter ``name`` ended at a value, where the saddle has this state, and a sentence."""
    where = f"{name} = {value:.10g}"
    sentences = {
        "reached": f"The path reached {where}.",
        "asymptote": f"Unknowns diverge while {name} tends to {value:.6g}.",
        "closed": path.message,
        "length": f"The path has {len(path.nodes)} points and goes on beyond {where}.",
    }
    if path.reason in sentences:
        return path.reason, sentences[path.reason]
    if refusal:
        return "domain", f"The domain ends at {where}: {refusal}"
    if state is None:
        return "domain", f"The branch ends at the border of its domain, at {where}."
    if state.noise > 0.1 * _LIMIT_NOISE:
        return "quadrature", f"Beyond {where} an overlap is too close to 1 for the quadrature to resolve it."
    smallest = min(state.pivots.values(), default=1.0)
    if smallest < _SMALL_PIVOT:
        return "positivity", f"At {where} the overlap matrix stops being positive (a pivot is {smallest:.1e})."
    return "lost", f"No solution was found beyond {where}; the last good point is there."
