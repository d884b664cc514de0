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

import numpy as np

from saddle.systems import FoldSystem, Scaled, System, Vector, correct, determinant, solve

Event = Callable[[Vector, float], float]

_PATIENCE, _STALLED, _DIVERGING = 25, 2e-3, 1.0
_TURN = 0.5
"""Largest change of the tangent's direction in one step (its cosine is at least 1 minus this)."""


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
                if (border := self._border(here, step, low, high)) is not None and self._arrives(here, border, step):
                    return self._end("reached", f"The path reached parameter {border:.10g}.")
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
        last = self._node_at(here, border)
        if last is not None:
            self._look_between(here, last)
            self.nodes.append(last)
        return self._end("reached", f"The path reached parameter {border:.10g}.")

    def _node_at(self, here: Node, border: float) -> Node | None:
        """The node at a value of the parameter, along the tangent from this one."""
        x = here.x + here.tangent[:-1] * (border - here.parameter) / (here.tangent[-1] * self.settings.scale or 1.0)
        corrected = self._at(x, border)
        if corrected is None:
            return None
        z = np.append(corrected, border / self.settings.scale)
        return self._node(z, here, here.length + float(np.linalg.norm(z - self._scaled(here))), 0.0)

    def _border(self, here: Node, step: float, low: float, high: float) -> float | None:
        """The border of the range that a step along the tangent crosses."""
        there = here.parameter + step * here.tangent[-1] * self.settings.scale
        return None if low <= there <= high else low if there < low else high

    def _arrives(self, here: Node, border: float, step: float) -> bool:
        """Whether the path goes on to a border that is one of the domain too, beyond which no step can end."""
        last = self._node_at(here, border)
        if last is None or last.length > here.length + 2.0 * step or float(last.tangent @ here.tangent) < 1.0 - _TURN:
            return False
        self._look_between(here, last)
        self.nodes.append(last)
        return True

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
