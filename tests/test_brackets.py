"""A second path to thresholds: on a fine grid of solved points what a threshold ends holds below it, and fails above it.

The loads on both sides are 1e-4 away from the threshold, so that it is right to 1e-4 whatever the equations of its touch
are, and the first one over all distances of the grid.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import replica
import saddle
from saddle.critical.landmarks import thresholds

MODEL = "binary-perceptron"
AWAY = 1e-4
NEAR_TYPICAL = 0.95
"""Share of the typical distance up to which slopes are looked at: there they vanish by themselves."""


def around(lowest: float, farthest: float, touch: float) -> list[float]:
    """Distances on a fine logarithmic grid, and finer ones around that of a touch."""
    return sorted({*np.geomspace(lowest, farthest, 120), *(touch * np.exp(np.linspace(-0.1, 0.1, 21)))})


def landmark(model: object, name: str, **given: object) -> saddle.Landmark:
    (point,) = thresholds(model, only=[name], **given).points  # type: ignore[arg-type]
    assert isinstance(point, saddle.Landmark) and point.converged and point.error < 1e-8
    return point


def typical(model: object, alpha: float) -> float:
    """The distance of two typical solutions."""
    return 0.5 * (1.0 - saddle.solve((model, "rs"), alpha=alpha, kappa=0.0).order_parameters["q"])


def lowest(model: object, point: saddle.Landmark, alpha: float) -> float:
    """The smallest value, over all distances, of what vanishes at the threshold: all points of the grid are solved."""
    column = {"alpha_LE": "slope", "alpha_gap": "free_entropy"}[point.name]
    coarse = saddle.franz_parisi(model, alpha, "max", 0.0, np.linspace(0.1, 0.45, 36))  # type: ignore[arg-type]
    farthest = NEAR_TYPICAL * float(coarse["distance"][np.argmax(coarse.free_entropy)])
    grid = around(1e-4, farthest, float(point.where["distance"]))  # type: ignore[arg-type]
    curve = saddle.franz_parisi(model, alpha, "max", 0.0, grid)  # type: ignore[arg-type]
    assert all(row.converged for row in curve)
    return float(np.min(curve[column]))


@pytest.mark.full
@pytest.mark.parametrize("name", ["alpha_LE", "alpha_gap"])
@pytest.mark.parametrize("activation", ["", "relu", "sign", "erf"])
def test_profiles_around_the_best_references_bracket_it(activation: str, name: str) -> None:
    model = replica.zoo.tree_committee(activation, "binary") if activation else MODEL
    point = landmark(model, name)
    assert lowest(model, point, point.value - AWAY) > 0.0 > lowest(model, point, point.value + AWAY)


@pytest.mark.full
@pytest.mark.parametrize("y", [20.0, math.inf])
def test_slopes_of_local_entropies_bracket_it(y: float) -> None:
    """Up to the overlap at which the slope bends to that of replicas next to each other, which never vanishes first."""
    point = landmark(MODEL, "alpha_LE_y_inf" if math.isinf(y) else "alpha_LE_y", **({} if math.isinf(y) else {"y": y}))

    def smallest(alpha: float) -> float:
        grid = around(4e-3, NEAR_TYPICAL * typical(MODEL, alpha), 0.5 - 0.5 * float(point.where["overlap"]))  # type: ignore[arg-type]
        curve = saddle.local_entropy(MODEL, alpha, y=[y], overlap=[1.0 - 2.0 * d for d in grid])
        assert all(row.converged for row in curve)
        return min(float(row.observables["slope"]) for row in curve)  # type: ignore[arg-type]

    assert smallest(point.value - AWAY) > 0.0 > smallest(point.value + AWAY)


@pytest.mark.full
def test_entropies_of_clones_bracket_the_overlap_gap() -> None:
    """Below it no number of clones has an overlap that is forbidden; above it four have one, and three and five none."""
    point = landmark(MODEL, "alpha_OGP")
    touch = 0.5 - 0.5 * float(point.where["overlap"])  # type: ignore[arg-type]

    def smallest(clones: int, alpha: float) -> float:
        overlaps = [1.0 - 2.0 * d for d in around(2e-4, NEAR_TYPICAL * typical(MODEL, alpha), touch)]
        curve = saddle.local_entropy(MODEL, alpha, y=[float(clones)], overlap=overlaps)
        assert all(row.converged for row in curve)
        return float(np.min(curve.free_entropy))

    assert point.where["clones"] == 4
    assert all(smallest(clones, point.value - AWAY) > 0.0 for clones in (2, 3, 4, 5, 6))
    assert smallest(4, point.value + AWAY) < 0.0
    assert all(smallest(clones, point.value + AWAY) > 0.0 for clones in (3, 5))
