"""Averages of local quantities at a saddle: saddle equations, integrals made by hand, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, special

import replica
import saddle
from replica.averages import local_average, quantities

BINARY = "binary-perceptron"
Z = np.linspace(-12.0, 12.0, 2401)
WEIGHT = np.exp(-Z * Z / 2) / math.sqrt(2 * math.pi) * (Z[1] - Z[0])


def gaussian(function: object, variance: float) -> float:
    """E f(z) with z of this variance, by an adaptive quadrature."""
    density = lambda x: function(math.sqrt(variance) * x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    return float(integrate.quad(density, -14.0, 14.0, epsabs=1e-14, epsrel=1e-13, limit=400)[0])


def test_symmetric_weights_and_patterns() -> None:
    point = saddle.solve((BINARY, "rs"), alpha=0.6, kappa=0.2)
    q, qhat = point.order_parameters["q"], point.order_parameters["qhat"]
    for text, expected in {
        "T**4": gaussian(lambda f: math.tanh(f) ** 4, qhat),
        "abs(f)*exp(-T)": gaussian(lambda f: abs(f) * math.exp(-math.tanh(f)), qhat),
        "(T**2 - root(T**2))**2": gaussian(lambda f: (math.tanh(f) ** 2 - q) ** 2, qhat),
        "h**2": qhat / 0.6,
        "u*h": gaussian(lambda u: u * hazard(0.2, u, q), q),
        "dh": gaussian(lambda u: hazard(0.2, u, q) * ((0.2 - u) / (1 - q) - hazard(0.2, u, q)), q),
    }.items():
        found = point.average(text)
        assert found.value == pytest.approx(expected, abs=found.error + 1e-12), text
        if "abs" not in text:  # a kink is no feature that the nodes know of
            assert found.error < 1e-11, text


def hazard(kappa: float, u: float, q: float) -> float:
    """d ln H((kappa - u)/sqrt(1 - q))/du."""
    x = (kappa - u) / math.sqrt(1 - q)
    return math.exp(-x * x / 2 - special.log_ndtr(-x)) / math.sqrt(2 * math.pi * (1 - q))


def test_fourth_moment_at_capacity() -> None:
    threshold = saddle.capacity(BINARY, 0.0)
    found = threshold.average("T**4")
    assert 0.440590231 <= found.value <= 0.440590232
    by_hand = gaussian(lambda f: math.tanh(f) ** 4, threshold.order_parameters["qhat"])
    assert float(found) == pytest.approx(by_hand, abs=1e-13)


def test_states_of_broken_symmetry() -> None:
    point = saddle.solve(("spherical-perceptron", "1rsb"), alpha=9, kappa=-1)
    found = point.order_parameters
    # the energetic side of the saddle equations, from h at two distances of replicas
    assert point.average("state(h)**2").value == pytest.approx(found["q0hat"] / 9, abs=1e-11)
    assert point.average("h**2").value == pytest.approx(found["q1hat"] / 9, abs=1e-11)
    q0, q1, m = found["q0"], found["q1"], found["m"]
    u = math.sqrt(q0) * Z[::4, None] + math.sqrt(q1 - q0) * Z[None, :]
    x = (-1 - u) / math.sqrt(1 - q1)
    log_h = special.log_ndtr(-x)
    h = np.exp(-x * x / 2 - log_h) / math.sqrt(2 * math.pi * (1 - q1))
    tilted = WEIGHT * np.exp(m * log_h)
    inside = (tilted * h).sum(1) / tilted.sum(1)
    outer = 4 * WEIGHT[::4]
    assert point.average("state(h)**4").value == pytest.approx(float(outer @ inside**4), rel=1e-9)
    assert point.average("atan(state(h))").value == pytest.approx(float(outer @ np.arctan(inside)), rel=1e-9)
    spread = (tilted * (h - inside[:, None]) ** 2).sum(1) / tilted.sum(1)
    assert point.average("(h - state(h))**2").value == pytest.approx(float(outer @ spread), rel=1e-9)
    assert point.average("root(h)").value == pytest.approx(float(outer @ inside), rel=1e-9)


def test_clusters_of_replicas() -> None:
    point = saddle.solve((BINARY, "local-entropy"), alpha=0.5, y=20, distance=0.1)
    found = point.order_parameters
    assert point.average("T**2").value == pytest.approx(0.8, abs=1e-11)
    cluster, t = sp.Function("cluster"), sp.Symbol("T")
    outside = point.average(cluster(t) ** 2)
    assert outside.value == pytest.approx(found["q0"], abs=2 * outside.error + 1e-12)
    assert outside.value == pytest.approx(point.average("cluster(T)*cluster(T)").value, abs=1e-13)


def test_species_of_a_conditioned_problem() -> None:
    point = saddle.solve((BINARY, "franz-parisi"), alpha=0.5, reference_kappa=0.2, distance=0.01)
    found = point.order_parameters
    for text, expected in {
        "w_ref*T_probe": 0.98,
        "T_ref*T_probe": found["t"],
        "T_ref*cluster(T_probe)": found["t"],
        "T_probe**2": found["q"],
        "T_ref**2": found["qr"],
        "h_ref*h_probe": found["that"] / 0.5,
        "h_probe**2": found["qhat"] / 0.5,
    }.items():
        assert point.average(text).value == pytest.approx(expected, abs=1e-11), text
    assert "w_ref" in quantities(replica.derive(BINARY, "franz-parisi"))
    with pytest.raises(replica.InputError, match="cut"):
        point.average("max(0.2 - stability_ref, 0)")


def test_teachers_and_levels() -> None:
    point = saddle.solve(("teacher-student", "rs"), alpha=1.0)
    assert point.average("w_teacher*T").value == pytest.approx(point.order_parameters["r"], abs=1e-12)
    ternary = replica.Model("ternary", replica.DiscreteWeights((-1, 0, 1)))
    point = saddle.solve((ternary, "rs"), alpha=0.4)
    assert point.average("T**2").value == pytest.approx(point.order_parameters["q"], abs=1e-12)
    committee = saddle.solve((replica.zoo.tree_committee("relu"), "rs"), alpha=0.4)
    q, qhat = (committee.order_parameters[name] for name in ("q", "qhat"))
    slope = (math.pi - math.acos(q)) / (2 * math.pi)
    assert committee.average("h**2").value == pytest.approx(qhat / 0.4 / slope, rel=1e-12)


def test_text_is_derived_not_run() -> None:
    f = replica.derive(BINARY, "1rsb")
    assert local_average(f, "T**2").expression == f.weight_pairs["q1"]
    for text, overlap in {"state(T**2)": "q1", "state(T)**2": "q0"}.items():
        found = local_average(f, text).expression  # a closed average has variables of its own
        assert found.xreplace({sp.Symbol("wz_state_w_1"): sp.Symbol("wz_state_w")}) == f.weight_pairs[overlap]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("T*h", "mixes"),
        ("S**2", "not understood"),
        ("__import__('os').getcwd()", "not understood"),
        ("T +", "not an expression"),
        ("q1**2", "none of the local quantities"),
        ("T*q1", "conjugates only"),
        ("state(q1hat)*T", "nothing in the brackets"),
        ("log(T - 2)", "no finite value"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    point = saddle.solve((BINARY, "local-entropy"), alpha=0.5, y=2, distance=0.1)
    with pytest.raises(replica.InputError, match=reason):
        point.average(text.replace("state", "cluster"))


def test_refused_without_a_saddle() -> None:
    with pytest.raises(replica.InputError, match="not understood"):
        saddle.solve(("spherical-perceptron", "rs"), alpha=1.0).average("T**2")
    with pytest.raises(replica.InputError, match="without a saddle"):
        saddle.capacity("spherical-perceptron", 0.0).average("h")
    with pytest.raises(replica.InputError, match="infinite"):
        saddle.solve((BINARY, "1rsb"), alpha=0.5).average("T")
    with pytest.raises(replica.InputError, match="no saddle"):
        saddle.solve(("spherical-perceptron", "rs"), alpha=3.0).average("h")
    point = saddle.solve((BINARY, "rs"), alpha=0.5)
    assert "target" not in json.loads(saddle.Curve((point,)).to_json())["rows"][0]
    with pytest.raises(replica.InputError, match="solve the point anew"):
        replace(point, target=None).average("T")
