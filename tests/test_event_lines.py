"""Lines of folds and events in a second parameter: against thresholds found otherwise, ends, saving and going on."""

from __future__ import annotations

import numpy as np
import pytest

import saddle
from replica.errors import InputError
from saddle.lines.following import load_branch

RS, TEACHER = ("binary-perceptron", "rs"), ("teacher-student", "rs")


@pytest.fixture(scope="module")
def zero() -> saddle.EventLine:
    """Where the entropy of the binary perceptron vanishes in the load, over the margin."""
    branch = saddle.follow(saddle.solve(RS, alpha=0.3, kappa=0.0), "alpha", 0.9, events=["entropy"])
    return branch.special[0].continue_in("kappa", to=0.6)


@pytest.fixture(scope="module")
def spinodal() -> saddle.EventLine:
    """The fold of the student's branch in the load, over its margin."""
    branch = saddle.follow(saddle.solve(TEACHER, alpha=1.2, kappa=0.0), "alpha", (1.0, 1.6), direction=1.0)
    (fold,) = (special for special in branch.special if special.kind == "fold")
    assert fold.error < 1e-10
    return fold.continue_in("kappa", (-0.3, 0.0), direction=-1.0, most=16)


def test_the_line_of_vanishing_entropy_is_the_capacity(zero):
    assert (zero.kind, zero.solved_for, zero.parameter, zero.reason) == ("entropy", "alpha", "kappa", "reached")
    for point, error in zip(zero.points[::3], zero.errors[::3], strict=True):
        exact = saddle.capacity("binary-perceptron", point.parameters["kappa"])
        assert abs(point.parameters["alpha"] - exact.value) < 1e-11
        assert abs(point.parameters["alpha"] - exact.value) <= error + exact.error
        assert error < 1e-10
    assert zero.last.parameters["kappa"] == pytest.approx(0.6, abs=1e-12)


def test_the_line_of_folds_turns_back_in_a_cusp(spinodal):
    (cusp,) = spinodal.special
    assert cusp.kind == "cusp"
    assert cusp.value == pytest.approx(-0.16625174681, abs=1e-9)
    assert cusp.error < 1e-8
    assert spinodal.reason == "length" and "16 points" in spinodal.message
    turned = int(np.argmin(spinodal["kappa"]))
    assert 0 < turned < len(spinodal) - 1
    assert spinodal["alpha"][-1] < np.interp(-spinodal["kappa"][-1], -spinodal["kappa"][:turned], spinodal["alpha"][:turned])
    assert max(spinodal.errors) < 1e-9


def test_a_fold_on_the_line_is_one_in_the_load(spinodal):
    point = spinodal.points[3]
    kappa, load = point.parameters["kappa"], point.parameters["alpha"]
    below, above = (saddle.all_saddles(TEACHER, alpha=load + shift, kappa=kappa) for shift in (-1e-6, 1e-6))
    assert len(below) == len(above) + 2


def test_a_saved_line_is_the_same_and_goes_on(zero, tmp_path):
    zero.save(tmp_path / "line.json")
    loaded = load_branch(tmp_path / "line.json")
    assert isinstance(loaded, saddle.EventLine) and loaded == zero
    longer = loaded.further(0.7)
    assert longer.points[: len(zero)] == zero.points and len(longer.errors) == len(longer)
    assert longer.last.parameters["alpha"] == pytest.approx(saddle.capacity("binary-perceptron", 0.7).value, abs=1e-11)


def test_an_event_of_ones_own_and_where_a_line_ends():
    start = saddle.solve(("spherical-perceptron", "rs"), alpha=1.0, kappa=-0.2)
    event = ("half", lambda point: point.order_parameters["q"] - 0.5)
    line = saddle.follow_event(start, "alpha", "kappa", -0.6, event=event)
    assert line.kind == "half"
    assert max(abs(line["q"] - 0.5)) < 1e-11
    unstable = saddle.follow(start, "alpha", 2.75, events=["replicon"]).special[0]
    ended = unstable.continue_in("kappa", to=0.5)
    assert ended.reason in ("asymptote", "quadrature")
    assert ended.last.parameters["alpha"] == pytest.approx(2.0, abs=1e-4)
    assert ended.message


def test_the_slope_of_a_profile_vanishes_along_a_line():
    start = saddle.solve(("binary-perceptron", "franz-parisi"), alpha=0.5, kappa=0.0, reference_kappa=0.2, distance=0.2)
    top = saddle.follow(start, "distance", 0.35, events=["slope"]).special[0]
    line = top.continue_in("reference_kappa", to=0.25)
    assert line.reason == "reached"
    assert max(abs(float(point["slope"])) for point in line.points) < 1e-9
    typical = saddle.solve(RS, alpha=0.5, kappa=0.0).free_entropy
    assert [point.free_entropy for point in line.points] == pytest.approx([typical] * len(line), abs=1e-10)


def test_the_table_and_the_picture_of_a_line(zero):
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    frame = zero.to_pandas()
    assert len(frame) == len(zero) + len(zero.special)
    axes = zero.plot()
    assert "kappa" in axes.get_xlabel() and "alpha" in axes.get_ylabel()


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (("alpha", "alpha", 1.0), {"event": "entropy"}, "continued in another parameter"),
        (("alpha", "kappa", (0.1, 0.5)), {"event": "entropy"}, "kappa = 0 of the start lies outside"),
        (("alpha", "beta", 1.0), {"event": "entropy"}, "There is no parameter 'beta'"),
        (("alpha", "kappa", 1.0), {"event": "energy"}, "There is no event 'energy'"),
        (("alpha", "kappa", 1.0), {"event": "fold"}, "No fold in alpha was found"),
    ],
)
def test_bad_input_is_refused(arguments, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        saddle.follow_event(saddle.solve(RS, alpha=0.3, kappa=0.0), *arguments, **settings)
