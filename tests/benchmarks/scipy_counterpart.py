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

import numpy as np
from scipy.integrate import quad
from scipy.optimize import root
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
