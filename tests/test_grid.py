"""The grid of deep nests against the oracle, and steps as expressions that evaluate as they stand."""

from __future__ import annotations

import pytest

import replica
from replica import evaluate
from replica.expr import canonical
from replica.fields import Definitions
from replica.passes import merge
from saddle.checking.grid import nesting, on_grid
from saddle.checking.interior import interior_point

BINARY, SPHERICAL = "binary-perceptron", "spherical-perceptron"


@pytest.mark.parametrize("ansatz", ["rs", "1rsb", "franz-parisi"])
def test_grid_agrees_with_the_oracle(ansatz: str) -> None:
    derived = replica.derive(BINARY, ansatz)
    point = interior_point(derived)
    for expr in (derived.energetic, derived.entropic, *derived.energetic_pairs.values()):
        expected = evaluate(expr, point, derived.definitions, 13)
        assert abs(on_grid(expr, point, derived.definitions) - expected) < 1e-10 * max(1, abs(expected))


def test_three_averages_inside_each_other() -> None:
    """The step before a reference's noise is averaged, and after: one average fewer, the same number."""
    derived = replica.derive(BINARY, "franz-parisi")
    point = interior_point(derived) | {"n": 2.0, "r": 1.0}
    step = derived.steps[3]
    raw, definitions = dict(step.equations)["G_E"], Definitions("", dict(step.definitions))
    merged = merge(canonical(raw), definitions)
    assert (nesting(raw), nesting(merged)) == (3, 2)
    assert abs(evaluate(raw, point, dict(step.definitions), 7) - on_grid(merged, point, definitions.table)) < 1e-7


@pytest.mark.parametrize("model", [BINARY, SPHERICAL])
@pytest.mark.parametrize("ansatz", ["rs", "1rsb"])
def test_steps_evaluate(model: str, ansatz: str) -> None:
    """Every step is an expression with a number; the last one is the free entropy."""
    derived = replica.derive(model, ansatz)
    point = interior_point(derived) | {"n": 4.0}
    if ansatz == "1rsb":
        point["m"] = 2.0
    for step in derived.steps:
        assert all(number == number for number in step.evaluate(point, 8).values())
    expected = evaluate(derived.expression, point, {}, 12)
    assert abs(derived.steps[-1].evaluate(point, 12)["phi"] - expected) < 1e-11
