r"""Systems of equations with a parameter, and Newton's method for them: what a continuation walks along.

The parameter may count as one more unknown (:class:`Scaled`), in units of its size.  Systems extended by the condition of a
fold or of an event are systems again.  Derivatives in the parameter are central differences, and one-sided at the border of
the domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Vector = np.ndarray

_DIFFERENCE = 1e-6
_MOST_CORRECTIONS = 12
_STAGNANT = 100.0
"""Residual, in tolerances, that counts as solved where rounding lets it get no smaller."""


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
class Scaled:
    """A system as functions of one vector: the unknowns, and the parameter in units of its scale as the last one."""

    system: System
    scale: float = 1.0

    def residuals(self, z: Vector) -> Vector | None:
        """The residuals; None outside the domain."""
        return self.system.residuals(z[:-1], float(z[-1]) * self.scale)

    def slopes(self, z: Vector) -> Vector | None:
        """The Jacobian with the derivative in the scaled parameter as last column; None outside the domain."""
        jacobian, unit = self.system.jacobian(z[:-1], float(z[-1]) * self.scale), np.zeros(len(z))
        unit[-1] = 1.0
        column = _derivative(lambda t: self.residuals(z + t * unit), _DIFFERENCE * max(1.0, abs(float(z[-1]))))
        return None if jacobian is None or column is None else np.column_stack([jacobian, column])


def _derivative(function: Callable[[float], Vector | None], step: float) -> Vector | None:
    """The derivative at 0 by central differences, or from the side on which the function is defined at a border."""
    above, below = function(step), function(-step)
    if above is not None and below is not None:
        return (above - below) / (2.0 * step)
    side = -1.0 if above is None else 1.0
    here, near, far = function(0.0), below if above is None else above, function(2.0 * side * step)
    if here is None or near is None or far is None:
        return None
    return side * (4.0 * near - far - 3.0 * here) / (2.0 * step)


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
    inner, step = system.jacobian(x, parameter), _DIFFERENCE * max(1.0, abs(float(z[-1])))
    column = _derivative(lambda t: system.residuals(x, (float(z[-1]) + t) * scale), step)

    def last(y: Vector) -> Vector | None:
        value = scalar(y)
        return None if value is None else np.array([value])

    row = differences(last, z)
    if inner is None or column is None or row is None:
        return None
    return np.vstack([np.column_stack([inner, column]), row])


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
