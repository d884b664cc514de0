"""Franz-Parisi entropies of probes around a reference with another constraint, against formulas typed by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import special

import replica
import saddle
from replica.model import Threshold
from replica.parts.adaptation import adapt
from replica.parts.constraints import ErrorCounting, OutsideWindow, Window, lies_inside
from saddle import cli
from saddle.checking.finite import finite_checks
from saddle.checking.interior import interior_point
from saddle.points.results import SaddlePoint, Status

THRESHOLD = replica.zoo.binary_perceptron()
WINDOW = replica.zoo.symmetric_binary_perceptron()
FP = replica.zoo.franz_parisi()
Z = np.linspace(-9.0, 9.0, 241)
GAUSS = np.exp(-Z * Z / 2) / math.sqrt(2 * math.pi) * (Z[1] - Z[0])


def log_two_cosh(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, -x)


def above(kappa: float, mean: np.ndarray, variance: float) -> np.ndarray:
    """ln of the probability of a field above the margin."""
    return special.log_ndtr((mean - kappa) / math.sqrt(variance))


def within(kappa: float, mean: np.ndarray, variance: float) -> np.ndarray:
    """ln of the probability of a field inside of the window."""
    sd = math.sqrt(variance)
    return np.log(special.ndtr((kappa - mean) / sd) - special.ndtr((-kappa - mean) / sd))


def around_a_window(point: SaddlePoint) -> float:
    """The entropy of margin probes around a solution in a window: other references are uncorrelated with both."""
    q, qhat, p, phat = (point.order_parameters[name] for name in ("q", "qhat", "p", "phat"))
    alpha, kappa, window = (point.parameters[name] for name in ("alpha", "kappa", "reference_kappa"))
    x, w = np.polynomial.legendre.leggauss(80)
    v, weight = window * x, window * w * np.exp(-((window * x) ** 2) / 2)
    fields = p * v[:, None] + math.sqrt(q - p * p) * Z[None, :]
    patterns = weight / weight.sum() @ above(kappa, fields, 1 - q) @ GAUSS
    weights = GAUSS @ log_two_cosh(math.sqrt(qhat) * Z + phat)
    return float(-qhat * (1 - q) / 2 - p * phat + weights + alpha * patterns)


def around_a_margin(point: SaddlePoint) -> float:
    """The entropy of window probes around a solution of a margin: the formula of arXiv 2107.01163 with another factor."""
    found, at = point.order_parameters, point.parameters
    q, t, p, qr = (found[name] for name in ("q", "t", "p", "qr"))
    qhat, that, phat, qrhat = (found[f"{name}hat"] for name in ("q", "t", "p", "qr"))
    x, w = np.polynomial.legendre.leggauss(60)
    b = (p - t) / math.sqrt(1 - qr)
    g = q - t * t / qr - b * b
    patterns = weights = 0.0
    for u, du in zip(Z, GAUSS, strict=True):
        c = (at["reference_kappa"] - math.sqrt(qr) * u) / math.sqrt(1 - qr)
        v = max(c, -9.0) + 5.0 * (x + 1) * (1.0 if c > 4.0 else 2.0)
        weight = w * np.exp(-v * v / 2)
        fields = t * u / math.sqrt(qr) + b * v[:, None] + math.sqrt(g) * Z[None, :]
        patterns += du * float(weight / weight.sum() @ within(at["kappa"], fields, 1 - q) @ GAUSS)
        for s in (1.0, -1.0):
            tilt = 1.0 / (1.0 + math.exp(-2 * s * math.sqrt(qrhat) * u))
            field = that * u / math.sqrt(qrhat) + math.sqrt(qhat - that**2 / qrhat) * Z + (phat - that) * s
            weights += du * tilt * float(GAUSS @ log_two_cosh(field))
    return -qhat * (1 - q) / 2 - p * phat + t * that + weights + at["alpha"] * patterns


def test_margin_probes_around_a_window() -> None:
    curve = saddle.franz_parisi(THRESHOLD, 0.4, 1.0, -0.5, [0.1, 0.3], reference=WINDOW)
    for point in curve:
        assert point.converged and point.error < 1e-11
        assert point.free_entropy == pytest.approx(around_a_window(point), abs=1e-10)
        assert point.order_parameters["qr"] == point.order_parameters["t"] == 0.0
    step = 1e-4
    near = saddle.franz_parisi(THRESHOLD, 0.4, 1.0, -0.5, [0.3 - step, 0.3 + step], reference=WINDOW).free_entropy
    assert curve["slope"][1] == pytest.approx((near[1] - near[0]) / (2 * step), rel=1e-6)
    typical = saddle.solve((THRESHOLD, "rs"), alpha=0.4, kappa=-0.5).free_entropy
    assert curve.free_entropy[1] < typical  # which is reached at distance 1/2, where p = t = 0
    half = saddle.franz_parisi(THRESHOLD, 0.4, 1.0, -0.5, 0.4999, reference=WINDOW)[0]
    assert half.value == pytest.approx(typical, abs=1e-6) and abs(half["slope"]) < 1e-3
    # a window of 1 does not keep a margin of -0.5, so that nothing surrounds the reference closely
    assert saddle.franz_parisi(THRESHOLD, 0.4, 1.0, -0.5, 0.01, reference=WINDOW)[0].status is Status.BRANCH_END
    json_text = curve.to_json()
    assert json.loads(json_text)["options"] == {"reference_model": "symmetric-binary-perceptron"}
    assert "--reference-model" in json.loads(json_text)["provenance"]["command"]


def test_window_probes_around_a_margin(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["franz-parisi", "symmetric-binary-perceptron", "--reference-model", "binary-perceptron", "--alpha", "0.4"]
    assert cli.main([*command, "--reference-kappa", "0.3", "--kappa", "1.5", "--distance", "0.1", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["rows"][0]
    point = saddle.solve((WINDOW.around(THRESHOLD), FP), alpha=0.4, kappa=1.5, reference_kappa=0.3, distance=0.1)
    assert row["free_entropy"] == pytest.approx(point.free_entropy, abs=1e-12)
    assert point.free_entropy == pytest.approx(around_a_margin(point), abs=1e-9)
    reference = saddle.solve((THRESHOLD, "rs"), alpha=0.4, kappa=0.3)
    assert point.order_parameters["qr"] == reference.order_parameters["q"]
    assert point.order_parameters["t"] != 0.0


def test_explicit_replicas() -> None:
    f = replica.derive(replica.soft(THRESHOLD).around(THRESHOLD), FP)
    assert {"kappa", "reference_kappa"} <= set(f.parameters)
    assert "reference_beta" not in f.parameters
    assert [check.name for check in finite_checks(f, interior_point(f), False) if not check.passed] == []


@pytest.mark.full
@pytest.mark.parametrize(
    "model",
    [
        THRESHOLD.around(WINDOW),
        WINDOW.around(THRESHOLD),
        THRESHOLD.around(replica.soft(THRESHOLD)),
        replica.zoo.spherical_perceptron().around(replica.soft(replica.zoo.spherical_perceptron())),
    ],
    ids=["threshold-window", "window-threshold", "hard-soft", "spherical"],
)
def test_every_check(model: replica.Model) -> None:
    assert [str(check) for check in saddle.check(model, FP) if not check.passed] == []


@pytest.mark.full
def test_temperatures_of_one_side() -> None:
    """A cold reference of errors is the hard one, and a warm one has fewer solutions around it."""
    plain = saddle.franz_parisi(THRESHOLD, 0.4, 0.2, 0.0, 0.1)
    cold = saddle.franz_parisi(THRESHOLD, 0.4, 0.2, 0.0, 0.1, reference=THRESHOLD, reference_beta="inf")
    assert cold.free_entropy[0] == pytest.approx(plain.free_entropy[0], abs=1e-12)
    warm = saddle.franz_parisi(THRESHOLD, 0.4, 0.2, 0.0, 0.1, reference=THRESHOLD, reference_beta=3.0)
    assert warm.free_entropy[0] < plain.free_entropy[0]
    assert warm[0].parameters["reference_beta"] == 3.0 and "beta" not in warm[0].parameters


def test_margins_that_cannot_be_compared() -> None:
    for ask in (saddle.thresholds, saddle.diagram):
        with pytest.raises(replica.InputError, match="symmetric-binary-perceptron"):
            ask(THRESHOLD.around(WINDOW), alpha=0.5)


def test_what_vanishes_by_symmetry() -> None:
    """A reference in a window may change its sign, its probes may not; probes in a window alone change nothing."""
    assert {name for _, name in adapt(THRESHOLD.around(WINDOW), FP).zero} == {"qr", "t"}
    assert adapt(WINDOW.around(THRESHOLD), FP).zero == ()
    assert {name for _, name in adapt(WINDOW, FP).zero} == {"qr", "t"}


@pytest.mark.parametrize(
    ("inner", "at", "outer", "beyond", "expected"),
    [
        (Threshold(), {"kappa": 0.2}, Threshold(), {"kappa": 0.1}, True),
        (Window(), {"kappa": 0.5}, Threshold(), {"kappa": -0.6}, True),
        (Window(), {"kappa": 0.5}, Threshold(), {"kappa": -0.5}, False),
        (Threshold(), {"kappa": 0.5}, Window(), {"kappa": 9.0}, False),
        (Threshold(), {"kappa": 0.5}, OutsideWindow(), {"kappa": 0.4}, True),
        (OutsideWindow(), {"kappa": 0.5}, Threshold(), {"kappa": -9.0}, False),
        (ErrorCounting(Threshold()), {"kappa": 0.5, "beta": math.inf}, Threshold(), {"kappa": 0.4}, True),
        (ErrorCounting(Threshold()), {"kappa": 0.5, "beta": 3.0}, Threshold(), {"kappa": 0.4}, False),
    ],
)
def test_one_constraint_inside_another(inner, at, outer, beyond, expected) -> None:
    assert lies_inside(inner, at, outer, beyond) is expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("franz-parisi", "binary-perceptron", "--reference-model", "spherical-perceptron"), "another weights"),
        (("franz-parisi", "tree-committee", "--reference-model", "binary-perceptron"), "another architecture"),
        (("franz-parisi", "binary-perceptron", "--reference-beta", "2"), "--reference-model"),
        (("franz-parisi", "binary-perceptron", "--reference-model", "window"), "There is no model"),
    ],
)
def test_refused(words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    rest = ["--alpha", "0.4", "--reference-kappa", "0.2", "--distance", "0.1"]
    assert cli.main([*words, *rest]) == 2
    assert reason in capsys.readouterr().err
    assert cli.main(["derive", words[1], "--reference-model", "symmetric-binary-perceptron", "--ansatz", "rs"]) == 2
