"""Capacity and maximal margin under 1RSB against the formula written by hand (theory of the SAT/UNSAT limit)."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, optimize, special

import replica
import saddle
from replica.evaluation import evaluate
from replica.limits.sat_limit import limit_replicon, sat_limit
from saddle import cli
from saddle.critical.sat_unsat import SatProblem, minimum
from saddle.kernels.quadrature import Rule
from saddle.points.results import Status
from saddle.points.setting import Setting

SPHERICAL = replica.zoo.spherical_perceptron()


def gardner(kappa: float) -> float:
    """One over the mean of (z + kappa)^2 over the half line, by quadrature."""
    density = lambda z: (z + kappa) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    return 1.0 / float(integrate.quad(density, -kappa, 40.0, epsabs=0.0, epsrel=1e-13)[0])


def load_of_last_states(q0: float, c: float, kappa: float) -> float:
    """The load of the limit, typed by hand, integrated with a fine trapezoid."""
    z = np.linspace(-13.0, 13.0, 40001)
    weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    g, a = c * (1 - q0), kappa - math.sqrt(q0) * z
    satisfied = special.log_ndtr(-a / math.sqrt(1 - q0))
    violated = special.log_ndtr(a / math.sqrt((1 - q0) * (1 + g))) - c * a**2 / (2 * (1 + g)) - 0.5 * math.log1p(g)
    return float(-0.5 * (math.log1p(g) + c * q0 / (1 + g)) / np.sum(weight * np.logaddexp(satisfied, violated)))


def hand_minimum(kappa: float) -> float:
    """The smallest load by a simplex search from the best point of a grid."""

    def at(x: np.ndarray) -> float:
        left = 1.0 / (1.0 + math.exp(x[0]))
        return load_of_last_states(1.0 - left, math.exp(x[1]) / left, kappa)

    start = min(((a, b) for a in np.arange(-3.0, 6.0) for b in np.arange(-1.0, 6.0)), key=at)
    return float(optimize.minimize(at, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-13}).fun)


@pytest.fixture(scope="module")
def problem() -> SatProblem:
    return SatProblem(Setting(SPHERICAL, replica.zoo.one_rsb()).kernel, {"kappa": -1.0})


def test_the_engine_takes_the_limit_of_vanishing_states() -> None:
    limit = sat_limit(replica.derive(SPHERICAL, "1rsb"))
    assert limit is not None
    assert (limit.saturated, limit.multiplicity, limit.unknowns) == ("q1", "m", ("q0", "c"))
    q0, c, kappa = "0.7", "9.5", "-0.8"
    values = {"q0": q0, "c": c, "kappa": kappa}
    ratio = -evaluate(limit.entropic, values, digits=16) / evaluate(limit.expanded_energetic(), values, digits=16)
    assert float(ratio) == pytest.approx(load_of_last_states(float(q0), float(c), float(kappa)), rel=1e-12)


def test_the_limit_is_that_of_the_free_entropy_at_small_multiplicity() -> None:
    """``m`` times the 1RSB free entropy at q1 = 1 - epsilon, m = c epsilon tends to both terms linearly in epsilon."""
    f = replica.derive(SPHERICAL, "1rsb")
    limit = sat_limit(f)
    assert limit is not None
    known = {"q0": "0.6", "kappa": "-1"}
    ends = [evaluate(e, {**known, "c": 5}, digits=12) for e in (limit.entropic, limit.expanded_energetic())]
    misses = []
    for epsilon in (sp.Rational(1, 1000), sp.Rational(1, 4000)):
        values = {**known, "q1": str(sp.N(1 - epsilon, 30)), "m": str(sp.N(5 * epsilon, 30))}
        near = [5 * epsilon * evaluate(e, values, digits=12) for e in (f.entropic, f.energetic)]
        misses.append([abs(float(a - b)) for a, b in zip(near, ends, strict=True)])
    assert max(misses[1]) < 0.01
    assert all(late < 0.5 * early for early, late in zip(*misses, strict=True))


@pytest.mark.parametrize("kappa", [-0.1, -1.0, -2.0])
def test_negative_margins(kappa: float) -> None:
    found = saddle.capacity(SPHERICAL, kappa, ansatz="1rsb")
    by_hand = hand_minimum(kappa)
    assert found.status is Status.CONVERGED
    assert found.value == pytest.approx(by_hand, rel=1e-11)
    assert abs(found.value - by_hand) < found.error + 1e-11 * by_hand
    assert found.value < gardner(kappa)
    assert not found.warnings
    parameters = found.order_parameters
    assert parameters["q1"] == 1.0 and parameters["m"] == 0.0
    assert load_of_last_states(parameters["q0"], parameters["c"], kappa) == pytest.approx(found.value, rel=1e-11)


@pytest.mark.parametrize("kappa", [0.0, 0.5, 2.0])
def test_the_symmetric_value_where_symmetry_is_stable(kappa: float) -> None:
    found = saddle.capacity(SPHERICAL, kappa, ansatz="1rsb")
    assert found.value == pytest.approx(gardner(kappa), rel=1e-11)
    assert "stable up to its threshold" in found.message
    assert found.ansatz == "1rsb"


def test_close_to_the_end_of_stability_the_error_covers_both() -> None:
    found = saddle.capacity(SPHERICAL, -1e-6, ansatz="1rsb")
    assert found.converged
    assert abs(found.value - gardner(-1e-6)) < found.error + 1e-12
    assert found.error < 1e-8


def test_the_symmetric_corner_is_not_an_answer(problem: SatProblem) -> None:
    """Where c or 1 - q0 tends to 0 the load has the symmetric value and no gradient: rejected, however flat."""
    border = gardner(-1.0)
    for corner in ((0.0, -18.0), (18.0, -12.0), (-8.0, -20.0)):
        load = problem.load(np.array(corner), Rule())
        assert load.value == pytest.approx(border, rel=1e-5)
        assert np.max(np.abs(load.gradient)) < 1e-4
        assert load.value > 12.32
    found = minimum(problem, Rule(0.1), 1e-12, border)
    assert found is not None
    assert found.load.value < border - 0.9
    assert np.all(found.curvatures > 0.0)
    assert minimum(problem, Rule(0.1), 1e-12, 12.0) is None  # nothing lies below this


def test_the_gradient_is_that_of_the_load(problem: SatProblem) -> None:
    x = np.array([0.3, 1.1])
    load = problem.load(x, Rule())
    for unit, slope in zip(np.eye(2) * 1e-5, load.gradient, strict=True):
        ahead, behind = problem.load(x + unit, Rule()).value, problem.load(x - unit, Rule()).value
        assert math.log(ahead / behind) / 2e-5 == pytest.approx(slope, rel=1e-7, abs=1e-9)


def test_replicon_at_the_symmetric_capacity() -> None:
    """One minus the load times the probability of a violated field, from a hand-made limit; marginal at margin 0."""
    factor = limit_replicon(replica.derive(SPHERICAL, "rs"))
    assert factor is not None
    for kappa in (-1.5, -0.2, 0.0, 0.7):
        found = saddle.capacity(SPHERICAL, kappa)
        replicon = 1.0 - gardner(kappa) * special.ndtr(kappa)
        assert found.observables["replicon"] == pytest.approx(replicon, abs=1e-11)
        assert found.observables["stable"] is (kappa >= 0.0)
        assert bool(found.warnings) is (kappa < 0.0)


def test_discrete_weights_freeze() -> None:
    symmetric = saddle.capacity("binary-perceptron", 0.0)
    found = saddle.capacity("binary-perceptron", 0.0, ansatz="1rsb")
    assert found.value == symmetric.value
    assert "frozen" in found.message
    assert found.order_parameters["q1"] == 1.0
    assert found.order_parameters["q0"] == symmetric.order_parameters["q"]


@pytest.mark.parametrize("alpha", [2.1, 12.0, 60.0])
def test_the_margin_of_a_load(alpha: float) -> None:
    """The inverse of the capacity, against the load typed by hand at the order parameters found."""
    found = saddle.max_margin(SPHERICAL, alpha, ansatz="1rsb")
    symmetric = saddle.max_margin(SPHERICAL, alpha)
    assert found.status is Status.CONVERGED and found.value < symmetric.value
    q0, c = found.order_parameters["q0"], found.order_parameters["c"]
    assert load_of_last_states(q0, c, found.value) == pytest.approx(alpha, rel=1e-11)
    slope = (gardner(found.value + 1e-4) - gardner(found.value - 1e-4)) / 2e-4
    assert abs(saddle.capacity(SPHERICAL, found.value, ansatz="1rsb").value - alpha) < 2 * abs(slope) * found.error
    assert found.error < 1e-12


def test_the_symmetric_margin_where_symmetry_is_stable() -> None:
    for alpha in (0.7, 2.0):
        found, symmetric = saddle.max_margin(SPHERICAL, alpha, ansatz=["rs", "1rsb"]).points[::-1]
        assert found.value == symmetric.value
        assert "stable up to its threshold" in found.message
    almost = saddle.max_margin(SPHERICAL, 2.0 + 1e-6, ansatz="1rsb")
    by_cube = abs(almost.value - saddle.max_margin(SPHERICAL, 2.0 + 1e-6).value)
    assert by_cube <= almost.error < 1e-9
    frozen = saddle.max_margin("binary-perceptron", 0.5, ansatz="1rsb")
    assert frozen.value == saddle.max_margin("binary-perceptron", 0.5).value
    assert saddle.max_margin("teacher-student", 1.3, ansatz="1rsb").value == 0.0


def test_margins_of_both_ansatze(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["max-margin", "tree-committee", "--activation", "relu", "--weights", "spherical", "--alpha", "2.66428005659"]
    assert cli.main([*words, "--ansatz", "rs,1rsb", "--json"]) == 0
    symmetric, broken = json.loads(capsys.readouterr().out)["rows"]
    assert (symmetric["ansatz"], broken["ansatz"]) == ("rs", "1rsb")
    assert broken["value"] == pytest.approx(0.0, abs=1e-11)
    assert symmetric["value"] > 0.02
    assert broken["value_normalized"] == pytest.approx(broken["value"] / math.sqrt(0.5 - 0.5 / math.pi), rel=1e-14)


KERNELS = {
    "relu": (
        lambda q: (np.sqrt(1 - q * q) + q * (np.pi - np.arccos(q)) - 1) / (2 * np.pi),
        0.5 - 0.5 / np.pi,
        0.5,
        2.6643,
    ),
    "quadratic": (lambda q: 2 * q * q, 2.0, 4.0, 3.375),
    "erf": (lambda q: 2 / np.pi * np.arcsin(2 * q / 3), 2 / np.pi * np.arcsin(2 / 3), 4 / np.pi / math.sqrt(5), 2.375),
}


@pytest.mark.parametrize("activation", KERNELS)
def test_committees(activation: str) -> None:
    """The same formula in the covariances of the outputs, with the energetic strength c Delta(1)/Delta'(1)."""
    kernel, at_one, slope, published = KERNELS[activation]
    model = replica.zoo.tree_committee(activation, "spherical")
    found = saddle.capacity(model, 0.3, ansatz="1rsb")
    q0, c = found.order_parameters["q0"], found.order_parameters["c"]

    def load(q0: float, c: float) -> float:
        z = np.linspace(-13.0, 13.0, 40001)
        weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
        g, strength, overlap = c * (1 - q0), c * at_one / slope, kernel(q0) / at_one
        wide, a = 1 + strength * (1 - overlap), 0.3 / math.sqrt(at_one) - math.sqrt(overlap) * z
        satisfied = special.log_ndtr(-a / math.sqrt(1 - overlap))
        violated = special.log_ndtr(a / math.sqrt((1 - overlap) * wide)) - strength * a**2 / (2 * wide)
        mean = np.sum(weight * np.logaddexp(satisfied, violated - 0.5 * math.log(wide)))
        return float(-0.5 * (math.log1p(g) + c * q0 / (1 + g)) / mean)

    assert load(q0, c) == pytest.approx(found.value, rel=1e-11)
    for factor in (0.98, 1.02):
        assert load(q0 * factor, c) > found.value and load(q0, c * factor) > found.value
    digits = len(str(published)) - 2
    assert saddle.capacity(model, 0.0, ansatz="1rsb").value == pytest.approx(published, abs=0.5 * 10.0**-digits)
    symmetric = saddle.capacity(model, 0.0)
    assert symmetric["stable"] is False and "unstable" in symmetric.warnings[0]


def test_rows_of_both_ansatze(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    command = ["capacity", "spherical-perceptron", "--kappa=-1,0.5", "--ansatz", "rs,1rsb", "--json"]
    assert cli.main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["ansatz"], row["kappa"]) for row in found["rows"]] == [
        ("rs", -1.0),
        ("rs", 0.5),
        ("1rsb", -1.0),
        ("1rsb", 0.5),
    ]
    assert found["rows"][2]["value"] == pytest.approx(12.3196343466, rel=1e-10)
    curve = saddle.capacity(SPHERICAL, [-1.0, 0.5], ansatz=["rs", "1rsb"])
    assert list(curve["ansatz"]) == ["rs", "rs", "1rsb", "1rsb"]
    assert len(curve.plot().get_lines()) == 2
    assert "rs,1rsb" in json.loads(curve.to_json())["provenance"]["command"]


def test_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["capacity", "spherical-perceptron", "--ansatz", "franz-parisi"]) == 2
    assert "imposes an overlap" in capsys.readouterr().err
    assert cli.main(["capacity", "spherical-perceptron", "--ansatz", "rs,rs"]) == 2
    assert "twice" in capsys.readouterr().err
    for names in (",", "rs,", ""):
        assert cli.main(["capacity", "spherical-perceptron", "--ansatz", names]) == 2
        assert "empty member" in capsys.readouterr().err
