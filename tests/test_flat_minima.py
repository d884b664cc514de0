"""Thresholds of flat minima against a second path: a grid of solved profiles brackets each of them."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

import replica
import saddle
from replica.errors import InputError
from saddle.cli import main
from saddle.critical import landmarks
from saddle.critical.flat_minima import NotFound, NoTouch
from saddle.critical.landmark import Axis
from saddle.critical.landmarks import thresholds
from saddle.points.results import Status
from saddle.points.setting import Setting

SYMMETRIC = "symmetric-binary-perceptron"


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
    assert "around references of margin" in mono.message
    assert list(curve.rows[0]) == [
        "name", "value", "error", "definition", "distance", "order_parameters", "status", "message", "alpha", "kappa"
    ]  # fmt: skip


def test_margins_of_a_committee_stand_beside_their_normalized_twins():
    axis = Axis(Setting.of((replica.zoo.tree_committee("relu"), "rs")), 0.5, 0.1, 1e-12)
    row = axis.landmark("kappa_max", 0.3, 1e-14, Status.CONVERGED, "It is.").row()
    deviation = math.sqrt(0.5 - 0.5 / math.pi)
    assert row["value_normalized"] == pytest.approx(0.3 / deviation, rel=1e-14)
    assert (row["kappa"], row["kappa_normalized"]) == (0.1, pytest.approx(0.1 / deviation, rel=1e-14))
    assert "value_normalized" not in axis.landmark("alpha_c", 0.9, 1e-14, Status.CONVERGED, "It is.").row()


def test_without_solutions_every_flat_threshold_is_absent():
    rows = thresholds("binary-perceptron", alpha=0.9, kappa=0.0).rows
    assert [row["status"] for row in rows] == ["converged", "absent", "absent"]


@pytest.mark.parametrize(
    ("only", "sentence"),
    [((), "without a name"), (["alpha_c", ""], "without a name"), ("alpha_c,alpha_c", "alpha_c is asked for twice")],
)
def test_names_that_are_empty_or_given_twice_are_refused(only, sentence):
    with pytest.raises(InputError, match=sentence):
        thresholds("binary-perceptron", only=only)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="There is no threshold kappa_gap here"):
        thresholds("binary-perceptron", only=["kappa_gap"])


@pytest.fixture(scope="module")
def few() -> saddle.Curve:
    from saddle.critical.diagrams import diagram

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
    assert {"no solutions", "flat", "gapped"} <= {text.get_text() for text in axes.texts}
    assert r"\alpha_{\rm LE}" in words
    capacity = next(entry["alpha"] for entry in few.curves if entry["name"] == "alpha_c")
    (largest,) = (line for line in axes.lines if line.get_label() == r"$\kappa_{\rm max}$")
    assert (capacity in largest.get_xdata()) == (capacity < few["alpha"].max())
    (published,) = (line for line in axes.lines if line.get_label() == "published")
    assert len(published.get_xdata()) == 1
    assert np.interp(published.get_xdata(), few["alpha"], few["kappa_max"]) == pytest.approx(published.get_ydata(), abs=2e-3)


@pytest.mark.full
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


@pytest.mark.full
def test_windows_have_their_thresholds_too():
    """A smaller window is the harder one: references lie inside, and a grid of profiles brackets both loads."""
    found = {p.name: p for p in thresholds(SYMMETRIC, kappa=1.0, only=["alpha_LE", "alpha_gap"])}
    assert found["alpha_LE"].value == pytest.approx(1.46401964, abs=1e-8)
    assert found["alpha_gap"].value == pytest.approx(1.52526425, abs=1e-8)
    for name, quantity in (("alpha_LE", "slope"), ("alpha_gap", "free_entropy")):
        value = found[name].value
        assert found[name].observables["reference_kappa"] < 1.0
        lowest = [
            saddle.franz_parisi(SYMMETRIC, value + shift, "max", 1.0, np.geomspace(1e-3, 0.4, 60))[quantity].min()
            for shift in (-2e-3, 2e-3)
        ]
        assert lowest[0] > 0.0 > lowest[1]
    margins = thresholds(SYMMETRIC, alpha=1.4, kappa=1.0)
    gap, mono = margins.points[2].value, margins.points[1].value
    assert margins.points[0].value < gap < mono < 1.0


def test_clones_have_a_row_and_their_minimum_is_bracketed():
    (point,) = thresholds(SYMMETRIC, kappa=1.0, only=["alpha_OGP"]).points
    alone = saddle.ogp(SYMMETRIC, 1.0, [2, 3, 4, 5])
    assert point.row()["clones"] == 4
    assert point.value == alone.top.value == min(alone.value)
    assert point.row()["overlap"] == pytest.approx(0.984, abs=1e-3)


@pytest.mark.full
def test_a_student_has_its_own_thresholds():
    curve = thresholds("teacher-student")
    found = {p.name: p for p in curve.points}
    assert list(found) == ["alpha_first_order", "alpha_spinodal"]
    found["alpha_OGP"] = thresholds("teacher-student", only=["alpha_OGP"]).points[0]
    told = {entry["name"]: entry for entry in saddle.generalization("teacher-student", 1.0).thresholds}
    for name in ("alpha_first_order", "alpha_spinodal"):
        assert found[name].value == told[name]["value"]
        assert found[name].row()["overlap"] == pytest.approx(found[name].order_parameters["r"], abs=1e-12)
    assert found["alpha_OGP"].value == pytest.approx(1.153884267, abs=1e-9)
    assert found["alpha_OGP"].row()["clones"] == 4
    assert "ansatz" not in curve.rows[0]
    away = thresholds("teacher-student", kappa=0.1, only=["alpha_first_order"]).points[0]
    assert (away.status, away.row()["overlap"]) == (saddle.Status.ABSENT, None)


def test_a_spinodal_takes_milliseconds():
    from saddle.points import solving
    from saddle.points.setting import Setting

    setting = Setting.of(("teacher-student", "rs"))
    spent = []
    for _ in range(5):
        solving._fold_at.cache_clear()
        before = time.process_time()
        fold = solving.spinodal(setting, {"alpha": 1.0, "kappa": 0.0}, 1e-12)
        spent.append(time.process_time() - before)
    assert fold is not None
    assert abs(fold.alpha - 1.492631818230) < 1e-9
    assert min(spent) < 0.05  # a few milliseconds where nothing else runs


def test_what_fails_stays_in_its_row(monkeypatch, capsys):
    def failing(axis, name):
        raise ZeroDivisionError("a pivot") if name == "alpha_LE" else NotFound("no valley was found.")

    monkeypatch.setattr(landmarks, "by_load", failing)
    assert main(["thresholds", "binary-perceptron", "--only", "alpha_LE,alpha_c,alpha_gap", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["status"] for row in rows] == ["not-converged", "converged", "not-converged"]
    assert rows[0]["value"] is None and "a pivot" in rows[0]["message"]
    assert rows[2]["distance"] is None and rows[2]["message"] == "Not converged: no valley was found."


def test_what_does_not_exist_is_an_answer(capsys):
    """Continuous weights fill a volume up to their capacity: no reference of maximal margin, no overlap gap."""
    assert main(["thresholds", "spherical-perceptron", "--only", "alpha_c,alpha_LE,alpha_OGP,alpha_U", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["status"] for row in rows] == ["converged", "absent", "absent", "absent"]
    assert rows[0]["value"] == pytest.approx(2.0)
    assert all(row["value"] is None and row["message"].endswith(".") for row in rows[1:])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kappa": -1.0}, "must be positive"),
        ({"kappa": 1.0, "alpha": -1.0}, "must be positive"),
        ({"kappa": math.nan}, "finite"),
    ],
)
def test_bad_input_is_refused_at_once(given, sentence):
    with pytest.raises(InputError, match=sentence):
        thresholds(SYMMETRIC, **given)


@pytest.mark.parametrize(
    "command",
    [
        ["binary-perceptron", "--only", "alpha_c"],
        ["binary-perceptron", "--alpha", "0.5"],
        ["teacher-student"],
    ],
)
def test_numbers_of_replicas_that_no_threshold_has_are_refused(command: list[str], capsys) -> None:
    assert main(["thresholds", *command, "--y", "10"]) == 2
    assert "only alpha_LE_y has a number of replicas" in capsys.readouterr().err


def test_a_line_that_never_touches_is_no_answer():
    from saddle.critical.flat_minima import SLOPE, first_touch
    from saddle.critical.flat_thresholds import margin_landscape
    from saddle.points.setting import Setting

    land = margin_landscape(Setting.of(("binary-perceptron", "franz-parisi")), 0.7, 0.0, 1e-12)
    with pytest.raises(NotFound, match="up to the end of the search, around references of margin"):
        first_touch(land, SLOPE, math.log(0.12), math.log(0.115))
    with pytest.raises(NoTouch, match="already around references of margin"):
        first_touch(land, SLOPE, math.log(0.02), math.log(0.01))


def test_a_convex_piece_of_the_sphere_has_no_breakup():
    (point,) = thresholds("spherical-perceptron", kappa=0.0, only=["alpha_LE_y_inf"]).points
    assert str(point.status) == "absent"
    assert "convex" in point.message


@pytest.mark.full
def test_local_entropies_of_the_sphere_break_up_at_the_instability_where_that_is_continuous() -> None:
    """The slope is positive at all overlaps just below the line of de Almeida-Thouless, and negative next to q_RS above."""
    curve = thresholds("spherical-perceptron", kappa=-0.5, y=[20.0], only=["alpha_LE_y", "alpha_d"])
    found, states = curve.points
    assert found.value == states.value and "Continuous" in found.message
    for factor, positive in ((1.0 - 1e-3, True), (1.0 + 1e-3, False)):
        load = factor * found.value
        q = saddle.solve(("spherical-perceptron", "rs"), alpha=load, kappa=-0.5).order_parameters["q"]
        slopes = []
        for share in (2e-3, 0.05, 0.2, 0.5, 0.9):
            settings = {"alpha": load, "kappa": -0.5, "y": 20.0, "overlap": q + share * (1.0 - q)}
            slopes.append(saddle.solve(("spherical-perceptron", "local-entropy"), **settings).observables["slope"])
        assert (min(slopes) > 0.0) == positive
        assert positive or min(slopes) == slopes[0]


@pytest.mark.full
@pytest.mark.parametrize("kappa", [-1.5, -2.5, -4.0])
def test_local_entropies_of_the_sphere_break_up_below_the_instability_where_that_is_not(kappa: float) -> None:
    """A grid of solved points brackets both thresholds; more replicas break up earlier."""
    curve = thresholds("spherical-perceptron", kappa=kappa, y=[20.0], only=["alpha_LE_y", "alpha_LE_y_inf", "alpha_c"])
    finite, infinite, _ = curve.points
    assert isinstance(finite, saddle.Landmark) and isinstance(infinite, saddle.Landmark)
    assert infinite.value < finite.value
    for found, y in ((finite, 20.0), (infinite, math.inf)):
        assert found.error < 1e-9 * found.value
        for factor, sign in ((1.0 - 1e-4, 1.0), (1.0 + 1e-4, -1.0)):
            smallest, point = math.inf, None
            for overlap in float(found.where["overlap"]) + np.linspace(-0.02, 0.02, 21):  # type: ignore[arg-type]
                values = {"alpha": factor * found.value, "kappa": kappa, "y": y, "overlap": float(overlap)}
                point = saddle.solve(("spherical-perceptron", "local-entropy"), start=point, **values)
                smallest = min(smallest, float(point.observables["slope"]))  # type: ignore[arg-type]
            assert sign * smallest > 0.0


@pytest.mark.full
def test_a_gap_is_found_where_far_probes_have_no_saddle() -> None:
    """Around references next to a margin of 1 the branch ends at distance 0.38; solved points bracket the load."""
    (found,) = thresholds("binary-perceptron", kappa=1.04, only=["alpha_gap"]).points
    assert found.converged and found.error < 1e-10
    for sign in (1.0, -1.0):
        alpha = found.value - sign * 2e-5
        known = {"alpha": alpha, "kappa": 1.04, "reference_kappa": saddle.max_margin("binary-perceptron", alpha).value}
        distances = np.geomspace(0.15, 0.004, 40)
        curve = [saddle.solve(("binary-perceptron", "franz-parisi"), distance=float(d), **known) for d in distances]
        assert all(point.status.has_value for point in curve)
        assert sign * min(point.free_entropy for point in curve) > 0.0
