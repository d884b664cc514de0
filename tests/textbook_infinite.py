"""Infinitely many replicas, typed by hand: the formulas of the literature with dense trapezoids in numpy.

The maximiser is not solved for: with ``u`` the maximising field, the field between clusters is ``u - C f'(u)``, so that the
averages are integrals over ``u`` (for the weights from where the maximiser jumps to, twice the half line).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr


def patterns(q1: float, shift: float, kappa: float, teacher: float = 0.0, count: int = 100_000) -> dict[str, float]:
    """Averages over the field of a pattern: ``value`` of the maximum, ``h2``, logarithm of the curvature, slope in q1.

    ``teacher`` is the overlap with a teacher, whose label is that of the pattern.
    """
    s = math.sqrt(1 - q1)
    reach = 14 * math.sqrt(q1 + max(shift, 0.0))
    u = np.linspace(-reach, reach, count)
    x = (kappa - u) / s
    log_h = log_ndtr(-x)
    h = np.exp(-x * x / 2 - log_h) / math.sqrt(2 * math.pi) / s
    slope = -h * (h - x / s)
    weight = (1 - shift * slope) * np.exp(-((u - shift * h) ** 2) / (2 * q1)) / math.sqrt(2 * math.pi * q1) * (u[1] - u[0])
    weight *= 2 * ndtr(teacher * (u - shift * h) / math.sqrt(q1 * (q1 - teacher**2)))
    second = slope / (1 - shift * slope)
    return {
        "value": float(weight @ (log_h - shift * h * h / 2)),
        "h2": float(weight @ (h * h)),
        "curvature": float(weight @ np.log(1 - shift * slope)),
        "second": float(weight @ second),
        "slope": float(weight @ (second - slope - h * h)) / 2,
    }


def weights(
    variance: float, shift: float, field: float = 0.0, teacher: float = 0.0, count: int = 400
) -> dict[str, float]:
    """Averages over the field of a weight, with a field along a reference of the sign of the field between clusters.

    ``teacher`` is a field along the weight of a teacher, by whose sign everything is measured: the field between
    clusters has this mean.
    """

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
    above, below = (np.exp(-((z - sign * teacher) ** 2) / (2 * variance)) for sign in (1, -1))
    norm = du * curvature / math.sqrt(2 * math.pi * variance)
    measure, along = norm * (above + below), norm * (above - below)
    value = u + np.log1p(np.exp(-2 * u)) - shift * tanh**2 / 2
    return {
        "value": float(measure @ value),
        "t2": float(measure @ tanh**2),
        "t": float(measure @ tanh),
        "aligned": float(along @ tanh),
        "zt": (float(measure @ (z * tanh)) - teacher * float(along @ tanh)) / variance,
        "curvature": float(measure @ np.log(curvature)),
    }


def _minimum(shift: float) -> float:
    """Where ``u - shift tanh u`` has its minimum on the half line."""
    return math.atanh(math.sqrt(1 - 1 / shift)) if shift > 1 else 0.0


def binary(alpha: float, kappa: float, found: dict[str, float]) -> dict[str, float]:
    """Local entropy, complexity, residuals and slope of the binary perceptron at given order parameters.

    With ``r`` and ``rhat`` (``r_w`` and ``r_what`` beside a reference) the labels are those of a teacher.
    """
    q1, a, b, c = (found[name] for name in ("q1", "q1hat", "B", "C"))
    reference, field = found.get("S", 0.0), found.get("Shat", 0.0)
    r, rhat = found.get("r", found.get("r_w", 0.0)), found.get("rhat", found.get("r_what", 0.0))
    e, w = patterns(q1, c, kappa, r), weights(a, b, field, rhat)
    label = [patterns(q1, c, kappa, r + sign * 1e-4)["value"] for sign in (1, -1)] if r else [0.0, 0.0]
    residuals = [r - w["aligned"], 1e-3 * (rhat - alpha * (label[0] - label[1]) / 2e-4)]  # the latter by differences
    residuals += [a - alpha * e["h2"], q1 - w["t2"], 1 - q1 + c - w["zt"]]
    residuals += [reference - w["t"], a / 2 - b / 2 + alpha * e["slope"]] if "S" in found else []
    return {
        "local_entropy": -a * (1 - q1 + c) / 2 - b * q1 / 2 - reference * field - r * rhat + w["value"] + alpha * e["value"],
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


def levels(variance: float, shift: float, curvature: float, field: float | None = None) -> dict[str, float]:
    r"""Averages over the field between clusters of weights -1, 0, 1: :math:`\max_{u,s} f(u + g s) - g s^2/2 - (u-z)^2/(2v)`.

    ``f`` is :math:`\ln(1 + 2 e^{c/2} \cosh)` with the curvature ``c``; ``g`` is the ``field`` along a reference, which is
    another weight ``s`` (None: without one).  Maxima are found by iterating :math:`u = z + v f'(u)` from both ends and
    the middle, jumps between them by bisection.
    """
    sites = (0.0,) if field is None else (-1.0, 0.0, 1.0)
    g = field or 0.0
    boost = math.exp(curvature / 2)

    def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scale = np.exp(-np.abs(x))
        norm = scale + boost * (1 + scale**2)
        return np.log(norm) + np.abs(x), boost * np.sign(x) * (1 - scale**2) / norm, boost * (1 + scale**2) / norm

    def best(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        top, place, chosen = np.full(z.shape, -np.inf), z.copy(), np.zeros_like(z)
        for s in sites:
            for start in (-shift, 0.0, shift):
                x = np.full(z.shape, start)
                for _ in range(200):
                    x = shift * moments(z + x + g * s)[1]
                for _ in range(8):
                    _, first, second = moments(z + x + g * s)
                    x = x - (x - shift * first) / (1 - shift * (second - first**2))
                height = moments(z + x + g * s)[0] - g * s * s / 2 - x * x / (2 * shift)
                better = height > top
                top, place, chosen = (np.where(better, new, old) for new, old in
                                      ((height, top), (x, place), (np.full_like(z, s), chosen)))  # fmt: skip
        return top, place, chosen

    reach = 11 * math.sqrt(variance)
    ends = [0.0, *_jumps(best, np.linspace(0.0, reach, 300), shift), reach]
    node, weight = np.polynomial.legendre.leggauss(120)
    half = [(b - a) / 2 for a, b in itertools.pairwise(ends)]
    z = np.concatenate([a + h * (node + 1) for a, h in zip(ends, half, strict=False)])
    measure = np.concatenate([2 * h * weight for h in half]) * np.exp(-z * z / (2 * variance))
    measure /= math.sqrt(2 * math.pi * variance)
    top, x, s = best(z)
    _, first, second = moments(z + x + g * s)
    bend = 1 - shift * (second - first**2)
    numbers = {"value": top, "w": first**2, "w2": second, "zw": z * first, "sw": s * first, "s2": s * s}
    numbers["bend"] = np.log(bend)
    return {name: float(measure @ value) for name, value in numbers.items()}


def _jumps(best: object, grid: np.ndarray, shift: float) -> list[float]:
    """Where the maximiser jumps: its change over a cell is not that of a smooth function."""
    _, x, s = best(grid)  # type: ignore[operator]
    width = grid[1] - grid[0]
    found = []
    for i in np.nonzero((s[1:] != s[:-1]) | (np.abs(np.diff(x)) > 0.3 * shift + 0.1 * width))[0]:
        low, high = float(grid[i]), float(grid[i + 1])
        left = x[i], s[i]
        for _ in range(45):
            middle = (low + high) / 2
            _, here, site = best(np.array([middle]))  # type: ignore[operator]
            on_left = site[0] == left[1] and abs(here[0] - left[0]) < abs(here[0] - x[i + 1])
            low, high = (middle, high) if on_left else (low, middle)
        found.append((low + high) / 2)
    return found


def ternary(alpha: float, kappa: float, found: dict[str, float]) -> dict[str, float]:
    """Local entropy, complexity and residuals of weights -1, 0, 1 at given order parameters."""
    q1, a, b, c = (found[name] for name in ("q1", "q0hat", "B", "C"))
    norm, norm_hat = (found[name] for name in (("Q_w", "Q_what") if "S" in found else ("Q", "Qhat")))
    reference = found.get("Shat", 0.0)
    # the norm of a field is that of a pattern in other units
    e = patterns(q1 / norm, c / norm, kappa / math.sqrt(norm))
    w = levels(a, b, norm_hat - a, found.get("Shat"))
    second = e["second"] / norm
    slope_q1, slope_norm = _slopes(lambda x, n: patterns(x / n, c / n, kappa / math.sqrt(n))["value"], q1, norm)
    residuals = [a - alpha * e["h2"] / norm, q1 - w["w"], norm - w["w2"], c + norm - q1 - w["zw"] / a]
    interaction = -norm * norm_hat / 2 + q1 * a / 2 - b * q1 / 2 - c * a / 2
    if "S" in found:
        residuals += [found["S"] - w["sw"], found["Q_ref"] - w["s2"], 1e-3 * (a / 2 - b / 2 + alpha * slope_q1)]
        residuals += [1e-3 * (alpha * slope_norm - norm_hat / 2 - reference / 2)]
        interaction += -found["S"] * reference + found["Q_ref"] * reference / 2
    else:
        residuals += [1e-3 * (alpha * (slope_q1 + slope_norm) - norm_hat / 2 + a / 2 - b / 2)]
    return {
        "local_entropy": interaction + w["value"] + alpha * e["value"],
        "complexity": b * q1 / 2 - b * w["w2"] / 2 - w["bend"] / 2 - alpha * (c * second + e["curvature"]) / 2,
        "residual": max(map(abs, residuals)),
    }


def _slopes(function: object, x: float, norm: float) -> list[float]:
    """Both partial derivatives by differences."""
    steps = ((1e-4, 0.0), (0.0, 1e-4))
    ends = [[function(x + s * dx, norm + s * dn) for s in (1, -1)] for dx, dn in steps]  # type: ignore[operator]
    return [float(above - below) / 2e-4 for above, below in ends]


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
