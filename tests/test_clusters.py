r"""Clusters of replicas: local entropy and 1RSB against formulas typed by hand, and where they must reduce.

The formulas (local entropy of ``y`` replicas, with and without a reference; one step of symmetry breaking for weights on a
sphere) are integrated here on dense grids in the logarithm, and extremised by central differences.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_ndtr, logsumexp

import replica
import saddle
from saddle.kernels.quadrature import Rule
from saddle.points.setting import Setting

BINARY, SPHERICAL = "binary-perceptron", "spherical-perceptron"


def gauss(variance: float, half: float = 10.0, step: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and logarithms of the weights of a Gaussian average."""
    z = np.arange(-half, half + step, step)
    return math.sqrt(variance) * z, -0.5 * z**2 - 0.5 * math.log(2.0 * math.pi) + math.log(step)


def log_average(exponent: np.ndarray, log_weight: np.ndarray) -> np.ndarray:
    return logsumexp(exponent + log_weight, axis=1)


def inner(y: float, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """A range that a tilt of power ``y`` cannot leave."""
    return gauss(variance, 12.0 + y * math.sqrt(variance))


def log_2cosh(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, -x)


def energetic(y: float, q0: float, q1: float, kappa: float) -> float:
    """``int Dz0 ln int Dz1 H^y``; the power draws the inner variable at most ten deviations further."""
    z0, w0 = gauss(q0)
    z1, w1 = gauss(q1 - q0, 22.0)
    x = (kappa - z0[:, None] - z1[None, :]) / math.sqrt(1.0 - q1)
    return float(np.exp(w0) @ log_average(y * log_ndtr(-x), w1))


def phi_imposed(y: float, alpha: float, p: dict[str, float], kappa: float = 0.0) -> float:
    """The local entropy with the mutual overlap imposed (all ``y`` replicas)."""
    q0, q1, a0, a1 = p["q0"], p["q1"], p["q0hat"], p["q1hat"]
    z0, w0 = gauss(a0)
    z1, w1 = inner(y, a1 - a0)
    site = float(np.exp(w0) @ log_average(y * log_2cosh(z0[:, None] + z1[None, :]), w1))
    interaction = -y * (y - 1) / 2 * q1 * a1 + y**2 / 2 * q0 * a0 - y * a1 / 2
    return interaction + site + alpha * energetic(y, q0, q1, kappa)


def phi_reference(y: float, alpha: float, p: dict[str, float], kappa: float = 0.0) -> float:
    """The same with a reference: the sum over its sign is inside of the logarithm."""
    q0, q1, a0, a1 = p["q0"], p["q1"], p["q0hat"], p["q1hat"]
    z0, w0 = gauss(a0)
    z1, w1 = inner(y, a1 - a0)
    terms = [log_average(y * log_2cosh(z0[:, None] + z1[None, :] + s * p["Shat"]), w1) for s in (1, -1)]
    site = float(np.exp(w0) @ np.logaddexp(*terms))
    interaction = -y * (y - 1) / 2 * q1 * a1 + y**2 / 2 * q0 * a0 - y * a1 / 2 - y * p["S"] * p["Shat"]
    return interaction + site + alpha * energetic(y, q0, q1, kappa)


@pytest.mark.parametrize(
    ("ansatz", "phi", "y", "overlap"),
    [
        ("local-entropy", phi_imposed, 5.0, 0.8),
        ("local-entropy", phi_imposed, 20.0, 0.9),
        ("local-entropy-reference", phi_reference, 20.0, 0.8),
    ],
)
def test_local_entropy_is_the_formula_at_a_stationary_point(ansatz, phi, y: float, overlap: float) -> None:
    point = saddle.solve((BINARY, ansatz), alpha=0.6, y=y, overlap=overlap)
    assert point.converged
    found = dict(point.order_parameters)
    value = phi(y, 0.6, found)
    assert point.free_entropy == pytest.approx(value, abs=1e-9)
    assert abs(point.free_entropy - value) <= point.error + 1e-11 * y
    imposed = "S" if "S" in found else "q1"
    for name in found.keys() - {imposed}:
        h = 1e-4 * max(abs(found[name]), 0.01)
        slope = (phi(y, 0.6, {**found, name: found[name] + h}) - phi(y, 0.6, {**found, name: found[name] - h})) / (2 * h)
        assert abs(slope) < 1e-5 * y**2, name
    h = 1e-4
    internal = (phi(y + h, 0.6, found) - phi(y - h, 0.6, found)) / (2 * h)
    assert point["local_entropy"] == pytest.approx(internal, abs=2e-7)
    assert point["complexity"] == pytest.approx(point.free_entropy - y * point["local_entropy"], abs=1e-9)


def test_one_replica_and_the_typical_overlap_are_replica_symmetric() -> None:
    typical = saddle.solve((BINARY, "rs"), alpha=0.6)
    one = saddle.solve((BINARY, "local-entropy"), alpha=0.6, y=1, overlap=0.9)
    assert one.free_entropy == pytest.approx(typical.free_entropy, abs=1e-12)
    near = saddle.solve((BINARY, "local-entropy"), alpha=0.6, y=3, overlap=typical.order_parameters["q"] + 1e-7)
    assert near.free_entropy == pytest.approx(3 * typical.free_entropy, abs=1e-9)
    assert near.order_parameters["q0"] == pytest.approx(typical.order_parameters["q"], abs=1e-5)


def test_the_slope_and_the_internal_entropy_are_derivatives() -> None:
    def at(**moved: float) -> saddle.SaddlePoint:
        return saddle.solve((BINARY, "local-entropy-reference"), alpha=0.6, **{"y": 5.0, "distance": 0.1, **moved})

    h = 1e-4
    slope = (at(distance=0.1 + h).free_entropy - at(distance=0.1 - h).free_entropy) / (2 * h)
    assert at()["slope"] == pytest.approx(slope, rel=1e-5)
    internal = (at(y=5 + h).free_entropy - at(y=5 - h).free_entropy) / (2 * h)
    assert at()["local_entropy"] == pytest.approx(internal, abs=1e-6)


@pytest.mark.parametrize("ansatz", ["local-entropy", "local-entropy-reference"])
@pytest.mark.parametrize("y", [5.0, 20.0, 100.0])
def test_kernels_of_weights_resolve_what_pinches_the_middle(ansatz: str, y: float) -> None:
    """A uniform grid is off by 1e-3 at large ``y``; ours agrees with itself refined, and says how well."""
    setting = Setting.of((BINARY, ansatz))
    values = {"q0": 0.3, "q1": 0.3 + 2.2 / y, "S": 0.7}
    arguments = [*(values[k] for k in setting.kernel.META["active"]), y]
    size = 1 + len(setting.kernel.META["active"])

    def run(rule: Rule) -> np.ndarray:
        out = np.empty(size)
        setting.kernel.weights(np.array(arguments), *rule.nodes(), out)
        return out

    best = run(Rule(0.03, 14.0))
    assert run(setting.rule) == pytest.approx(best, rel=1e-9)
    assert run(setting.rule.refined()) == pytest.approx(best, rel=1e-13)


def test_vanishing_external_entropy() -> None:
    curve = saddle.local_entropy(BINARY, 0.6, external_entropy=0.0, distance=[0.05, 0.1], reference=True)
    for point in curve.points:
        assert point.converged
        assert abs(point["complexity"]) <= max(point.error, 1e-11)
    y = curve.points[0].parameters["y"]
    again = saddle.local_entropy(BINARY, 0.6, y=y, distance=0.05, reference=True).points[0]
    assert again["local_entropy"] == pytest.approx(curve.points[0]["local_entropy"], abs=1e-10)


def lowest_distance_of_one_replica() -> float:
    """Where the branch of one replica around a reference turns back: the least distance, as a function of ``q1``.

    With ``y = 1`` the overlap between clusters is the replica-symmetric one, and ``q1hat`` is explicit in ``q1``: the
    distance at which this is the overlap of two replicas is left to be solved for.
    """
    from scipy.optimize import brentq, minimize_scalar

    typical = saddle.solve((BINARY, "rs"), alpha=0.6).order_parameters
    q0, a0 = typical["q"], typical["qhat"]
    z0, w0 = gauss(1.0, step=0.05)

    def conjugate(q1: float) -> float:
        z1, w1 = gauss(q1 - q0, 14.0, 0.05)
        x = -(math.sqrt(q0) * z0[:, None] + z1[None, :]) / math.sqrt(1.0 - q1)
        log_h = log_ndtr(-x)
        log_square = 2.0 * (-0.5 * x**2 - 0.5 * math.log(2.0 * math.pi) - log_h)
        ratio = np.exp(log_average(log_h + log_square, w1) - log_average(log_h, w1))
        return 0.6 * float(np.exp(w0) @ ratio) / (1.0 - q1)

    def distance(q1: float) -> float:
        a1 = conjugate(q1)
        z1, w1 = gauss(a1 - a0, 16.0, 0.05)

        def excess(field: float) -> float:
            u = math.sqrt(a0) * z0[:, None] + z1[None, :]
            weight = [np.exp(log_2cosh(u + s * field) + w1) for s in (1, -1)]
            square = [np.tanh(u + s * field) ** 2 for s in (1, -1)]
            top = sum((w * t).sum(axis=1) for w, t in zip(weight, square, strict=True))
            return float(np.exp(w0) @ (top / sum(w.sum(axis=1) for w in weight))) - q1

        return (1.0 - math.tanh(brentq(excess, 1e-3, 6.0, xtol=1e-13))) / 2.0

    return float(minimize_scalar(distance, bounds=(0.9, 0.99), method="bounded", options={"xatol": 1e-6}).fun)


def test_few_replicas_around_a_reference_end_in_a_fold() -> None:
    near = saddle.solve((BINARY, "local-entropy-reference"), alpha=0.6, y=1, distance=0.0366)
    beyond = saddle.solve((BINARY, "local-entropy-reference"), alpha=0.6, y=1, distance=0.0365)
    assert near.converged
    assert str(beyond.status) == "branch-end"
    assert "fold at distance 0.0365" in beyond.message
    assert beyond.free_entropy != beyond.free_entropy
    assert beyond.window is not None
    assert beyond.window[1] == pytest.approx(lowest_distance_of_one_replica(), abs=1e-9)
    assert saddle.solve((BINARY, "local-entropy-reference"), alpha=0.6, y=2, distance=0.0365).converged


def phi_spherical(m: float, alpha: float, q0: float, q1: float, kappa: float) -> float:
    """One step of symmetry breaking for weights on a sphere, per replica."""
    rest = 1.0 - q1 + m * (q1 - q0)
    volume = 0.5 * (math.log(1.0 - q1) + math.log(rest / (1.0 - q1)) / m + q0 / rest)
    return volume + alpha / m * energetic(m, q0, q1, kappa)


def test_broken_symmetry_of_spherical_weights() -> None:
    point = saddle.solve((SPHERICAL, "1rsb"), alpha=9.0, kappa=-1.0)
    p = point.order_parameters
    assert point.converged
    assert 0.0 < p["q0"] < p["q1"] < 1.0
    assert 0.0 < p["m"] < 1.0
    assert point.free_entropy == pytest.approx(phi_spherical(p["m"], 9.0, p["q0"], p["q1"], -1.0), abs=1e-10)
    assert point.free_entropy < saddle.solve((SPHERICAL, "rs"), alpha=9.0, kappa=-1.0).free_entropy
    assert abs(point["complexity"]) < 1e-12
    h = 1e-4
    for name in ("m", "q0", "q1"):
        moved = [{**p, name: p[name] + s * h} for s in (1, -1)]
        above, below = (phi_spherical(v["m"], 9.0, v["q0"], v["q1"], -1.0) for v in moved)
        assert abs(above - below) / (2 * h) < 1e-5, name
    assert not saddle.solve((SPHERICAL, "1rsb"), alpha=9.0, kappa=-1.0, m=0.1)["complexity"] < 0.0


def test_beyond_the_capacity_there_are_no_states() -> None:
    last = saddle.solve((SPHERICAL, "1rsb"), alpha=4.69, kappa=-0.5)
    assert last.converged and last.order_parameters["q1"] < 1.0
    for alpha, reason in ((4.71, "broken symmetry the volume of the last states"), (6.0, "overlap of two solutions")):
        beyond = saddle.solve((SPHERICAL, "1rsb"), alpha=alpha, kappa=-0.5)
        assert str(beyond.status) == "no-saddle"
        assert reason in beyond.message


def test_the_collapsed_root_is_rejected_and_the_frozen_one_recognised() -> None:
    collapsed = saddle.solve((SPHERICAL, "1rsb"), alpha=1.0)
    assert str(collapsed.status) == "no-saddle"
    assert "collapsed" in collapsed.message
    frozen = saddle.solve((BINARY, "1rsb"), alpha=0.6)
    assert "frozen" in frozen.message
    assert frozen.order_parameters["q1"] == 1.0
    assert frozen.free_entropy == pytest.approx(saddle.solve((BINARY, "rs"), alpha=0.6).free_entropy, abs=1e-14)
    given = saddle.solve((BINARY, "1rsb"), alpha=0.6, m=0.5)
    assert given.free_entropy == pytest.approx(2.0 * frozen.free_entropy, abs=1e-13)


def test_complexity_curve_obeys_its_definition() -> None:
    curve = saddle.complexity(SPHERICAL, 9.0, -1.0, m=[0.3, 0.3001])
    a, b = curve.points
    slope = (b.free_entropy - a.free_entropy) / 1e-4
    assert a["complexity"] == pytest.approx(-0.3**2 * slope, abs=1e-6)
    assert [row["m"] for row in curve.rows] == [0.3, 0.3001]


def test_what_cannot_be_asked() -> None:
    with pytest.raises(replica.InputError, match="either y="):
        saddle.local_entropy(BINARY, 0.6, overlap=0.9)
    with pytest.raises(replica.InputError, match="two spellings"):
        saddle.local_entropy(BINARY, 0.6, y=2, overlap=0.9, distance=0.05)
    with pytest.raises(replica.InputError, match="at least 1"):
        saddle.local_entropy(BINARY, 0.6, y=0.5, overlap=0.9)


def test_of_two_saddles_that_is_taken_along_which_the_complexity_decreases() -> None:
    """Two coexist at this margin; from the other one, whose complexity grows with ``m``, the same is reached."""
    at = {"alpha": 486.8, "kappa": -2.5}
    cold = saddle.solve((SPHERICAL, "1rsb"), m=0.05, **at)
    warm = saddle.solve((SPHERICAL, "1rsb"), m=0.05, start={"q0": 0.0314774, "q1": 0.70796797}, **at)
    below = saddle.solve((SPHERICAL, "1rsb"), m=0.04, **at)
    assert cold.order_parameters["q1"] == pytest.approx(0.99799107618, abs=1e-9)
    assert abs(warm.free_entropy - cold.free_entropy) <= warm.error + cold.error
    assert below["complexity"] > cold["complexity"] + 0.005  # type: ignore[operator]
    assert not any("increases" in text for text in cold.warnings)
    alone = saddle.solve((SPHERICAL, "1rsb"), alpha=10.5, kappa=-1.0, m=0.05)
    assert any("increases with m" in text for text in alone.warnings)
