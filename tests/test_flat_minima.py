"""Thresholds of flat minima against a second path: a grid of solved profiles brackets each of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import saddle
from replica.errors import InputError
from saddle.landmarks import thresholds


@pytest.fixture(scope="module")
def by_load() -> dict[str, saddle.Threshold]:
    names = ("alpha_c", "alpha_LE", "alpha_gap")
    return {point.name: point for point in thresholds("binary-perceptron", kappa=0.0, only=names)}


@pytest.fixture(scope="module")
def by_margin() -> dict[str, saddle.Threshold]:
    return {point.name: point for point in thresholds("binary-perceptron", alpha=0.7, kappa=0.0)}


def profile(alpha: float, reference: float | str) -> saddle.Curve:
    """A fine profile up to the typical distance."""
    curve = saddle.franz_parisi("binary-perceptron", alpha, reference, 0.0, np.geomspace(3e-4, 0.2, 90))
    return curve


def test_the_order_of_the_thresholds(by_load, by_margin):
    assert by_load["alpha_LE"].value < by_load["alpha_gap"].value < by_load["alpha_c"].value
    assert by_margin["kappa_gap"].value < by_margin["kappa_mono"].value < by_margin["kappa_max"].value
    assert all(point.error < 1e-8 for point in (*by_load.values(), *by_margin.values()))


@pytest.mark.parametrize(("name", "quantity"), [("alpha_LE", "slope"), ("alpha_gap", "free_entropy")])
def test_a_grid_of_profiles_brackets_the_load(by_load, name, quantity):
    value = by_load[name].value
    assert profile(value - 1e-3, "max")[quantity].min() > 0.0
    assert profile(value + 1e-3, "max")[quantity].min() < 0.0


@pytest.mark.parametrize(("name", "quantity"), [("kappa_mono", "slope"), ("kappa_gap", "free_entropy")])
def test_a_grid_of_profiles_brackets_the_margin(by_margin, name, quantity):
    value = by_margin[name].value
    assert profile(0.7, value + 1e-3)[quantity].min() > 0.0
    assert profile(0.7, value - 1e-3)[quantity].min() < 0.0


def test_beyond_its_load_a_line_is_absent_with_a_sentence():
    curve = thresholds("binary-perceptron", alpha=0.74, kappa=0.0, only=["kappa_mono", "kappa_gap"])
    mono, gap = curve.points
    assert (str(mono.status), str(gap.status)) == ("absent", "converged")
    assert math.isnan(mono.value)
    assert "maximal margin" in mono.message
    assert list(curve.rows[0]) == [
        "name", "value", "error", "definition", "distance", "order_parameters", "status", "message"
    ]  # fmt: skip


def test_without_solutions_every_flat_threshold_is_absent():
    rows = thresholds("binary-perceptron", alpha=0.9, kappa=0.0).rows
    assert [row["status"] for row in rows] == ["converged", "absent", "absent"]


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="There is no threshold kappa_gap here"):
        thresholds("binary-perceptron", only=["kappa_gap"])


@pytest.fixture(scope="module")
def few() -> saddle.Curve:
    from saddle.diagrams import diagram

    return diagram("binary-perceptron", [0.7, 0.735, 0.76])


def test_the_diagram_reports_lines_where_they_are(few, by_margin):
    for point in by_margin.values():
        here = few[point.name][0]
        assert abs(here - point.value) <= point.error + few[f"{point.name}_error"][0] + 1e-12
    assert np.isnan(few["kappa_mono"][1:]).all()
    assert np.isfinite(few["kappa_gap"]).tolist() == [True, True, False]
    marks = {entry["name"]: entry["alpha"] for entry in few.curves}
    assert marks["alpha_LE"] < 0.735 < marks["alpha_gap"] < 0.76


def test_the_picture_names_its_regions(few):
    pytest.importorskip("matplotlib")
    axes = few.plot()
    words = " ".join(text.get_text() for text in axes.texts)
    assert "no solutions" in words
    assert r"\alpha_{\rm LE}" in words


def test_the_slope_of_a_local_entropy_touches_zero_at_twenty_replicas():
    curve = thresholds("binary-perceptron", y=[20.0], only=["alpha_LE_y"])
    (point,) = curve.points
    row = point.row()
    assert row["y"] == 20.0
    assert point.error < 1e-8
    assert row["complexity"] < 0.0
    assert any("complexity is negative" in text for text in curve.warnings)
    slopes = {
        shift: saddle.solve(
            ("binary-perceptron", "local-entropy"), alpha=point.value + shift, y=20.0, overlap=row["overlap"]
        ).observables["slope"]
        for shift in (-1e-3, 1e-3)
    }
    assert slopes[-1e-3] > 0.0 > slopes[1e-3]


def test_numbers_of_replicas_are_checked():
    with pytest.raises(InputError, match="must be above 1"):
        thresholds("binary-perceptron", y=1.0)
