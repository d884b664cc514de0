"""Continuation on hand-made problems: folds, a cusp, a pitchfork, an isola, and a border of the domain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saddle.continuation import Arclength
from saddle.systems import EventSystem, FoldSystem, Smooth


def cubic(a: float) -> Smooth:
    """``x^3 - a x + parameter = 0``: folds at ``x = +-sqrt(a/3)``, a cusp at ``a = 0``."""
    return Smooth(lambda x, p: x**3 - a * x + p, lambda x, p: np.diag(3 * x**2 - a))


def test_both_folds_of_an_s_shaped_branch_are_passed_and_solved_for():
    path = Arclength().follow(cubic(1.0), np.array([-1.5]), 1.875, to=(-3.0, 3.0), direction=-1.0)
    assert path.reason == "reached"
    folds = [s for s in path.special if s.kind == "fold"]
    exact = 2 / (3 * math.sqrt(3))
    assert [f.parameter for f in folds] == pytest.approx([-exact, exact], abs=1e-12)
    assert [float(f.x[0]) for f in folds] == pytest.approx([-1 / math.sqrt(3), 1 / math.sqrt(3)], abs=1e-7)
    assert path.nodes[-1].parameter == -3.0
    assert {node.orientation for node in path.nodes} == {1.0, -1.0}


def test_stopping_at_a_value_gives_a_point_exactly_there():
    path = Arclength().follow(cubic(-1.0), np.array([0.0]), 0.0, to=2.0)
    assert path.nodes[-1].parameter == 2.0
    assert abs(path.nodes[-1].x[0] ** 3 + path.nodes[-1].x[0] + 2.0) < 1e-12


def test_an_event_is_a_corrected_point_not_an_interpolation():
    path = Arclength(longest=1.0).follow(
        cubic(-1.0), np.array([0.0]), 0.0, to=-5.0, events={"at": lambda x, p: float(x[0]) - 0.7}
    )
    (event,) = path.special
    assert event.kind == "at"
    assert event.x[0] == pytest.approx(0.7, abs=1e-13)
    assert event.parameter == pytest.approx(-(0.7**3 + 0.7), abs=1e-12)


def test_the_line_of_folds_goes_through_the_cusp():
    system = FoldSystem(cubic)
    a = 1.0
    start = np.array([-1 / math.sqrt(3), -2 / (3 * math.sqrt(3))])
    # Unknowns (x, parameter) over a: the line 27 p^2 = 4 a^3 turns back at the cusp a = 0.
    path = Arclength(tolerance=1e-10).follow(system, start, a, to=(-1.0, 2.0), direction=-1.0)
    for node in path.nodes:
        assert 27 * node.x[1] ** 2 == pytest.approx(4 * node.parameter**3, abs=1e-6)
    assert path.nodes[-1].x[0] > 0 > path.nodes[0].x[0]
    assert path.reason == "reached"
    assert path.nodes[-1].parameter == 2.0


def test_an_event_line_is_continued_past_its_turning_point():
    # x = parameter^2 - mu and the event x^2 + parameter^2 = 1: a curve in (parameter, mu) that turns.
    system = EventSystem(
        lambda mu: Smooth(lambda x, p: x - p**2 + mu), lambda x, p, mu: float(x[0]) ** 2 + p**2 - 1.0
    )
    start = np.array([1.0, 0.0])
    path = Arclength(tolerance=1e-11).follow(system, start, -1.0, to=(-1.2, 1.3), direction=1.0)
    assert max(node.parameter for node in path.nodes) > 1.0
    assert any(s.kind == "fold" for s in path.special)
    for node in path.nodes:
        assert node.x[0] ** 2 + node.x[1] ** 2 == pytest.approx(1.0, abs=1e-9)


def test_a_pitchfork_is_a_branch_point():
    system = Smooth(lambda x, p: np.array([x[0] * (p - x[0] ** 2)]))
    path = Arclength(longest=0.17).follow(system, np.array([0.0]), -1.0, to=1.0)
    (point,) = [s for s in path.special if s.kind == "branch-point"]
    assert point.parameter == pytest.approx(0.0, abs=1e-6)
    assert path.nodes[-1].x[0] == 0.0


def test_an_isola_is_closed_and_its_two_folds_are_found():
    system = Smooth(lambda x, p: np.array([(x[0] - 2.0) ** 2 + 4 * p**2 - 1.0]))
    path = Arclength().follow(system, np.array([3.0]), 0.0, to=(-5.0, 5.0), direction=1.0)
    assert path.reason == "closed"
    assert sorted(s.parameter for s in path.special) == pytest.approx([-0.5, 0.5], abs=1e-12)


def test_the_border_of_a_domain_ends_a_path_with_its_last_good_point():
    def residuals(x: np.ndarray, p: float) -> np.ndarray | None:
        return None if p > 0.5 else x - p

    path = Arclength().follow(Smooth(residuals), np.array([0.0]), 0.0, to=2.0)
    assert path.reason == "lost"
    assert 0.49 < path.nodes[-1].parameter <= 0.5
    assert "0.49" in path.message or "0.5" in path.message


@pytest.mark.parametrize("curved", [0.0, 0.3])
def test_a_goal_at_the_border_of_a_domain_is_reached(curved: float) -> None:
    def residuals(x: np.ndarray, p: float) -> np.ndarray | None:
        return None if p < 1.0 else x - p - curved * p**2

    path = Arclength().follow(Smooth(residuals), np.array([2.0 + 4.0 * curved]), 2.0, to=1.0)
    assert path.reason == "reached" and path.nodes[-1].parameter == 1.0
    assert path.nodes[-1].x[0] == pytest.approx(1.0 + curved, abs=1e-12)


def test_a_start_that_is_no_solution_is_said_to_be_none():
    path = Arclength().follow(Smooth(lambda x, p: np.array([x[0] ** 2 + 1.0])), np.array([0.3]), 0.0, to=1.0)
    assert path.reason == "start"
    assert not path.nodes


def test_an_asymptote_ends_a_path_instead_of_being_followed_for_ever():
    system = Smooth(lambda x, p: np.array([math.exp(-x[0]) - 1.0 + p]))
    path = Arclength().follow(system, np.array([0.5]), 1.0 - math.exp(-0.5), to=2.0)
    assert path.reason == "asymptote"
    assert path.nodes[-1].parameter == pytest.approx(1.0, abs=2e-3)
