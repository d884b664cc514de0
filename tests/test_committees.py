"""Tree committees: kernels of activations, the perceptron as a special case, and formulas typed by hand."""

from __future__ import annotations

import json
import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erfcx, log_ndtr

import replica
import saddle
from replica import zoo
from replica.errors import InputError
from replica.parts.activations import activation_text, expression, kernel_of
from saddle import published
from saddle.cli import main

q = sp.Symbol("q")

TABLE = {
    "linear": (q, 1.0),
    "sign": (2 / sp.pi * sp.asin(q), math.inf),
    "relu": ((sp.sqrt(1 - q**2) + q * (sp.pi - sp.acos(q)) - 1) / (2 * sp.pi), 0.5),
    "erf": (2 / sp.pi * sp.asin(2 * q / 3), 4 / (math.pi * math.sqrt(5))),
    "erf-sqrt2": (2 / sp.pi * sp.asin(q / 2), 2 / (math.pi * math.sqrt(3))),
    "quadratic": (2 * q**2, 4.0),
}


def numeric_kernel(g: str, overlap: float) -> float:
    """The covariance of outputs by Gauss-Legendre quadrature over both inputs, split at 0."""
    x = sp.Symbol("x", real=True)
    modules = [{"sign": np.sign, "Abs": np.abs, "erf": np.vectorize(math.erf)}, "numpy"]
    function = sp.lambdify(x, expression(g), modules=modules)
    nodes, weights = np.polynomial.legendre.leggauss(160)
    u = np.concatenate([4.5 * (nodes + 1), -4.5 * (nodes + 1)])
    w = 4.5 * np.concatenate([weights, weights])
    values = function(u) + 0 * u
    single = w * np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)
    r2 = 1 - overlap**2
    cross = u[:, None] ** 2 - 2 * overlap * u[:, None] * u[None, :] + u[None, :] ** 2
    pair = np.exp(-cross / (2 * r2)) / (2 * math.pi * math.sqrt(r2))
    return float((w * values) @ pair @ (w * values) - (single @ values) ** 2)


@pytest.mark.parametrize("name", TABLE)
def test_kernels_are_those_of_the_table(name: str) -> None:
    kernel, (value, slope) = kernel_of(name), TABLE[name]
    for overlap in (0.0, 0.2, 0.73, 1.0):
        assert float(kernel.value(sp.Float(overlap, 30)).evalf()) == pytest.approx(float(value.subs(q, overlap)), abs=2e-15)
    assert float(kernel.slope_at_one) == pytest.approx(slope, rel=1e-14)


@pytest.mark.parametrize(
    "name", ["tanh", "leaky-relu(0.1)", "x*exp(-x**2)", "tanh(2*x)", "abs(x) + sign(x)/2 + x**3/5", "erf(2*x) - max(0, x)"]
)
@pytest.mark.parametrize("overlap", [0.35, -0.4])
def test_kernels_against_quadrature(name: str, overlap: float) -> None:
    assert float(kernel_of(name).value(sp.Float(overlap)).evalf()) == pytest.approx(numeric_kernel(name, overlap), abs=1e-11)


@pytest.mark.parametrize("name", ["relu", "sign", "erf", "quadratic", "tanh", "x*exp(-x**2)"])
@pytest.mark.parametrize("left", [1e-9, 1e-4, 0.3, 0.9])
def test_gaps_do_not_cancel(name: str, left: float) -> None:
    kernel = kernel_of(name)
    with mpmath.workdps(40):
        e = sp.Float(left, 40)
        gap, difference = (expr.evalf(40) for expr in (kernel.gap(e), kernel.value(sp.Integer(1)) - kernel.value(1 - e)))
    assert float(gap / difference) == pytest.approx(1.0, abs=1e-13)


def test_kernel_functions_in_double_precision() -> None:
    from saddle.kernels.special import angle, arcsine_gap, wedge

    for e in (1e-14, 1e-8, 1e-3, 0.2, 0.46, 0.7, 1.0, 1.6):
        with mpmath.workdps(40):
            theta = mpmath.acos(1 - mpmath.mpf(e))
            assert angle(e) == pytest.approx(float(theta), rel=1e-15)
            assert wedge(e) == pytest.approx(float(mpmath.sin(theta) - theta * mpmath.cos(theta)), rel=4e-15)
            if e <= 1.0:
                c = mpmath.mpf(0.9)
                assert arcsine_gap(e, 0.9) == pytest.approx(float(mpmath.asin(c) - mpmath.asin(c * (1 - e))), rel=4e-15)


def test_a_series_bounds_what_it_leaves_out() -> None:
    kernel = kernel_of("sign(x - 0.3)")  # c_k^2 falls like k^(-3/2)
    assert kernel.slope_at_one is sp.oo
    assert kernel.error is not None
    for overlap in (0.5, 0.99, 0.9999):
        # E[sign sign] through the bivariate normal
        from scipy.stats import multivariate_normal

        both = multivariate_normal(cov=[[1, overlap], [overlap, 1]]).cdf([0.3, 0.3])
        single = 0.5 * math.erfc(-0.3 / math.sqrt(2))
        true = 4 * (both - single**2)
        bound = float(kernel.error(sp.Float(overlap)))
        assert abs(float(kernel.value(sp.Float(overlap)).evalf()) - true) <= bound + 1e-8
    assert float(kernel.error(sp.Float(0.5))) < 1e-14 < 1e-7 < float(kernel.error(sp.Float(0.9999)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__import__('os')", "not understood"),
        ("y", "not understood"),
        ("exp(x**2)", "no finite real value"),
        ("log(x)", "no finite real value"),
        ("3", "does not depend on x"),
        ("9**9**9*x", "too large"),
        ("tanh(x, x)", "number of arguments"),
        ("sin(300*x)", "series leaves out"),
    ],
)
def test_bad_activations_are_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        kernel_of(activation_text(text))


def test_sympy_expressions_are_activations() -> None:
    z = sp.Symbol("z")
    model = zoo.tree_committee(z * sp.exp(-(z**2)))
    assert model.options[0] == ("activation", "x*exp(-x**2)")
    assert model == zoo.tree_committee("x*exp(-x**2)")
    with pytest.raises(InputError, match="more than one variable"):
        zoo.tree_committee(z * sp.Symbol("t"))
    with pytest.raises(InputError, match="none of binary, spherical"):
        zoo.tree_committee("relu", weights="ternary")


@pytest.mark.parametrize("ansatz", ["rs", "1rsb", "franz-parisi"])
@pytest.mark.parametrize("weights", ["binary", "spherical"])
def test_linear_committees_are_perceptrons(weights: str, ansatz: str) -> None:
    committee = replica.derive(zoo.tree_committee("linear", weights), ansatz)
    perceptron = replica.derive(zoo.model(f"{weights}-perceptron"), ansatz)
    assert committee.expression == perceptron.expression
    assert committee.energetic_pairs == perceptron.energetic_pairs
    assert committee.definitions == perceptron.definitions


def log_h(x: float) -> float:
    return float(log_ndtr(-x))


def mills(x: float) -> float:
    return math.sqrt(2 / math.pi) / float(erfcx(x / math.sqrt(2)))


def gaussian(f, points=()) -> float:  # type: ignore[no-untyped-def]
    value, _ = quad(
        lambda z: f(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -11, 11, epsabs=1e-13, epsrel=1e-13, limit=200
    )
    return float(value)


def relu_entropy(alpha: float, kappa: float) -> float:
    """The replica-symmetric entropy of binary ReLU committees, every formula typed by hand."""
    one = 0.5 - 1 / (2 * math.pi)

    def delta(o: float) -> float:
        return (math.sqrt(1 - o * o) + o * (math.pi - math.acos(o)) - 1) / (2 * math.pi)

    def conjugate(o: float) -> float:
        slope, d = (math.pi - math.acos(o)) / (2 * math.pi), delta(o)
        noise = math.sqrt(one - d)
        return alpha * slope * gaussian(lambda z: mills((kappa - math.sqrt(d) * z) / noise) ** 2) / (one - d)

    overlap = brentq(lambda o: o - gaussian(lambda z: math.tanh(math.sqrt(conjugate(o)) * z) ** 2), 1e-6, 0.99, xtol=1e-14)
    hat, d = conjugate(overlap), delta(overlap)
    entropic = gaussian(lambda z: float(np.logaddexp(math.sqrt(hat) * z, -math.sqrt(hat) * z)))
    patterns = gaussian(lambda z: log_h((kappa - math.sqrt(d) * z) / math.sqrt(one - d)))
    return -hat * (1 - overlap) / 2 + entropic + alpha * patterns


def test_entropy_of_relu_committees_against_formulas_typed_by_hand() -> None:
    point = saddle.solve((zoo.tree_committee("relu"), "rs"), alpha=0.4, kappa=0.15)
    assert point.free_entropy == pytest.approx(relu_entropy(0.4, 0.15), abs=1e-10)


def test_published_capacities() -> None:
    rows = [row for row in published.data() if "committee" in row["model"] and "1RSB" not in row["quantity"]]
    assert len(rows) >= 5
    assert all(published._compared(row)["agrees"] for row in rows)


def test_margins_have_normalised_twins(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["max-margin", "tree-committee", "--activation", "relu", "--alpha", "0.5", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    row = found["rows"][0]
    assert row["value_normalized"] == pytest.approx(row["value"] / math.sqrt(0.5 - 1 / (2 * math.pi)), rel=1e-14)
    assert found["options"] == {"activation": "relu", "weights": "binary"}
    point = saddle.solve((zoo.tree_committee("relu"), "rs"), alpha=0.5, kappa=row["value"])
    assert abs(point.free_entropy) < 1e-11
    assert point["kappa_normalized"] == row["value_normalized"]


def test_jumps_leave_no_finite_spherical_capacity(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["capacity", "tree-committee", "--activation", "sign", "--weights", "spherical", "--kappa", "0", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["value"] is None and found["status"] == "absent"
    assert "no finite capacity" in found["message"]


def quadratic_entropy(alpha: float) -> float:
    """The lowest replica-symmetric entropy over the overlap for the square, binary weights and margin 0."""

    def at(overlap: float) -> float:
        def missing(hat: float) -> float:
            return overlap - gaussian(lambda z: math.tanh(math.sqrt(hat) * z) ** 2)

        hat = brentq(missing, 1e-12, 50, xtol=1e-14)
        d = 2 * overlap**2
        entropic = gaussian(lambda z: float(np.logaddexp(math.sqrt(hat) * z, -math.sqrt(hat) * z)))
        patterns = gaussian(lambda z: log_h(-math.sqrt(d) * z / math.sqrt(2 - d)))
        return -hat * (1 - overlap) / 2 + entropic + alpha * patterns

    return float(minimize_scalar(at, bounds=(1e-3, 0.6), method="bounded", options={"xatol": 1e-10}).fun)


def test_even_activations_leave_the_saddle_at_zero() -> None:
    point = saddle.solve((zoo.tree_committee("quadratic"), "rs"), alpha=0.95, kappa=0.0)
    assert point.free_entropy == pytest.approx(quadratic_entropy(0.95), abs=1e-10)
    assert point.observables["stable"] is False and point.warnings
    trivial = saddle.solve((zoo.tree_committee("quadratic"), "rs"), alpha=0.5, kappa=0.0)
    assert trivial.free_entropy == pytest.approx(0.5 * math.log(2.0), abs=1e-14)
    assert trivial.observables["stable"] is True


def test_typical_solutions_of_sign_committees_are_isolated_at_high_load() -> None:
    profile = saddle.franz_parisi(zoo.tree_committee("sign"), 0.7, "max", 0.0, [1e-5, 3e-5, 1e-3, 0.05, 0.1])
    assert [entropy < 0 for entropy in profile.free_entropy] == [False, True, True, True, False]
    assert np.all(profile.free_entropy <= profile["bound"])


def test_sign_committees_at_the_smallest_distances() -> None:
    """What the solutions around a robust one lack to all configurations falls like exp(-pi k^2/(16 sqrt d))."""
    model = zoo.tree_committee("sign")
    profile = saddle.franz_parisi(model, 0.5, "max", 0.0, [1e-8, 1e-7, 1e-6, 1e-5, 2e-5])
    assert profile.converged
    missing = profile["bound"] - profile.free_entropy
    law = np.exp(-math.pi * saddle.max_margin(model, 0.5).value ** 2 / (16 * np.sqrt(profile.distance)))
    assert np.all(missing >= -profile["error"])
    assert np.all(missing <= law + profile["error"])


def test_kernels_have_names_in_print() -> None:
    text = replica.derive(zoo.tree_committee("relu"), "rs").text()
    assert "α Δ'_q/(Δ₁ - Δ_q) E_z[M²" in text and "Δ'_q = 1/4 + arcsin(q)/(2 π)" in text
    latex = replica.derive(zoo.tree_committee("tanh"), "franz-parisi").latex()
    assert r"\Delta_{q} = \Delta_{g}(q)" in latex
    assert not any(name in text + latex for name in ("Series", "Positive", "dD", "D_1", "asin("))
