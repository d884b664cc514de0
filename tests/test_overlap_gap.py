"""Overlap gaps of clones: thresholds against formulas typed by hand, their minimum, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr, logsumexp, ndtr
from textbook import one_rsb

import saddle
from replica.errors import InputError
from saddle.cli import main

SYMMETRIC = "symmetric-binary-perceptron"
STEP = 0.0125
Z = np.arange(-17.0, 17.0 + STEP / 2, STEP)  # powers of 2 cosh move the mass out by several standard deviations
GAUSS = np.exp(-Z * Z / 2) / np.sqrt(2 * np.pi) * STEP


def annealed_load(q: float, m: int, kappa: float) -> float:
    """The load at which the annealed entropy of m clones at overlap q vanishes, inside a window of the fields."""

    def weights(qhat: float) -> tuple[float, float]:
        x = np.sqrt(qhat) * Z
        log = m * (np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))))
        total = np.sum(GAUSS * np.exp(log))
        return float(np.log(total)), float(np.sum(GAUSS * np.exp(log) * np.tanh(x) ** 2) / total)

    qhat = brentq(lambda x: weights(x)[1] - q, 1e-9, 20.0, xtol=1e-15, rtol=1e-14)
    entropy = -m * (m - 1) / 2 * q * qhat - m * qhat / 2 + weights(qhat)[0]
    inside = ndtr((kappa - np.sqrt(q) * Z) / np.sqrt(1 - q)) - ndtr((-kappa - np.sqrt(q) * Z) / np.sqrt(1 - q))
    return float(-entropy / np.log(np.sum(GAUSS * inside**m)))


@pytest.fixture(scope="module")
def symmetric() -> saddle.Curve:
    return saddle.ogp(SYMMETRIC, 1.0, [2, 3, 4, 5])


def test_windows_against_the_annealed_formula(symmetric: saddle.Curve) -> None:
    for point in symmetric:
        m = int(point["clones"])
        low, high = point["overlap"] - 0.01, min(point["overlap"] + 0.01, 0.999)
        found = minimize_scalar(
            lambda q, m=m: annealed_load(q, m, 1.0), bounds=(low, high), method="bounded", options={"xatol": 1e-8}
        )
        assert abs(found.fun - point.value) < point.error + 1e-12
        assert abs(found.x - point["overlap"]) < 1e-5
        assert point.error < 1e-9 and point["alpha"] == point.value


def test_published_windows(symmetric: saddle.Curve) -> None:
    assert 1.7001 <= symmetric.points[0].value <= 1.7002
    assert round(symmetric.points[1].value, 4) == 1.6664


def test_minimum_over_clones(symmetric: saddle.Curve) -> None:
    assert symmetric.top is not None and symmetric.top.value == min(symmetric.value)
    assert symmetric.top.parameters["clones"] == 4
    unbracketed = saddle.ogp(SYMMETRIC, 1.0, [2, 3])
    assert unbracketed.top is not None and not unbracketed.top.converged
    assert "4 is missing" in unbracketed.top.message
    found = json.loads(unbracketed.to_json())
    assert found["value"] is None and "not bracketed" in found["message"]


def test_binary_perceptron_at_its_minimum() -> None:
    """At the onset all saddle equations hold, the overlap's own one too, and the entropy vanishes."""
    curve = saddle.ogp("binary-perceptron", 0.0, [3, 4, 5])
    assert curve.top is not None and round(curve.top.value, 3) == 0.784
    top = curve.top
    expected = one_rsb(**top.order_parameters, m=4, alpha=top.value, kappa=0, digits=16)
    slope = (one_rsb(**top.order_parameters, m=4, alpha=top.value + 1e-3, kappa=0, digits=12).phi - expected.phi) / 1e-3
    assert abs(expected.phi / slope) < top.error
    assert max(abs(value) for value in expected.residuals.values()) < 1e-9


def test_teacher_and_student_at_their_minimum() -> None:
    curve = saddle.ogp("teacher-student", 0.0, [3, 4, 5])
    assert curve.top is not None and round(curve.top.value, 3) == 1.154
    top, m = curve.top, 4
    q0, q1, r = (top.order_parameters[name] for name in ("q0", "q1", "r"))
    q0hat, q1hat, rhat = (top.order_parameters[name + "hat"] for name in ("q0", "q1", "r"))
    outer, weight = Z[::4, None], 4 * GAUSS[::4]
    field = rhat + np.sqrt(q0hat) * outer + np.sqrt(q1hat - q0hat) * Z
    log = m * (np.abs(field) + np.log1p(np.exp(-2 * np.abs(field))))
    weights = weight @ logsumexp(log, b=GAUSS, axis=1)
    stability = (np.sqrt(q0) * outer + np.sqrt(q1 - q0) * Z) / np.sqrt(1 - q1)
    label = 2 * np.exp(log_ndtr(r * Z[::4] / np.sqrt(q0 - r * r)))
    patterns = weight @ (label * logsumexp(m * log_ndtr(stability), b=GAUSS, axis=1))
    interaction = -m * (m - 1) / 2 * q1 * q1hat + m * m / 2 * q0 * q0hat - m * q1hat / 2 - m * r * rhat
    assert abs((interaction + weights + top.value * patterns) / patterns) < top.error + 1e-12


def test_refused() -> None:
    with pytest.raises(InputError, match="continuous"):
        saddle.ogp("spherical-perceptron", 0.0)
    with pytest.raises(InputError, match="integer of at least 2"):
        saddle.ogp(SYMMETRIC, 1.0, [2, 2.5])  # type: ignore[list-item]


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ogp", SYMMETRIC, "--kappa", "1", "--clones", "3,4,5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["clones"] for row in found["rows"]] == [3, 4, 5]
    assert found["value"] == found["rows"][1]["value"] and found["error"] == found["rows"][1]["error"]
    assert main(["ogp", SYMMETRIC, "--kappa", "1", "--clones", "1"]) == 2
    assert "at least 2" in capsys.readouterr().err
