"""Errors of energies and entropies at finite temperature: they cover the true ones, and are not much larger."""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
import pytest
import sympy as sp
from scipy.special import log_ndtr, logsumexp
from sympy.core.symbol import Str
from test_cluster_errors import CLOSED, CUT

import replica
import saddle
from replica.expr import Average
from replica.parts.noisy_losses import Noisy
from saddle.kernels.codegen import KernelWriter
from saddle.kernels.kernel_source import special_source
from saddle.kernels.loss_source import loss_source
from saddle.kernels.quadrature import Rule
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting

BINARY = replica.zoo.binary_perceptron()
COUNTED = replica.soft(BINARY)


def solved(model: replica.Model, ansatz: str, **parameters: float) -> SaddlePoint:
    point = saddle.solve((model, ansatz), **parameters)
    assert point.converged, point.message
    return point


def numbers(point: SaddlePoint, suffix: str = "") -> np.ndarray:
    return np.array([point[f"{name}{suffix}"] for name in ("energy", "entropy")], dtype=float)


@pytest.mark.parametrize(
    ("alpha", "beta", "energy", "entropy"),
    [(0.5, 1.0, 0.1549706066439013, 0.638195891859584), (2.0, 5.0, 0.2146072534748646, -0.4998598395100971)],
)
def test_counted_errors_to_many_digits(alpha: float, beta: float, energy: float, entropy: float) -> None:
    """The numbers are mpmath's, at 25 digits, of the textbook's saddle."""
    point = solved(COUNTED, "rs", alpha=alpha, kappa=0.1, beta=beta)
    away, claimed = np.abs(numbers(point) - [energy, entropy]), numbers(point, "_error")
    assert np.all(away <= claimed) and np.all(claimed < 1e-12)


def coarse_claims(ansatz: str, step: float, **parameters: float) -> None:
    """What a coarse rule is off, and says it is."""
    exact = solved(COUNTED, ansatz, **parameters)
    setting = Setting.of((COUNTED, ansatz))
    with mock.patch.dict(setting.__dict__, rule=Rule(step, 9.0)):
        rough = solved(COUNTED, ansatz, **parameters)
    away, claimed = np.abs(numbers(rough) - numbers(exact)), numbers(rough, "_error")
    assert np.all(numbers(exact, "_error") < 1e-11) and np.all(away > 1e-11)
    assert np.all(away <= claimed) and np.all(claimed < 1e4 * away)


def test_the_error_of_a_coarse_rule_is_seen() -> None:
    coarse_claims("rs", 0.5, alpha=0.5, kappa=0.1, beta=2.0)


@pytest.mark.full
@pytest.mark.parametrize(
    ("ansatz", "step", "parameters"),
    [
        ("local-entropy", 0.3, {"y": 5.0, "distance": 0.1}),
        ("franz-parisi", 0.35, {"reference_kappa": 0.0, "reference_beta": 3.0, "distance": 0.1}),
    ],
)
def test_the_error_of_a_coarse_rule_is_seen_in_nested_averages(
    ansatz: str, step: float, parameters: dict[str, float]
) -> None:
    coarse_claims(ansatz, step, alpha=0.5, kappa=0.0, beta=2.0, **parameters)


@pytest.mark.usefixtures("plain_python")
def test_errors_of_a_short_series_cover_what_it_leaves_out() -> None:
    exact, short = (solved(replica.soft(model), "rs", alpha=2.5, kappa=0.0, beta=3.0) for model in (CLOSED, CUT))
    away, claimed = np.abs(numbers(short) - numbers(exact)), numbers(short, "_error")
    assert np.all(numbers(exact, "_error") < 1e-12) and np.all(away > 1e-6)
    assert np.all(away <= claimed) and np.all(claimed < 200.0 * away)


def test_a_frozen_solution_has_the_errors_of_the_temperature_at_which_it_freezes() -> None:
    point = solved(COUNTED, "1rsb", alpha=1.2, kappa=0.0, beta=6.0)
    assert float(point["energy"]) == pytest.approx(0.0687767481, abs=1e-10)
    assert abs(numbers(point)[1]) <= numbers(point, "_error")[1]
    assert np.all((numbers(point, "_error") > 0.0) & (numbers(point, "_error") < 1e-12))


def test_the_mass_of_a_power_is_found_where_its_bend_is_narrow_beside_the_way_there() -> None:
    """Forty replicas that violate a pattern and pay by the hinge: Newton's method went back and forth over the bend."""
    z, a, v, s, beta, y = sp.symbols("z a v s beta y")
    body = Noisy(z + a, v, beta, Str("hinge")) ** y
    writer = KernelWriter("energetic", ["a", "v", "s", "beta", "y"], {}, [sp.log(Average(body, z, s))])
    space: dict[str, object] = {"_compiled": lambda function: function}
    exec(special_source(compiled=False) + loss_source(writer.outputs) + writer.source(), space)
    mean, noise, spread, cold, replicas = arguments = np.array([-5.0, 0.2, 0.29, 2.0, 40.0])
    out = np.empty(1)
    space["energetic"](arguments, *Rule(0.2).nodes(), out)  # type: ignore[operator]
    grid = np.linspace(-2.0, 26.0, 28001)
    field, sd = mean + grid, math.sqrt(noise)
    paid = cold * field + cold * cold * noise / 2 + log_ndtr(-(field + cold * noise) / sd)
    exponent = replicas * np.logaddexp(log_ndtr(field / sd), paid) - grid * grid / (2 * spread)
    exact = logsumexp(exponent) + math.log(0.001 / math.sqrt(2 * math.pi * spread))
    assert out[0] == pytest.approx(exact, rel=1e-8)


@pytest.mark.full
@pytest.mark.parametrize("y", [40.0, 100.0])
def test_many_replicas_with_a_loss_are_as_exact_as_they_say(y: float) -> None:
    model = replica.soft(BINARY, "hinge")
    parameters = {"alpha": 0.5, "kappa": 0.0, "beta": 2.0, "y": y, "distance": 0.1}
    point = solved(model, "local-entropy", **parameters)
    claimed = [point.error, point["local_entropy_error"], point["complexity_error"], point["energy_error"]]
    assert max(claimed) < 1e-11
    setting = Setting.of((model, "local-entropy"))
    with mock.patch.dict(setting.__dict__, rule=Rule(0.05, 14.0)):
        finer = saddle.solve((model, "local-entropy"), start=point, **parameters)
    names = ("free_entropy", "local_entropy", "complexity", "energy")
    assert all(abs(point[name] - finer[name]) <= error for name, error in zip(names, claimed, strict=True))
