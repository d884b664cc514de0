"""Branches of saddle points: events against thresholds found otherwise, the teacher-student fold, saving and going on."""

from __future__ import annotations

import dataclasses
import math

import pytest

import replica
import saddle
from replica.errors import InputError
from saddle.lines.following import follow, inner_goal, load_branch

RS = ("binary-perceptron", "rs")


@pytest.fixture(scope="module")
def start() -> saddle.SaddlePoint:
    return saddle.solve(RS, alpha=0.3, kappa=0.0)


def test_the_entropy_event_along_the_load_is_the_capacity(start):
    branch = follow(start, "alpha", 0.9, events=["entropy"])
    (event,) = branch.special
    assert branch.reason == "reached"
    assert event.kind == "entropy"
    assert event.value == pytest.approx(0.8330785997396, abs=1e-11)
    assert abs(event.point.free_entropy) < 1e-12
    assert all(point.converged for point in branch.points)
    assert not any(branch.past_fold)


def test_a_user_event_and_the_overlap_as_parameter():
    point = saddle.solve(("binary-perceptron", "franz-parisi"), alpha=0.5, kappa=0.0, reference_kappa=0.2, distance=0.1)
    branch = follow(point, "overlap", 0.9, events=[("level", lambda p: p.free_entropy - 0.15)])
    (event,) = branch.special
    assert event.kind == "level"
    assert event.point.free_entropy == pytest.approx(0.15, abs=1e-11)
    again = saddle.solve(
        ("binary-perceptron", "franz-parisi"), alpha=0.5, kappa=0.0, reference_kappa=0.2, distance=event.value
    )
    assert again.free_entropy == pytest.approx(0.15, abs=1e-10)


def test_the_teacher_student_fold_and_crossing_lie_on_one_branch():
    point = saddle.solve(("teacher-student", "rs"), alpha=1.2, kappa=0.0)
    branch = follow(point, "alpha", (1.0, 2.0), direction=1.0, events=["entropy"])
    found = {special.kind: special.value for special in branch.special}
    assert found["entropy"] == pytest.approx(1.24468399, abs=1e-7)
    assert found["fold"] == pytest.approx(1.49263182, abs=1e-7)
    assert any(branch.past_fold)


def test_a_saved_branch_is_the_same_and_can_be_followed_further(start, tmp_path):
    branch = follow(start, "kappa", 0.2)
    branch.save(tmp_path / "branch.json")
    loaded = load_branch(tmp_path / "branch.json")
    assert loaded == branch
    longer = loaded.further(0.4)
    assert longer.last.parameters["kappa"] == 0.4
    assert longer.points[: len(branch)] == branch.points
    assert longer.last.free_entropy == pytest.approx(saddle.solve(RS, alpha=0.3, kappa=0.4).free_entropy, abs=1e-12)


def test_the_table_has_the_special_points(start):
    pytest.importorskip("pandas")
    frame = follow(start, "alpha", 0.9, events=["entropy"]).to_pandas()
    assert list(frame["special"]).count("entropy") == 1
    assert {"alpha", "free_entropy", "past_fold", "stable"} <= set(frame.columns)


def test_the_picture_shows_special_points(start):
    pytest.importorskip("matplotlib")
    axes = follow(start, "alpha", 0.9, events=["entropy"]).plot()
    assert any("entropy" in text.get_text() for text in axes.texts)


PLACES = [
    ("beta", 6.0, "binary-perceptron", "rs", {"alpha": 0.9, "kappa": 0.0, "beta": 1.0}),
    ("m", 0.5, "spherical-perceptron", "1rsb", {"alpha": 9.0, "kappa": -1.0, "m": 0.3}),
    ("y", 5.0, "binary-perceptron", "local-entropy", {"alpha": 0.5, "kappa": 0.0, "y": 3.0, "overlap": 0.8}),
    ("distance", 0.15, "binary-perceptron", "local-entropy", {"alpha": 0.5, "kappa": 0.0, "y": 3.0, "overlap": 0.8}),
    (
        *("reference_kappa", 0.3, "binary-perceptron", "franz-parisi"),
        {"alpha": 0.5, "kappa": 0.0, "reference_kappa": 0.2, "distance": 0.1},
    ),
]


@pytest.mark.parametrize(("parameter", "to", "name", "ansatz", "place"), PLACES, ids=[place[0] for place in PLACES])
def test_every_parameter_can_be_followed_to_where_solving_gets(parameter, to, name, ansatz, place):
    model = replica.soft(replica.zoo.model(name)) if parameter == "beta" else name
    branch = follow(saddle.solve((model, ansatz), **place), parameter, to)
    assert branch.reason == "reached"
    rest = {key: value for key, value in place.items() if not (parameter == "distance" and key == "overlap")}
    there = saddle.solve((model, ansatz), **{**rest, parameter: to})
    assert branch.last.free_entropy == pytest.approx(there.free_entropy, abs=1e-12)
    if parameter == "distance":
        assert branch.last.parameters["overlap"] == pytest.approx(0.7, abs=1e-12)


def test_a_branch_ends_where_its_parameter_does():
    place = {"alpha": 0.5, "kappa": 0.0, "reference_kappa": 0.4, "distance": 0.1}
    branch = follow(saddle.solve(("binary-perceptron", "franz-parisi"), **place), "reference_kappa", 0.8)
    largest = saddle.max_margin("binary-perceptron", 0.5).value
    assert branch.reason == "domain" and "above the maximal margin" in branch.message
    assert branch.last.parameters["reference_kappa"] == pytest.approx(largest, abs=1e-8)
    assert branch.last.converged


@pytest.mark.full
def test_a_single_replica_has_the_replica_symmetric_entropy() -> None:
    """At the least number of replicas the parameter is at the border of its domain."""
    start = saddle.solve(("binary-perceptron", "local-entropy"), alpha=0.6, kappa=0.0, y=5, overlap=0.8)
    branch = saddle.follow(start, "y", to=1)
    typical = saddle.solve(("binary-perceptron", "rs"), alpha=0.6, kappa=0.0)
    assert branch.reason == "reached" and branch.last.parameters["y"] == 1.0
    assert branch.last.free_entropy == pytest.approx(typical.free_entropy, abs=1e-13)
    assert branch.last.order_parameters["q0"] == pytest.approx(typical.order_parameters["q"], abs=1e-11)


def test_a_start_of_another_problem_is_refused(start):
    with pytest.raises(InputError, match="has no distance: give the model and ansatz"):
        follow(dataclasses.replace(start, ansatz="franz-parisi"), "alpha", 0.5)
    far = dataclasses.replace(start, order_parameters={"q": 0.999, "qhat": 1e3})
    with pytest.raises(InputError, match="not a solution"):
        follow(far, "alpha", 0.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("gamma", 1.0), "There is no parameter 'gamma'"),
        (("distance", 0.1), "There is no parameter 'distance'"),
    ],
)
def test_a_wrong_parameter_is_refused(start, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        follow(start, *arguments)


@pytest.mark.parametrize("to", [math.nan, "0.8", (0.1, math.inf)])
def test_a_goal_that_is_no_number_is_refused(start, to):
    with pytest.raises(InputError, match="not a finite number for alpha"):
        follow(start, "alpha", to)


def test_the_logarithm_of_a_distance_is_not_followed_to_0(start):
    with pytest.raises(InputError, match="stays positive"):
        inner_goal("distance", 0.0, 0.1)


def test_an_unknown_event_is_refused(start):
    with pytest.raises(InputError, match="There is no event 'energy'"):
        follow(start, "alpha", 0.5, events=["energy"])


def test_a_file_without_a_branch_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match="holds no branch"):
        load_branch(tmp_path / "x.json")
