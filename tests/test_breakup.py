"""Where the line of vanishing complexity breaks up: against branches on both sides of it, and a formula typed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from test_clusters import phi_reference

import replica
import saddle
from saddle.critical.landmarks import thresholds

pytestmark = pytest.mark.full
"""Every run holds the number itself (test_published.py)."""
TARGET = ("binary-perceptron", "local-entropy-reference")


@pytest.fixture(scope="module")
def touching() -> saddle.Landmark:
    (point,) = thresholds("binary-perceptron", kappa=0.0, only=["alpha_U"]).points
    assert isinstance(point, saddle.Landmark)
    return point


def test_it_is_where_the_literature_has_it(touching: saddle.Landmark) -> None:
    row = touching.row()
    assert 0.76 < touching.value < 0.78 and touching.error < 1e-9
    assert list(row)[4:7] == ["distance", "y", "overlap"]
    assert row["overlap"] == pytest.approx(1.0 - 2.0 * touching.where["distance"], abs=1e-15)  # type: ignore[operator]


def crossings(model: object, touching: saddle.Landmark, shift: float) -> tuple[int, saddle.Branch]:
    """How often the complexity crosses zero along the branch of its number of replicas, away from its load."""
    y, alpha = float(touching.where["y"]), touching.value + shift  # type: ignore[arg-type]
    point = None
    for copies in (6.0, y):
        point = saddle.solve((model, TARGET[1]), alpha=alpha, y=copies, distance=0.2, start=point)
    assert point is not None
    branch = saddle.follow(point, "distance", (0.03, 0.25), target=(model, TARGET[1]), direction=-1.0, longest=0.1)
    sigma = branch["complexity"]
    return int(np.sum(sigma[1:] * sigma[:-1] < 0.0)), branch


@pytest.mark.parametrize(("shift", "zeros"), [(-5e-4, 1), (5e-4, 3)])
def test_a_branch_of_solved_points_brackets_it(touching: saddle.Landmark, shift: float, zeros: int) -> None:
    """Along the branch of its number of replicas the complexity crosses zero once below it, and three times above."""
    found, branch = crossings(TARGET[0], touching, shift)
    sigma = branch["complexity"]
    assert branch.reason == "reached" and len(branch) > 20
    assert found == zeros
    nearest = np.argmin(np.abs(np.log(branch["distance"] / touching.where["distance"])))
    assert abs(sigma[nearest]) < 0.02


def test_the_complexity_of_the_formula_vanishes_there(touching: saddle.Landmark) -> None:
    y, step, known = float(touching.where["y"]), 1e-3, dict(touching.order_parameters)  # type: ignore[arg-type]
    here = phi_reference(y, touching.value, known)
    above, below = (phi_reference(y + shift, touching.value, known) for shift in (step, -step))
    assert abs(here - y * (above - below) / (2 * step)) < 1e-7
    for name in ("q0", "q1", "Shat"):
        moved = [phi_reference(y, touching.value, {**known, name: known[name] + shift}) for shift in (2e-6, -2e-6)]
        assert abs(moved[0] - moved[1]) / 4e-6 < 1e-5  # as far as the grid of the formula resolves it


@pytest.mark.parametrize(("activation", "value"), [("erf", 0.7804700164), ("sign", 0.8515940487)])
def test_a_committee_has_one(activation: str, value: float) -> None:
    """Of the crossings along the branch of its number of replicas two appear, or vanish, there."""
    model = replica.zoo.tree_committee(activation, "binary")
    (point,) = thresholds(model, only=["alpha_U"]).points
    assert isinstance(point, saddle.Landmark)
    assert point.value == pytest.approx(value, abs=1e-9) and point.error < 1e-9
    assert abs(crossings(model, point, -5e-4)[0] - crossings(model, point, 5e-4)[0]) == 2


@pytest.mark.parametrize(("model", "kappa"), [("symmetric-binary-perceptron", 1.0), ("u-function-perceptron", 0.5)])
def test_the_line_of_a_window_stays_in_one_piece(model: str, kappa: float) -> None:
    """Along every branch the complexity has one minimum, which falls with the number of replicas."""
    (window,) = thresholds(model, kappa=kappa, only=["alpha_U"]).points
    assert window.status is saddle.Status.ABSENT and "stays in one piece" in window.message
    end = saddle.capacity(model, kappa).value  # type: ignore[union-attr]
    for load in (0.45 * end, 0.83 * end, 0.995 * end):
        minima = []
        for y in (5.0, 11.0, 30.0):
            point = saddle.solve((model, TARGET[1]), alpha=load, kappa=kappa, y=5.0, distance=0.34)
            point = saddle.solve((model, TARGET[1]), alpha=load, kappa=kappa, y=y, distance=0.34, start=point)
            target = (model, TARGET[1])
            branch = saddle.follow(point, "distance", (3e-3, 0.4), target=target, direction=-1.0, longest=0.1)
            steps = np.sign(np.diff(branch["complexity"]))
            assert branch.reason == "reached" and np.sum(np.diff(steps) != 0.0) == 1 and steps[0] < 0.0
            minima.append(float(np.min(branch["complexity"])))
        assert minima[0] > minima[1] > minima[2]
