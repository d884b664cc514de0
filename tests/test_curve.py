"""The curve container: columns, rows, tables, CSV, pandas, pictures, and what happens without the extras."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
import json
import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from handmade import NAN, capacity, fp_point, rs_point
from matplotlib.axes import Axes

import replica
from saddle.critical.landmark import Landmark
from saddle.points.coexistence import CoexistingPoint
from saddle.points.results import SaddlePoint, Status, Threshold
from saddle.reporting.curve import Curve, as_curve

CURVE = Curve((rs_point(0.0, 0.25), rs_point(0.1, -0.05, status=Status.NEGATIVE_ENTROPY, stable=False)))
BROKEN = Curve((rs_point(0.0, 1 / 3), rs_point(0.1, status=Status.NOT_CONVERGED)))
PROFILE = Curve(
    tuple(fp_point(d, f, reference_kappa=k) for k in (0.2, 0.3) for d, f in ((1e-4, -0.1), (0.1, 0.1), (0.3, 0.2))),
    curves=tuple(
        {
            "alpha": 0.5,
            "kappa": 0.0,
            "reference_kappa": k,
            "typical_distance": 0.3,
            "positive": False,
            "monotonic": True,
        }
        for k in (0.2, 0.3)
    ),
)


def test_columns_under_the_names_of_the_document() -> None:
    assert CURVE.columns == (
        "alpha", "kappa", "free_entropy", "overlap", "distance", "replicon", "stable", "q", "qhat",
        "residual", "quadrature_error", "error", "status", "message",
    )  # fmt: skip
    assert CURVE.free_entropy.tolist() == [0.25, -0.05]
    assert CURVE["free_entropy"] is CURVE.free_entropy
    assert CURVE.q.dtype == float
    assert CURVE.stable.tolist() == [True, False]
    assert CURVE.stable.dtype == bool
    assert CURVE.status.tolist() == ["converged", "negative-entropy"]
    assert "free_entropy" in dir(CURVE)


@pytest.mark.parametrize("name", ["parameters", "order_parameters", "observables"])
@pytest.mark.parametrize("result", [rs_point(), capacity()])
def test_results_cannot_be_changed_in_place(result: SaddlePoint | Threshold, name: str) -> None:
    found = getattr(result, name)
    for change in (lambda: found.update(q=1.0), lambda: found.__setitem__("q", 1.0), lambda: found.clear()):
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    assert pickle.loads(pickle.dumps(result)) == result == copy.deepcopy(result)
    assert type(getattr(pickle.loads(pickle.dumps(result)), name)) is type(found)


def test_columns_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="read-only"):
        CURVE.q[0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        CURVE.points = ()  # type: ignore[misc]


def test_missing_values_are_nan_and_never_stable() -> None:
    assert math.isnan(BROKEN.free_entropy[1])
    assert BROKEN.stable.tolist() == [True, False]
    mixed = Curve((rs_point(), fp_point(0.1)))
    assert np.isnan(mixed.slope[0])
    assert np.isnan(mixed.replicon[1])


def test_unknown_columns() -> None:
    with pytest.raises(KeyError, match="no column 'nope'"):
        CURVE["nope"]
    with pytest.raises(AttributeError, match="no column 'nope'"):
        CURVE.nope  # noqa: B018
    assert not hasattr(CURVE, "_nope")


def test_points_by_index() -> None:
    assert len(CURVE) == 2
    assert list(CURVE) == list(CURVE.points)
    assert CURVE[-1] is CURVE.points[1]
    assert CURVE[np.int64(0)] is CURVE.points[0]
    assert PROFILE[:3].points == PROFILE.points[:3]
    assert PROFILE[:3].curves == ()
    assert CURVE.rows[0]["order_parameters"] == {"q": 0.1 + 0.2, "qhat": 0.5}
    assert CURVE.converged
    assert not BROKEN.converged


def test_copies_and_pickles() -> None:
    assert CURVE.q[0] == 0.1 + 0.2
    for other in (copy.copy(CURVE), copy.deepcopy(CURVE), pickle.loads(pickle.dumps(CURVE))):
        assert other == CURVE
        assert other.q.tolist() == CURVE.q.tolist()


def test_a_prompt_shows_results_as_listings() -> None:
    shown = repr(rs_point(0.1, 1 / 3))
    assert shown == repr(Curve((rs_point(0.1, 1 / 3),))) and "free_entropy      0.333333333333" in shown
    assert repr(capacity()).startswith("binary-perceptron, rs, kappa = ")
    derived = repr(replica.derive("binary-perceptron", "rs"))
    assert derived == "FreeEntropy of binary-perceptron, rs: order parameters q (.text(), .latex(), .steps)"


def test_one_result_becomes_a_curve() -> None:
    one = as_curve(capacity(), command=("replica",))
    assert len(one) == 1
    assert one.command == ("replica",)
    assert as_curve(CURVE) == CURVE
    assert isinstance(one[0], Threshold)
    assert one.value.tolist() == [0.833]


def test_csv_has_17_digits(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    text = BROKEN.to_csv(path)
    assert path.read_bytes().decode() == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == BROKEN.columns
    assert rows[0]["free_entropy"] == "0.33333333333333331"
    assert float(rows[0]["q"]) == 0.1 + 0.2
    assert rows[0]["stable"] == "true"
    assert (rows[1]["free_entropy"], rows[1]["stable"], rows[1]["status"]) == ("", "", "not-converged")


def test_a_value_that_stands_alone_is_seen() -> None:
    rows = [rs_point(0.1 * i, 0.2, status=s) for i, s in enumerate((Status.CONVERGED, *[Status.NOT_CONVERGED] * 2))]
    axes = Curve(tuple(rows)).plot()
    assert [line.get_xdata().tolist() for line in axes.get_lines() if line.get_marker() == "o"] == [[0.0]]


def test_infinity_is_a_parameter_or_no_value_in_csv() -> None:
    point = dataclasses.replace(_cluster(0.1, math.inf, 0.2), order_parameters={"q1hat": math.inf})
    (row,) = csv.DictReader(io.StringIO(Curve((point,)).to_csv()))
    assert (row["y"], row["q1hat"]) == ("inf", "")
    assert json.loads(Curve((point,)).to_json())["rows"][0]["order_parameters"]["q1hat"] is None


def test_pandas() -> None:
    frame = BROKEN.to_pandas()
    assert tuple(frame.columns) == BROKEN.columns
    assert frame["free_entropy"].tolist()[0] == 1 / 3
    assert frame["stable"].tolist() == [True, False]
    frame.loc[0, "q"] = 1.0  # a copy: the curve stays as it is
    assert BROKEN.q[0] == 0.1 + 0.2


@pytest.mark.parametrize(("module", "extra"), [("pandas", "data"), ("matplotlib.figure", "plot")])
def test_missing_extra_is_one_sentence(module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(replica.InputError, match=rf"pip install 'replica-saddle\[{extra}\]'"):
        CURVE.to_pandas() if extra == "data" else CURVE.plot()


def test_tables_for_a_person() -> None:
    text = repr(CURVE)
    assert text.splitlines()[0] == "binary-perceptron, rs, alpha = 0.5 (2 points)"
    assert "kappa" in text.splitlines()[1]
    assert "alpha" not in text.splitlines()[1]
    assert repr(Curve(())) == "no points"
    assert "qhat" in repr(CURVE[:1])
    many = repr(Curve(tuple(rs_point(k / 100) for k in range(100))))
    assert len(many.splitlines()) == 15
    html = Curve((rs_point(), rs_point(0.1)))._repr_html_()
    assert html.startswith("<table>")
    assert html.count("<tr>") == 3


def test_explanations_of_points_without_a_value() -> None:
    assert CURVE.explain() == "All 2 points have a value."
    assert BROKEN.explain().startswith("alpha = 0.5, kappa = 0.1: The residuals stall. 2 iterations")


def test_warnings_once() -> None:
    assert Curve((capacity(-1.0, warnings=("upper bound",)), capacity(-2.0, warnings=("upper bound",)))).warnings == (
        "upper bound",
    )


@pytest.mark.parametrize("curve", [CURVE, BROKEN, PROFILE, CURVE[:1], PROFILE[1:2], Curve((capacity(), capacity(0.5)))])
@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_pictures_without_pyplot(curve: Curve, suffix: str, tmp_path: Path) -> None:
    axes = curve.plot()
    axes.figure.savefig(tmp_path / f"curve.{suffix}")
    assert (tmp_path / f"curve.{suffix}").stat().st_size > 1000
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_picture_into_given_axes() -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert PROFILE.plot(axes) is axes
    labels = axes.get_legend_handles_labels()[1]
    assert labels == [r"$\kappa_{\rm ref} = 0.2$", r"$\kappa_{\rm ref} = 0.3$", "bound"]
    assert axes.get_xscale() == "log"


def test_picture_marks_the_zero_and_dashes_what_is_unstable() -> None:
    points = (rs_point(0.0, 0.3), rs_point(0.1, 0.1), rs_point(0.2, -0.1, status=Status.NEGATIVE_ENTROPY, stable=False))
    axes = Curve(points).plot()
    assert [text.get_text() for text in axes.texts] == ["0.15"]
    styles = {(line.get_linestyle(), len(line.get_xdata())) for line in axes.lines}
    assert {("--", 3), ("-", 2)} <= styles


def _cluster(distance: float, y: float, local: float) -> SaddlePoint:
    point = fp_point(distance)
    parameters = {"alpha": 0.6, "kappa": 0.0, "y": y, "overlap": 1 - 2 * distance, "distance": distance}
    observables = {"local_entropy": local, "complexity": 0.1 - distance}
    return dataclasses.replace(point, ansatz="local-entropy", parameters=parameters, observables=observables)


def _drawn(axes: Axes) -> list[tuple[list[float], list[float]]]:
    lines = [line for line in axes.lines if line.get_linewidth() == 1.5 and len(line.get_xdata()) > 1]
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]


def test_local_entropies_are_drawn_over_the_distance_a_line_each_number_of_replicas() -> None:
    points = [_cluster(d, y, d + y / 100) for y in (5.0, math.inf) for d in (0.05, 0.1)]
    points[2:] = [dataclasses.replace(p, free_entropy=NAN, observables={"local_entropy": 0.2}) for p in points[2:]]
    axes = Curve(tuple(points)).plot()
    assert _drawn(axes) == [([0.05, 0.1], [0.1, 0.15000000000000002]), ([0.05, 0.1], [0.2, 0.2])]
    assert "local entropy" in axes.get_ylabel()


def test_a_parameter_that_was_solved_for_at_every_place_parts_no_line() -> None:
    axes = Curve((_cluster(0.05, 14.7, 0.12), _cluster(0.1, 44.8, 0.17))).plot()
    assert _drawn(axes) == [([0.05, 0.1], [0.12, 0.17])]


def test_complexities_are_drawn_over_the_parisi_parameter() -> None:
    points = [
        dataclasses.replace(
            rs_point(), ansatz="1rsb", parameters={"alpha": 9.0, "kappa": -1.0, "m": m}, observables={"complexity": 0.5 - m}
        )
        for m in (0.1, 0.9)
    ]
    axes = Curve(tuple(points)).plot()
    assert _drawn(axes) == [([0.1, 0.9], [0.4, -0.4])]
    assert "complexity" in axes.get_ylabel()


def test_points_of_ansatze_with_different_parameters_have_a_picture() -> None:
    broken = dataclasses.replace(rs_point(0.1), ansatz="1rsb", parameters={"alpha": 0.5, "kappa": 0.1, "m": 0.5})
    assert Curve((broken, rs_point(0.0), rs_point(0.1))).plot().get_xlabel() == r"margin $\kappa$"
    assert Curve((fp_point(0.1), rs_point(0.1))).plot().get_xlabel() == r"margin $\kappa$"


def test_coexisting_points_are_lines_of_their_own() -> None:
    known = {f.name: getattr(rs_point(), f.name) for f in dataclasses.fields(rs_point())}
    points = [
        CoexistingPoint(
            **{**known, "parameters": {"alpha": alpha, "kappa": 0.0}, "free_entropy": alpha / branch},
            branch=branch, physical=branch == 1, reason="It is larger.",
        )
        for alpha in (1.0, 2.0)
        for branch in (1, 2)
    ]  # fmt: skip
    axes = Curve(tuple(points)).plot()
    assert _drawn(axes) == [([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0], [0.5, 1.0])]
    assert axes.get_legend_handles_labels()[1] == ["$branch = 1$", "$branch = 2$"]


def test_zeros_of_a_free_entropy_are_not_marked() -> None:
    hot = [
        dataclasses.replace(rs_point(k, f), observables={"energy": 0.1, "entropy": 0.3})
        for k, f in ((0.0, 0.1), (0.1, -0.1))
    ]
    axes = Curve(tuple(hot)).plot()
    assert not axes.texts
    assert "free entropy" in axes.get_ylabel()


def test_thresholds_of_different_names_stand_on_one_axis() -> None:
    def landmark(name: str, value: float, status: Status) -> Landmark:
        known = {f.name: getattr(capacity(), f.name) for f in dataclasses.fields(capacity())}
        return Landmark(**{**known, "name": name, "value": value, "status": status}, definition="where it is")

    points = landmark("alpha_c", 0.83, Status.CONVERGED), landmark("alpha_U", NAN, Status.ABSENT)
    axes = Curve(points).plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["alpha_U", "alpha_c"]
    assert [text.get_text() for text in axes.texts] == ["absent"]
    assert axes.get_xlabel() == r"load $\alpha$"


def test_no_picture_of_nothing() -> None:
    with pytest.raises(replica.InputError, match="without points"):
        Curve(()).plot()
