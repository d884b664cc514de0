"""Franz-Parisi profiles of spherical weights against the potential written by hand, down to the smallest distances."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import special

import replica
import saddle
from saddle.points.results import SaddlePoint, Status
from saddle.points.setting import Setting
from saddle.points.solving import solve_point

SPHERICAL = replica.zoo.spherical_perceptron()


def nodes(centres: list[float], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre panels over a range, graded towards the centres; the logarithms of weights for a unit Gaussian."""
    cuts = {-reach, reach}
    for centre in centres:
        steps = np.geomspace(1e-3, 2 * reach, 18)
        cuts |= {c for c in (centre, *(centre + steps), *(centre - steps)) if abs(c) < reach}
    edges = np.array(sorted(cuts))
    x, w = np.polynomial.legendre.leggauss(12)
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    z = (middle + half * x).ravel()
    return z, np.log((half * w).ravel()) - z * z / 2 - 0.5 * math.log(2 * math.pi)


def potential(point: SaddlePoint) -> float:
    """The double integral over the reference's field and the probe's, and the determinant, at the point's overlaps."""
    q, t, p, qr = (point.order_parameters[k] for k in ("q", "t", "p", "qr"))
    alpha, kappa, reference = (point.parameters[k] for k in ("alpha", "kappa", "reference_kappa"))
    b, g = (p - t) / math.sqrt(1 - qr), q - t * t / qr - (p - t) ** 2 / (1 - qr)
    width = math.sqrt(b * b + g)
    total = 0.0
    xs, outer = nodes([reference / math.sqrt(qr), kappa * math.sqrt(qr) / t], 9.0)
    for x, weight in zip(xs, outer, strict=True):
        c = (reference - math.sqrt(qr) * x) / math.sqrt(1 - qr)
        rest = kappa - t * x / math.sqrt(qr)
        u, inner = nodes([c * width / b, rest / width], 9.0 + abs(c))
        conditioned = special.log_ndtr(-(c * width - b * u) / math.sqrt(g)) - special.log_ndtr(-c)
        probes = special.log_ndtr(-(rest - width * u) / math.sqrt(1 - q))
        total += math.exp(weight) * np.sum(np.exp(inner + conditioned) * probes)
    left, off = 1 - q, t - p * qr
    entropic = 0.5 * math.log(left) + (g + off**2 / (qr * (1 - qr) ** 2)) / (2 * left)
    return float(entropic + alpha * total)


@pytest.mark.parametrize(
    ("alpha", "reference", "kappa", "distance"),
    [(0.5, 0.5, 0.0, 0.1), (1.5, 0.05, 0.0, 0.01), (5.0, -0.6, -1.0, 0.2), (9.0, -0.9, -1.0, 0.02), (0.6, 0.65, 0.6, 0.26)],
)
def test_against_the_potential_by_hand(alpha: float, reference: float, kappa: float, distance: float) -> None:
    (point,) = saddle.franz_parisi(SPHERICAL, alpha, reference, kappa, distance).points
    assert isinstance(point, SaddlePoint)
    assert point.free_entropy == pytest.approx(potential(point), abs=1e-9)


def test_small_distances_approach_the_bound() -> None:
    """The entropy of all configurations at the distance, ln(1 - p^2)/2, is reached from below; residuals stay small."""
    distances = [1e-4, 3e-4, 1e-3, 3e-3]
    for alpha, reference, kappa in ((1.0, 0.2, 0.0), (1.5, 0.05, 0.0), (5.0, -0.6, -1.0), (0.3, 1.0, -2.0)):
        curve = saddle.franz_parisi(SPHERICAL, alpha, reference, kappa, distances)
        assert curve.converged
        bounds = 0.5 * np.log(4 * np.array(distances) * (1 - np.array(distances)))
        assert np.allclose(curve.bound, bounds, rtol=1e-14)
        deficits = curve.bound - curve.free_entropy
        assert np.all(deficits > -curve.error)
        assert np.all(np.diff(deficits) > -curve.error[1:])
        assert np.all(curve.residual <= 1e-12)


def test_cold_points_are_answered() -> None:
    """Loads up to 0.95 of the reference's limit, margins in [-2, 1], any distance: a value, or an end that is named."""
    setting, draw = Setting.of((SPHERICAL, "franz-parisi")), random.Random(11)
    for _ in range(60):
        kappa = draw.uniform(-2.0, 1.0)
        reference = kappa + math.exp(draw.uniform(math.log(0.01), math.log(2.0)))
        alpha = draw.uniform(0.001, 0.95) * saddle.capacity(SPHERICAL, reference).value
        distance = math.exp(draw.uniform(math.log(1e-4), math.log(0.499)))
        values = {"alpha": alpha, "kappa": kappa, "reference_kappa": reference, "distance": distance}
        point = solve_point(setting, setting.resolve(values, 1e-12), None, 1e-12)
        assert point.status.is_answer, (values, point.message)
        if point.converged:
            assert point.free_entropy <= point.observables["bound"] + point.error
            assert point.residual <= 1e-12


def test_far_probes_freeze() -> None:
    """The solutions of a convex problem lie within a cap: beyond its width there is no probe, and the message says so."""
    found = saddle.solve((SPHERICAL, "franz-parisi"), alpha=0.6165, kappa=0.636, reference_kappa=0.6484, distance=0.36)
    assert found.status is Status.BRANCH_END
    assert "freeze" in found.message


def test_the_largest_reference_margin_is_refused() -> None:
    with pytest.raises(replica.InputError, match="singular for spherical weights"):
        saddle.franz_parisi(SPHERICAL, 0.5, "max", 0.0, 0.1)
