r"""Continuation of solutions in a parameter: past folds, with events and their own lines.

Four things are kept apart: the *system* (residuals :math:`F(x, \lambda)` and their derivatives, of any origin), the
*algorithm* (pseudo-arclength prediction and correction, Keller 1977), the *path* that an iteration of it leaves, and what
was special on it.  With :math:`z = (x, \lambda)` and a unit tangent :math:`\tau`, a step solves

.. math:: F(z) = 0, \qquad \tau \cdot (z - z_0) = s

by Newton's method.  At a fold the parameter's component ``g`` of the unit tangent passes through zero: a fold is solved for
as a zero of ``(F, g)``, and an event, any scalar function of the solution, as a zero of ``(F, e)``.  Both extended systems
are systems again: continued in a second parameter they give lines of folds or events, past their turning points too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Vector = np.ndarray
Event = Callable[[Vector, float], float]

_DIFFERENCE = 1e-6
_MOST_CORRECTIONS = 12
_STAGNANT = 100.0
"""Residual, in tolerances, that counts as solved where rounding lets it get no smaller."""
_PATIENCE, _STALLED, _DIVERGING = 25, 2e-3, 1.0
_TURN = 0.5
"""Largest change of the tangent's direction in one step (its cosine is at least 1 minus this)."""


class System(Protocol):
    """Equations in as many unknowns, with one parameter."""

    def residuals(self, x: Vector, parameter: float) -> Vector | None:
        """The residuals; None outside the domain."""
        ...

    def jacobian(self, x: Vector, parameter: float) -> Vector | None:
        """Their derivatives in the unknowns; None outside the domain."""
        ...


@dataclass(frozen=True)
class Smooth:
    """A system from plain functions; without ``slopes`` derivatives are central differences."""

    function: Callable[[Vector, float], Vector | None]
    slopes: Callable[[Vector, float], Vector | None] | None = None

    def residuals(self, x: Vector, parameter: float) -> Vector | None:
        """The residuals; None outside the domain."""
        return self.function(x, parameter)

    def jacobian(self, x: Vector, parameter: float) -> Vector | None:
        """The derivatives in the unknowns; None outside the domain."""
        if self.slopes is not None:
            return self.slopes(x, parameter)
        return differences(lambda y: self.function(y, parameter), x)


@dataclass(frozen=True)
class Node:
    """A solution on a path: parameter, unknowns, unit tangent (parameter last), and the length of the path so far.

    ``orientation`` is the sign of the determinant of the Jacobian; ``border`` is the determinant of the Jacobian bordered
    by the tangent, which changes its sign at branch points only.
    """

    parameter: float
    x: Vector
    tangent: Vector
    length: float
    orientation: float
    border: float
    events: Mapping[str, float]

    @property
    def z(self) -> Vector:
        """Unknowns and parameter as one vector."""
        return np.append(self.x, self.parameter)


@dataclass(frozen=True)
class Special:
    """A special point of a path, solved for: ``kind`` is ``fold``, ``branch-point`` or the name of an event."""

    kind: str
    parameter: float
    x: Vector
    residual: float


@dataclass(frozen=True)
class Path:
    """What a continuation leaves: nodes in order, special points, and why it ended (with a sentence)."""

    nodes: tuple[Node, ...]
    special: tuple[Special, ...]
    reason: str
    message: str


@dataclass(frozen=True)
class Arclength:
    """The settings of a pseudo-arclength continuation.

    Parameters
    ----------
    first, longest, shortest : float
        Steps of the arclength; the longest grows with unknowns beyond 10, so that one that diverges ends a path soon.
    scale : float
        Size of the parameter: its changes count relative to this.
    most : int
        Largest number of nodes.
    tolerance : float
        Largest residual of a node.
    """

    first: float = 0.05
    longest: float = 0.3
    shortest: float = 1e-8
    scale: float = 1.0
    most: int = 2000
    tolerance: float = 1e-12

    def follow(
        self,
        system: System,
        x: Vector,
        parameter: float,
        to: float | tuple[float, float],
        events: Mapping[str, Event] | None = None,
        direction: float | None = None,
    ) -> Path:
        """Return the path from a solution until the parameter leaves the range.

        Parameters
        ----------
        system : System
        x, parameter
            A solution.
        to : float or pair
            Where to stop: a value of the parameter, or a range of it (for paths that turn back).
        events : mapping, optional
            Scalar functions ``event(x, parameter)`` by name; each of their zeros is solved for.
        direction : float, optional
            Sign of the parameter's first change (default: towards ``to``).
        """
        walk = _Walk(self, system, dict(events or {}))
        sign = direction if direction is not None else math.copysign(1.0, _far(to, parameter) - parameter)
        return walk.run(np.asarray(x, dtype=float), float(parameter), to, sign)


def _far(to: float | tuple[float, float], parameter: float) -> float:
    return max(to, key=lambda end: abs(end - parameter)) if isinstance(to, tuple) else to


@dataclass
class _Walk:
    settings: Arclength
    system: System
    events: dict[str, Event]
    nodes: list[Node] = field(default_factory=list)
    special: list[Special] = field(default_factory=list)

    def run(self, x: Vector, parameter: float, to: float | tuple[float, float], sign: float) -> Path:
        low, high = (min(to), max(to)) if isinstance(to, tuple) else _range(parameter, to)
        corrected = self._at(x, parameter)
        if corrected is None:
            return self._end("start", "The start is not a solution, and none was found next to it.")
        first = self._node(np.append(corrected, parameter / self.settings.scale), None, 0.0, sign)
        if first is None:
            return self._end("start", "The start lies at the border of the domain.")
        self.nodes.append(first)
        step = self.settings.first
        while len(self.nodes) < self.settings.most:
            here = self.nodes[-1]
            there = self._step(here, step)
            if there is None:
                step *= 0.5
                if step < self.settings.shortest:
                    return self._end("lost", f"No solution was found beyond parameter {here.parameter:.10g}.")
                continue
            if not low <= there.parameter <= high:
                return self._leave(here, low if there.parameter < low else high)
            self._look_between(here, there)
            self.nodes.append(there)
            if self._stalls():
                return self._end("asymptote", f"Unknowns diverge while the parameter tends to {there.parameter:.6g}.")
            if self._closed(there):
                return self._end("closed", "The path returned to its start: a closed curve of solutions.")
            step = min(1.4 * step, self.settings.longest * (1.0 + 0.1 * float(np.max(np.abs(there.x)))))
        return self._end("length", f"The path has {self.settings.most} points and goes on.")

    def _end(self, reason: str, message: str) -> Path:
        return Path(tuple(self.nodes), tuple(self.special), reason, message)

    def _leave(self, here: Node, border: float) -> Path:
        """The last node, exactly on the border of the range."""
        x = here.x + here.tangent[:-1] * (border - here.parameter) / (here.tangent[-1] * self.settings.scale or 1.0)
        corrected = self._at(x, border)
        if corrected is not None:
            z = np.append(corrected, border / self.settings.scale)
            length = here.length + float(np.linalg.norm(z - self._scaled(here)))
            last = self._node(z, here, length, 0.0)
            if last is not None:
                self._look_between(here, last)
                self.nodes.append(last)
        return self._end("reached", f"The path reached parameter {border:.10g}.")

    def _scaled(self, node: Node) -> Vector:
        return np.append(node.x, node.parameter / self.settings.scale)

    def _stalls(self) -> bool:
        """Whether many steps have not changed the parameter, in units of its size, but the unknowns."""
        recent = self.nodes[-_PATIENCE:]
        values = [node.parameter for node in recent]
        if len(recent) < _PATIENCE or max(values) - min(values) >= _STALLED * self.settings.scale:
            return False
        return float(np.max(np.abs(recent[-1].x - recent[0].x))) > _DIVERGING

    def _closed(self, there: Node) -> bool:
        first, before = self.nodes[0], self.nodes[-2]
        if len(self.nodes) < 8:
            return False
        gap = float(np.linalg.norm(self._scaled(there) - self._scaled(first)))
        stride = float(np.linalg.norm(self._scaled(there) - self._scaled(before)))
        return gap < stride and float(there.tangent @ first.tangent) > 1.0 - _TURN

    def _step(self, here: Node, step: float) -> Node | None:
        """The node at this distance along the tangent; None if it is not reached, or lies around a sharp corner."""
        z = correct(self._scaled_system, self._scaled(here), here.tangent, step, self._tolerance)
        if z is None:
            return None
        node = self._node(z, here, here.length + step, 0.0)
        if node is None or float(node.tangent @ here.tangent) < 1.0 - _TURN:
            return None
        return node

    @property
    def _tolerance(self) -> float:
        return self.settings.tolerance

    @property
    def _scaled_system(self) -> Scaled:
        return Scaled(self.system, self.settings.scale)

    def _at(self, x: Vector, parameter: float) -> Vector | None:
        """The solution at a fixed parameter next to ``x``."""
        unit = np.zeros(len(x) + 1)
        unit[-1] = 1.0
        z = np.append(x, parameter / self.settings.scale)
        found = correct(self._scaled_system, z, unit, 0.0, self._tolerance)
        return None if found is None else found[:-1]

    def _node(self, z: Vector, before: Node | None, length: float, sign: float) -> Node | None:
        slopes = self._scaled_system.slopes(z)
        if slopes is None or not np.all(np.isfinite(slopes)):
            return None
        tangent = np.linalg.svd(slopes)[2][-1]
        along = float(tangent @ before.tangent) if before is not None else sign * (tangent[-1] or 1.0)
        tangent = tangent if along >= 0.0 else -tangent
        x, parameter = z[:-1], float(z[-1]) * self.settings.scale
        events = {name: event(x, parameter) for name, event in self.events.items()}
        return Node(
            parameter=parameter,
            x=x,
            tangent=tangent,
            length=length,
            orientation=math.copysign(1.0, determinant(slopes[:, :-1])),
            border=determinant(np.vstack([slopes, tangent])),
            events=events,
        )

    def _look_between(self, here: Node, there: Node) -> None:
        """Solve for whatever is special between two nodes."""
        found = []
        if here.border * there.border < 0.0:
            found.append(self._located("branch-point", here, there, lambda node: node.border))
        elif here.tangent[-1] * there.tangent[-1] < 0.0:
            found.append(self._fold(here, there))
        for name in self.events:
            if here.events[name] * there.events[name] < 0.0:
                found.append(self._located(name, here, there, lambda node, name=name: node.events[name]))  # type: ignore[misc]
        self.special += [special for special in found if special is not None]

    def _fold(self, here: Node, there: Node) -> Special | None:
        """Newton's method on ``(F, g)`` from where the parameter turns, by the secant of the tangents."""
        share = here.tangent[-1] / (here.tangent[-1] - there.tangent[-1])
        x, parameter = here.x + share * (there.x - here.x), here.parameter + share * (there.parameter - here.parameter)
        extended = FoldSystem(lambda _: self.system, self.settings.scale)
        start = np.append(x, parameter / self.settings.scale)
        z = solve(extended, start, 0.0, self._tolerance)
        if z is None or float(np.linalg.norm(z - start)) > 2.0 * abs(there.length - here.length):
            return self._located("fold", here, there, lambda node: float(node.tangent[-1]))
        residuals = self.system.residuals(z[:-1], float(z[-1]) * self.settings.scale)
        assert residuals is not None
        return Special("fold", float(z[-1]) * self.settings.scale, z[:-1], float(np.max(np.abs(residuals))))

    def _located(self, kind: str, here: Node, there: Node, value: Callable[[Node], float]) -> Special | None:
        """Bisection, then secants, on corrected points between two nodes."""
        low, high, stride = 0.0, float(here.tangent @ (self._scaled(there) - self._scaled(here))), here
        first, last, node = value(here), value(there), there
        for _ in range(100):
            if high - low < 1e-15 * max(1.0, high):
                break
            middle = low + (high - low) * (first / (first - last) if first * last < 0.0 else 0.5)
            middle = min(max(middle, low + 0.02 * (high - low)), high - 0.02 * (high - low))
            trial = self._between(stride, middle)
            if trial is None:
                return None
            node, now = trial, value(trial)
            if now == 0.0:
                break
            low, high, first, last = (middle, high, now, last) if now * first > 0.0 else (low, middle, first, now)
        residuals = self.system.residuals(node.x, node.parameter)
        largest = math.inf if residuals is None else float(np.max(np.abs(residuals)))
        return Special(kind, node.parameter, node.x, largest)

    def _between(self, here: Node, step: float) -> Node | None:
        z = correct(self._scaled_system, self._scaled(here), here.tangent, step, self._tolerance)
        return None if z is None else self._node(z, here, here.length + step, 0.0)


def _range(parameter: float, to: float) -> tuple[float, float]:
    return (parameter, to) if parameter < to else (to, parameter)


@dataclass(frozen=True)
class Scaled:
    """A system as functions of one vector: the unknowns, and the parameter in units of its scale as the last one."""

    system: System
    scale: float = 1.0

    def residuals(self, z: Vector) -> Vector | None:
        """The residuals; None outside the domain."""
        return self.system.residuals(z[:-1], float(z[-1]) * self.scale)

    def slopes(self, z: Vector) -> Vector | None:
        """The Jacobian with the derivative in the scaled parameter as last column; None outside the domain."""
        jacobian = self.system.jacobian(z[:-1], float(z[-1]) * self.scale)
        shift = np.zeros(len(z))
        shift[-1] = _DIFFERENCE * max(1.0, abs(float(z[-1])))
        above, below = self.residuals(z + shift), self.residuals(z - shift)
        if jacobian is None or above is None or below is None:
            return None
        return np.column_stack([jacobian, (above - below) / (2.0 * shift[-1])])


def correct(scaled: Scaled, base: Vector, tangent: Vector, step: float, tolerance: float) -> Vector | None:
    """Return the solution of ``F(z) = 0, tangent . (z - base) = step`` by Newton's method; None if it is not reached."""
    z = base + step * tangent
    largest = math.inf
    for _ in range(_MOST_CORRECTIONS):
        values = scaled.residuals(z)
        if values is None or not np.all(np.isfinite(values)):
            return None
        size = float(np.max(np.abs(values)))
        if size <= tolerance or 0.5 * largest <= size <= _STAGNANT * tolerance:
            return z
        if size > 4.0 * largest:
            return None
        largest = min(largest, size)
        matrix = scaled.slopes(z)
        if matrix is None or not np.all(np.isfinite(matrix)):
            return None
        system = np.vstack([matrix, tangent])
        target = np.append(-values, step - tangent @ (z - base))
        try:
            z = z + np.linalg.solve(system, target)
        except np.linalg.LinAlgError:
            return None
    values = scaled.residuals(z)
    return z if values is not None and float(np.max(np.abs(values))) <= _STAGNANT * tolerance else None


def solve(system: System, x: Vector, parameter: float, tolerance: float) -> Vector | None:
    """Return the solution at a fixed parameter from ``x`` by Newton's method; None if it is not reached."""
    best, smallest = None, math.inf
    for _ in range(2 * _MOST_CORRECTIONS):
        values, matrix = system.residuals(x, parameter), system.jacobian(x, parameter)
        if values is None or matrix is None or not np.all(np.isfinite(values)):
            break
        size = float(np.max(np.abs(values)))
        stagnates = size >= 0.5 * smallest and smallest <= 1e3 * tolerance
        if size < smallest or (stagnates and size <= 2.0 * smallest):  # the last step may have improved the small residuals
            best, smallest = x, min(size, smallest)
        if stagnates:
            break
        try:
            x = x - np.linalg.solve(matrix, values)
        except np.linalg.LinAlgError:
            break
    return best if smallest <= 1e3 * tolerance else None


def differences(function: Callable[[Vector], Vector | None], x: Vector) -> Vector | None:
    """Central differences of a vector function; None where it is not defined on both sides."""
    columns = []
    for i in range(len(x)):
        shift = _DIFFERENCE * max(1.0, abs(float(x[i])))
        unit = np.zeros(len(x))
        unit[i] = shift
        above, below = function(x + unit), function(x - unit)
        if above is None or below is None:
            return None
        columns.append((above - below) / (2.0 * shift))
    return np.column_stack(columns)


@dataclass(frozen=True)
class FoldSystem:
    """The folds of a family of systems, as a system in ``(x, parameter / scale)`` with the family's own parameter.

    ``family(mu)`` is the system at a value of the second parameter.
    """

    family: Callable[[float], System]
    scale: float = 1.0

    def residuals(self, z: Vector, mu: float) -> Vector | None:
        """The residuals and the scalar that vanishes at a fold."""
        values, singular = self.family(mu).residuals(z[:-1], float(z[-1]) * self.scale), self._singular(z, mu)
        return None if values is None or singular is None else np.append(values, singular)

    def _singular(self, z: Vector, mu: float) -> float | None:
        slopes = Scaled(self.family(mu), self.scale).slopes(z)
        return None if slopes is None or not np.all(np.isfinite(slopes)) else turning(slopes)

    def jacobian(self, z: Vector, mu: float) -> Vector | None:
        """Derivatives of the residuals; those that the family does not give are central differences."""
        return _extended_slopes(self.family(mu), lambda y: self._singular(y, mu), z, self.scale)


@dataclass(frozen=True)
class EventSystem:
    """The zeros of an event along a family of systems, as a system in ``(x, parameter / scale)``."""

    family: Callable[[float], System]
    event: Callable[[Vector, float, float], float]
    scale: float = 1.0

    def residuals(self, z: Vector, mu: float) -> Vector | None:
        """The residuals and the event."""
        values = self.family(mu).residuals(z[:-1], float(z[-1]) * self.scale)
        return None if values is None else np.append(values, self._event(z, mu))

    def _event(self, z: Vector, mu: float) -> float:
        return self.event(z[:-1], float(z[-1]) * self.scale, mu)

    def jacobian(self, z: Vector, mu: float) -> Vector | None:
        """Derivatives of the residuals; those that the family does not give are central differences."""
        return _extended_slopes(self.family(mu), lambda y: self._event(y, mu), z, self.scale)


def _extended_slopes(
    system: System, scalar: Callable[[Vector], float | None], z: Vector, scale: float
) -> Vector | None:
    """Derivatives of a system's residuals and of a scalar in ``(x, parameter / scale)``."""
    x, parameter = z[:-1], float(z[-1]) * scale
    inner = system.jacobian(x, parameter)
    shift = _DIFFERENCE * max(1.0, abs(float(z[-1])))
    above, below = (system.residuals(x, (float(z[-1]) + side * shift) * scale) for side in (1.0, -1.0))

    def last(y: Vector) -> Vector | None:
        value = scalar(y)
        return None if value is None else np.array([value])

    row = differences(last, z)
    if inner is None or above is None or below is None or row is None:
        return None
    return np.vstack([np.column_stack([inner, (above - below) / (2.0 * shift)]), row])


def turning(slopes: Vector) -> float:
    """The parameter's component of the unit tangent of ``F = 0``, from the derivatives in unknowns and parameter.

    It is the determinant of the Jacobian over the root of a sum of squared minors: smooth where these do not vanish
    together, zero at folds, and not changed by the scale of an equation.
    """
    sizes = np.maximum(np.linalg.norm(slopes, axis=1), np.finfo(float).tiny)
    rows = slopes / sizes[:, None]
    tangent = np.linalg.svd(rows)[2][-1]
    return math.copysign(1.0, determinant(np.vstack([rows, tangent]))) * float(tangent[-1])


def determinant(matrix: Vector) -> float:
    """The determinant; that of a matrix whose elimination meets only zeros is 0, without a warning."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        value = float(np.linalg.det(matrix))
    return 0.0 if math.isnan(value) else value
