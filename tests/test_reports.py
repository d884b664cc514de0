"""Capacities, margins, entropy curves and Franz-Parisi profiles: numbers, consistency, and what curves say."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import replica
import saddle
from replica.errors import InputError


def test_capacity_at_zero_margin() -> None:
    threshold = saddle.capacity("binary-perceptron", 0.0)
    assert 0.833078599 <= threshold.value <= 0.833078600
    assert 0.56394907949 <= threshold.order_parameters["q"] <= 0.5639490803
    assert 2.57635131 <= threshold.order_parameters["qhat"] <= 2.5763513224
    assert threshold.error < 1e-12 and not threshold.warnings and float(threshold) == threshold.value


def test_capacity_and_max_margin_are_inverse() -> None:
    for alpha in (0.1, 0.5, 0.8, 3.0):
        margin = saddle.max_margin("binary-perceptron", alpha)
        capacity = saddle.capacity("binary-perceptron", margin.value)
        assert abs(capacity.value - alpha) < 1e-12 * alpha + capacity.error
    assert abs(saddle.max_margin("binary-perceptron", 0.5).value - 0.4180624988) < 5e-11


def test_negative_margin_warns() -> None:
    assert "upper bound" in saddle.capacity("spherical-perceptron", -0.5).warnings[0]
    assert "upper bound" in saddle.capacity("binary-perceptron", -0.5).warnings[0]


@pytest.mark.parametrize("kappa", [-1.0, -0.5, 0.0, 0.7, 2.0])
def test_gardner_capacity(kappa: float) -> None:
    """1/alpha_c is the second moment of z + kappa over the half line (Gardner 1988)."""
    density = math.exp(-kappa * kappa / 2) / math.sqrt(2 * math.pi)
    tail = 0.5 * math.erfc(-kappa / math.sqrt(2))
    expected = 1 / ((1 + kappa**2) * tail + kappa * density)
    threshold = saddle.capacity("spherical-perceptron", kappa)
    assert abs(threshold.value - expected) < 1e-14 * expected + threshold.error
    assert abs(saddle.max_margin("spherical-perceptron", expected).value - kappa) < 1e-12


def test_spherical_entropy_diverges_towards_the_capacity() -> None:
    curve = saddle.entropy_curve("spherical-perceptron", [1.0, 1.5, 1.9, 1.99, 1.999], 0.0)
    assert np.all(np.diff(curve.free_entropy) < 0) and np.all(np.diff(curve.overlap) > 0)
    # Slightly below capacity the missing overlap is proportional to the missing load.
    missing = (1 - curve.overlap[-2:]) / (2.0 - np.array([1.99, 1.999]))
    assert abs(missing[1] / missing[0] - 1) < 0.05


def test_entropy_curve_columns_and_order() -> None:
    curve = saddle.entropy_curve("binary-perceptron", [0.5, 0.3], [0.2, -0.5])
    assert list(curve.alpha) == [0.5, 0.5, 0.3, 0.3] and list(curve.kappa) == [0.2, -0.5, 0.2, -0.5]
    assert np.allclose(curve.distance, (1 - curve.overlap) / 2)
    assert np.all(curve.stable) and np.all(curve.replicon > 0)
    assert np.array_equal(curve.q, curve.overlap)


def test_replicon_vanishes_at_the_at_line() -> None:
    """Spherical weights at negative margin: unstable beyond alpha (1-q)^2 E h'^2 = 1, with a warning."""
    curve = saddle.entropy_curve("spherical-perceptron", 12.0, [-1.0, -2.0])
    assert not curve.stable[0] and curve.stable[1]
    assert any("unstable" in warning for warning in curve.points[0].warnings)


def test_no_saddle_at_any_point_is_refused() -> None:
    with pytest.raises(replica.InputError, match="No saddle at any point"):
        saddle.entropy_curve("spherical-perceptron", 3.0, [0.0, 0.5])
    assert [str(s) for s in saddle.entropy_curve("spherical-perceptron", 1.5, [0.0, 0.5]).status] == [
        "converged",
        "no-saddle",
    ]


def test_profile_around_high_margin_references() -> None:
    """The larger the margin of the reference, the more solutions surround it closely (arXiv 2107.01163)."""
    distances = np.geomspace(0.002, 0.35, 25)
    curve = saddle.franz_parisi("binary-perceptron", 0.5, [0.0, 0.1, 0.2, "max"], 0.0, distances)
    entropy = curve.free_entropy.reshape(4, -1)
    assert np.all(np.diff(entropy[:, :8], axis=0) > 0)
    says = [(entry["positive"], entry["monotonic"]) for entry in curve.curves]
    assert says[0][0] is False and says[2:] == [(True, True), (True, True)]
    assert np.all(curve.free_entropy <= curve.bound)


def test_typical_distance_is_solved_not_read_off_the_grid() -> None:
    coarse = saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0, [0.05, 0.15, 0.4])
    fine = saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0, np.linspace(0.05, 0.4, 40))
    one, other = coarse.curves[0]["typical_distance"], fine.curves[0]["typical_distance"]
    assert isinstance(one, float) and isinstance(other, float) and abs(one - other) < 1e-11
    short = saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0, [0.05, 0.15])
    assert short.curves[0]["typical_distance"] is None


def test_non_monotonic_profile_between_grid_points() -> None:
    """At a load where flat minima break up the entropy dips: seen also from a grid that steps over the dip."""
    curve = saddle.franz_parisi("binary-perceptron", 0.81, "max", 0.0, np.geomspace(1e-4, 0.3, 7))
    dense = saddle.franz_parisi("binary-perceptron", 0.81, "max", 0.0, np.geomspace(1e-4, 0.3, 120))
    assert curve.curves[0]["monotonic"] == dense.curves[0]["monotonic"] is False
    assert curve.curves[0]["positive"] == dense.curves[0]["positive"]


def test_reference_max_is_resolved() -> None:
    curve = saddle.franz_parisi("binary-perceptron", [0.5, 0.6], "max", 0.0, [0.1])
    expected = [saddle.max_margin("binary-perceptron", alpha).value for alpha in (0.5, 0.6)]
    assert list(curve.reference_kappa) == expected


@pytest.mark.parametrize(
    "call",
    [
        lambda: saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0),
        lambda: saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0, []),
        lambda: saddle.franz_parisi("binary-perceptron", 0.5, "huge", 0.0, [0.1]),
        lambda: saddle.franz_parisi("binary-perceptron", 0.5, 0.2, 0.0, [0.1, 0.6]),
        lambda: saddle.franz_parisi("binary-perceptron", 0.5, 0.6, 0.0, [0.1]),
        lambda: saddle.entropy_curve("no-such-model", 0.5),
        lambda: saddle.entropy_curve("binary-perceptron", -1.0),
        lambda: saddle.capacity("binary-perceptron", math.nan),
        lambda: saddle.max_margin("binary-perceptron", 0.0),
    ],
)
def test_bad_input_is_one_sentence(call: object) -> None:
    with pytest.raises(replica.InputError) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 20


@pytest.mark.parametrize(
    "report",
    [
        lambda: saddle.capacity(3, 0.0),
        lambda: saddle.thresholds(3),
        lambda: saddle.ogp(3),
        lambda: saddle.entropy_curve(3, 0.5, 0.0),
        lambda: saddle.sweep("capacity", {"model": 3}, executor=1),
        lambda: replica.soft(3),
        lambda: replica.zoo.binary_perceptron().around(3),
    ],
)
def test_what_is_no_model_is_refused(report: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"A model is a replica.Model or the name of one, not a int"):
        report()


@pytest.mark.parametrize(("kappa", "told"), [(None, "kappa = None is"), ([], "kappa has no values"), ("a", "kappa = 'a'")])
def test_what_is_no_margin_is_refused(kappa: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        saddle.capacity("binary-perceptron", kappa)


def test_temperatures_and_references_go_by_names() -> None:
    assert replica.soft("binary-perceptron", "hinge") == replica.soft(replica.zoo.binary_perceptron(), "hinge")
    window = replica.zoo.symmetric_binary_perceptron()
    assert replica.zoo.binary_perceptron().around("symmetric-binary-perceptron").reference == window
