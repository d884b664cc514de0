"""References whose margin lies hundreds of standard deviations out, against an integral over what they exceed it by."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import erfcx, log_ndtr

import replica
import saddle
from replica import zoo
from replica.evaluation import evaluate
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, reference_point

BINARY = ("binary-perceptron", "franz-parisi")


def energetic(point: saddle.SaddlePoint | SimpleNamespace) -> float:
    """The average of ln H over patterns, references and probes (arXiv 2107.01163), for references in the far tail.

    The reference's stability exceeds the margin by ``s``, whose weight is exp(-c s - s^2/2) over its norm.
    """
    q, t, p, qr = (point.order_parameters[name] for name in ("q", "t", "p", "qr"))
    kappa, reference_kappa = point.parameters["kappa"], point.parameters["reference_kappa"]
    b = (p - t) / np.sqrt(1.0 - qr)
    x, of_x = np.polynomial.legendre.leggauss(300)
    nodes, of_s = np.polynomial.legendre.leggauss(100)
    y, of_y = np.polynomial.hermite_e.hermegauss(60)
    total = 0.0
    for z, weight in zip(10.0 * x, 10.0 * of_x * np.exp(-50.0 * x * x) / np.sqrt(2.0 * np.pi), strict=True):
        c = (reference_kappa - np.sqrt(qr) * z) / np.sqrt(1.0 - qr)
        assert c > 10.0
        s = 20.0 / c * (1.0 + nodes)
        tilted = 20.0 / c * of_s * np.exp(-c * s - s * s / 2) / (np.sqrt(np.pi / 2) * erfcx(c / np.sqrt(2.0)))
        mean = kappa - t * z / np.sqrt(qr) - b * (c + s[:, None])
        field = (mean - np.sqrt(q - t * t / qr - b * b) * y) / np.sqrt(1.0 - q)
        total += weight * float(tilted @ log_ndtr(-field) @ of_y) / np.sqrt(2.0 * np.pi)
    return total


@pytest.mark.parametrize("reference_kappa", [15.0, 60.0])
def test_the_oracle_finds_the_mass_of_a_far_reference(reference_kappa: float) -> None:
    overlaps, margins = {"q": 0.6, "t": 0.35, "p": 0.55, "qr": 0.5}, {"kappa": 0.9 * reference_kappa}
    margins["reference_kappa"] = reference_kappa
    entropy = replica.derive(zoo.binary_perceptron(), "franz-parisi")
    found = evaluate(entropy.energetic, {**overlaps, **margins}, dict(entropy.definitions), digits=13)
    expected = energetic(SimpleNamespace(order_parameters=overlaps, parameters=margins))
    assert float(found) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("margin", "kappa", "distance"), [("max", 0.0, 0.4999), ("max", 0.0, 0.45), (20.0, 10.0, 0.2)])
def test_a_single_cold_point_far_in_the_tail(margin: float | str, kappa: float, distance: float) -> None:
    point = saddle.solve(BINARY, alpha=1e-3, kappa=kappa, reference_kappa=margin, distance=distance)
    assert point.converged and point.residual < 1e-12, point.message
    setting, values = Setting.of(BINARY), {name: float(value) for name, value in point.parameters.items()}
    problem = problem_of(setting, values, reference_point(setting, values, 1e-12))
    state = problem.state(problem.to_coordinates(point.order_parameters), setting.rule.refined())
    assert state is not None
    assert state.energetic == pytest.approx(energetic(point), rel=1e-9)
    assert point.error < 1e-12


def test_exponents_that_cancel_leave_their_rounding() -> None:
    """They are of tens of thousands; the truth is from 30 digits, with nodes at the mass of the reference."""
    point = saddle.solve(BINARY, alpha=1e-3, kappa=0.0, reference_kappa="max", distance=0.4999)
    assert abs(point.free_entropy - 0.6920979890327129) <= point.error < 1e-12


def test_conjugates_of_hundreds_are_reached_from_nothing() -> None:
    """A strong reference has a field that is large at once: the imposed overlap saturates on the way."""
    point = saddle.solve(BINARY, alpha=1.1767212437949586e-4, kappa=8.62, reference_kappa="max", distance=0.48)
    assert point.converged and point["that"] > 100.0, point.message
    assert point.residual < 1e-11 and point.error < 1e-10


def test_what_rounding_hides_is_no_end_of_a_branch() -> None:
    point = saddle.solve(BINARY, alpha=2.22e-4, kappa=28.97, reference_kappa=53.5, distance=0.46)
    assert point.converged or "standard deviations out" in point.message


def test_where_all_solutions_are_close_the_branch_is_followed_from_the_typical_distance() -> None:
    """Next to the largest margin solutions of both margins lie within one narrow range of distances."""
    margins = {"kappa": 74.91026122895366, "reference_kappa": 74.9201206213583}
    point = saddle.solve(BINARY, alpha=1.1329980585612524e-4, distance=6.442794415177943e-4, **margins)
    assert point.converged and point.residual < 1e-10, point.message
    assert float(point["slope"]) > 0.0 and point.error < 1e-9
    beyond = saddle.solve(BINARY, alpha=1.1329980585612524e-4, distance=0.1, **margins)
    assert beyond.status is saddle.Status.BRANCH_END and "the probes freeze" in beyond.message
    low, high = beyond.window or (0.0, 0.0)
    assert 0.02 < low < 0.03 and high == 0.5


def test_beyond_the_load_of_the_probes_no_distance_has_a_saddle() -> None:
    """The largest margin at load 2 is negative: the reference does not obey the probes' constraint, which none satisfies."""
    point = saddle.solve(BINARY, alpha=2.0, kappa=0.0, reference_kappa="max", distance=0.1)
    assert point.status is saddle.Status.NO_SADDLE and "1.273239545" in point.message


def test_a_margin_of_hundreds_is_found_to_what_rounding_leaves() -> None:
    """Solutions are next to the sum of the patterns, whose margin bounds theirs from above."""
    found = saddle.max_margin("binary-perceptron", 3e-6)
    bound = np.sqrt(2.0 / (np.pi * 3e-6))
    assert found.converged and 0.0 < bound - found.value < 0.01 and found.error < 1e-5
