"""Infinitely many replicas, typed by hand: the formulas of the literature with dense trapezoids in numpy.

The maximiser is not solved for: with ``u`` the maximising field, the field between clusters is ``u - C f'(u)``, so that the
averages are integrals over ``u`` (for the weights from where the maximiser jumps to, twice the half line).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr


def patterns(q1: float, shift: float, kappa: float, count: int = 100_000) -> dict[str, float]:
    """Averages over the field of a pattern: ``value`` of the maximum, ``h2``, logarithm of the curvature, slope in q1."""
    s = math.sqrt(1 - q1)
    reach = 14 * math.sqrt(q1 + max(shift, 0.0))
    u = np.linspace(-reach, reach, count)
    x = (kappa - u) / s
    log_h = log_ndtr(-x)
    h = np.exp(-x * x / 2 - log_h) / math.sqrt(2 * math.pi) / s
    slope = -h * (h - x / s)
    weight = (1 - shift * slope) * np.exp(-((u - shift * h) ** 2) / (2 * q1)) / math.sqrt(2 * math.pi * q1) * (u[1] - u[0])
    second = slope / (1 - shift * slope)
    return {
        "value": float(weight @ (log_h - shift * h * h / 2)),
        "h2": float(weight @ (h * h)),
        "curvature": float(weight @ np.log(1 - shift * slope)),
        "second": float(weight @ second),
        "slope": float(weight @ (second - slope - h * h)) / 2,
    }


def weights(variance: float, shift: float, field: float = 0.0, count: int = 400) -> dict[str, float]:
    """Averages over the field of a weight, with a field along a reference of the sign of the field between clusters."""

    def between(u: float) -> float:
        return u - field - shift * math.tanh(u)

    high = shift + field + 1.0
    first = brentq(between, _minimum(shift), high) if shift > 1 or field > 0 else 0.0
    node, weight = np.polynomial.legendre.leggauss(count)
    t, length = (node + 1) / 2, 12 * math.sqrt(variance) + shift + 5
    u, du = first + length * t**3, weight / 2 * length * 3 * t**2
    tanh = np.tanh(u)
    curvature = 1 - shift * (1 - tanh**2)
    z = u - field - shift * tanh
    measure = 2 * du * curvature * np.exp(-z * z / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    value = u + np.log1p(np.exp(-2 * u)) - shift * tanh**2 / 2
    return {
        "value": float(measure @ value),
        "t2": float(measure @ tanh**2),
        "t": float(measure @ tanh),
        "zt": float(measure @ (z * tanh)) / variance,
        "curvature": float(measure @ np.log(curvature)),
    }


def _minimum(shift: float) -> float:
    """Where ``u - shift tanh u`` has its minimum on the half line."""
    return math.atanh(math.sqrt(1 - 1 / shift)) if shift > 1 else 0.0


def binary(alpha: float, kappa: float, found: dict[str, float]) -> dict[str, float]:
    """Local entropy, complexity, residuals and slope of the binary perceptron at given order parameters."""
    q1, a, b, c = (found[name] for name in ("q1", "q1hat", "B", "C"))
    reference, field = found.get("S", 0.0), found.get("Shat", 0.0)
    e, w = patterns(q1, c, kappa), weights(a, b, field)
    residuals = [a - alpha * e["h2"], q1 - w["t2"], 1 - q1 + c - w["zt"]]
    residuals += [reference - w["t"], a / 2 - b / 2 + alpha * e["slope"]] if "S" in found else []
    return {
        "local_entropy": -a * (1 - q1 + c) / 2 - b * q1 / 2 - reference * field + w["value"] + alpha * e["value"],
        "complexity": (c - w["zt"]) * b / 2 - w["curvature"] / 2 - alpha * (c * e["second"] + e["curvature"]) / 2,
        "residual": max(map(abs, residuals)),
        "slope": a / 2 - b / 2 + alpha * e["slope"],
    }


def spherical(alpha: float, kappa: float, q1: float, c: float) -> dict[str, float]:
    """Local entropy, complexity and residual of the spherical perceptron at given order parameters."""
    e = patterns(q1, c, kappa)
    d = 1 - q1 + c
    return {
        "local_entropy": math.log(1 - q1) / 2 + q1 / (2 * d) + alpha * e["value"],
        "complexity": math.log(d / (1 - q1)) / 2 - c / (2 * d) - alpha * (c * e["second"] + e["curvature"]) / 2,
        "residual": abs(alpha * e["h2"] - q1 / d**2),
    }


def finite(y: float, alpha: float, kappa: float, found: dict[str, float]) -> float:
    """The free entropy of ``y`` replicas at q0 = q1 - C/y, q1hat = q0hat + B/y, with nothing extremised."""
    q1, a, b, c = (found[name] for name in ("q1", "q1hat", "B", "C"))
    q0, q1hat = q1 - c / y, a + b / y
    interaction = -y * (y - 1) / 2 * q1 * q1hat + y * y / 2 * q0 * a - y * q1hat / 2
    s = math.sqrt(1 - q1)

    def trace(field: np.ndarray) -> np.ndarray:
        return np.logaddexp(field, -field)

    def tail(field: np.ndarray) -> np.ndarray:
        return log_ndtr((field - kappa) / s)

    return interaction + _outer(a, b, y, trace) + alpha * _outer(q0, c, y, tail)


def _outer(variance: float, shift: float, y: float, log_factor: object) -> float:
    """E ln E exp(y f) with an inner variance ``shift / y``, both by trapezoids; fine around 0, where modes compete."""
    t = np.linspace(-4.2, 4.2, 1601)
    z = 0.02 * np.sinh(2 * t) * math.sqrt(variance)
    step = 0.04 * np.cosh(2 * t) * math.sqrt(variance) * (t[1] - t[0])
    inner = np.linspace(-9.0, 9.0, 6001) * math.sqrt(shift)
    exponent = y * log_factor(z[:, None] + inner) - y * inner**2 / (2 * shift)  # type: ignore[operator]
    top = exponent.max(axis=1)
    norm = (inner[1] - inner[0]) * math.sqrt(y / (2 * math.pi * shift))
    log = top + np.log(np.exp(exponent - top[:, None]).sum(axis=1) * norm)
    return float((step * np.exp(-z * z / (2 * variance))) @ log) / math.sqrt(2 * math.pi * variance)
