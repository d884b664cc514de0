"""Claimed errors cover the true ones: a subset against mpmath at 30 digits, and the committed whole."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.special import logsumexp

import replica
import saddle
from replica.evaluation import evaluate
from replica.expr import Average, H, TwoCosh
from replica.parts.losses import loss_function

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def accuracy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy", HERE / "benchmarks" / "accuracy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("index", [0, 3, 6, 9, 12, 15, 18, 21, 1, 4, 8, 11, 14, 17])
def test_claimed_error_covers_the_true_one(accuracy: ModuleType, index: int) -> None:
    row = accuracy.compare(index + 1000)
    if row is None:
        pytest.skip("no saddle at this point")
    assert row["covered"], row
    assert row["true_error"] <= row["allowed"]
    assert row["claimed_error"] < 1e-10


@pytest.mark.parametrize(("alpha", "kappa"), [(1e-6, 0.0), (0.5, 1.0), (1.9, 0.0), (1.99, 0.0), (12.0, -1.0)])
def test_spherical_error_covers_the_true_one(accuracy: ModuleType, alpha: float, kappa: float) -> None:
    """Also where the parts of the determinant cancel, at small loads, and where the overlap is close to 1."""
    model = replica.zoo.spherical_perceptron()
    point = saddle.solve((model, "rs"), alpha=alpha, kappa=kappa)
    truth = accuracy.true_rs(model, alpha, kappa, point.order_parameters["q"])
    true_error = float(abs(point.free_entropy - truth))
    assert true_error <= point.error and true_error <= 1e-12 * max(1.0, abs(point.free_entropy))


def test_committed_result() -> None:
    """The whole check, run by tests/benchmarks/accuracy.py."""
    document = json.loads((HERE / "benchmarks" / "accuracy.json").read_text())
    assert document["points"] >= 300 and document["points"] == len(document["rows"])
    assert document["not_covered"] == document["beyond_promise"] == 0
    assert document["median_ratio"] < 1000 or document["median_claimed_error"] < 1e-13


@pytest.mark.full
def test_whole_accuracy_check(accuracy: ModuleType) -> None:
    rows = [row for row in map(accuracy.compare, range(2000, 2330)) if row is not None]
    verdict = accuracy.summary(rows)
    assert verdict["not_covered"] == verdict["beyond_promise"] == 0, verdict


@pytest.mark.parametrize("margin", [0.03, 1.3, -2.0])
def test_one_kink_of_a_loss(margin: float) -> None:
    """An average of a hinge has one narrow feature, beside which nothing says where the nodes should be."""
    z = sp.Symbol("z")
    average = Average(sp.exp(-loss_function("hinge")(z - sp.Symbol("kappa"))), z, sp.Rational(2, 5))
    found = evaluate(average, {"kappa": str(margin)}, digits=14)

    def density(x: mpmath.mpf) -> mpmath.mpf:
        return mpmath.exp(-max(0, margin - x) - x * x / 0.8) / mpmath.sqrt(0.8 * mpmath.pi)

    assert abs(found - mpmath.quad(density, [-8, margin, 8])) < 1e-13


def test_the_oracle_follows_a_power_out_of_its_range() -> None:
    """The mass of an average of a power may be anywhere: here, forty deviations out, in a peak as narrow as the kink."""
    z, m = sp.symbols("z m")
    average = Average(H((40 - z) * 50) ** m, z, sp.Integer(1))
    found = evaluate(average, {"m": 1}, digits=25)
    with mpmath.workdps(40):
        truth = mpmath.erfc(40 / mpmath.sqrt(2 * (1 + mpmath.mpf(1) / 2500))) / 2
        assert abs(found / truth - 1) < mpmath.mpf(10) ** -22


def test_the_oracle_sees_zeros_of_a_power_beside_the_middle() -> None:
    """The average of a 30th power of 2 cosh has zeros close to the real axis, between its two peaks."""
    z, x, y = sp.symbols("z x y")
    inner = Average(TwoCosh(z + x) ** y, x, sp.Rational(3, 10))
    found = evaluate(Average(sp.log(inner), z, sp.Rational(1, 2)), {"y": 30}, digits=14)

    def logarithm(at: float) -> float:
        terms = [math.log(math.comb(30, k)) + (30 - 2 * k) * at + 0.15 * (30 - 2 * k) ** 2 for k in range(31)]
        return float(logsumexp(terms))

    at = 0.001 * np.arange(-8000, 8001)
    weights = np.exp(-(at**2)) / math.sqrt(math.pi)
    assert float(found) == pytest.approx(0.001 * float(weights @ [logarithm(t) for t in at]), rel=1e-9)
