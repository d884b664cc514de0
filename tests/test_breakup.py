"""Where the line of vanishing complexity breaks up: against branches on both sides of it, and a formula typed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from test_clusters import phi_reference

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


@pytest.mark.parametrize(("shift", "zeros"), [(-5e-4, 1), (5e-4, 3)])
def test_a_branch_of_solved_points_brackets_it(touching: saddle.Landmark, shift: float, zeros: int) -> None:
    """Along the branch of its number of replicas the complexity crosses zero once below it, and three times above."""
    y, alpha = float(touching.where["y"]), touching.value + shift  # type: ignore[arg-type]
    point = None
    for copies in (6.0, y):
        point = saddle.solve(TARGET, alpha=alpha, y=copies, distance=0.2, start=point)
    assert point is not None
    branch = saddle.follow(point, "distance", (0.03, 0.25), direction=-1.0, longest=0.1)
    sigma = branch["complexity"]
    assert branch.reason == "reached" and len(branch) > 20
    assert int(np.sum(sigma[1:] * sigma[:-1] < 0.0)) == zeros
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
