"""Windows, their complements and finite temperature, held against formulas typed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_ndtr, logsumexp, ndtr

import replica
import saddle
from replica.errors import InputError
from replica.parts.losses import loss_function
from saddle.cli import main
from saddle.kernels.edges import balance, interval, one_edge, two_edges
from saddle.points.results import SaddlePoint, Threshold

WINDOW, OUTSIDE, BINARY = "symmetric-binary-perceptron", "u-function-perceptron", "binary-perceptron"


def allowed(model: str, kappa: float) -> float:
    """The probability that a unit Gaussian fulfils the constraint."""
    outside = 2.0 * float(ndtr(-kappa))
    return outside if model == OUTSIDE else 1.0 - outside


def solved(model: object, ansatz: str, **parameters: object) -> SaddlePoint:
    found = saddle.solve((model, ansatz), throw=True, **parameters)  # type: ignore[arg-type]
    assert isinstance(found, SaddlePoint)
    return found


def log_between(a: float, b: float) -> float:
    """The logarithm of a Gaussian probability between two bounds."""
    if a + b < 0.0:
        a, b = -b, -a
    return math.log(ndtr(-a) - ndtr(-b))


def gaussian(f: Callable[[float], float], *points: float) -> float:
    """A Gaussian average by adaptive quadrature."""

    def integrand(z: float) -> float:
        return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) * f(z)

    settings = {"epsabs": 1e-13, "epsrel": 1e-13, "limit": 400}
    return float(quad(integrand, -11.0, 11.0, points=points or None, **settings)[0])


@pytest.mark.parametrize("model", [WINDOW, OUTSIDE])
@pytest.mark.parametrize("kappa", [0.05, 0.7, 2.5])
def test_even_models_are_annealed(model: str, kappa: float) -> None:
    point = solved(model, "rs", alpha=0.6, kappa=kappa)
    exact = math.log(2.0) + 0.6 * math.log(allowed(model, kappa))
    assert abs(point.free_entropy - exact) <= point.error < 1e-13
    assert point["q"] == point["qhat"] == point["overlap"] == 0.0


def test_capacity_and_extremal_window() -> None:
    capacity = saddle.capacity(WINDOW, 1.0)
    assert isinstance(capacity, Threshold)
    assert round(capacity.value, 4) == 1.8159
    assert abs(capacity.value + math.log(2.0) / math.log(allowed(WINDOW, 1.0))) < 1e-13
    assert capacity["stable"] is True
    smallest = saddle.max_margin(WINDOW, capacity.value)
    assert isinstance(smallest, Threshold)
    assert abs(smallest.value - 1.0) < 1e-12
    assert "smallest window" in smallest.message


def test_tiny_window_at_a_small_load() -> None:
    found = saddle.max_margin(WINDOW, 0.05)
    assert isinstance(found, Threshold)
    assert abs(math.log(2.0) + 0.05 * math.log(math.erf(found.value / math.sqrt(2.0)))) < 1e-12


def test_u_function_is_unstable_beyond_its_margin() -> None:
    for kappa, stable in ((0.816, True), (0.818, False)):
        found = saddle.capacity(OUTSIDE, kappa)
        assert isinstance(found, Threshold)
        assert found["stable"] is stable
        assert bool(found.warnings) is not stable


def test_franz_parisi_of_a_window() -> None:
    alpha, kappa, reference, d = 0.8, 1.0, 0.9, 0.2
    point = solved(WINDOW, "franz-parisi", alpha=alpha, kappa=kappa, reference_kappa=reference, distance=d)
    q, qhat, p, phat = (float(point[k]) for k in ("q", "qhat", "p", "phat"))  # type: ignore[arg-type]
    spread, noise = math.sqrt(q - p * p), math.sqrt(1.0 - q)

    def probes(v: float) -> float:
        return gaussian(lambda y: log_between(*((side * kappa - p * v - spread * y) / noise for side in (-1.0, 1.0))))

    def density(v: float) -> float:
        return math.exp(-0.5 * v * v) / math.sqrt(2.0 * math.pi) * probes(v)

    energetic = quad(density, -reference, reference, epsabs=1e-11, epsrel=1e-11)[0] / allowed(WINDOW, reference)
    entropic = gaussian(lambda y: float(np.logaddexp(phat + math.sqrt(qhat) * y, -phat - math.sqrt(qhat) * y)))
    exact = -0.5 * qhat * (1.0 - q) - p * phat + entropic + alpha * energetic
    assert abs(point.free_entropy - exact) < 1e-10
    assert point["t"] == point["qr"] == 0.0


def test_smaller_window_around_a_reference() -> None:
    curve = saddle.franz_parisi(WINDOW, 0.8, ["max", 1.1], 1.0, [0.001, 0.1, 0.45])
    around_extremal = curve.curves[0]
    assert around_extremal["typical_distance"] == 0.5
    assert around_extremal["positive"] is around_extremal["monotonic"] is True
    assert curve.points[3].status.value == "branch-end"
    with pytest.raises(InputError, match="below the smallest window"):
        saddle.solve((WINDOW, "franz-parisi"), alpha=0.8, kappa=1.0, reference_kappa=0.3, distance=0.1)
    with pytest.raises(InputError, match="must be positive"):
        saddle.solve((WINDOW, "rs"), alpha=0.8, kappa=0.0)


def free_entropy_at(alpha: float, kappa: float, beta: float, q: float, qhat: float) -> float:
    """The replica-symmetric free entropy of error counting, as in textbooks."""
    noise, spread = math.sqrt(1.0 - q), math.sqrt(q)

    def pattern(z: float) -> float:
        x = (kappa - spread * z) / noise
        return float(np.logaddexp(log_ndtr(-x), -beta + log_ndtr(x)))

    entropic = gaussian(lambda z: float(np.logaddexp(math.sqrt(qhat) * z, -math.sqrt(qhat) * z)))
    kinks = (kappa / spread, (kappa - noise * math.sqrt(2.0 * beta)) / spread)
    return -0.5 * qhat * (1.0 - q) + entropic + alpha * gaussian(pattern, *(k for k in kinks if abs(k) < 11.0))


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 1.0), (0.5, 30.0), (2.0, 5.0)])
def test_error_counting(alpha: float, beta: float) -> None:
    model = replica.soft(replica.zoo.binary_perceptron())
    point = solved(model, "rs", alpha=alpha, kappa=0.1, beta=beta)
    exact = free_entropy_at(alpha, 0.1, beta, float(point["q"]), float(point["qhat"]))  # type: ignore[arg-type]
    assert abs(point.free_entropy - exact) < 1e-11
    energy, h = float(point["energy"]), 1e-4  # type: ignore[arg-type]
    above, below = (solved(model, "rs", alpha=alpha, kappa=0.1, beta=beta + s).free_entropy for s in (h, -h))
    assert abs(energy + (above - below) / (2.0 * h)) < 1e-7
    assert abs(float(point["entropy"]) - point.free_entropy - beta * energy) < 1e-12  # type: ignore[arg-type]


def test_zero_temperature_is_the_hard_constraint() -> None:
    hard = solved(BINARY, "rs", alpha=0.5, kappa=0.0).free_entropy
    curve = saddle.entropy_curve(BINARY, 0.5, 0.0, beta=[1e3, "inf"])
    assert np.allclose(curve.free_entropy, hard, rtol=0.0, atol=1e-13)
    assert np.all(curve.energy == 0.0)
    references = saddle.franz_parisi(BINARY, 0.5, "max", 0.0, [0.1], beta="inf")
    hard_reference = saddle.franz_parisi(BINARY, 0.5, "max", 0.0, [0.1])
    assert abs(references.free_entropy[0] - hard_reference.free_entropy[0]) < 1e-11
    # a free entropy below 0 is no lack of configurations
    warm = saddle.franz_parisi(BINARY, 2.0, 0.0, 0.0, [0.1, 0.2], beta=2.0)
    assert max(warm.free_entropy) < 0.0 < min(warm.entropy) and warm.curves[0]["positive"] is True


def test_soft_window_is_annealed() -> None:
    model = replica.soft(replica.zoo.symmetric_binary_perceptron())
    point = solved(model, "rs", alpha=1.0, kappa=0.7, beta=2.0)
    mass = allowed(WINDOW, 0.7)
    exact = math.log(2.0) + math.log(mass + math.exp(-2.0) * (1.0 - mass))
    assert abs(point.free_entropy - exact) < 1e-13


def test_no_capacity_at_finite_temperature() -> None:
    model = replica.soft(replica.zoo.binary_perceptron())
    with pytest.raises(InputError, match="configurations at any load and no capacity"):
        saddle.capacity(model, 0.0)
    with pytest.raises(InputError, match="at any margin and none is maximal"):
        saddle.max_margin(model, 0.5)
    with pytest.raises(InputError, match="no overlap of theirs is excluded"):
        saddle.ogp(model, 0.0, [2])
    with pytest.raises(InputError, match="violate no pattern"):
        saddle.thresholds(model, alpha=0.5)


@pytest.mark.parametrize("words", [("capacity", "--beta", "2"), ("ogp", "--beta=2"), ("max-margin", "--loss", "hinge")])
def test_what_has_no_temperature_says_why(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([words[0], "binary-perceptron", *words[1:]]) == 2
    assert "At finite temperature" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["rs", "franz-parisi"])
def test_checks_of_a_window(name: str) -> None:
    assert all(check.passed for check in saddle.check(WINDOW, name))


@pytest.mark.parametrize(("a", "b"), [(-0.3, 0.2), (7.0, 7.4), (12.0, 30.0), (-5.0, 0.5), (-40.0, -20.0), (-1e-4, 2e-4)])
def test_interval(a: float, b: float) -> None:
    with mpmath.workdps(400):
        low, high = (a, b) if a + b >= 0 else (-b, -a)
        mass = (mpmath.erfc(low / mpmath.sqrt(2)) - mpmath.erfc(high / mpmath.sqrt(2))) / 2
        rates = [mpmath.npdf(x) / mass for x in (a, b)]
        exact = [mpmath.log(mass), *rates, rates[0] - a, rates[1] + b]
        for found, expected in zip(interval(a, b), exact, strict=True):
            assert abs(found - expected) <= 1e-13 * abs(expected)


@pytest.mark.parametrize(("price", "y", "s"), [(3.0, 20.0, 0.4), (6.0, 20.0, 0.4), (4.0, 60.0, 0.1), (12.0, 8.0, 0.5)])
def test_where_a_cluster_moves_or_pays(price: float, y: float, s: float) -> None:
    """The sharpest bend of ln E f^y, and how the slope jumps there, against the average itself."""
    place, slope = balance(price, y * s)
    z = np.linspace(-25.0, 25.0, 4001) * math.sqrt(s)
    distance = place + np.linspace(-1.5, 1.5, 601)
    log_f = np.logaddexp(-price, np.log1p(-math.exp(-price)) + log_ndtr(z - distance[:, None]))
    average = logsumexp(y * log_f - z * z / (2 * s), axis=1)
    bend = np.diff(average, 2) / 0.005**2
    sharpest = distance[1 + np.argmax(bend)]
    assert abs(sharpest - place) < 2.0 / (y * slope)
    assert bend.max() == pytest.approx((y * slope) ** 2 / 4, rel=0.35)


def test_light_weights_keep_their_digits() -> None:
    log_s, edge, excess, below, above = one_edge(45.0, -1000.0, 0.0)
    assert log_s == pytest.approx(-1000.0, abs=1e-6)
    assert below == pytest.approx(1.0, abs=1e-5)
    assert one_edge(1.0, -math.inf, 0.0)[1] == pytest.approx(1.5251352761609807)
    assert two_edges(-1.0, 1.0, 0.0, -math.inf, 0.0)[0] == pytest.approx(math.log(2.0 * ndtr(-1.0)))
    assert excess == pytest.approx(edge - 45.0)
    assert above == pytest.approx(0.0, abs=1e-5)


LOSSES: dict[str, tuple[Callable[[float], float], tuple[float, ...]]] = {
    "cross-entropy": (lambda x: float(np.logaddexp(0.0, -x)), ()),
    "hinge": (lambda x: max(0.0, -x), (0.0,)),
    "Abs(x - 1) + sign(x)/2": (lambda x: abs(x - 1.0) + math.copysign(0.5, x), (0.0, 1.0)),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_a_user(loss: str) -> None:
    alpha, kappa, beta = 0.6, 0.2, 3.0
    model = replica.soft(replica.zoo.binary_perceptron(), loss)
    point = solved(model, "rs", alpha=alpha, kappa=kappa, beta=beta)
    q, qhat = float(point["q"]), float(point["qhat"])  # type: ignore[arg-type]
    function, kinks = LOSSES[loss]
    noise = math.sqrt(1.0 - q)

    def pattern(z: float) -> float:
        u = math.sqrt(q) * z - kappa
        inside = [k for k in ((place - u) / noise for place in kinks) if abs(k) < 11.0]
        return math.log(gaussian(lambda y: math.exp(-beta * function(u + noise * y)), *inside))

    entropic = gaussian(lambda z: float(np.logaddexp(math.sqrt(qhat) * z, -math.sqrt(qhat) * z)))
    exact = -0.5 * qhat * (1.0 - q) + entropic + alpha * gaussian(pattern)
    assert abs(point.free_entropy - exact) < 1e-9
    h = 1e-3
    above, below = (solved(model, "rs", alpha=alpha, kappa=kappa, beta=beta + s).free_entropy for s in (h, -h))
    assert abs(float(point["energy"]) + (above - below) / (2.0 * h)) < 1e-6  # type: ignore[arg-type]


def test_bad_losses_are_refused() -> None:
    model = replica.zoo.binary_perceptron()
    for text in ("__import__('os')", "y", "1"):
        with pytest.raises(InputError):
            replica.soft(model, text)
    with pytest.raises(InputError, match="no hard limit"):
        saddle.solve((replica.soft(model, "hinge"), "rs"), alpha=0.5, kappa=0.0, beta="inf")


def test_a_loss_without_a_lower_bound_is_refused():
    for text in ("x**3", "-x**2/10"):
        with pytest.raises(InputError, match="no average over Gaussian stabilities"):
            replica.soft(replica.zoo.binary_perceptron(), text)


POLES = [
    ("1/sin(x)", "x = 0:"),
    ("-1/cos(x)**2", "x = 1.5708"),
    ("log(sin(x)**2)", "x = 0:"),
    ("1/(exp(x) - 1)", "x = 0:"),
    ("1/(x - sin(x))", "x = 0:"),
]


@pytest.mark.parametrize(
    ("loss", "reason"),
    [("1/x", "bound at x = 0"), ("log(x)", "no real value"), ("1-tan(x)", "its tangent"), ("-1/(x-1)**2", "x = 1"), *POLES],
)
def test_losses_that_are_singular_are_refused_by_name(loss, reason):
    with pytest.raises(InputError, match=reason):
        replica.soft(replica.zoo.binary_perceptron(), loss)


def test_a_loss_that_forbids_a_stability_is_none_of_them():
    assert loss_function("1/x**2").kinks == () == loss_function("1/cos(x)**2").kinks
