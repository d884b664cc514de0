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
