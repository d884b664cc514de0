"""Broken replica symmetry at finite temperature: frozen configurations and states, against closed forms and derivatives."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

import replica
import saddle
from replica import DiscreteWeights, Model
from replica.parts.hardness import scales_with_temperature
from saddle.cli import main
from saddle.kernels.quadrature import Rule
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting
from saddle.points.solving import problem_of

BINARY = replica.soft(replica.zoo.binary_perceptron())
WINDOW = replica.soft(replica.zoo.symmetric_binary_perceptron())
SPHERICAL = replica.soft(replica.zoo.spherical_perceptron())
STEP = 0.01
Z = np.arange(-12.0, 12.0 + STEP / 2, STEP)
GAUSS = np.exp(-Z * Z / 2) / np.sqrt(2 * np.pi) * STEP


def at(model: Model, ansatz: str = "1rsb", **parameters: float) -> SaddlePoint:
    return saddle.solve((model, ansatz), **parameters, throw=True)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- configurations


def test_windows_freeze_like_the_random_energy_model() -> None:
    """Patterns are violated with independent chances, so that everything is known in closed form."""
    alpha, beta, broken = 2.0, 5.0, 2.0 * float(ndtr(-1.0))

    def energy(b: float) -> float:
        return alpha * broken / (broken + (1.0 - broken) * math.exp(b))

    def free_entropy(b: float) -> float:
        return math.log(2.0) + alpha * math.log(1.0 - broken + broken * math.exp(-b))

    critical = brentq(lambda b: free_entropy(b) + b * energy(b), 0.1, 20.0, xtol=1e-14, rtol=1e-14)
    point = at(WINDOW, alpha=alpha, kappa=1.0, beta=beta)
    assert point["m"] == pytest.approx(critical / beta, abs=1e-12)
    assert abs(point.free_entropy + beta * energy(critical)) <= point.error < 1e-12
    assert point["energy"] == pytest.approx(energy(critical), abs=1e-12)
    assert abs(point["entropy"]) < 1e-12 and abs(point["complexity"]) < 1e-12
    assert (point["q0"], point["q1"], point["internal_entropy"]) == (0.0, 1.0, 0.0)
    assert "frozen" in point.message and "where it vanishes" in point.message
    given = at(WINDOW, alpha=alpha, kappa=1.0, beta=beta, m=0.3)
    assert abs(given.free_entropy - free_entropy(0.3 * beta) / 0.3) <= given.error
    assert given["complexity"] == pytest.approx(free_entropy(0.3 * beta) + 0.3 * beta * energy(0.3 * beta), abs=1e-12)


def test_below_its_freezing_temperature_nothing_moves() -> None:
    cold, colder = (at(BINARY, alpha=1.2, beta=beta) for beta in (6.0, 12.0))
    for name in ("energy", "q0"):
        assert cold[name] == pytest.approx(colder[name], abs=1e-11)
    assert colder.free_entropy == pytest.approx(2.0 * cold.free_entropy, abs=1e-12)
    assert cold.free_entropy == pytest.approx(-6.0 * float(cold["energy"]), abs=1e-12)
    symmetric = at(BINARY, "rs", alpha=1.2, beta=6.0)
    assert float(symmetric["entropy"]) < 0.0 and cold.free_entropy < symmetric.free_entropy
    # the free entropy is smallest at the Parisi parameter that was found
    around = [at(BINARY, alpha=1.2, beta=6.0, m=float(cold["m"]) + s * 0.01) for s in (-1, 1)]
    assert min(p.free_entropy for p in around) > cold.free_entropy
    assert around[0]["complexity"] > 0.0 > around[1]["complexity"]  # type: ignore[operator]


def test_above_its_freezing_temperature_the_free_entropy_is_symmetric() -> None:
    point, symmetric = at(BINARY, alpha=1.2, beta=2.0), at(BINARY, "rs", alpha=1.2, beta=2.0)
    assert point["m"] == 1.0
    for name in ("free_entropy", "energy", "entropy"):
        assert point[name] == pytest.approx(symmetric[name], abs=1e-14)
    assert point["complexity"] == symmetric["entropy"]


@pytest.mark.parametrize("m", [None, 0.4])
def test_the_energy_of_configurations_is_a_derivative(m: float | None) -> None:
    given = {} if m is None else {"m": m}
    point, h = at(BINARY, alpha=1.2, beta=6.0, **given), 1e-3
    above, below = (at(BINARY, alpha=1.2, beta=6.0 + s * h, **given).free_entropy for s in (1, -1))
    assert point["energy"] == pytest.approx(-(above - below) / (2 * h), abs=1e-7)
    assert point["entropy"] == pytest.approx(point.free_entropy + 6.0 * float(point["energy"]), abs=1e-13)


def test_without_temperature_the_constraint_is_hard() -> None:
    hard = at(replica.zoo.binary_perceptron(), "rs", alpha=0.5)
    for beta, m in ((math.inf, 1.0), (math.inf, 0.5), (1e3, 1.0), (1e4, 0.5)):
        point = at(BINARY, alpha=0.5, beta=beta, m=m)
        assert point.free_entropy == pytest.approx(hard.free_entropy / m, abs=1e-13)
        assert point["energy"] == pytest.approx(0.0, abs=1e-13)


def test_what_freezes() -> None:
    """Powers of counted errors are errors at another temperature; a smooth loss has no jump that isolates configurations."""
    perceptron = replica.zoo.binary_perceptron()
    assert [scales_with_temperature(replica.soft(perceptron, loss)) for loss in ("errors", "sign(-x)", "hinge")] == [
        True,
        True,
        False,
    ]
    assert not scales_with_temperature(perceptron)
    prior = replica.soft(Model("sparse", DiscreteWeights((-1, 0, 1), prior=(1, 2, 1))))
    from saddle.points.frozen import freezes

    values = {"alpha": 1.0, "kappa": 0.0, "beta": 2.0}
    assert not freezes(Setting.of((prior, "1rsb")), values)
    assert freezes(Setting.of((BINARY, "1rsb")), values)


def test_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["solve", "binary-perceptron", "--ansatz", "1rsb", "--alpha", "1.2", "--beta", "6", "--json"]
    assert main(asked) == 0
    found = json.loads(capsys.readouterr().out)["rows"][0]
    assert found["order_parameters"]["q1"] == 1.0 and found["order_parameters"]["q1hat"] is None
    assert found["free_entropy"] == pytest.approx(-6.0 * found["energy"], abs=1e-12)
    assert {"energy", "entropy", "internal_entropy", "complexity"} <= found.keys()


def test_complexities_along_temperatures(capsys: pytest.CaptureFixture[str]) -> None:
    curve = saddle.complexity("binary-perceptron", 1.2, beta=[2.0, 6.0], m=[0.4, 1.0])
    assert [(p.parameters["beta"], p.parameters["m"]) for p in curve] == [(2.0, 0.4), (2.0, 1.0), (6.0, 0.4), (6.0, 1.0)]
    symmetric = at(BINARY, "rs", alpha=1.2, beta=0.4 * 6.0)
    assert curve["complexity"][2] == pytest.approx(symmetric["entropy"], abs=1e-12)
    assert curve["energy"][2] == pytest.approx(symmetric["energy"], abs=1e-12)
    words = ["complexity", "binary-perceptron", "--alpha", "1.2", "--beta", "2,6", "--m", "0.4", "--json"]
    assert main(words) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["beta"] for row in rows] == [2.0, 6.0]
    assert rows[1]["complexity"] == pytest.approx(float(curve["complexity"][2]), abs=1e-13)


@pytest.mark.full
def test_frozen_configurations_are_the_limit_of_an_inner_overlap_of_one() -> None:
    """With the conjugates that belong to ``q1``, free entropy and outer conjugate tend to the frozen ones like a root."""
    frozen, beta, m = at(BINARY, alpha=1.2, beta=6.0, m=0.5), 6.0, 0.5
    setting, misses = Setting.of((BINARY, "1rsb")), []
    for left in (1e-3, 1e-5, 1e-7):
        problem = problem_of(setting, {"alpha": 1.2, "kappa": 0.0, "beta": beta, "m": m}, None)
        x = problem.to_coordinates({"q0": frozen["q0"], "q1": 1.0 - left})  # type: ignore[dict-item]
        state = problem.state(x, setting.rule)
        assert state is not None
        misses.append((state.free_entropy - frozen.free_entropy, state.conjugates["q0hat"] / float(frozen["q0hat"]) - 1.0))
    assert np.abs(misses[2]).max() < 3e-4
    for k in range(2):
        assert misses[1][k] / misses[0][k] == pytest.approx(0.1, rel=0.05)
        assert misses[2][k] / misses[1][k] == pytest.approx(0.1, rel=0.01)


# ----------------------------------------------------------------------------------------------------------- states


def phi(m: float, alpha: float, beta: float, q0: float, q1: float) -> float:
    """The 1RSB free entropy of spherical weights at margin 0 (Gardner 1988 with counted errors), typed by hand."""
    d = 1.0 - q1 + m * (q1 - q0)
    entropic = 0.5 * (math.log(1.0 - q1) + math.log(d / (1.0 - q1)) / m + q0 / d)
    x = -(math.sqrt(q0) * Z[:, None] + math.sqrt(q1 - q0) * Z) / math.sqrt(1.0 - q1)
    log = m * np.logaddexp(log_ndtr(-x), -beta + log_ndtr(x))
    top = log.max(axis=1)
    return float(entropic + alpha / m * (GAUSS @ (top + np.log(np.exp(log - top[:, None]) @ GAUSS))))


@pytest.mark.full
def test_states_of_spherical_weights() -> None:
    alpha, beta = 4.0, 6.0
    point = at(SPHERICAL, alpha=alpha, beta=beta)
    p = {name: float(point[name]) for name in ("q0", "q1", "m")}  # type: ignore[arg-type]
    assert 0.0 < p["q0"] < p["q1"] < 1.0 and 0.0 < p["m"] < 1.0
    assert abs(point.free_entropy - phi(p["m"], alpha, beta, p["q0"], p["q1"])) < 1e-9
    assert point.free_entropy < at(SPHERICAL, "rs", alpha=alpha, beta=beta).free_entropy
    assert abs(float(point["complexity"])) < 1e-12  # type: ignore[arg-type]
    for name in p:
        moved = [{**p, name: p[name] + s * 1e-4} for s in (1, -1)]
        above, below = (phi(v["m"], alpha, beta, v["q0"], v["q1"]) for v in moved)
        assert abs(above - below) / 2e-4 < 1e-5, name


@pytest.mark.full
@pytest.mark.parametrize("m", [None, 0.3])
def test_energy_and_entropies_of_states_are_derivatives(m: float | None) -> None:
    given, h = {} if m is None else {"m": m}, 1e-3
    point = at(SPHERICAL, alpha=4.0, beta=6.0, **given)
    above, below = (at(SPHERICAL, alpha=4.0, beta=6.0 + s * h, **given).free_entropy for s in (1, -1))
    assert point["energy"] == pytest.approx(-(above - below) / (2 * h), abs=1e-6)
    assert point["entropy"] == pytest.approx(point.free_entropy + 6.0 * float(point["energy"]), abs=1e-12)
    # all configurations are those of all states
    together = float(point["internal_entropy"]) + float(point["complexity"]) / float(point["m"] if m is None else m)
    assert together == pytest.approx(point["entropy"], abs=1e-11)


@pytest.mark.full
def test_states_at_their_limits() -> None:
    whole, symmetric = at(SPHERICAL, alpha=4.0, beta=6.0, m=1.0), at(SPHERICAL, "rs", alpha=4.0, beta=6.0)
    assert whole.free_entropy == pytest.approx(symmetric.free_entropy, abs=1e-12)
    assert whole["energy"] == pytest.approx(symmetric["energy"], abs=1e-11)
    warm = saddle.solve((SPHERICAL, "1rsb"), alpha=3.0, kappa=0.0, beta=3.0)
    assert str(warm.status) == "no-saddle" and "collapsed" in warm.message
    hard = at(replica.zoo.spherical_perceptron(), alpha=9.0, kappa=-1.0, m=0.3)
    for beta in (1e3, math.inf):
        cold = at(SPHERICAL, alpha=9.0, kappa=-1.0, m=0.3, beta=beta)
        assert cold.free_entropy == pytest.approx(hard.free_entropy, abs=1e-11)
        assert cold["internal_entropy"] == pytest.approx(hard["internal_entropy"], abs=1e-10)


@pytest.mark.full
@pytest.mark.parametrize("ansatz", ["1rsb", "local-entropy"])
def test_claimed_errors_cover_a_finer_rule(ansatz: str) -> None:
    """The same saddle by a rule of half the step and a wider range."""
    model, given = (SPHERICAL, {"m": 0.3}) if ansatz == "1rsb" else (BINARY, {"y": 3.0, "overlap": 0.9})
    from saddle.points.clusters import entropies
    from saddle.points.newton import newton
    from saddle.points.thermal import energy

    alpha, beta = (2.0, 20.0) if ansatz == "1rsb" else (0.6, 6.0)
    point = at(model, ansatz, alpha=alpha, kappa=0.0, beta=beta, **given)
    setting, fine = Setting.of((model, ansatz)), Rule(0.05, 13.0)
    values = setting.resolve({"alpha": alpha, "kappa": 0.0, "beta": beta, **given}, 1e-12)
    problem = problem_of(setting, values, None)
    state = newton(problem, problem.to_coordinates(point.order_parameters), fine, 1e-13).state
    assert state is not None
    found, warm = entropies(problem, state, fine), energy(setting, problem, state, fine)
    assert abs(found.free_entropy - point.free_entropy) <= point.error
    assert abs(found.complexity - float(point["complexity"])) <= point["complexity_error"]  # type: ignore
    inside = "internal_entropy" if ansatz == "1rsb" else "local_entropy"
    assert abs(found.internal + beta * warm - float(point[inside])) <= point[f"{inside}_error"]  # type: ignore
    assert point.error < 1e-7


@pytest.mark.full
def test_local_entropies_at_finite_temperature() -> None:
    """Energies are those of one of the replicas, entropies those of all or of one of them."""
    given, h = {"alpha": 0.6, "overlap": 0.8}, 1e-4
    point = at(BINARY, "local-entropy", beta=2.0, y=3.0, **given)
    above, below = (at(BINARY, "local-entropy", beta=2.0 + s * h, y=3.0, **given).free_entropy for s in (1, -1))
    energy, entropy = float(point["energy"]), float(point["entropy"])  # type: ignore[arg-type]
    assert energy == pytest.approx(-(above - below) / (2 * h) / 3.0, abs=1e-7)
    assert entropy == pytest.approx(point.free_entropy + 3.0 * 2.0 * energy, abs=1e-12)
    assert point["complexity"] == pytest.approx(entropy - 3.0 * float(point["local_entropy"]), abs=1e-11)  # type: ignore[arg-type]
    # of many replicas a cluster moves or pays: both maxima inside of it are in the range of the nodes
    setting = Setting.of((BINARY, "local-entropy"))
    values = {"alpha": 0.6, "kappa": 0.0, "beta": 3.0, "y": 20.0, "distance": 0.1}
    many = problem_of(setting, setting.resolve(values, 1e-12), None)
    place = many.raw_place({"q0": 0.733, "q1": 0.8, "q0hat": 0.2, "q1hat": 0.5})
    plain, wide = (many.call("energetic", many.energetic_arguments(place), 3, Rule(0.1, reach)) for reach in (10.0, 14.0))
    assert np.allclose(plain, wide, rtol=1e-13, atol=1e-13)
    rows = saddle.local_entropy("binary-perceptron", 0.6, beta=[2.0, math.inf], y=3.0, overlap=0.8)
    hard = saddle.local_entropy("binary-perceptron", 0.6, y=3.0, overlap=0.8)
    assert rows.free_entropy[0] == pytest.approx(point.free_entropy, abs=1e-12) and rows.energy[1] == 0.0
    assert rows.free_entropy[1] == pytest.approx(hard.free_entropy[0], abs=1e-11)
