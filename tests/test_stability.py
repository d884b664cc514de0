"""Every replica-symmetric number says whether it is stable; the AT line of the sphere against integrals written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, special

import replica
import saddle

SPHERICAL = replica.zoo.spherical_perceptron()
BINARY = replica.zoo.binary_perceptron()


def moments(q: float, kappa: float) -> tuple[float, float]:
    """Means of h^2 and h'^2 over the Gaussian of variance q, by a fine trapezoid around the kink."""
    t, width = np.linspace(-9.0, 9.0, 4001), math.sqrt((1 - q) / q)
    z, step = kappa / math.sqrt(q) + width * np.sinh(t), width * np.cosh(t) * (t[1] - t[0])
    x = (kappa - math.sqrt(q) * z) / math.sqrt(1 - q)
    mills = math.sqrt(2 / math.pi) / special.erfcx(x / math.sqrt(2))
    weight = step * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    second, curvature = mills**2 / (1 - q), (mills * (mills - x) / (1 - q)) ** 2
    return float(np.sum(weight * second)), float(np.sum(weight * curvature))


def overlap_on_at_line(kappa: float) -> float:
    """Where q E h'^2 = E h^2: the saddle equation inserted into the AT condition of the sphere."""

    def miss(q: float) -> float:
        second, curvature = moments(q, kappa)
        return q * curvature - second

    return float(optimize.brentq(miss, 0.02, 0.98, xtol=1e-14))


@pytest.mark.parametrize("kappa", [-2.0, -1.0, -0.5])
def test_at_line_of_the_sphere(kappa: float) -> None:
    q = overlap_on_at_line(kappa)
    alpha = q / (1 - q) ** 2 / moments(q, kappa)[0]
    point = saddle.solve((SPHERICAL, "rs"), alpha=alpha, kappa=kappa)
    assert point.order_parameters["q"] == pytest.approx(q, abs=1e-9)
    assert point.observables["replicon"] == pytest.approx(0.0, abs=1e-8)
    below, above = (saddle.solve((SPHERICAL, "rs"), alpha=alpha * f, kappa=kappa) for f in (0.99, 1.01))
    assert below.observables["stable"] is True and not below.warnings
    assert above.observables["stable"] is False
    assert "replica symmetry is broken" in above.warnings[0]
    assert alpha < saddle.capacity(SPHERICAL, kappa).value


@pytest.mark.parametrize(("alpha", "kappa"), [(0.8, 0.4), (5.0, -1.0), (1.9, 0.0), (60.0, -2.0)])
def test_replicon_of_the_sphere(alpha: float, kappa: float) -> None:
    point = saddle.solve((SPHERICAL, "rs"), alpha=alpha, kappa=kappa)
    q = point.order_parameters["q"]
    second, curvature = moments(q, kappa)
    assert q / (1 - q) ** 2 == pytest.approx(alpha * second, rel=1e-9)
    assert point.observables["replicon"] == pytest.approx(1 - alpha * (1 - q) ** 2 * curvature, abs=1e-9)


def test_margins_of_zero_and_more_are_stable() -> None:
    curve = saddle.entropy_curve(SPHERICAL, [0.3, 0.9], [0.0, 0.5, 1.0])
    solved = [point for point in curve.points if point.converged]
    assert len(solved) >= 4
    assert all(point["stable"] is True for point in solved)


def test_profiles_say_whether_reference_and_probes_are_stable() -> None:
    stable = saddle.franz_parisi(BINARY, 0.5, 0.2, 0.0, [0.05, 0.1])
    assert [point["stable"] for point in stable.points] == [True, True]
    assert not stable.warnings
    unstable = saddle.franz_parisi(SPHERICAL, 9.0, -0.9, -1.0, [0.1])
    reference = saddle.solve((SPHERICAL, "rs"), alpha=9.0, kappa=-0.9)
    assert reference.observables["stable"] is False
    assert unstable.points[0]["stable"] is False
    assert any("reference" in text for text in unstable.warnings)


def test_thresholds_say_whether_they_are_stable() -> None:
    for point in (saddle.capacity(BINARY, 0.0), saddle.max_margin(BINARY, 0.5), saddle.max_margin(SPHERICAL, 1.5)):
        assert point["stable"] is True
    deep = saddle.max_margin(SPHERICAL, 10.0)
    assert deep["stable"] is False
    assert deep.value < 0.0 and deep.warnings
