r"""Real replicas farther apart than typical solutions: averages continued to negative variances, by independent paths.

Two replicas are a pair of solutions of correlation ``q1`` whatever its sign relative to ``q0``: their free entropy is then
one average over a bivariate normal, without a negative variance anywhere.  For more, mpmath integrates along the imaginary
axis at 30 digits; the weights are finite sums.
"""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from scipy.special import binom, log_ndtr, logsumexp, ndtr
from scipy.stats import multivariate_normal

import replica
import saddle
from saddle.kernels.special_complex import complex_log2cosh_tanh, complex_log_h_mills_excess

LOCAL = ("binary-perceptron", "local-entropy")
ALPHA = 0.6


def interaction(y: int, p: dict[str, float]) -> float:
    q0, q1, a0, a1 = p["q0"], p["q1"], p["q0hat"], p["q1hat"]
    return -y * (y - 1) / 2 * q1 * a1 + y**2 / 2 * q0 * a0 - y * a1 / 2


def weights(y: int, p: dict[str, float]) -> float:
    """The trace over ``y`` spins: the magnetisation ``y - 2k`` of a cluster feels ``q1hat - q0hat`` alone."""
    x = np.arange(-10.0, 10.01, 0.02)
    k = np.arange(y + 1)
    m = (y - 2 * k)[:, None]
    exponent = np.log(binom(y, k))[:, None] + m * math.sqrt(p["q0hat"]) * x + m**2 * (p["q1hat"] - p["q0hat"]) / 2
    return float(np.exp(-(x**2) / 2) @ logsumexp(exponent, axis=0) * 0.02 / math.sqrt(2 * math.pi))


def log_both_above(a: np.ndarray, correlation: float) -> np.ndarray:
    """The logarithm of the probability that two normal variables of a correlation both exceed ``a``."""
    nodes, gauss = np.polynomial.legendre.leggauss(160)
    end = np.where(a < 0, 10 - a, np.minimum(10, 45 / np.maximum(a, 1)))[:, None]
    x = a[:, None] + end * (nodes + 1) / 2
    other = log_ndtr((correlation * x - a[:, None]) / math.sqrt(1 - correlation**2))
    return logsumexp(other - x**2 / 2 + np.log(gauss) + np.log(end / 2), axis=1) - 0.5 * math.log(2 * math.pi)


def pair(p: dict[str, float]) -> float:
    """The free entropy of two replicas with their constraints on a bivariate normal."""
    x = np.arange(-10.0, 10.01, 0.02)
    rest = 1 - p["q0"]
    together = log_both_above(-math.sqrt(p["q0"]) * x / math.sqrt(rest), (p["q1"] - p["q0"]) / rest)
    energy = float(np.exp(-(x**2) / 2) @ together * 0.02 / math.sqrt(2 * math.pi))
    return interaction(2, p) + weights(2, p) + ALPHA * energy


@pytest.mark.parametrize("overlap", [0.35, 0.2, 0.5])
def test_two_replicas_are_an_orthant_probability(overlap: float) -> None:
    point = saddle.solve(LOCAL, alpha=ALPHA, y=2, overlap=overlap)
    p = dict(point.order_parameters)
    assert point.converged
    assert (p["q0"] > p["q1"]) == (overlap < 0.391)
    assert point.free_entropy == pytest.approx(pair(p), abs=1e-13)
    for name in ("q0", "q0hat", "q1hat"):
        above, below = (pair({**p, name: p[name] + h}) for h in (1e-4, -1e-4))
        assert abs(above - below) / 2e-4 < 1e-6, name
    above, below = (pair({**p, "q1": overlap + h}) for h in (1e-4, -1e-4))
    assert point["slope"] == pytest.approx(-(above - below) / 1e-4, abs=1e-6)


def imaginary(y: int, p: dict[str, float], kappa: float) -> mp.mpf:
    """``int Dz0 ln int Dt H^y`` with an imaginary inner field, at 30 digits."""
    with mp.workdps(30):
        q0, q1 = mp.mpf(p["q0"]), mp.mpf(p["q1"])
        width, spread = mp.sqrt(1 - q1), mp.sqrt(q0 - q1)
        # along the line through the stationary point of the exponent nothing cancels
        step = mp.mpf(1) / 4

        def inside(z: mp.mpf) -> mp.mpf:
            a, b = (kappa - mp.sqrt(q0) * z) / width, spread / width

            def exponent(c: mp.mpf) -> mp.mpf:
                return c * c / 2 + y * mp.log(mp.erfc((a + b * c) / mp.sqrt(2)) / 2)

            c = mp.findroot(lambda c: mp.diff(exponent, c), 0.0, tol=1e-10)
            nodes = [(mp.erfc((a + b * mp.mpc(c, j * step)) / mp.sqrt(2)) / 2) ** y * mp.exp(mp.mpc(c, j * step) ** 2 / 2)
                     for j in range(60)]  # fmt: skip
            return mp.log(mp.re(2 * mp.fsum(nodes) - nodes[0]) * step / mp.sqrt(2 * mp.pi))

        terms = [mp.exp(-((j * step) ** 2) / 2) * inside(j * step) for j in range(-36, 37)]
        return mp.fsum(terms) * step / mp.sqrt(2 * mp.pi)


@pytest.mark.parametrize(("y", "overlap"), [(5, 0.3), pytest.param(20, 0.33, marks=pytest.mark.full)])
def test_more_replicas_against_mpmath(y: int, overlap: float) -> None:
    point = saddle.solve(LOCAL, alpha=ALPHA, y=y, overlap=overlap)
    p = dict(point.order_parameters)
    assert point.converged
    assert p["q1"] < p["q0"] < p["q1"] + (1 - p["q1"]) / y
    assert p["q1hat"] < p["q0hat"]
    value = interaction(y, p) + weights(y, p) + ALPHA * float(imaginary(y, p, 0.0))
    assert abs(point.free_entropy - value) < 1e-12 * y
    assert abs(point.free_entropy - value) <= point.error + 1e-13 * y


def test_free_entropy_passes_smoothly_through_the_typical_overlap() -> None:
    """There ``Phi = y phi_RS``, its slope vanishes and its curvature is the same on both sides."""
    typical = saddle.solve(("binary-perceptron", "rs"), alpha=ALPHA)
    q, h = typical.order_parameters["q"], 2e-3
    curve = saddle.local_entropy("binary-perceptron", ALPHA, y=5, overlap=[q + 2 * h, q + h, q - h, q - 2 * h])
    assert all(point.converged for point in curve.points)
    far, near, below, beyond = (point.free_entropy - 5 * typical.free_entropy for point in curve.points)
    assert near == pytest.approx(below, rel=2e-2)
    assert (far + beyond) / (near + below) == pytest.approx(4.0, rel=1e-3)
    assert (far - beyond) / (near - below) == pytest.approx(8.0, rel=1e-2)
    slopes = [point["slope"] for point in curve.points]
    assert slopes[0] > slopes[1] > 0.0 > slopes[2] > slopes[3]


@pytest.mark.parametrize(("y", "overlap"), [(5.0, 0.3), (2.5, 0.33)])
def test_the_internal_entropy_is_the_derivative(y: float, overlap: float) -> None:
    h = 1e-3
    below, at, above = (saddle.solve(LOCAL, alpha=ALPHA, y=y + d, overlap=overlap) for d in (-h, 0.0, h))
    assert at["local_entropy"] == pytest.approx((above.free_entropy - below.free_entropy) / (2 * h), abs=1e-7)


def test_a_start_from_below_is_used_and_one_from_above_does_no_harm() -> None:
    low = saddle.solve(LOCAL, alpha=ALPHA, y=5, overlap=0.3)
    warm = saddle.solve(LOCAL, alpha=ALPHA, y=5, overlap=0.31, start=low)
    cold = saddle.solve(LOCAL, alpha=ALPHA, y=5, overlap=0.31)
    assert len(warm.iterations) < 8
    assert warm.free_entropy == pytest.approx(cold.free_entropy, abs=1e-12)
    high = saddle.solve(LOCAL, alpha=ALPHA, y=5, overlap=0.5, start=low)
    assert high.order_parameters["q0"] < 0.5
    assert saddle.solve(LOCAL, alpha=ALPHA, y=5, overlap=0.31, start=high).free_entropy == pytest.approx(
        cold.free_entropy, abs=1e-12
    )


@pytest.mark.full
def test_spherical_weights_below_the_typical_overlap() -> None:
    """One constraint less: the volume of two vectors at a given angle is elementary."""
    typical = saddle.solve(("spherical-perceptron", "rs"), alpha=1.0)
    q = typical.order_parameters["q"]
    point = saddle.solve(("spherical-perceptron", "local-entropy"), alpha=1.0, y=2, overlap=q - 0.1)
    p = point.order_parameters
    assert p["q0"] > p["q1"]
    assert point.free_entropy < 2 * typical.free_entropy
    x = np.arange(-10.0, 10.01, 0.02)

    def phi(q0: float) -> float:
        rest = 1 - q0
        together = log_both_above(-math.sqrt(q0) * x / math.sqrt(rest), (p["q1"] - q0) / rest)
        energy = float(np.exp(-(x**2) / 2) @ together * 0.02 / math.sqrt(2 * math.pi))
        even = 1 + p["q1"] - 2 * q0
        return 0.5 * (math.log(1 - p["q1"]) + math.log(even) + 2 * q0 / even) + energy

    assert point.free_entropy == pytest.approx(phi(p["q0"]), abs=1e-12)
    assert abs(phi(p["q0"] + 1e-4) - phi(p["q0"] - 1e-4)) / 2e-4 < 1e-6


def test_complex_functions_are_those_of_mpmath() -> None:
    points = [complex(a, b) for a in (-7.3, -1.9, -0.4, 0.0, 0.6, 3.1, 20.0) for b in (0.0, 0.3, -1.4, 2.9, 6.0)]
    with mp.workdps(30):
        for x in points:
            z = mp.mpc(x)
            tail = mp.erfc(z / mp.sqrt(2)) / 2
            mills = mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi) / tail
            log_h, ratio, excess = complex_log_h_mills_excess(x)
            assert abs(mp.exp(log_h) / tail - 1) < 1e-14 * (1 + abs(log_h)), x
            assert abs(ratio / mills - 1) < 2e-14, x
            assert abs(excess / (mills - z) - 1) < 1e-15 * (10 + abs(x) ** 2), x
            log_c, tanh = complex_log2cosh_tanh(x)
            assert abs(mp.exp(log_c) / (2 * mp.cosh(z)) - 1) < 1e-15 * (4 + abs(x)), x
            assert abs(tanh - mp.tanh(z)) <= 2e-15 * abs(mp.tanh(z)), x


@pytest.mark.full
@pytest.mark.parametrize(("beta", "distance"), [(3.0, 0.4), (1.0, 0.48)])
def test_two_replicas_at_a_temperature_below_the_typical_overlap(beta: float, distance: float) -> None:
    """For two replicas the pair of fields is an ordinary one, of a negative covariance: two-dimensional normal integrals."""
    model = replica.soft(replica.zoo.binary_perceptron())
    point = saddle.solve((model, "local-entropy"), alpha=0.6, beta=beta, y=2.0, distance=distance, throw=True)
    q0, q1, hat0, hat1 = (point.order_parameters[name] for name in ("q0", "q1", "q0hat", "q1hat"))
    assert q0 > q1
    z, step, cost = np.arange(-9.0, 9.01, 0.05), 0.05, math.exp(-beta)
    gauss = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * step
    covariance = [[1 - q0, q1 - q0], [q1 - q0, 1 - q0]]
    fields = np.sqrt(q0) * z
    both = multivariate_normal([0.0, 0.0], covariance).cdf(np.column_stack([fields, fields]))
    one = ndtr(fields / math.sqrt(1 - q0))
    factor = cost**2 + 2 * cost * (1 - cost) * one + (1 - cost) ** 2 * both
    pair = 2 + 2 * np.exp(2 * (hat1 - hat0)) * np.cosh(2 * math.sqrt(hat0) * z)
    phi = -q1 * hat1 + 2 * q0 * hat0 - hat1 + gauss @ np.log(pair) + 0.6 * gauss @ np.log(factor)
    assert point.free_entropy == pytest.approx(phi, abs=1e-8)
    given = {"alpha": 0.6, "y": 2.0, "distance": distance}
    warm = [saddle.solve((model, "local-entropy"), beta=beta + s * 1e-3, **given) for s in (1, -1)]
    slope = (warm[0].free_entropy - warm[1].free_entropy) / 2e-3
    assert point["energy"] == pytest.approx(-slope / 2, abs=1e-6)
