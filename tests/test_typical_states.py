"""1RSB at m = 1: the states of typical solutions, against equations typed here at 30 digits, and what is said of them."""

from __future__ import annotations

from typing import Any

import mpmath
import pytest

import saddle

SPHERICAL, BINARY = "spherical-perceptron", "binary-perceptron"
COLD = [
    (2500.0, -3.0, 1.0),
    (2500.0, -3.0, 0.7),
    (1600.0, -3.0, 0.95),
    (281.5, -2.5, 1.0),
]
"""Loads, margins and m at which no state is close to the replica-symmetric overlap."""


RULES = [pytest.param((0.4, 8.0), 1e-9), pytest.param((0.2, 11.0), 0.0, marks=pytest.mark.full)]
"""Step and reach of the nodes, and what they leave of the error."""


def nodes(step: float, reach: float) -> list[tuple[Any, Any]]:
    """Nodes and weights of the trapezoid for a standard Gaussian, which converges exponentially."""
    h = mpmath.mpf(step)
    points = [h * i for i in range(-round(reach / step), round(reach / step) + 1)]
    return [(z, h * mpmath.npdf(z)) for z in points]


def at_one(alpha: float, kappa: float, q0: Any, q1: Any, rule: tuple[float, float]) -> tuple[Any, ...]:
    """Both equations of states on the sphere at m = 1, free entropy and complexity: averages tilted by H to the power 1."""
    roots = [mpmath.sqrt(v) for v in (q0, q1 - q0, 1 - q1, 1 - q0)]
    outer, inner, logarithm, symmetric = [mpmath.mpf(0)] * 4
    for z, weight in nodes(*rule):
        whole = mpmath.ncdf((roots[0] * z - kappa) / roots[3])
        field = mpmath.npdf((roots[0] * z - kappa) / roots[3]) / roots[3] / whole
        outer += weight * field**2
        symmetric += weight * mpmath.log(whole)
        for y, also in nodes(*rule):
            x = (roots[0] * z + roots[1] * y - kappa) / roots[2]
            part = mpmath.ncdf(x)
            inner += weight * also / whole * (mpmath.npdf(x) / roots[2]) ** 2 / part
            logarithm += weight * also / whole * part * mpmath.log(part)
    rest = 1 - q0
    first = q0 / rest**2 - alpha * outer
    second = q0 / rest**2 + (q1 - q0) / ((1 - q1) * rest) - alpha * inner
    unbroken = (mpmath.log(rest) + q0 / rest) / 2 + alpha * symmetric
    volume = (mpmath.log(1 - q1) + (q1 - q0) / rest + q0 / rest - q0 * (q1 - q0) / rest**2) / 2
    return first, second, unbroken, unbroken - volume - alpha * logarithm


@pytest.mark.parametrize(("rule", "left"), RULES)
def test_states_of_typical_solutions_obey_their_equations(rule: tuple[float, float], left: float) -> None:
    point = saddle.solve((SPHERICAL, "1rsb"), alpha=285.0, kappa=-2.5, m=1.0)
    symmetric = saddle.solve((SPHERICAL, "rs"), alpha=285.0, kappa=-2.5)
    assert point.converged
    assert point.order_parameters["q0"] == pytest.approx(symmetric.order_parameters["q"], abs=1e-14)
    with mpmath.workdps(30):
        q0, q1 = (mpmath.mpf(point.order_parameters[name]) for name in ("q0", "q1"))
        first, second, unbroken, complexity = at_one(285.0, -2.5, q0, q1, rule)
    assert abs(first) < 1e-13 + left
    assert abs(second) < 1e-12 + left
    assert abs(unbroken - point.free_entropy) <= point.error + left
    assert abs(unbroken - point["internal_entropy"] - complexity) <= point.error + left
    assert abs(complexity - point["complexity"]) <= point.error + left
    assert point.error < 1e-12
    assert complexity > 1e-3
    assert "exponentially many states" in point.message


def test_the_complexity_at_one_continues_the_curve() -> None:
    curve = saddle.complexity(SPHERICAL, 300.0, -2.5, m=[0.999, 1.0, 1.001])
    below, here, above = curve.points
    slope = (above.free_entropy - below.free_entropy) / 0.002
    assert here["complexity"] == pytest.approx(-slope, abs=1e-6)
    assert here["complexity"] < -1e-3
    assert "condensed" in here.message


@pytest.mark.parametrize(("alpha", "kappa", "m"), COLD)
def test_states_far_from_the_replica_symmetric_overlap_are_found(alpha: float, kappa: float, m: float) -> None:
    point = saddle.solve((SPHERICAL, "1rsb"), alpha=alpha, kappa=kappa, m=m)
    assert point.converged
    assert point.order_parameters["q1"] > point.order_parameters["q0"] + 0.5
    assert point.residual < 1e-12


def test_where_there_are_no_states_or_they_have_not_condensed() -> None:
    alone = saddle.solve((SPHERICAL, "1rsb"), alpha=279.0, kappa=-2.5, m=1.0)
    assert str(alone.status) == "no-saddle"
    assert "only root" in alone.message
    assert saddle.solve((SPHERICAL, "1rsb"), alpha=281.1, kappa=-2.5, m=1.0).converged
    many = saddle.solve((SPHERICAL, "1rsb"), alpha=285.0, kappa=-2.5)
    assert str(many.status) == "no-saddle"
    assert "exponentially many states" in many.message
    full = saddle.solve((SPHERICAL, "1rsb"), alpha=3.0, kappa=0.0, m=1.0)
    assert str(full.status) == "no-saddle"
    assert "capacity 2" in full.message


def test_the_root_of_binary_weights_is_frozen() -> None:
    point = saddle.solve((BINARY, "1rsb"), alpha=0.5, m=1.0)
    unbroken = saddle.solve((BINARY, "rs"), alpha=0.5).free_entropy
    assert "frozen" in point.message
    assert (point["internal_entropy"], point.order_parameters["q1"]) == (0.0, 1.0)
    assert point["complexity"] == pytest.approx(unbroken, abs=1e-15)
    assert point.free_entropy == pytest.approx(unbroken, abs=1e-15)
