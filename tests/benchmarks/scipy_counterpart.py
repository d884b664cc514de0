r"""What one writes with scipy alone: adaptive quadrature inside a root finder, for the binary perceptron.

The counterpart that the benchmark times. It is written as a careful peer would: the Franz-Parisi energy in its form
with a double integral, logarithms of tails by ``log_ndtr``, the integrands' kinks handed to ``quad`` as break points,
and ``scipy.optimize.root`` for ``q``, ``t`` and ``phat``, as the other two conjugates are explicit in the overlaps.
(In ``ln g`` it needs five times the evaluations at distance 0.01.) It shares no code with the packages.

Notation as in ``tests/textbook_franz_parisi.py``: ``Dz`` Gaussian measure, ``H`` its upper tail, ``M = G/H``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import minimize_scalar, root
from scipy.special import erfcx, log_ndtr

ACCURACY = 1e-8
"""Absolute and relative tolerance of each quadrature and of the root finder."""
REACH = 10.0  # standard deviations
ROOT_TWO_PI = math.sqrt(2 * math.pi)


def log_h(x: float) -> float:
    """Return ln H(x)."""
    return float(log_ndtr(-x))


def mills(x: float) -> float:
    """Return M(x) = G(x) / H(x)."""
    if x < -25:
        return math.exp(-x * x / 2) / ROOT_TWO_PI
    return math.sqrt(2 / math.pi) / float(erfcx(x / math.sqrt(2)))


def log_2cosh(x: float) -> float:
    """Return ln 2cosh(x)."""
    return abs(x) + math.log1p(math.exp(-2 * abs(x)))


def gaussian_average(f: Callable[[float], float], kinks: tuple[float, ...] = (), tolerance: float = ACCURACY) -> float:
    """Return int Dz f(z) by adaptive quadrature on [-10, 10], with break points at the kinks."""
    points = sorted({k for k in kinks if -REACH < k < REACH}) or None
    value = quad(
        lambda z: math.exp(-z * z / 2) / ROOT_TWO_PI * f(z),
        -REACH,
        REACH,
        epsabs=tolerance,
        epsrel=tolerance,
        limit=200,
        points=points,
    )[0]
    return float(value)


# ------------------------------------------------------------------------------------------------ replica symmetric


def rs_point(
    alpha: float, kappa: float = 0.0, start: Mapping[str, float] | None = None, tolerance: float = ACCURACY
) -> dict[str, float]:
    """Return free_entropy, q and qhat of the replica-symmetric saddle.

    Parameters
    ----------
    alpha, kappa
        Load and margin.
    start
        q to begin with, 0.5 if None, and qhat, by default what q implies.
    tolerance
        ``epsabs`` and ``epsrel`` of each quadrature and the tolerance of the root finder.

    Raises
    ------
    ArithmeticError
        If the root finder does not converge.
    """

    def threshold(f: Callable[[float], float], q: float) -> float:
        width, spread = math.sqrt(1 - q), math.sqrt(q)
        return gaussian_average(lambda z: f((kappa - spread * z) / width), (kappa / spread,), tolerance)

    def conjugate(q: float) -> float:
        return alpha * threshold(lambda x: mills(x) ** 2, q) / (1 - q)

    def equations(v: np.ndarray) -> list[float]:
        q, qhat = min(max(v[0], 1e-9), 1 - 1e-9), max(v[1], 1e-12)
        overlap = gaussian_average(lambda z: math.tanh(math.sqrt(qhat) * z) ** 2, (0.0,), tolerance)
        return [overlap - v[0], conjugate(q) - v[1]]

    begin = dict(start or {"q": 0.5})
    if "qhat" not in begin:
        begin["qhat"] = conjugate(begin["q"])
    solution = root(equations, [begin["q"], begin["qhat"]], tol=tolerance)
    if not solution.success:
        raise ArithmeticError(solution.message)
    q, qhat = (float(x) for x in solution.x)
    entropic = gaussian_average(lambda z: log_2cosh(math.sqrt(qhat) * z), (0.0,), tolerance)
    phi = -qhat * (1 - q) / 2 + entropic + alpha * threshold(log_h, q)
    return {"free_entropy": phi, "q": q, "qhat": qhat}


# ----------------------------------------------------------------------------------------------------- Franz-Parisi


def _weights_average(
    f: Callable[[float, float, float], float],
    conjugates: tuple[float, float, float],
    qrhat: float,
    tolerance: float,
) -> float:
    """Return the average of f(x, s, field) over the reference's field x, its weight s and the probe's own noise."""
    qhat, that, phat = conjugates
    load = that / math.sqrt(qrhat)
    noise = math.sqrt(max(qhat - that * that / qrhat, 1e-14))

    def at(x: float) -> float:
        total = 0.0
        for s in (1.0, -1.0):
            mean = load * x + (phat - that) * s
            weight = 1 / (1 + math.exp(-2 * s * math.sqrt(qrhat) * x))
            total += weight * gaussian_average(lambda y: f(x, s, mean + noise * y), (-mean / noise,), tolerance)  # noqa: B023
        return total

    return gaussian_average(at, (0.0,), tolerance)


def _threshold_average(
    f: Callable[[float, float], float],
    overlaps: tuple[float, float, float, float],
    margins: tuple[float, float],
    tolerance: float,
) -> float:
    """Return the average of f(c, argument of ln H) over reference and probe stabilities, as a double integral."""
    g, t, p, qr = overlaps
    reference_kappa, kappa = margins
    b = (p - t) / math.sqrt(1 - qr)
    q = g + t * t / qr + b * b
    both, spread, width = math.sqrt(b * b + g), math.sqrt(g), math.sqrt(max(1 - q, 1e-12))

    def at(x: float) -> float:
        c = (reference_kappa - math.sqrt(qr) * x) / math.sqrt(1 - qr)
        mean = kappa - t * x / math.sqrt(qr)
        log_norm = log_h(c)

        def inside(u: float) -> float:
            weight = log_h((c * both - b * u) / spread) - log_norm
            return math.exp(weight) * f(c, (mean - both * u) / width) if weight > -700 else 0.0

        step = c * both / b if b else 0.0
        return gaussian_average(inside, (step, mean / both), tolerance)

    return gaussian_average(at, (reference_kappa / math.sqrt(qr),), tolerance)


def franz_parisi_point(
    alpha: float,
    reference_kappa: float,
    kappa: float,
    distance: float,
    start: Mapping[str, float],
    tolerance: float = ACCURACY,
) -> dict[str, float]:
    """Return free_entropy and the order parameters of the Franz-Parisi saddle.

    Parameters
    ----------
    alpha, reference_kappa, kappa, distance
        Load, margins of reference and probe, Hamming distance.
    start
        q, t, phat to begin with; qr and qrhat of the reference are taken as given.
    tolerance
        ``epsabs`` and ``epsrel`` of each quadrature and the tolerance of the root finder.

    Raises
    ------
    ArithmeticError
        If the root finder does not converge.
    """
    qr, qrhat, p = start["qr"], start["qrhat"], 1 - 2 * distance
    margins = (reference_kappa, kappa)

    def explained(t: float) -> float:
        return t * t / qr + (p - t) ** 2 / (1 - qr)

    def threshold(f: Callable[[float, float], float], g: float, t: float) -> float:
        return _threshold_average(f, (g, t, p, qr), margins, tolerance)

    def weights(f: Callable[[float, float, float], float], conjugates: tuple[float, float, float]) -> float:
        return _weights_average(f, conjugates, qrhat, tolerance)

    def conjugates_of(g: float, t: float) -> tuple[float, float]:
        rest = max(1 - g - explained(t), 1e-12)
        qhat = alpha * threshold(lambda c, a: mills(a) ** 2, g, t) / rest
        that = alpha * threshold(lambda c, a: mills(c) * mills(a), g, t) / math.sqrt((1 - qr) * rest)
        return qhat, that

    def equations(v: np.ndarray) -> list[float]:
        q, t, phat = (float(x) for x in v)
        g = max(q - explained(t), 1e-14)  # the root finder steps out of the domain
        conjugates = (*conjugates_of(g, t), phat)
        return [
            weights(lambda x, s, field: math.tanh(field) ** 2, conjugates) - q,
            weights(lambda x, s, field: math.tanh(math.sqrt(qrhat) * x) * math.tanh(field), conjugates) - t,
            weights(lambda x, s, field: s * math.tanh(field), conjugates) - p,
        ]

    solution = root(equations, [start["q"], start["t"], start["phat"]], tol=tolerance)
    if not solution.success:
        raise ArithmeticError(solution.message)
    q, t, phat = (float(x) for x in solution.x)
    g = q - explained(t)
    qhat, that = conjugates_of(g, t)
    entropic = weights(lambda x, s, field: log_2cosh(field), (qhat, that, phat))
    energetic = threshold(lambda c, a: log_h(a), g, t)
    phi = -qhat * (1 - q) / 2 - p * phat + t * that + entropic + alpha * energetic
    orders = {"q": q, "qhat": qhat, "t": t, "that": that, "p": p, "phat": phat, "qr": qr, "qrhat": qrhat}
    return {"free_entropy": phi, **orders}


# ------------------------------------------------------------------------------------------------ clusters of replicas


def _tilted(
    log_f: Callable[[float], float],
    functions: tuple[Callable[[float], float], ...],
    power: float,
    mean: float,
    spread: float,
    tolerance: float,
) -> tuple[float, list[float]]:
    """Return ln int Dz f^power(mean + spread z), and the averages of functions of the same argument under this weight."""

    def exponent(z: float) -> float:
        return -z * z / 2 + power * log_f(mean + spread * z)

    far = REACH + min(power * abs(spread) * (1 + abs(mean)), power * abs(spread) + abs(mean / spread))
    grid = np.linspace(-far, far, 21)
    nearest = {max(side.tolist(), key=exponent) for side in (grid[:11], grid[10:])}  # 2 cosh has a peak on either side
    step = far / 10
    found = [minimize_scalar(lambda z: -exponent(z), bounds=(z - step, z + step), method="bounded") for z in nearest]
    peaks = sorted(float(one.x) for one in found)
    top = max(map(exponent, peaks))

    def integral(g: Callable[[float], float]) -> float:
        def integrand(z: float) -> float:
            return math.exp(exponent(z) - top) / ROOT_TWO_PI * g(mean + spread * z)

        ends = (peaks[0] - REACH, peaks[-1] + REACH)
        return float(quad(integrand, *ends, epsabs=tolerance, epsrel=tolerance, limit=200, points=peaks)[0])

    norm = integral(lambda x: 1.0)
    return top + math.log(norm), [integral(g) / norm for g in functions]


class _Threshold:
    """Averages of the constraint over clusters: fields of variance q0 outside, q1 - q0 inside."""

    def __init__(self, power: float, q0: float, q1: float, kappa: float, tolerance: float) -> None:
        self.power, self.tolerance = power, tolerance
        self.outer, self.inner, self.width = math.sqrt(q0), math.sqrt(max(q1 - q0, 1e-12)), math.sqrt(max(1 - q1, 1e-12))
        self.kappa = kappa

    def tilted(self, z: float, *functions: Callable[[float], float]) -> tuple[float, list[float]]:
        """The inner average at one outer field; the functions are of the argument of H."""
        mean = (self.kappa - self.outer * z) / self.width
        return _tilted(log_h, functions, self.power, mean, -self.inner / self.width, self.tolerance)

    def average(self, f: Callable[[float], float]) -> float:
        return gaussian_average(f, (self.kappa / self.outer,), self.tolerance)

    def pairs(self) -> tuple[float, float]:
        """E <h>^2 and E <h^2> with h = M / sqrt(1 - q1)."""
        between = self.average(lambda z: self.tilted(z, mills)[1][0] ** 2)
        inside = self.average(lambda z: self.tilted(z, lambda x: mills(x) ** 2)[1][0])
        return between / self.width**2, inside / self.width**2

    def logarithm(self) -> float:
        return self.average(lambda z: self.tilted(z)[0])


def local_entropy_point(
    alpha: float,
    kappa: float,
    y: float,
    overlap: float,
    start: Mapping[str, float],
    tolerance: float = ACCURACY,
) -> dict[str, float]:
    """Return free_entropy and the order parameters of y real replicas at an imposed mutual overlap.

    Parameters
    ----------
    alpha, kappa, y, overlap
        Load, margin, number of replicas, mutual overlap.
    start
        q0 and q1hat to begin with.
    tolerance
        ``epsabs`` and ``epsrel`` of each quadrature and the tolerance of the root finder.

    Raises
    ------
    ArithmeticError
        If the root finder does not converge.
    """

    def between(q0: float) -> float:
        threshold = _Threshold(y, q0, overlap, kappa, tolerance)
        return alpha * threshold.average(lambda z: threshold.tilted(z, mills)[1][0] ** 2) / threshold.width**2

    def weights(q0hat: float, q1hat: float, *functions: Callable[[float], float]) -> Callable[[float], Any]:
        outer, inner = math.sqrt(q0hat), math.sqrt(max(q1hat - q0hat, 1e-12))
        return lambda z: _tilted(log_2cosh, functions, y, outer * z, inner, tolerance)

    def equations(v: np.ndarray) -> list[float]:
        q0, q1hat = min(max(float(v[0]), 1e-9), overlap - 1e-9), float(v[1])
        q0hat = between(q0)
        mean = weights(q0hat, q1hat, math.tanh)
        square = weights(q0hat, q1hat, lambda x: math.tanh(x) ** 2)
        return [
            gaussian_average(lambda z: mean(z)[1][0] ** 2, (0.0,), tolerance) - v[0],
            gaussian_average(lambda z: square(z)[1][0], (0.0,), tolerance) - overlap,
        ]

    solution = root(equations, [start["q0"], start["q1hat"]], tol=tolerance)
    if not solution.success:
        raise ArithmeticError(solution.message)
    q0, q1hat = (float(x) for x in solution.x)
    q0hat, inside = between(q0), weights(between(q0), q1hat)
    phi = -y * (y - 1) / 2 * overlap * q1hat + y**2 / 2 * q0 * q0hat - y * q1hat / 2
    phi += gaussian_average(lambda z: inside(z)[0], (0.0,), tolerance)
    phi += alpha * _Threshold(y, q0, overlap, kappa, tolerance).logarithm()
    return {"free_entropy": phi, "q0": q0, "q0hat": q0hat, "q1": overlap, "q1hat": q1hat}


def broken_point(
    alpha: float, kappa: float, m: float, start: Mapping[str, float], tolerance: float = ACCURACY
) -> dict[str, float]:
    """Return free_entropy, q0 and q1 of spherical weights with one step of symmetry breaking.

    Parameters
    ----------
    alpha, kappa, m
        Load, margin, Parisi parameter.
    start
        q0 and q1 to begin with.
    tolerance
        ``epsabs`` and ``epsrel`` of each quadrature and the tolerance of the root finder.

    Raises
    ------
    ArithmeticError
        If the root finder does not converge.
    """

    def equations(v: np.ndarray) -> list[float]:
        q1 = min(max(float(v[1]), 1e-6), 1 - 1e-6)
        q0 = min(max(float(v[0]), 1e-6), q1 - 1e-9)
        rest = 1 - q1 + m * (q1 - q0)
        between, inside = _Threshold(m, q0, q1, kappa, tolerance).pairs()
        free = q0 / rest**2
        return [alpha * between - free, alpha * inside - free - (q1 - q0) / (rest * (1 - q1))]

    solution = root(equations, [start["q0"], start["q1"]], tol=tolerance)
    if not solution.success:
        raise ArithmeticError(solution.message)
    q0, q1 = (float(x) for x in solution.x)
    rest = 1 - q1 + m * (q1 - q0)
    volume = (math.log(1 - q1) + math.log(rest / (1 - q1)) / m + q0 / rest) / 2
    phi = volume + alpha / m * _Threshold(m, q0, q1, kappa, tolerance).logarithm()
    return {"free_entropy": phi, "q0": q0, "q1": q1}
