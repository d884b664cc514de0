"""Phase diagrams over the margin: lines against conditions typed by hand, their ends, and what asking for points changes."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import brentq, fsolve, minimize_scalar
from scipy.special import log_ndtr

import replica
import saddle
from replica.errors import InputError
from saddle.cli import main
from saddle.critical.diagrams import diagram_row
from saddle.points.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Z, STEP = np.linspace(-12.0, 12.0, 6001, retstep=True)
GAUSS = np.exp(-Z * Z / 2) / math.sqrt(2 * math.pi) * STEP


def averages(q: float, kappa: float) -> tuple[float, float]:
    """``E h^2`` and ``E h'^2`` of the perceptron, typed by hand (theory of the AT line)."""
    x = (kappa - math.sqrt(q) * Z) / math.sqrt(1 - q)
    mills = np.exp(-x * x / 2 - log_ndtr(-x)) / math.sqrt(2 * math.pi)
    return float(np.sum(GAUSS * mills**2) / (1 - q)), float(np.sum(GAUSS * (mills * (mills - x)) ** 2) / (1 - q) ** 2)


def at_load(kappa: float) -> float:
    """The load on the AT line of the spherical perceptron: ``q E h'^2 = E h^2`` at the saddle."""

    def miss(q: float) -> float:
        h, slope = averages(q, kappa)
        return q * slope / h - 1.0

    q = brentq(miss, 0.3, 0.99, xtol=1e-15)
    return float(q / (1 - q) ** 2 / averages(q, kappa)[0])


@pytest.fixture(scope="module")
def spherical() -> saddle.Diagram:
    return saddle.diagram("spherical-perceptron", kappa=[-1.0, -0.4, -0.01, 0.0, 0.5])


def test_the_line_of_instability_is_where_the_replicon_vanishes(spherical):
    for index in (0, 1):
        exact = at_load(float(spherical["kappa"][index]))
        assert spherical["alpha_AT"][index] == pytest.approx(exact, rel=1e-11)
        assert abs(spherical["alpha_AT"][index] - exact) < spherical["alpha_AT_error"][index] + 1e-11


def test_the_line_ends_where_it_meets_the_capacity(spherical):
    (end,) = spherical.curves
    assert (end["kappa"], end["alpha"]) == (pytest.approx(0.0, abs=1e-12), pytest.approx(2.0, abs=1e-12))
    assert spherical["alpha_AT"][3] == pytest.approx(2.0, abs=1e-12)
    assert np.isfinite(spherical["alpha_AT"]).tolist() == [True, True, True, True, False]
    assert spherical["alpha_AT"][2] < spherical["alpha_c_1rsb"][2] < spherical["alpha_c"][2]
    assert "stable up to the capacity" in spherical[4].message


def test_the_line_is_found_next_to_its_end() -> None:
    """There it differs from the capacity by 3.02 times the square of the margin."""
    found = saddle.diagram("spherical-perceptron", kappa=[-1e-5, -1e-7])
    below = found["alpha_c"] - found["alpha_AT"]
    assert below[0] == pytest.approx(3.02e-10, rel=2e-3)
    assert 0.0 < below[1] < found["alpha_AT_error"][1] < 1e-12


def test_points_asked_for_move_no_line(spherical):
    other = saddle.diagram("spherical-perceptron", kappa=np.linspace(-1.3, -0.1, 13))
    for index in (0, 1):
        (same,) = np.flatnonzero(np.abs(other["kappa"] - spherical["kappa"][index]) < 1e-12)
        for name in ("alpha_c", "alpha_c_1rsb", "alpha_AT"):
            errors = other[f"{name}_error"][same] + spherical[f"{name}_error"][index]
            assert abs(other[name][same] - spherical[name][index]) <= errors + 1e-14


def sign_load(kappa: float) -> float:
    """The load on the AT line of the committee of signs: ``Delta(q) = (2/pi) asin q`` in place of ``q`` in the energy."""

    def kernel(q: float) -> tuple[float, float, float]:
        root = math.sqrt(1 - q * q)
        return 2 / math.pi * math.asin(q), 2 / (math.pi * root), 2 * q / (math.pi * root**3)

    def miss(q: float) -> float:
        correlation, first, second = kernel(q)
        h, slope = averages(correlation, kappa)
        return q * (first * slope / h + second / first) - 1.0

    q = brentq(miss, 0.05, 0.99, xtol=1e-15)
    correlation, first, _ = kernel(q)
    return float(q / (1 - q) ** 2 / (first * averages(correlation, kappa)[0]))


def test_a_committee_without_capacity_is_unstable_at_any_margin():
    import replica

    found = saddle.diagram(replica.zoo.tree_committee("sign", "spherical"), kappa=[0.0, -1.5])
    assert np.isnan(found["alpha_c"]).all() and "no finite capacity" in found[0].message
    assert found["kappa_normalized"].tolist() == [0.0, -1.5]  # the output of signs has variance 1
    assert found["alpha_AT"][0] == pytest.approx(2.988, abs=5e-4)  # Barkai, Hansel & Sompolinsky 1992
    for i, kappa in enumerate((0.0, -1.5)):
        assert abs(found["alpha_AT"][i] - sign_load(kappa)) < found["alpha_AT_error"][i] + 1e-10


@pytest.mark.full
def test_uncorrelated_solutions_become_unstable_at_an_explicit_load():
    import replica

    margins = [-1.5, -0.49, 1.0]
    found = saddle.diagram(replica.zoo.tree_committee("quadratic", "spherical"), kappa=margins)
    broken = saddle.diagram("u-function-perceptron", kappa=[0.816, 0.818])
    assert np.isfinite(broken["alpha_AT"]).tolist() == [False, True]
    for i, kappa in enumerate(margins):
        x = kappa / math.sqrt(2)  # fields of variance Delta(1) = 2, and Delta''(0) = 4
        mills = math.exp(-x * x / 2 - log_ndtr(-x)) / math.sqrt(2 * math.pi)
        assert abs(found["alpha_AT"][i] - 1 / (2 * mills**2)) < found["alpha_AT_error"][i] < 1e-9


def test_the_command_writes_a_document_a_table_and_a_picture(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    table, picture = tmp_path / "d.csv", tmp_path / "d.png"
    command = ["diagram", "spherical-perceptron", "--kappa", "-1:0.5:4", "--json"]
    assert main([*command, "--csv", str(table), "--plot", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["kappa"] for row in found["rows"]] == [-1.0, -0.5, 0.0, 0.5]
    assert found["rows"][3]["alpha_AT"] is None and found["rows"][3]["alpha_AT_error"] is None
    assert found["rows"][1]["alpha_c"] == pytest.approx(4.770099, abs=5e-7)
    assert table.read_text().splitlines()[4].split(",")[5] == ""
    assert picture.stat().st_size > 10_000
    assert found["curves"][0]["name"] == "alpha_AT_end"


def test_the_picture_names_regions_and_shows_published_points(spherical):
    pytest.importorskip("matplotlib")
    axes = spherical.plot()
    assert {"no solutions", "RSB", "replica symmetric"} <= {text.get_text() for text in axes.texts}
    assert "published" in {line.get_label() for line in axes.get_lines()}


@pytest.fixture(scope="module")
def learning() -> saddle.Diagram:
    return saddle.diagram("teacher-student", kappa=[-0.2, -0.16, -0.1, 0.0, 0.06, -0.01, -0.001])


def test_without_margin_the_lines_are_the_known_transitions(learning):
    assert learning["alpha_first_order"][3] == pytest.approx(1.24468399, abs=1e-8)
    assert learning["alpha_spinodal"][3] == pytest.approx(1.492631818, abs=1e-8)
    assert np.isnan(learning["alpha_spinodal_teacher"][3])
    assert learning["alpha_c"][4] == pytest.approx(saddle.capacity("teacher-student", 0.06).value, abs=1e-11)
    assert np.isnan(learning["alpha_first_order"][4])


def test_both_phases_have_equal_entropy_at_the_transition_and_end_at_their_spinodals(learning):
    target = ("teacher-student", "rs")
    load = float(learning["alpha_first_order"][2])
    student, _, teacher = sorted(
        saddle.all_saddles(target, alpha=load, kappa=-0.1), key=lambda point: point.order_parameters["r"]
    )
    assert student.free_entropy == pytest.approx(teacher.free_entropy, abs=1e-10)
    low, high = float(learning["alpha_spinodal_teacher"][2]), float(learning["alpha_spinodal"][2])
    assert low < load < high
    for inside, outside in ((high - 1e-5, high + 1e-5), (low + 1e-5, low - 1e-5)):
        counts = [len(saddle.all_saddles(target, alpha=alpha, kappa=-0.1)) for alpha in (inside, outside)]
        assert counts == [3, 1]


U = 1e-9 * np.sinh(np.linspace(-24.0, 24.0, 6001))
WIDE = np.exp(-U * U / 2) / math.sqrt(2 * math.pi) * np.sqrt(U * U + 1e-18) * 0.008
"""Nodes and weights that resolve every width around 0 down to 1e-9."""


def student(x: np.ndarray, alpha: float, kappa: float) -> tuple[np.ndarray, float]:
    """Relative residuals of the textbook's equations in logarithms of ``1 - r`` and ``q - r^2``, and the free entropy."""
    far, spread = np.exp(x)
    left = 2 * far - far * far - spread  # 1 - q
    q, r = 1 - left, 1 - far
    gap = (kappa - math.sqrt(q) * U) / math.sqrt(left)
    mills = np.exp(-gap * gap / 2 - log_ndtr(-gap)) / math.sqrt(2 * math.pi)
    label = 2 * np.exp(log_ndtr(r * U / math.sqrt(spread)))
    margin = (kappa - math.sqrt(spread) * U) / math.sqrt(left)
    slope = np.exp(-margin * margin / 2 - log_ndtr(-margin)) / math.sqrt(2 * math.pi)
    qhat = alpha * np.sum(WIDE * label * mills**2) / left
    rhat = alpha * math.sqrt(2 / math.pi) * np.sum(WIDE * slope) / math.sqrt(left)
    field = rhat + math.sqrt(qhat) * U
    lacks = 2 / (1 + np.exp(2 * field))
    mean = np.sum(WIDE * lacks)
    phi = rhat * far - qhat * left / 2 + np.sum(WIDE * np.logaddexp(0, -2 * field))
    phi += alpha * np.sum(WIDE * label * log_ndtr(-gap))
    return np.array([mean / far - 1, (np.sum(WIDE * lacks**2) - mean**2) / spread - 1]), float(phi)


def fold(x: tuple[float, float], alpha: float, kappa: float, sign: float) -> float:
    """The extremal load next to a saddle, from the loads at given ``q - r^2``."""

    def load(log_spread: float) -> float:
        def miss(y: np.ndarray) -> np.ndarray:
            return student(np.array([y[0], log_spread]), math.exp(y[1]), kappa)[0]

        found = fsolve(miss, [x[0], math.log(alpha)], xtol=1e-13, full_output=True)[0]
        assert np.max(np.abs(miss(found))) < 1e-5  # the spread is lost beside 1 - r
        return sign * math.exp(found[1])

    return sign * minimize_scalar(load, bracket=(x[1] - 0.1, x[1], x[1] + 0.1), tol=1e-9).fun


@pytest.mark.parametrize("index", [5, 6])
def test_close_to_margin_0_the_lines_are_those_of_the_textbooks_equations(learning, index):
    kappa = float(learning["kappa"][index])
    start = {5: (-1.215, -1.591, -11.604, -25.210), 6: (-1.186, -1.553, -16.804, -37.812)}[index]
    load = float(learning["alpha_first_order"][index])

    def miss(z: np.ndarray) -> np.ndarray:
        (one, phi), (two, other) = student(z[:2], z[4], kappa), student(z[2:4], z[4], kappa)
        return np.array([*one, *two, phi - other])

    found = fsolve(miss, [*start, load], xtol=1e-13, full_output=True)[0]
    assert np.max(np.abs(miss(found)[[0, 1, 2, 4]])) < 1e-11 and found[2] < found[0] - 1
    assert abs(load - found[4]) <= learning["alpha_first_order_error"][index]
    ends = {
        "alpha_spinodal": (-1.0, {5: (-2.1966, -2.3806), 6: (-2.2350, -2.3552)}[index]),
        "alpha_spinodal_teacher": (1.0, {5: (-9.5513, -16.2330), 6: (-14.2386, -24.4802)}[index]),
    }
    for name, (sign, x) in ends.items():
        value, error = learning[name][index], learning[f"{name}_error"][index]
        assert value == pytest.approx(fold(x, value, kappa, sign), rel=2e-14)
        assert 0.0 < error < 1e-10


def test_three_lines_end_in_a_cusp(learning):
    (critical,) = learning.curves
    assert critical["kappa"] == pytest.approx(-0.16625174681, abs=1e-9)
    lines = ("alpha_first_order", "alpha_spinodal", "alpha_spinodal_teacher")
    assert all(np.isnan(learning[name][0]) for name in lines)
    assert learning["alpha_spinodal_teacher"][1] < learning["alpha_first_order"][1] < learning["alpha_spinodal"][1]
    assert "one phase" in learning[0].message
    pytest.importorskip("matplotlib")
    names = {"student stable", "teacher found", "one phase", "no solutions"}
    axes = learning.plot()
    places = {text.get_text(): text.get_position() for text in axes.texts if text.get_text() in names}
    assert names <= places.keys()
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert all(left < x < right and bottom < y < top for x, y in places.values())
    assert places["one phase"][0] < critical["kappa"] < places["teacher found"][0] < 0.0 < places["no solutions"][0]


@pytest.mark.parametrize("kappa", [-0.1655, -0.16624])
def test_close_to_the_cusp_no_line_is_taken_for_another(kappa):
    low, middle, high = (
        saddle.diagram("teacher-student", kappa=kappa)[name][0]
        for name in ("alpha_spinodal_teacher", "alpha_first_order", "alpha_spinodal")
    )
    assert low < middle < high
    for load, alone in ((middle, False), (2 * low - middle, True), (2 * high - middle, True)):
        assert (len(saddle.all_saddles(("teacher-student", "rs"), alpha=load, kappa=kappa)) == 1) == alone


@pytest.mark.full
def test_high_temperatures_are_reached_wherever_the_line_begins():
    import replica

    (row,) = saddle.diagram("teacher-student", beta=0.05).points
    target = (replica.soft(replica.zoo.model("teacher-student")), "rs")
    for load, sign in ((row.lines["alpha_first_order"] - 1e-6, 1.0), (row.lines["alpha_first_order"] + 1e-6, -1.0)):
        assert saddle.solve(target, alpha=load, kappa=0.0, beta=0.05).free_entropy * sign > 0.0
    for factor, status in ((1.0 - 1e-6, "converged"), (1.0 + 1e-6, "no-saddle")):
        point = saddle.solve(target, alpha=factor * row.lines["alpha_spinodal"], kappa=0.0, beta=0.05)
        assert str(point.status) == status, point.message


def test_low_temperatures_give_the_transition_without_errors():
    cold = saddle.diagram("teacher-student", beta=[12.0, 2.0])
    assert cold["alpha_first_order"][0] == pytest.approx(1.24468399, abs=1e-4)
    assert cold["alpha_first_order"][1] == pytest.approx(1.570838781, abs=1e-8)
    assert cold["alpha_spinodal"][1] > cold["alpha_first_order"][1]
    curve = saddle.generalization("teacher-student", [1.5, 1.7], beta=[2.0, np.inf])
    ends = {(entry["name"], entry["beta"]): entry["value"] for entry in curve.thresholds}
    for name in ("alpha_first_order", "alpha_spinodal"):
        assert ends[name, 2.0] == pytest.approx(cold[name][1], abs=1e-11)
    assert ends["alpha_spinodal", np.inf] == pytest.approx(1.49263181823, abs=1e-10)
    rows = {(p.parameters["alpha"], p.parameters["beta"], p["branch"]): p for p in curve}
    assert rows[1.5, 2.0, "student"]["phase"] == rows[1.7, 2.0, "teacher"]["phase"] == "stable"
    assert rows[1.7, np.inf, "student"].status == "no-saddle"  # the saddle there leaves the line r = q


def test_a_teacher_with_an_energy_is_no_branch():
    for words, model in (({}, "cross-entropy"), ({"kappa": 0.1}, "errors")):
        with pytest.raises(InputError, match=r"costs the teacher|has an energy"):
            saddle.generalization(replica.soft(replica.zoo.model("teacher-student"), model), 0.5, beta=2.0, **words)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Give the loads"),
        ({"alpha": 0.5, "kappa": [0.0, 0.1]}, "one margin of the probes"),
        ({"kappa": []}, "kappa has no values"),
    ],
)
def test_bad_input_is_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        saddle.diagram("spherical-perceptron", **arguments)


def test_a_student_has_no_diagram_over_loads():
    with pytest.raises(InputError, match=r"goes over margins \(kappa\) or inverse temperatures \(beta\), not loads"):
        saddle.diagram("teacher-student", alpha=[0.5, 0.6])


def test_thresholds_of_a_student_at_negative_margins_are_those_of_its_diagram(learning: saddle.Diagram) -> None:
    """Around the teacher there are solutions, so that the transition is not where the student's entropy vanishes."""
    (row,) = saddle.thresholds("teacher-student", kappa=-0.1, only=["alpha_first_order"])
    assert row.value == learning["alpha_first_order"][2]
    assert row.order_parameters["r"] == row.row()["overlap"] < 0.9
    assert saddle.solve(("teacher-student", "rs"), alpha=row.value, kappa=-0.1).free_entropy > 1e-3
    (absent,) = saddle.thresholds("teacher-student", kappa=-0.2, only=["alpha_first_order"])
    assert str(absent.status) == "absent" and "one phase" in absent.message


def test_next_to_margin_zero_the_transition_is_known_from_the_student() -> None:
    """The entropy of the few solutions around the teacher is between 0 and what it is at a larger margin."""
    (row,) = saddle.thresholds("teacher-student", kappa=-2e-5, only=["alpha_first_order"])
    assert row.converged and row.error < 1e-8
    ends = [saddle.solve(("teacher-student", "rs"), alpha=row.value + s * row.error, kappa=-2e-5) for s in (1.0, -1.0)]
    assert -1e-11 < ends[0].free_entropy < 1e-9 < ends[1].free_entropy < 1e-8


def test_a_picture_grows_towards_harder_margins_and_names_nothing_unknown():
    pytest.importorskip("matplotlib")
    setting = Setting.of(("symmetric-binary-perceptron", "rs"))

    def drawn(status: str, *largest: float) -> Axes:
        rows = []
        for alpha, most in zip((1.0, 1.4), largest, strict=True):
            known = {"kappa_max": most, "kappa_gap": 0.95, "kappa_mono": 0.92}
            lines = {k: v for name, value in known.items() for k, v in ((name, value), (f"{name}_error", 1e-12))}
            place, good = {"alpha": alpha, "kappa": 1.0}, saddle.Status.CONVERGED
            rows.append(diagram_row(setting, place, lines, good, "", tolerance=1e-12))
        ends = [{"name": "alpha_c", "alpha": 1.8, "reference_kappa": 1.0, "status": "converged"}]
        for name in ("alpha_LE", "alpha_gap"):
            ends.append({"name": name, "alpha": 1.5, "reference_kappa": 0.9, "status": status})
        return saddle.Diagram(tuple(rows), tuple(ends)).plot()

    axes = drawn("converged", 0.6, 0.85)
    bottom, top = axes.get_ylim()
    assert bottom == 1.0 and top < 0.6
    assert {"flat", "no solutions"} <= {text.get_text() for text in axes.texts}
    assert {text.get_text() for text in drawn("absent", 0.6, 0.85).texts} == {"solutions", "no solutions"}


def test_margins_of_a_committee_have_normalized_twins_in_rows_and_pictures() -> None:
    pytest.importorskip("matplotlib")
    setting, deviation = Setting.of((replica.zoo.tree_committee("relu"), "rs")), math.sqrt(0.5 - 0.5 / math.pi)
    lines = {"kappa_max": 0.3, "kappa_max_error": 1e-14, "kappa_gap": math.nan, "kappa_gap_error": math.nan}
    lines |= {"kappa_mono": 0.1, "kappa_mono_error": 1e-12}
    rows = [
        diagram_row(setting, {"alpha": alpha, "kappa": 0.05}, lines, saddle.Status.CONVERGED, "", tolerance=1e-12)
        for alpha in (0.5, 0.6)
    ]
    found = saddle.Diagram(tuple(rows), ())
    for name, value in (("kappa", 0.05), ("kappa_max", 0.3), ("kappa_mono", 0.1)):
        assert found[f"{name}_normalized"] == pytest.approx(value / deviation, rel=1e-14)
    assert "kappa_max_error_normalized" not in found.columns and np.isnan(found["kappa_gap_normalized"]).all()
    assert found.to_csv().splitlines()[0].startswith("alpha,kappa,kappa_normalized,kappa_max,kappa_max_normalized,")
    axes = found.plot()
    (second,) = axes.child_axes
    axes.figure.draw_without_rendering()
    assert "normalised" in second.get_ylabel()
    assert second.get_ylim()[1] == pytest.approx(axes.get_ylim()[1] / deviation)


def test_lines_that_exist_at_no_load_say_why():
    (row,) = saddle.diagram("spherical-perceptron", 2.0, -1.0).points
    assert "kappa_gap and kappa_mono absent: the overlap of spherical weights" in row.message
    (row,) = saddle.diagram("spherical-perceptron", kappa=-4.0).points
    assert np.isnan(row.lines["alpha_AT"]) and "stable up to the capacity" in row.message


def test_a_window_has_a_positive_margin():
    with pytest.raises(InputError, match=r"kappa = -1 must be positive for symmetric-binary-perceptron"):
        saddle.capacity("symmetric-binary-perceptron", -1.0)
