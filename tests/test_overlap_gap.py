"""Overlap gaps of clones: thresholds against formulas typed by hand, their minimum, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr, logsumexp, ndtr
from textbook import one_rsb

import replica
import saddle
from replica.errors import InputError
from saddle.cli import main
from saddle.critical import clones as searching

SYMMETRIC = "symmetric-binary-perceptron"
OWN = Path(__file__).parent / "own_models" / "ternary.py"
TERNARY = f"{OWN}:ternary"
RELU = replica.zoo.tree_committee("relu")
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


def miss_of_ternary(alpha: float, m: int, distance: float, point: saddle.Threshold) -> float:
    """What the entropy of m ternary clones at margin 0, typed by hand, misses 0 by at a threshold, in units of the load."""
    q0, q1, norm = (point.order_parameters[name] for name in ("q0", "q1", "Q"))
    q0hat, q1hat, norm_hat = (point.order_parameters[name + "hat"] for name in ("q0", "q1", "Q"))
    assert abs(q1 - norm + 2.0 * distance) < 1e-14
    field = np.sqrt(q0hat) * Z[::4, None] + np.sqrt(q1hat - q0hat) * Z
    bend = 0.5 * (norm_hat - q1hat)
    log = m * logsumexp([bend + field, bend - field, np.zeros_like(field)], axis=0)
    weights = 4 * GAUSS[::4] @ logsumexp(log, b=GAUSS, axis=1)
    stability = (np.sqrt(q0) * Z[::4, None] + np.sqrt(q1 - q0) * Z) / np.sqrt(norm - q1)
    patterns = 4 * GAUSS[::4] @ logsumexp(m * log_ndtr(stability), b=GAUSS, axis=1)
    interaction = -m * (m - 1) / 2 * q1 * q1hat + m * m / 2 * q0 * q0hat - m * norm * norm_hat / 2
    return float((interaction + weights + alpha * patterns) / patterns)


@pytest.mark.full
def test_weights_of_any_norm() -> None:
    curve = saddle.ogp(TERNARY, 0.0, [3, 4])
    for point in curve:
        miss = miss_of_ternary(point.value, int(point["clones"]), float(point["distance"]), point)
        assert abs(miss) < point.error + 1e-12


def rectified(q: float) -> float:
    """The covariance of rectified units."""
    return (math.sqrt(1.0 - q * q) + q * (math.pi - math.acos(q)) - 1.0) / (2.0 * math.pi)


@pytest.mark.full
def test_committee_at_its_minimum() -> None:
    curve = saddle.ogp(RELU, 0.0, [3, 4, 5])
    assert curve.top is not None and curve.top.parameters["clones"] == 4
    assert curve.points[0].row()["kappa_normalized"] == 0.0
    top, m = curve.top, 4
    q0, q1, q0hat, q1hat = (top.order_parameters[name] for name in ("q0", "q1", "q0hat", "q1hat"))
    field = np.sqrt(q0hat) * Z[::4, None] + np.sqrt(q1hat - q0hat) * Z
    weights = 4 * GAUSS[::4] @ logsumexp(m * np.logaddexp(field, -field), b=GAUSS, axis=1)
    outer, inner, all_of_it = map(rectified, (q0, q1, 1.0))
    stability = (np.sqrt(outer) * Z[::4, None] + np.sqrt(inner - outer) * Z) / np.sqrt(all_of_it - inner)
    patterns = 4 * GAUSS[::4] @ logsumexp(m * log_ndtr(stability), b=GAUSS, axis=1)
    interaction = -m * (m - 1) / 2 * q1 * q1hat + m * m / 2 * q0 * q0hat - m * q1hat / 2
    assert abs((interaction + weights + top.value * patterns) / patterns) < top.error + 1e-12


@pytest.mark.full
@pytest.mark.parametrize("model", ["relu", "sign", "ternary"])
def test_entropies_on_a_fine_scan_of_distances(model: str) -> None:
    """Just below the threshold clones exist at every distance, just above it there are some at which they do not."""
    target = TERNARY if model == "ternary" else replica.zoo.tree_committee(model)
    (point,) = saddle.ogp(target, 0.0, 3).points
    onset = float(point["distance"])
    scan = [onset * 1.07**k for k in range(-45, 28)]
    near = [onset * (1.0 + 1e-3 * k) for k in range(-5, 6)]
    for distances, shift in ((scan, 1e-3), (near, 1e-7)):
        below, above = (
            saddle.local_entropy(target, point.value * (1.0 + s * shift), 0.0, y=3, distance=distances) for s in (-1, 1)
        )
        assert below.converged and above.converged
        assert min(below.free_entropy) > max(below.error)
        assert min(above.free_entropy) < -max(above.error)
    gap = [d for d, entropy in zip(near, above.free_entropy, strict=True) if entropy < 0.0]
    assert onset in gap and len(gap) < len(near)


@pytest.mark.full
@pytest.mark.parametrize(
    ("model", "clones", "load"),
    [("relu", 4, 0.844230186204), ("sign", 12, 0.677827368503), ("ternary", 5, 1.116543402232)],
)
def test_smallest_onset_at_any_number_of_clones(model: str, clones: int, load: float) -> None:
    """Where it is, an entropy vanishes with its slope; its neighbours have one that is positive at all distances."""
    target = TERNARY if model == "ternary" else replica.zoo.tree_committee(model)
    (point,) = saddle.thresholds(target, kappa=0.0, only=["alpha_OGP"]).points
    assert point.value == pytest.approx(load, abs=1e-11)
    assert point.row()["clones"] == clones
    beside = saddle.ogp(target, 0.0, [clones - 1, clones, clones + 1])
    assert beside.points[1].value == pytest.approx(point.value, abs=1e-11) and beside.top is not None
    for i, number in ((0, clones - 1), (2, clones + 1)):
        onset = float(beside.points[i]["distance"])
        near = saddle.local_entropy(target, point.value, 0.0, y=number, distance=[onset * 1.05**k for k in range(-12, 13)])
        assert near.converged and min(near.free_entropy) > 0.0


def test_a_search_over_clones_says_where_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def falling(setting: object, kappa: float, number: int, tolerance: float) -> saddle.Threshold:
        tried.append(number)
        return replace(nothing, value=1.0 + 1.0 / number, status=saddle.Status.CONVERGED, parameters={"clones": number})

    tried: list[int] = []
    nothing = searching._without(searching._discrete(SYMMETRIC), 1.0, 2, 1e-12, saddle.Status.NOT_CONVERGED, "")
    monkeypatch.setattr(searching, "_onset", falling)
    found = searching.smallest_onset(SYMMETRIC, 1.0)
    assert max(tried) <= 200 and len(tried) < 25
    assert str(found.status) == "not-converged" and math.isnan(found.value)
    assert f"still falls at {max(tried)} clones" in found.message and "more than 200" in found.message


def test_refused() -> None:
    with pytest.raises(InputError, match="have a prior"):
        saddle.ogp(f"{OWN}:sparse", 0.0)
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
