"""1RSB at m = 1: states of typical solutions and where they appear and condense, against equations typed here."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erfcx, log_ndtr

import replica
import saddle
from saddle.cli import main
from saddle.critical.landmarks import names

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
    assert abs(unbroken - point["internal_entropy"] - complexity) <= point["internal_entropy_error"] + left
    assert abs(complexity - point["complexity"]) <= point["complexity_error"] + left
    assert point.error < 1e-12 * abs(point.free_entropy)
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


def test_states_that_end_before_an_m_are_said_to_fold() -> None:
    point = saddle.solve((SPHERICAL, "1rsb"), alpha=290.0, kappa=-2.5, m=0.7)
    assert str(point.status) == "no-saddle"
    fold = float(point.message.rpartition("= ")[2].rstrip("."))
    for m, status in ((fold + 1e-4, "converged"), (fold - 1e-4, "no-saddle")):
        assert str(saddle.solve((SPHERICAL, "1rsb"), alpha=290.0, kappa=-2.5, m=m).status) == status


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


def grid(step: float = 0.2, reach: float = 11.0) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the trapezoid for a standard Gaussian."""
    z = np.arange(-reach, reach + step / 2, step)
    return z, step * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


Z, W = grid()


def split_by(kappa: float, q0: float, q1: float) -> tuple[float, float, float]:
    """The load at which q0 is replica-symmetric, the equation of q1 there, and the complexity."""
    rest = 1.0 - q0
    whole = log_ndtr((math.sqrt(q0) * Z - kappa) / math.sqrt(rest))
    field = np.exp(-((math.sqrt(q0) * Z - kappa) ** 2) / (2 * rest) - whole) / math.sqrt(2 * math.pi * rest)
    alpha = q0 / rest**2 / float(W @ field**2)
    x = (math.sqrt(q0) * Z[:, None] + math.sqrt(q1 - q0) * Z - kappa) / math.sqrt(1.0 - q1)
    part = log_ndtr(x)
    tilted = np.exp(part - whole[:, None]) * W[:, None] * W
    inner = float(np.sum(tilted * np.exp(-(x**2) - 2 * part))) / (2 * math.pi * (1.0 - q1))
    equation = q0 / rest**2 + (q1 - q0) / ((1.0 - q1) * rest) - alpha * inner
    symmetric = (math.log(rest) + q0 / rest) / 2 + alpha * float(W @ whole)
    volume = (math.log(1.0 - q1) + (q1 - q0) / rest + q0 / rest - q0 * (q1 - q0) / rest**2) / 2
    return alpha, equation, symmetric - volume - alpha * float(np.sum(tilted * part))


def along(kappa: float, q1: float, q0: float) -> tuple[float, float]:
    """Load and complexity at a root of overlap q1, whose q0 is near the given one."""
    root = brentq(lambda q: split_by(kappa, q, q1)[1], 0.9 * q0, min(1.1 * q0, q1 - 1e-6), xtol=1e-15, rtol=1e-14)
    alpha, _, complexity = split_by(kappa, float(root), q1)
    return alpha, complexity


def test_dynamical_transition_and_condensation_against_a_scan_of_typed_equations() -> None:
    appear, condense = saddle.thresholds(SPHERICAL, kappa=-2.5, only=["alpha_d", "alpha_K"])
    p = appear.order_parameters
    ends, settings = (p["q1"] - 0.02, p["q1"] + 0.02), {"method": "bounded", "options": {"xatol": 1e-8}}
    lowest = minimize_scalar(lambda q1: along(-2.5, q1, p["q0"])[0], bounds=ends, **settings)
    assert lowest.fun == pytest.approx(appear.value, abs=appear.error + 2e-11)
    assert lowest.x == pytest.approx(p["q1"], abs=1e-6)
    assert appear.error < 1e-9
    p = condense.order_parameters
    ends = (p["q1"] - 0.01, p["q1"] + 0.01)
    q1 = float(brentq(lambda q1: along(-2.5, q1, p["q0"])[1], *ends, xtol=1e-15, rtol=1e-14))
    assert along(-2.5, q1, p["q0"])[0] == pytest.approx(condense.value, abs=condense.error + 2e-11)
    assert condense.error < 1e-9
    assert condense.row()["overlap"] == p["q1"]
    for load, status in ((appear.value - 1e-3, "no-saddle"), (appear.value + 1e-3, "converged")):
        assert str(saddle.solve((SPHERICAL, "1rsb"), alpha=load, kappa=-2.5, m=1.0).status) == status


def test_the_transition_is_discontinuous_below_a_margin_of_about_minus_two_point_zero_five() -> None:
    appear, condense = saddle.thresholds(SPHERICAL, kappa=-2.05, only=["alpha_d", "alpha_K"])
    unstable = float(re.search(r"stable up to alpha = (\d+\.\d+)", appear.message).group(1))  # type: ignore[union-attr]
    assert appear.value + 1e-5 < condense.value < unstable - 1e-5
    continuous = saddle.thresholds(SPHERICAL, kappa=-2.04, only=["alpha_d", "alpha_K"])
    assert continuous[0].value == continuous[1].value
    point = saddle.solve((SPHERICAL, "rs"), alpha=continuous[0].value, kappa=-2.04)
    assert abs(point["replicon"]) < 1e-10
    assert all("Continuous" in row.message for row in continuous)


@pytest.mark.parametrize(("model", "kappa", "why"), [(BINARY, 0.0, "frozen"), (SPHERICAL, 0.0, "trivial root")])
def test_where_states_neither_appear_nor_condense(model: str, kappa: float, why: str) -> None:
    for row in saddle.thresholds(model, kappa=kappa, only=["alpha_d", "alpha_K"]):
        assert str(row.status) == "absent"
        assert why in row.message
        assert math.isnan(row.value)
        assert row.row()["overlap"] is None


def test_where_the_fold_merges_with_the_instability_the_condensation_lies_between_them() -> None:
    """Near the margin at which the transition becomes continuous, load and complexity are polynomials of 1 - q1."""
    appear, condense = saddle.thresholds(SPHERICAL, kappa=-2.0435, only=["alpha_d", "alpha_K"])
    unstable = float(re.search(r"stable up to alpha = (\d+\.\d+)", appear.message).group(1))  # type: ignore[union-attr]
    assert appear.value < condense.value < unstable
    assert 0.25 * (unstable - appear.value) < condense.error < 1e-5
    assert condense.value == pytest.approx(unstable - 8 / 9 * (unstable - appear.value), abs=condense.error)


@pytest.mark.parametrize("kappa", [-0.003, -0.001])
def test_an_instability_next_to_the_capacity_is_found(kappa: float) -> None:
    """The transition there is continuous: alpha (1 - q)^2 E h'^2 = 1, an integral over the kink."""
    appear, condense = saddle.thresholds(SPHERICAL, kappa=kappa, only=["alpha_d", "alpha_K"])
    assert appear.value == condense.value < saddle.capacity(SPHERICAL, kappa).value  # type: ignore[union-attr]
    q = appear.order_parameters["q0"]
    width, x = math.sqrt(1.0 - q), np.arange(-12.0, 11.0 / math.sqrt(1.0 - q), 0.1)
    mills = math.sqrt(2 / math.pi) / erfcx(x / math.sqrt(2))
    weights = 0.1 * width / math.sqrt(q) * np.exp(-(((kappa - width * x) / math.sqrt(q)) ** 2) / 2) / math.sqrt(2 * math.pi)
    assert appear.value * float(weights @ (mills * (mills - x)) ** 2) == pytest.approx(1.0, abs=1e-6)
    assert appear.error < 1e-10


def typed_instability(kappa: float) -> tuple[float, float]:
    """Load and ``1 - q`` of the instability, from the saddle equation and the replicon in the distance to the kink."""

    def load(s: float) -> tuple[float, float]:
        left = math.exp(s)
        t, h = np.linspace(-3.5, math.asinh(12.0 / math.sqrt(left)), 1001, retstep=True)
        x, step = np.sinh(t), h * np.cosh(t)
        mills = math.sqrt(2 / math.pi) / erfcx(x / math.sqrt(2))
        slope = np.where(x > 50.0, 1.0 - 1.0 / np.maximum(x, 1.0) ** 2, mills * (mills - x))
        z = (kappa - math.sqrt(left) * x) / math.sqrt(1.0 - left)
        weights = step * math.sqrt(left / (1.0 - left)) * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        alpha = (1.0 - left) / (left * float(weights @ mills**2))
        return alpha, alpha * float(weights @ slope**2) - 1.0

    s = brentq(lambda s: load(s)[1], 2.0 * math.log(-0.5 * kappa), 2.0 * math.log(-2.0 * kappa))
    return load(s)[0], math.exp(s)


@pytest.mark.parametrize("kappa", [pytest.param(-1e-4, marks=pytest.mark.full), -1e-6, -1e-8])
def test_thresholds_of_states_where_the_overlap_is_all_but_one(kappa: float) -> None:
    """The transition stays continuous, at a distance of the order of the margin's square to the capacity."""
    appear, condense, breakup = saddle.thresholds(SPHERICAL, kappa=kappa, only=["alpha_d", "alpha_K", "alpha_LE_y_inf"])
    alpha, left = typed_instability(kappa)
    assert appear.value == condense.value == breakup.value == pytest.approx(alpha, abs=max(1e-3 * kappa**2, 1e-12))
    assert appear.value <= saddle.capacity(SPHERICAL, kappa).value  # type: ignore[union-attr]
    assert appear.error < max(10 * kappa**2, 1e-12)
    assert 1.0 - appear.order_parameters["q0"] == pytest.approx(left, rel=1e-3, abs=1e-13)
    assert appear.message.endswith("but for the scale.")


def test_thresholds_of_states_are_those_of_continuous_weights_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    default = {model: {name for name, _ in names(replica.zoo.model(model), None, (), None)} for model in (BINARY, SPHERICAL)}
    assert default[SPHERICAL] - default[BINARY] == {"alpha_d", "alpha_K"}
    with pytest.raises(replica.InputError, match="no threshold alpha_d"):
        saddle.thresholds("teacher-student", only=["alpha_d"])
    assert main(["thresholds", SPHERICAL, "--kappa", "-1", "--only", "alpha_K", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["name"] == "alpha_K"
    assert row["order_parameters"]["q0"] == row["order_parameters"]["q1"] == row["overlap"]


@pytest.mark.full
def test_thresholds_of_states_of_committees() -> None:
    relu = replica.zoo.model("tree-committee", activation="relu", weights="spherical")
    for kappa, continuous in ((0.0, True), (-1.0, False)):
        appear, condense = saddle.thresholds(relu, kappa=kappa, only=["alpha_d", "alpha_K"])
        assert appear.converged
        assert condense.converged
        assert ("Continuous" in appear.message) == continuous
        assert (appear.value < condense.value) != continuous
    even = replica.zoo.model("tree-committee", activation="quadratic", weights="spherical")
    (row,) = saddle.thresholds(even, kappa=0.0, only=["alpha_d"])
    assert row.value == pytest.approx(math.pi / 4, abs=row.error)
    assert row.error < 1e-9


@pytest.mark.full
def test_thresholds_of_states_at_30_digits() -> None:
    for row in saddle.thresholds(SPHERICAL, kappa=-2.5, only=["alpha_d", "alpha_K"]):
        with mpmath.workdps(30):
            q0, q1 = (mpmath.mpf(row.order_parameters[name]) for name in ("q0", "q1"))
            first, second, _, complexity = at_one(row.value, -2.5, q0, q1, (0.2, 11.0))
            step = mpmath.mpf("1e-6")
            sides = [at_one(row.value, -2.5, q0, q1 + s * step, (0.2, 11.0))[1] for s in (1, -1)]
        assert abs(first) < 1e-12
        assert abs(second) < 1e-11
        if row.name == "alpha_K":
            assert abs(complexity) < 1e-12
        else:
            assert abs(sides[0] - sides[1]) / (2 * step) < 1e-5


@pytest.mark.full
def test_condensation_at_a_large_load_at_30_digits() -> None:
    """A load multiplies what rounding leaves of an average, which its error covers."""
    (row,) = saddle.thresholds(SPHERICAL, kappa=-4.0, only=["alpha_K"])
    with mpmath.workdps(30):
        q0, q1 = (mpmath.mpf(row.order_parameters[name]) for name in ("q0", "q1"))
        here, above = (at_one(load, -4.0, q0, q1, (0.08, 11.0))[3] for load in (row.value, row.value * (1 + 1e-4)))
    assert abs(here) < abs(above - here) / (1e-4 * row.value) * row.error
    assert row.error < 1e-8 * row.value
    (larger,) = saddle.thresholds(SPHERICAL, kappa=-5.0, only=["alpha_K"])
    assert larger.converged and larger.error < 1e-6 * larger.value
