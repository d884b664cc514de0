"""Teacher and student: derived formulas, the Bayes-optimal line, the spinodal, against formulas typed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr

import replica
import saddle
from replica.ansatz import check_tree, pair_counts
from replica.evaluation import evaluate
from replica.parts.teacher import with_teacher

MODEL = "teacher-student"
Z, STEP = np.linspace(-12.0, 12.0, 4001, retstep=True)
GAUSS = np.exp(-Z * Z / 2) / np.sqrt(2 * np.pi) * STEP


def entropy(q: float, qhat: float, r: float, rhat: float, alpha: float, kappa: float) -> float:
    """The textbook's free entropy, its outer average weighted with twice H."""
    weight = 2 * np.exp(log_ndtr(r * Z / np.sqrt(q - r * r)))
    patterns = np.sum(GAUSS * weight * log_ndtr(-(kappa - np.sqrt(q) * Z) / np.sqrt(1 - q)))
    x = rhat + np.sqrt(qhat) * Z
    weights = np.sum(GAUSS * (np.abs(x) + np.log1p(np.exp(-2 * np.abs(x)))))
    return float(-qhat * (1 - q) / 2 - r * rhat + weights + alpha * patterns)


def bayes_load(q: float) -> float:
    """The load of a saddle on the Bayes-optimal line, an explicit function of the overlap."""
    qhat = brentq(lambda x: np.sum(GAUSS * np.tanh(x + np.sqrt(x) * Z)) - q, 1e-6, 60.0, xtol=1e-14)
    x = np.sqrt(q / (1 - q)) * Z
    # 2 int Dz H(-u) (G(u) / H(-u))^2 / (1 - q), u = z sqrt(q / (1 - q))
    mills = np.exp(-x * x / 2 - log_ndtr(x)) / np.sqrt(2 * np.pi)
    return float(qhat * (1 - q) / np.sum(GAUSS * 2 * np.exp(log_ndtr(x)) * mills**2))


def test_derived_free_entropy_is_the_textbooks() -> None:
    f = replica.derive(MODEL, "rs")
    point = {"q": 0.6, "qhat": 1.1, "r": 0.5, "rhat": 0.9, "alpha": 0.8, "kappa": 0.15}
    phi = f.interaction + f.entropic + sp.Symbol("alpha") * f.energetic
    assert float(evaluate(phi, point, f.definitions, 15)) == pytest.approx(entropy(**point), abs=1e-13)
    for name, at in (("r", "rhat"), ("q", "qhat"), ("rhat", "r"), ("qhat", "q")):
        step = 1e-5
        ends = [entropy(**{**point, name: point[name] + shift}) for shift in (step, -step)]
        slope = (ends[0] - ends[1]) / (2 * step)
        weight = float(f.weight_of[min(name, at, key=len)])
        pairs = f.weight_pairs if name.endswith("hat") else f.energetic_pairs
        average = float(evaluate(pairs[min(name, at, key=len)], point, f.definitions, 12))
        scale = 1.0 if name.endswith("hat") else point["alpha"]
        assert slope == pytest.approx(weight * (scale * average - point[at]), abs=1e-8)


@pytest.mark.parametrize("name", list(replica.zoo.ANSATZE))
def test_any_ansatz_takes_a_teacher(name: str) -> None:
    ansatz = replica.zoo.ansatz(name)
    taught = with_teacher(ansatz)
    check_tree(taught)
    assert with_teacher(taught) is taught
    assert set(pair_counts(taught.tree)) == set(taught.names())
    new = set(taught.names().values()) - set(ansatz.names().values())
    assert "r" in new
    assert not new & {*taught.vanishing, *taught.multiplicities}


def test_students_of_a_teacher_are_bayes_optimal() -> None:
    for alpha in (0.3, 1.0, 1.45):
        point = saddle.solve((MODEL, "rs"), alpha=alpha)
        order = point.order_parameters
        assert order["q"] == pytest.approx(order["r"], abs=1e-12)
        assert order["qhat"] == pytest.approx(order["rhat"], abs=1e-11)
        assert bayes_load(order["q"]) == pytest.approx(alpha, abs=1e-11)
        assert abs(point.free_entropy - entropy(**order, alpha=alpha, kappa=0.0)) < 1e-12
        assert point["generalization_error"] == pytest.approx(np.arccos(order["r"]) / np.pi)
        assert point["stable"] is True
    margin = saddle.solve((MODEL, "rs"), alpha=0.5, kappa=0.2)
    assert margin.order_parameters["q"] > margin.order_parameters["r"] + 0.01
    assert abs(margin.free_entropy - entropy(**margin.order_parameters, alpha=0.5, kappa=0.2)) < 1e-12


def test_beyond_the_spinodal_only_the_teacher_is_left() -> None:
    top = minimize_scalar(lambda q: -bayes_load(q), bounds=(0.8, 0.95), method="bounded", options={"xatol": 1e-9})
    point = saddle.solve((MODEL, "rs"), alpha=-top.fun + 1e-6)
    assert point.status is saddle.Status.NO_SADDLE
    assert "fold at alpha = 1.492631818" in point.message
    assert "perfect generalisation" in point.message
    assert saddle.solve((MODEL, "rs"), alpha=-top.fun - 1e-6).converged


@pytest.mark.full
def test_probes_around_a_student_with_a_margin() -> None:
    """Where the profile is maximal the probes are typical students; around a typical one the teacher is another student."""
    setting = (MODEL, "franz-parisi")
    top = saddle.solve(setting, alpha=0.5, kappa=0.0, reference_kappa="max", distance=0.2914933258)
    student = saddle.solve((MODEL, "rs"), alpha=0.5)
    assert abs(top.free_entropy - student.free_entropy) < 1e-12
    assert abs(top["generalization_error"] - student["generalization_error"]) < 1e-8
    exchangeable = saddle.solve(setting, alpha=0.5, kappa=0.0, reference_kappa=0.0, distance=0.1)
    order = exchangeable.order_parameters
    assert order["t"] == pytest.approx(order["r"], abs=1e-11)
    assert order["that"] == pytest.approx(order["rhat"], abs=1e-11)
    closer = saddle.solve(setting, alpha=0.5, kappa=0.0, reference_kappa="max", distance=0.1)
    assert closer["generalization_error"] < exchangeable["generalization_error"]
