"""The shipped checks pass for every shipped pairing, as functions and as a command."""

from __future__ import annotations

import json

import pytest

import replica
import saddle
from saddle import cli
from saddle.checking.brute_force import log_fields, log_weights, overlap_matrix, replicas, telling
from saddle.checking.interior import interior_point
from saddle.checking.outcome import Tally

BINARY, SPHERICAL = "binary-perceptron", "spherical-perceptron"
LONG = [(SPHERICAL, "franz-parisi"), (SPHERICAL, "1rsb")]
PAIRINGS = [(BINARY, "rs"), (SPHERICAL, "rs"), (BINARY, "franz-parisi"), (BINARY, "1rsb")]
ALWAYS = {"pair counts", "finite n, patterns", "finite n, weights", "the limit", "gradient in the overlaps", "replicon"}


@pytest.mark.parametrize(("model", "ansatz"), [*PAIRINGS, *(pytest.param(*pair, marks=pytest.mark.full) for pair in LONG)])
def test_shipped_checks_pass(model: str, ansatz: str) -> None:
    checks = saddle.check(model, ansatz)
    assert all(check.passed for check in checks), checks
    names = [check.name for check in checks]
    assert set(names) >= ALWAYS | {"kernel values", "kernel Jacobian"}
    assert len(set(names)) == len(names)
    assert ("gradient in the conjugates" in names) == (model == BINARY)
    for check in checks:
        assert 0.0 <= check.value <= check.tolerance < 1e-3 and check.detail


@pytest.mark.full
@pytest.mark.parametrize(("model", "ansatz"), PAIRINGS)
def test_thorough_checks_pass(model: str, ansatz: str) -> None:
    checks = saddle.check(model, ansatz, thorough=True)
    assert all(check.passed for check in checks), checks


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", SPHERICAL, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is True
    assert {row["name"] for row in found["checks"]} >= ALWAYS
    assert all(row["value"] <= row["tolerance"] for row in found["checks"])


@pytest.mark.parametrize(("ansatz", "asked"), [
    ("rs", [{"n": 2}, {"n": 3}]),
    ("1rsb", [{"n": 4, "m": 2}]),
    ("franz-parisi", [{"n": n, "r": r} for n in (1, 2) for r in (1, 2)]),
])  # fmt: skip
def test_smallest_integers(ansatz: str, asked: list[dict[str, int]]) -> None:
    chosen = telling(replica.zoo.ansatz(ansatz), 4, 3)
    assert all(integers in chosen for integers in asked)


@pytest.mark.parametrize("ansatz", ["rs", "1rsb", "franz-parisi"])
@pytest.mark.parametrize("variant", [0, 1, 2])
def test_generic_points_lie_inside(ansatz: str, variant: int) -> None:
    import numpy as np

    derived = replica.derive(BINARY, ansatz)
    point = interior_point(derived, variant)
    assert point == interior_point(derived, variant)
    for integers in telling(derived.ansatz, 8, 9):
        matrix = overlap_matrix(derived.ansatz, replicas(derived.ansatz.tree, integers), point)
        assert np.min(np.linalg.eigvalsh(matrix + np.eye(len(matrix)))) > 0.05
    for pivot in derived.pivots.values():
        assert replica.evaluate(pivot.variance, point, derived.definitions, 15) > 0.05
    numbers = [value for name, value in point.items() if name != "alpha"]
    assert len(set(numbers)) == len(numbers), "equal values would hide an exchange"


def test_brute_force_of_two_replicas() -> None:
    """Two fields have the orthant probability 1/4 + asin(q)/2 pi at margin 0, two spins the sum 2 e^q + 2 e^-q."""
    import math

    ansatz, model = replica.zoo.rs(), replica.zoo.binary_perceptron()
    pair = replicas(ansatz.tree, {"n": 2})
    point = {"q": 0.75, "qhat": 0.5, "kappa": 0.0}
    assert log_fields(model, ansatz, pair, point) == pytest.approx(
        math.log(0.25 + math.asin(0.75) / (2 * math.pi)), abs=1e-13
    )
    expected = math.log(4 * math.cosh(0.5)) - 0.75 * 0.5
    assert log_weights(model, ansatz, pair, point) == pytest.approx(expected, abs=1e-14)
    determinant = log_weights(replica.zoo.spherical_perceptron(), ansatz, pair, point)
    assert determinant == pytest.approx(0.5 * math.log(1 - 0.75**2), abs=1e-14)


def test_a_tally_reports_the_worst() -> None:
    tally = Tally()
    tally.compare("good", 1.0, 1.0)
    tally.compare("bad", 2.0, 1.0)
    tally.compare("large numbers are compared relatively", 1e9 + 1.0, 1e9)
    outcome = tally.outcome("sum", 1e-3)
    assert (outcome.value, outcome.passed) == (1.0, False)
    assert "bad" in outcome.detail and "3 comparisons" in outcome.detail
    tally.compare("no number", float("nan"), 1.0)
    assert tally.outcome("sum", 10.0).passed is False
    assert Tally().outcome("empty", 1.0).passed is False
