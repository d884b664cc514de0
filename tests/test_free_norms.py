r"""Weights whose norm is not fixed, declared in a file that does not ship: ternary weights -1, 0, 1."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest

import replica
import saddle
from replica import DiscreteWeights, GaussianWeights, InputError, Model
from saddle.cli import main

FILE = Path(__file__).parent / "own_models" / "ternary.py"
TERNARY = replica.zoo.model(f"{FILE}:ternary")
BINARY = "binary-perceptron"


def test_the_declaration_is_short() -> None:
    assert len(FILE.read_text().splitlines()) <= 20


@pytest.mark.parametrize("ansatz", ["rs", pytest.param("franz-parisi", marks=pytest.mark.full)])
def test_all_checks(ansatz: str) -> None:
    checks = saddle.check(TERNARY, ansatz)
    assert all(check.passed for check in checks), checks


@pytest.mark.full
@pytest.mark.parametrize("ansatz", ["1rsb", "local-entropy"])
def test_all_checks_of_deeper_trees(ansatz: str) -> None:
    checks = saddle.check(TERNARY, ansatz)
    assert all(check.passed for check in checks), checks


@pytest.mark.parametrize("ansatz", ["rs", "franz-parisi"])
def test_uneven_levels_with_a_prior_before_the_limit(ansatz: str) -> None:
    from saddle.checking.finite import finite_checks, pair_counts_check
    from saddle.checking.interior import interior_point

    model = Model("uneven", DiscreteWeights((-1, 0.5, 2), prior=(1, 2, 0.5)))
    derived = replica.derive(model, ansatz)
    checks = [pair_counts_check(derived), *finite_checks(derived, interior_point(derived), False)]
    assert all(check.passed for check in checks), checks


def _entropy(q: float, qhat: float, norm: float, norm_hat: float, alpha: float, kappa: float) -> mpmath.mpf:
    """The replica-symmetric entropy of ternary weights, typed by hand."""
    q, qhat, norm, norm_hat = map(mpmath.mpf, (q, qhat, norm, norm_hat))

    def average(f: object) -> mpmath.mpf:
        return mpmath.quad(lambda z: mpmath.npdf(z) * f(z), [-12, -4, 0, 4, 12])  # type: ignore[operator]

    tail = average(lambda z: mpmath.log(mpmath.ncdf((mpmath.sqrt(q) * z - kappa) / mpmath.sqrt(norm - q))))
    bend = mpmath.exp((norm_hat - qhat) / 2)
    trace = average(lambda z: mpmath.log(1 + 2 * bend * mpmath.cosh(mpmath.sqrt(qhat) * z)))
    return (q * qhat - norm * norm_hat) / 2 + trace + alpha * tail


def test_the_entropy_is_that_of_the_formula_and_stationary() -> None:
    point = saddle.solve((TERNARY, "rs"), alpha=0.4, kappa=0.3)
    order = [point.order_parameters[name] for name in ("q", "qhat", "Q", "Qhat")]
    value = _entropy(*order, 0.4, 0.3)
    assert point.free_entropy == pytest.approx(float(value), abs=1e-13)
    for i in range(4):
        shifted = [[x + (s * 1e-4 if j == i else 0.0) for j, x in enumerate(order)] for s in (1, -1)]
        slope = (_entropy(*shifted[0], 0.4, 0.3) - _entropy(*shifted[1], 0.4, 0.3)) / 2e-4
        assert abs(slope) < 1e-6


def _mean_log_count(n: int, patterns: int, samples: int, seed: int) -> tuple[float, float]:
    """The mean logarithm of the number of ternary solutions per weight, and its error, by enumeration."""
    states = np.array(list(itertools.product((-1, 0, 1), repeat=n)), dtype=np.float32)
    rng = np.random.default_rng(seed)
    logs = []
    for _ in range(samples):
        fields = states @ rng.standard_normal((n, patterns)).astype(np.float32)
        logs.append(math.log(np.count_nonzero(np.all(fields > 0.0, axis=1))) / n)
    return float(np.mean(logs)), float(np.std(logs) / math.sqrt(samples))


def test_enumeration_of_small_systems_extrapolates_to_the_entropy() -> None:
    """At margin 0 and a third of a pattern a weight, where every sample has solutions; corrections are linear in 1/N."""
    sizes = (6, 9)
    found = [_mean_log_count(n, n // 3, samples, n) for n, samples in zip(sizes, (4000, 800), strict=True)]
    (small, small_error), (large, large_error) = found
    limit = large + (large - small) * sizes[0] / (sizes[1] - sizes[0])
    error = math.hypot(3 * large_error, 2 * small_error)
    expected = saddle.solve((TERNARY, "rs"), alpha=1 / 3, kappa=0.0).free_entropy
    assert abs(limit - expected) < 4 * error + 0.01
    assert error < 0.01


def test_levels_of_equal_size_are_binary_weights() -> None:
    """Weights -2, 2 at twice the margins, in units of their size: the norm is solved for and found fixed."""
    doubled = Model("doubled", DiscreteWeights((-2, 2)))
    ours = saddle.solve((doubled, "rs"), alpha=0.3, kappa=0.4)
    known = saddle.solve((BINARY, "rs"), alpha=0.3, kappa=0.2)
    assert ours.free_entropy == pytest.approx(known.free_entropy, abs=1e-13)
    assert ours.order_parameters["Q"] == pytest.approx(4.0, abs=1e-13)
    assert ours["distance"] == pytest.approx(known["distance"], abs=1e-12)


@pytest.mark.full
def test_profiles_of_levels_of_equal_size_are_those_of_binary_weights() -> None:
    doubled = Model("doubled", DiscreteWeights((-2, 2)))
    ours = saddle.solve((doubled, "franz-parisi"), alpha=0.3, kappa=0.0, reference_kappa=1.0, distance=0.1)
    known = saddle.solve((BINARY, "franz-parisi"), alpha=0.3, kappa=0.0, reference_kappa=0.5, distance=0.1)
    for name in ("free_entropy", "slope", "bound"):
        assert ours[name] == pytest.approx(known[name], abs=1e-12)


@pytest.mark.full
def test_thresholds() -> None:
    capacity = saddle.capacity(TERNARY, 0.0)
    assert capacity.value == pytest.approx(1.17, abs=0.005)  # Gutfreund & Stein 1990
    assert capacity.error < 1e-10
    margin = saddle.max_margin(TERNARY, 0.5)
    back = saddle.capacity(TERNARY, margin.value)
    assert back.value == pytest.approx(0.5, abs=1e-10)


def test_profiles_peak_at_the_typical_entropy() -> None:
    """At fixed distance the norms are extremised as well; the maximum over distances is the entropy of all solutions."""
    curve = saddle.franz_parisi(TERNARY, 0.3, 0.5, 0.0, [0.01, 0.05, 0.1, 0.2, 0.3])
    assert curve.converged
    assert np.all(curve["free_entropy"] <= curve["bound"])
    (line,) = curve.curves
    at = {"alpha": 0.3, "kappa": 0.0, "reference_kappa": 0.5}
    peak = saddle.solve((TERNARY, "franz-parisi"), distance=line["typical_distance"], **at)
    typical = saddle.solve((TERNARY, "rs"), alpha=0.3, kappa=0.0)
    assert peak.free_entropy == pytest.approx(typical.free_entropy, abs=1e-13)
    assert peak.order_parameters["Q"] == pytest.approx(typical.order_parameters["Q"], abs=1e-9)
    ends = [saddle.solve((TERNARY, "franz-parisi"), distance=0.1 + h, **at).free_entropy for h in (1e-4, -1e-4)]
    assert curve["slope"][2] == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=1e-5)


def test_the_bound_of_a_distance_counts_configurations() -> None:
    """Around the configuration 0 the squared distance is the number of weights that are not 0."""
    weights = DiscreteWeights((-1, 0, 1))
    d = 0.06
    share = 4 * d
    counted = -share * math.log(share) - (1 - share) * math.log(1 - share) + share * math.log(2)
    assert weights.distance_bound(d) == pytest.approx(counted, abs=1e-12)
    binary = replica.BinaryWeights().distance_bound(0.1)
    assert DiscreteWeights((-1, 1)).distance_bound(0.1) == pytest.approx(binary, abs=1e-12)


def test_gaussian_weights_without_margin_are_spherical_ones() -> None:
    gaussian = Model("gaussian-perceptron", GaussianWeights())
    ours = saddle.solve((gaussian, "rs"), alpha=0.7, kappa=0.0)
    known = saddle.solve(("spherical-perceptron", "rs"), alpha=0.7, kappa=0.0)
    assert ours.free_entropy == pytest.approx(known.free_entropy, abs=1e-13)
    assert ours.order_parameters["Q"] == pytest.approx(1.0, abs=1e-13)
    with pytest.raises(InputError, match="can grow with the margin"):
        saddle.capacity(gaussian, 0.5)


@pytest.mark.parametrize(
    "arguments", [((-1,),), ((1, 1),), ([-1, 1],), ((-1, 1), (1,)), ((-1, 1), (1, -1)), ((0, math.nan),)]
)
def test_levels_that_cannot_be(arguments: tuple) -> None:
    with pytest.raises(InputError):
        DiscreteWeights(*arguments)


def test_a_prior_has_no_capacity() -> None:
    with pytest.raises(InputError, match="have a prior"):
        saddle.capacity(f"{FILE}:sparse", 0.0)


def test_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capacity", f"{FILE}:ternary", "--kappa", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == pytest.approx(1.1744819104557, abs=1e-10)
    assert main(["derive", f"{FILE}:ternary", "--ansatz", "franz-parisi"]) == 0
    text = capsys.readouterr().out
    assert "Z(f, g) = Σ_{w={-1, 0, 1}} exp(w f + g w²/2)" in text
    assert "Trace" not in text and "Moment" not in text
