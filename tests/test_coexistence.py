"""Coexisting saddle points: those of the teacher-student problem, ranked, and the command that lists them."""

from __future__ import annotations

import json

import pytest

import saddle
from saddle.cli import main


def test_both_sides_of_a_fold_are_listed_and_the_one_past_it_is_no_phase():
    points = saddle.all_saddles(("teacher-student", "rs"), alpha=1.3)
    metastable, past = points
    assert metastable.physical and not past.physical
    assert metastable.free_entropy > past.free_entropy
    assert "past a fold" in past.reason
    assert past.order_parameters["q"] == pytest.approx(past.order_parameters["r"], abs=1e-9)


def test_a_single_solution_is_the_regular_one():
    (point,) = saddle.all_saddles(("binary-perceptron", "rs"), alpha=0.5)
    alone = saddle.solve(("binary-perceptron", "rs"), alpha=0.5)
    assert abs(point.free_entropy - alone.free_entropy) <= point.error + alone.error
    assert point.row()["branch"] == 0


def test_the_command_lists_all_branches(capsys):
    assert main(["solve", "teacher-student", "--ansatz", "rs", "--alpha", "1.3", "--all-branches", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["physical"] for row in rows] == [True, False]


@pytest.mark.parametrize(("alpha", "count"), [(0.5, 1), (0.8, 3), (1.2, 3), (1.6, 1)])
def test_both_phases_of_a_student_at_a_negative_margin_are_found_between_their_spinodals(alpha: float, count: int) -> None:
    """At margin -0.03 the teacher's phase begins at a load of 0.586, and the student's ends at 1.509."""
    points = saddle.all_saddles(("teacher-student", "rs"), alpha=alpha, kappa=-0.03)
    assert len(points) == count
    assert sum(point.reason.startswith("past a fold") for point in points) == (count - 1) // 2
    assert sum(point.physical for point in points) == 1
    largest = max(point.order_parameters["r"] for point in points)
    assert (largest > 0.9997) == (alpha > 0.586)
    assert (min(point.order_parameters["r"] for point in points) < 0.8) == (alpha < 1.509)


def test_beyond_the_spinodal_of_the_student_the_solutions_around_the_teacher_are_the_phase() -> None:
    points = saddle.all_saddles(("teacher-student", "rs"), alpha=1.6, kappa=-0.02)
    (physical,) = [point for point in points if point.physical]
    assert physical.order_parameters["r"] > 0.9999 and physical.free_entropy > 0.0
    alone = saddle.solve(("teacher-student", "rs"), alpha=1.6, kappa=-0.02)
    assert str(alone.status) == "no-saddle" and "around the teacher" in alone.message


def test_unstable_saddles_are_said_to_be() -> None:
    (alone,) = saddle.all_saddles(("spherical-perceptron", "rs"), alpha=9.0, kappa=-1.0)
    assert alone["stable"] is False and alone.physical
    assert alone.reason.startswith("the only solution found, though unstable")
