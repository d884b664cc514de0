"""The functions that the benchmark compares compute the same thing; nothing here is timed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import saddle

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import scipy_counterpart

FIXED = {"alpha": 0.5, "reference_kappa": 0.2, "kappa": 0.0}


@pytest.mark.parametrize(("alpha", "kappa"), [(0.5, 0.0), (1.1, 0.0), (0.3, 0.5)])
def test_rs_counterpart_agrees(alpha: float, kappa: float) -> None:
    theirs = scipy_counterpart.rs_point(alpha, kappa, {"q": 0.5})
    ours = saddle.solve(("binary-perceptron", "rs"), alpha=alpha, kappa=kappa, start={"q": 0.5})
    assert abs(theirs["free_entropy"] - ours.free_entropy) < scipy_counterpart.ACCURACY
    for name in ("q", "qhat"):
        assert abs(theirs[name] - ours[name]) < 10 * scipy_counterpart.ACCURACY


@pytest.mark.full
@pytest.mark.parametrize("distance", [0.1, 0.01])
def test_franz_parisi_counterpart_agrees(distance: float) -> None:
    """At most 1e-7 in the order parameters: scipy's stopping rule is relative to its unknowns."""
    ansatz = ("binary-perceptron", "franz-parisi")
    start = saddle.solve(ansatz, distance=1.01 * distance, **FIXED).order_parameters
    theirs = scipy_counterpart.franz_parisi_point(distance=distance, start=start, **FIXED)
    ours = saddle.solve(ansatz, distance=distance, start=start, **FIXED)
    assert abs(theirs["free_entropy"] - ours.free_entropy) < scipy_counterpart.ACCURACY
    for name in ("q", "qhat", "t", "that", "phat"):
        assert abs(theirs[name] - ours[name]) < 1e-7


@pytest.mark.full
def test_counterparts_of_clusters_agree() -> None:
    replicas = {"alpha": 0.6, "kappa": 0.0, "y": 20.0}
    local = ("binary-perceptron", "local-entropy")
    start = saddle.solve(local, overlap=0.89, **replicas).order_parameters
    theirs = scipy_counterpart.local_entropy_point(overlap=0.9, start=start, tolerance=1e-6, **replicas)
    ours = saddle.solve(local, overlap=0.9, start=start, **replicas)
    assert abs(theirs["free_entropy"] - ours.free_entropy) < 1e-6
    assert all(abs(theirs[name] - ours.order_parameters[name]) < 1e-5 for name in ("q0", "q0hat", "q1hat"))
    broken = {"alpha": 9.0, "kappa": -1.0, "m": 0.3}
    ours = saddle.solve(("spherical-perceptron", "1rsb"), **broken)
    start = {"q0": ours.order_parameters["q0"] - 0.01, "q1": ours.order_parameters["q1"] - 0.01}
    theirs = scipy_counterpart.broken_point(start=start, tolerance=1e-6, **broken)
    assert abs(theirs["free_entropy"] - ours.free_entropy) < 1e-6
    assert all(abs(theirs[name] - ours.order_parameters[name]) < 1e-5 for name in ("q0", "q1"))


def test_the_bare_loop_counts_newton_steps() -> None:
    import run

    point = saddle.solve(("binary-perceptron", "franz-parisi"), distance=0.1, **FIXED)
    seconds, steps = run.bare_loop(point)
    assert seconds > 0.0
    unsolved = [i for i in point.iterations if i.method == "newton" and i.residual > point.tolerance]
    assert 1 < steps == len(unsolved) < len(point.iterations)


def test_a_row_says_whether_its_target_is_met() -> None:
    import run

    assert run.Row("faster", 1200.0, 1000.0, True, "", "").met
    slow = run.Row("time", 2.5, 1.0, False, "s", "")
    assert not slow.met and "NOT met" in str(slow)
