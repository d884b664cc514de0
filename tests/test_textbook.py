"""Derived formulas and solved points against the textbook's, typed by hand and integrated by another rule."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
from mpmath import mpf
from textbook import (
    capacity,
    franz_parisi,
    gardner_capacity,
    max_margin,
    one_rsb,
    rs_entropy,
    rs_residuals,
    rs_saddle,
    spherical_entropy,
    spherical_one_rsb_entropy,
    spherical_saddle,
)

import replica
import saddle
from replica.evaluation import evaluate

BINARY, SPHERICAL = "binary-perceptron", "spherical-perceptron"
DIGITS = 20
TOLERANCE = mpf(10) ** -19


def derived(model: str, ansatz: str, values: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """Return the derived free entropy at any point, and right minus left sides of its saddle equations."""
    free_entropy = replica.derive(replica.zoo.model(model), replica.zoo.ansatz(ansatz))

    def number(expression: Any) -> Any:
        return evaluate(expression, values, free_entropy.definitions, DIGITS)

    misses = {str(e.lhs): number(e.rhs - e.lhs) for e in free_entropy.saddle_equations() if str(e.lhs) in values}
    phi = free_entropy.interaction + free_entropy.entropic + sp.Symbol("alpha") * free_entropy.energetic
    return number(phi), misses


def test_replica_symmetric_formula() -> None:
    point = {"q": "0.7", "qhat": "1.9", "alpha": "0.6", "kappa": "-0.3"}
    phi, misses = derived(BINARY, "rs", point)
    assert abs(phi - rs_entropy(**point, digits=DIGITS)) < TOLERANCE
    expected = rs_residuals(**point, digits=DIGITS)
    assert all(abs(misses[name] - expected[name]) < TOLERANCE for name in expected)


def test_franz_parisi_formula() -> None:
    order = {"q": "0.75", "t": "0.41", "qhat": "0.9", "that": "0.5", "phat": "1.3"}
    given = {"p": "0.8", "qr": "0.44", "qrhat": "1.3", "alpha": "0.6", "reference_kappa": "0.25", "kappa": "-0.1"}
    phi, misses = derived(BINARY, "franz-parisi", order | given)
    expected = franz_parisi(**order, **given, digits=DIGITS)
    assert abs(phi - expected.phi) < TOLERANCE
    for name in expected.residuals:
        assert abs(misses[name] - expected.residuals[name]) < TOLERANCE


def test_one_step_formulas() -> None:
    order = {"q0": "0.3", "q1": "0.6", "q0hat": "0.7", "q1hat": "2.1", "m": "0.4"}
    given = {"alpha": "0.6", "kappa": "0.1"}
    phi, misses = derived(BINARY, "1rsb", order | given)
    expected = one_rsb(**order, **given, digits=DIGITS)
    assert abs(phi - expected.phi) < TOLERANCE
    for name in expected.residuals:
        assert abs(misses[name] - expected.residuals[name]) < TOLERANCE
    order = {name: order[name] for name in ("q0", "q1", "m")}
    phi, _ = derived(SPHERICAL, "1rsb", order | given)
    assert abs(phi - spherical_one_rsb_entropy(**order, **given, digits=DIGITS)) < TOLERANCE
    phi, _ = derived(SPHERICAL, "rs", {"q": "0.6"} | given)
    assert abs(phi - spherical_entropy("0.6", **given, digits=DIGITS)) < TOLERANCE


@pytest.mark.parametrize(("alpha", "kappa"), [(0.02, -2.0), (0.5, 0.0), (0.1, 2.0), (1.1, 0.0), (5.0, -1.5)])
def test_binary_points(alpha: float, kappa: float) -> None:
    ours = saddle.solve((BINARY, "rs"), alpha=alpha, kappa=kappa)
    textbook = rs_saddle(alpha, kappa, digits=16)
    assert abs(ours.free_entropy - textbook.phi) < 1e-12
    assert abs(ours["q"] - textbook.q) < 1e-11
    assert abs(ours["qhat"] - textbook.qhat) < 1e-10 * max(1, textbook.qhat)


@pytest.mark.parametrize(("alpha", "kappa"), [(0.5, -1.0), (1.5, 0.0), (0.8, 0.5)])
def test_spherical_points(alpha: float, kappa: float) -> None:
    textbook = spherical_saddle(alpha, kappa, digits=16)
    ours = saddle.solve((SPHERICAL, "rs"), alpha=alpha, kappa=kappa)
    assert abs(ours.free_entropy - textbook.phi) < 1e-12 * max(1, abs(textbook.phi))
    assert abs(ours["q"] - textbook.q) < 1e-11


def test_replicon() -> None:
    for model, solve, alpha in ((BINARY, rs_saddle, 0.5), (SPHERICAL, spherical_saddle, 1.5)):
        row = saddle.entropy_curve(model, alpha, 0.0).points[0]
        assert abs(row.observables["replicon"] - solve(alpha, 0.0, digits=16).replicon) < 1e-10


def test_thresholds() -> None:
    assert abs(saddle.capacity(BINARY, 0.0).value - capacity(0.0, digits=16)) < 1e-11
    assert abs(saddle.capacity(BINARY, -1.0).value - capacity(-1.0, digits=16)) < 1e-10
    assert abs(saddle.max_margin(BINARY, 0.5).value - max_margin(0.5, digits=16)) < 1e-11
    for kappa in (0.0, 0.7):
        assert abs(saddle.capacity(SPHERICAL, kappa).value - gardner_capacity(kappa)) < 1e-11


@pytest.mark.parametrize("distance", [0.4, 0.1, 0.01, 0.002])
def test_franz_parisi_points(distance: float) -> None:
    given = {"alpha": 0.5, "reference_kappa": 0.2, "kappa": 0.0}
    ours = saddle.solve((BINARY, "franz-parisi"), distance=distance, **given)
    order = {name: ours[name] for name in ("q", "t", "qhat", "that", "phat")}
    reference = rs_saddle(0.5, 0.2, digits=16)
    p = 1 - 2 * mpf(distance)
    textbook = franz_parisi(**order, p=p, qr=reference.q, qrhat=reference.qhat, **given, digits=14)
    assert abs(ours.free_entropy - textbook.phi) < 1e-12
    assert max(map(abs, textbook.residuals.values())) < 1e-10
    slope = saddle.franz_parisi(BINARY, distance=distance, **given).points[0].observables["slope"]
    assert abs(slope - textbook.slope) < 1e-9
