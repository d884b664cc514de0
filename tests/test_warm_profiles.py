"""Franz-Parisi entropies at finite temperature of a teacher's student and of weights without a fixed norm."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy.optimize import brentq

import replica
import saddle
from replica import Model
from saddle.kernels.quadrature import Rule
from saddle.points.newton import newton
from saddle.points.results import SaddlePoint
from saddle.points.setting import Setting
from saddle.points.solving import problem_of, reference_point

pytestmark = pytest.mark.full
OWN = Path(__file__).parent / "own_models" / "ternary.py"
HARD = {"teacher": replica.zoo.teacher_student(), "ternary": replica.zoo.model(f"{OWN}:ternary")}
AT = {"teacher": {"alpha": 0.8, "kappa": 0.0}, "ternary": {"alpha": 0.3, "kappa": 0.0}}
WARM = {"beta": 2.0, "reference_beta": 3.0, "reference_kappa": 0.1}


def probes(model: Model, **parameters: float) -> SaddlePoint:
    return saddle.solve((model, "franz-parisi"), **parameters, throw=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", HARD)
def test_the_energy_of_probes_is_a_derivative(name: str) -> None:
    model, h = replica.soft(HARD[name]), 1e-3
    point = probes(model, **AT[name], **WARM, distance=0.1)
    above, below = (probes(model, **AT[name], **WARM | {"beta": 2.0 + s * h}, distance=0.1).free_entropy for s in (1, -1))
    assert point["energy"] == pytest.approx(-(above - below) / (2 * h), abs=1e-7)
    assert point["entropy"] == pytest.approx(point.free_entropy + 2.0 * float(point["energy"]), abs=1e-13)


@pytest.mark.parametrize("name", HARD)
def test_profiles_peak_at_the_typical_free_entropy(name: str) -> None:
    model = replica.soft(HARD[name])
    found = [probes(model, **AT[name], **WARM, distance=0.3)]

    def slope(distance: float) -> float:
        at = {**AT[name], **WARM, "distance": distance}
        found.append(saddle.solve((model, "franz-parisi"), **at, start=found[-1], throw=True))
        return float(found[-1]["slope"])  # type: ignore[arg-type]

    brentq(slope, 0.25, 0.42, xtol=1e-7)
    peak, typical = found[-1], saddle.solve((model, "rs"), **AT[name], beta=2.0)
    assert peak.free_entropy == pytest.approx(typical.free_entropy, abs=1e-11)
    assert peak["energy"] == pytest.approx(typical["energy"], abs=1e-5)
    assert peak.order_parameters["q"] == pytest.approx(typical.order_parameters["q"], abs=1e-5)
    assert found[0].free_entropy < typical.free_entropy


@pytest.mark.parametrize("name", HARD)
def test_without_temperature_the_constraint_is_hard(name: str) -> None:
    hard = probes(HARD[name], **AT[name], reference_kappa=0.1, distance=0.1)
    for beta in (math.inf, 200.0):
        cold = probes(
            replica.soft(HARD[name]), **AT[name], reference_kappa=0.1, distance=0.1, beta=beta, reference_beta=beta
        )
        assert cold.free_entropy == pytest.approx(hard.free_entropy, abs=1e-10)
        assert cold["energy"] == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("name", HARD)
def test_claimed_errors_cover_a_finer_rule(name: str) -> None:
    model, distance, fine = replica.soft(HARD[name]), 0.1, Rule(0.07, 12.0)
    point = probes(model, **AT[name], **WARM, distance=distance)
    setting = Setting.of((model, "franz-parisi"))
    values = setting.resolve({**AT[name], **WARM, "distance": distance}, 1e-12)
    problem = problem_of(setting, values, reference_point(setting, values, 1e-12))
    state = newton(problem, problem.to_coordinates(point.order_parameters), fine, 1e-12).state
    assert state is not None
    assert abs(state.free_entropy - point.free_entropy) <= point.error < 1e-9
