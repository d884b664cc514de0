"""The solver: reference points, cold points over the whole range, statuses that are answers, starts, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest

import replica
import saddle
from saddle.critical.capacities import maximal_margin
from saddle.kernels.quadrature import Rule
from saddle.points.setting import Setting

BINARY = ("binary-perceptron", "franz-parisi")
_STEPS = (math.sqrt(2) % 1, math.sqrt(3) % 1, math.sqrt(5) % 1, math.sqrt(7) % 1)


def _fraction(index: int, axis: int) -> float:
    return (0.5 + index * _STEPS[axis]) % 1.0


def test_rs_reference_point() -> None:
    point = saddle.solve(replica.derive("binary-perceptron", "rs"), alpha=0.5, kappa=0.0)
    assert point.status is saddle.Status.CONVERGED
    assert abs(point.free_entropy - 0.3143900669) < 5e-11
    assert abs(point.order_parameters["q"] - 0.3223853632) < 5e-11
    assert point.residual < 1e-14 and point.error < 1e-13
    assert point.observables["stable"] is True
    assert point["overlap"] == point.order_parameters["q"]


@pytest.mark.parametrize(("distance", "entropy"), [(0.1, 0.1959908889), (0.01, 0.0440083877)])
def test_franz_parisi_reference_points(distance: float, entropy: float) -> None:
    point = saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=0.2, distance=distance)
    assert abs(point.free_entropy - entropy) < 5e-11
    assert list(point.order_parameters) == ["q", "qhat", "t", "that", "p", "phat", "qr", "qrhat"]
    bound = point.observables["bound"]
    assert isinstance(bound, float) and point.free_entropy < bound


def test_typical_solutions_are_isolated() -> None:
    point = saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=0.0, distance=0.005)
    assert point.status is saddle.Status.NEGATIVE_ENTROPY and point.free_entropy < 0.0


def test_slope_is_the_derivative() -> None:
    parameters = {"alpha": 0.5, "kappa": 0.0, "reference_kappa": 0.2}
    step = 1e-4
    for distance in (0.02, 0.2, 0.4):
        high, low = (saddle.solve(BINARY, distance=distance + s, **parameters) for s in (step, -step))
        slope = saddle.solve(BINARY, distance=distance, **parameters).observables["slope"]
        assert isinstance(slope, float)
        assert abs((high.free_entropy - low.free_entropy) / (2 * step) - slope) < 2e-5


def test_typical_point_is_the_replica_symmetric_entropy() -> None:
    """At the typical distance of any reference the probes are typical: the entropy is the RS one, with zero slope."""
    rs = saddle.solve(("binary-perceptron", "rs"), alpha=0.5, kappa=0.0)
    for reference in (0.05, 0.2, "max"):
        curve = saddle.franz_parisi("binary-perceptron", 0.5, reference, 0.0, [0.2, 0.25, 0.3, 0.35])
        typical = curve.curves[0]["typical_distance"]
        point = saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=reference, distance=typical)
        assert abs(point.free_entropy - rs.free_entropy) < 1e-13
        assert abs(point.order_parameters["q"] - rs.order_parameters["q"]) < 1e-9
        assert abs(point.order_parameters["p"] - point.order_parameters["t"]) < 1e-9


@pytest.mark.parametrize("index", range(40))
def test_cold_points_converge(index: int) -> None:
    """Single cold points anywhere below capacity: a value below the bound, or the named absence of a saddle."""
    kappa = -2.0 + 2.9 * _fraction(index, 0)
    capacity = saddle.capacity("binary-perceptron", kappa)
    alpha = capacity.value * (0.02 + 0.97 * _fraction(index, 1))
    largest = maximal_margin(replica.zoo.binary_perceptron(), alpha)
    reference = kappa + (largest - kappa) * (0.05 + 0.95 * _fraction(index, 2))
    distance = 1e-4 * 4990.0 ** _fraction(index, 3)
    point = saddle.solve(BINARY, alpha=alpha, kappa=kappa, reference_kappa=min(reference, largest), distance=distance)
    assert point.status.is_answer, point.explain()
    if point.converged:
        bound = point.observables["bound"]
        assert isinstance(bound, float) and point.free_entropy <= bound + point.error
        assert point.error < (1e-10 if distance >= 0.002 else 1e-8)


@pytest.mark.parametrize("kappa", [-2.0, -1.0, 0.0, 1.0, 3.0])
def test_cold_rs_points_converge(kappa: float) -> None:
    capacity = saddle.capacity("binary-perceptron", kappa).value
    previous = math.log(2.0)
    for fraction in (0.01, 0.3, 0.7, 0.95, 1.0, 1.02):
        point = saddle.solve(("binary-perceptron", "rs"), alpha=fraction * capacity, kappa=kappa)
        assert point.converged, point.explain()
        assert point.free_entropy < previous and point.error < 1e-12
        previous = point.free_entropy


def test_no_saddle_beyond_the_limit_load() -> None:
    """The binary saddle ends where the overlap reaches 1, at alpha = 4/pi for zero margin."""
    point = saddle.solve(("binary-perceptron", "rs"), alpha=1.28, kappa=0.0)
    assert point.status is saddle.Status.NO_SADDLE and math.isnan(point.free_entropy)
    assert "1.27323954" in point.message


def test_window_and_branch_end_are_named() -> None:
    window = saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=0.004, distance=1e-4)
    assert window.status is saddle.Status.NO_SADDLE and window.window is not None
    low, high = window.window
    assert low < 1e-4 < high
    for distance in (0.5 * low, 2.0 * high):
        assert saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=0.004, distance=distance).converged
    end = saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=-0.1, distance=0.001)
    assert end.status is saddle.Status.BRANCH_END and math.isnan(end.free_entropy)
    assert "branch ends" in end.explain()
    with pytest.raises(saddle.SaddleError, match="branch ends"):
        saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=-0.1, distance=0.001, throw=True)


def test_a_numerical_failure_is_not_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quadrature too coarse for the tolerance stops the branch where its Jacobian is regular: that is no physics."""
    monkeypatch.setattr(Setting, "rule", property(lambda self: Rule(0.15) if self.ansatz.imposed else Rule(0.1)))
    point = saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=0.2, distance=2e-4)
    assert point.status in (saddle.Status.NOT_CONVERGED, saddle.Status.CONVERGED), point.message


def test_no_window_for_a_larger_margin() -> None:
    points = [saddle.solve(BINARY, alpha=0.5, kappa=0.0, reference_kappa=0.01, distance=d) for d in (1e-4, 3e-4, 1e-3)]
    assert all(point.converged for point in points)


@pytest.mark.parametrize("known", [{"start": 3}, {"start": {"q": "x"}}, {"tolerance": "a"}])
def test_what_is_no_start_or_tolerance_is_refused(known: dict[str, Any]) -> None:
    with pytest.raises(replica.InputError, match=next(iter(known))):
        saddle.solve(("binary-perceptron", "rs"), alpha=0.5, kappa=0.0, **known)


def test_starts_lead_to_the_same_point() -> None:
    parameters = {"alpha": 0.6, "kappa": 0.0, "reference_kappa": 0.1, "distance": 0.1}
    cold = saddle.solve(BINARY, **parameters)
    neighbour = saddle.solve(BINARY, **{**parameters, "distance": 0.12})
    for start in (cold, neighbour, {"q": 0.9}, {"q": 0.7, "t": 0.4, "phat": 1.0}):
        point = saddle.solve(BINARY, start=start, **parameters)
        assert abs(point.free_entropy - cold.free_entropy) < 1e-13


def test_results_are_frozen_and_explained() -> None:
    point = saddle.solve(("spherical-perceptron", "rs"), alpha=1.0, kappa=0.0)
    with pytest.raises(AttributeError):
        point.free_entropy = 0.0  # type: ignore[misc]
    assert "residual" in point.explain() and point.iterations[-1].residual == pytest.approx(point.residual)


def test_spherical_entropy_is_negative_and_fine() -> None:
    point = saddle.solve(("spherical-perceptron", "rs"), alpha=1.0, kappa=0.0)
    assert point.status is saddle.Status.CONVERGED and point.free_entropy < 0.0
    q, qhat = point.order_parameters["q"], point.order_parameters["qhat"]
    assert abs(qhat - q / (1 - q) ** 2) < 1e-12 * qhat


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": math.nan}, "finite"),
        ({"alpha": 0.5, "kappa": math.inf}, "finite"),
        ({"alpha": "many"}, "not a number"),
        ({"alpha": 0.5, "distance": 0.1}, "takes no distance"),
        ({"alpha": 0.5, "tolerance": 0.0}, "tolerance"),
        ({"alpha": 0.5, "start": {"m": 1.0}}, "no order parameter"),
        ({"alpha": 0.5, "start": {"q": 2.0}}, "an overlap lies between -1 and 1"),
        ({"alpha": 0.5, "start": {"q": math.nan}}, "finite"),
    ],
)
def test_bad_input_is_refused(parameters: dict, message: str) -> None:
    with pytest.raises(replica.InputError, match=message):
        saddle.solve(("binary-perceptron", "rs"), **parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"reference_kappa": 0.2, "distance": 0.5}, "between 0 and 1/2"),
        ({"reference_kappa": 0.2, "distance": 0.0}, "between 0 and 1/2"),
        ({"reference_kappa": 0.5, "distance": 0.1}, "above the maximal margin"),
        ({"distance": 0.1}, "needs reference_kappa"),
    ],
)
def test_bad_franz_parisi_input_is_refused(parameters: dict, message: str) -> None:
    with pytest.raises(replica.InputError, match=message):
        saddle.solve(BINARY, alpha=0.5, kappa=0.0, **parameters)


def test_an_ansatz_is_refused_what_it_lacks() -> None:
    with pytest.raises(replica.InputError, match="needs y="):
        saddle.solve(("binary-perceptron", "local-entropy"), alpha=0.5, overlap=0.9)
    with pytest.raises(replica.InputError, match="singular"):
        saddle.solve(("spherical-perceptron", "franz-parisi"), alpha=0.5, reference_kappa="max", distance=0.1)


def test_references_of_a_margin_that_hardly_a_load_allows():
    """Their fields are so large that a factor of them alone would overflow."""
    (point,) = saddle.franz_parisi("binary-perceptron", 1e-3, "max", 0.0, [0.1]).points
    assert point.converged and point.error < 1e-12
    assert 0.0 <= point["bound"] - point.free_entropy < 1e-12
