"""Trees that only this file declares: no file of the package knows them, and everything follows."""

from __future__ import annotations

import pytest
import sympy as sp

import replica
import saddle
from replica import Ansatz, Leaf, Node
from replica.evaluation import evaluate
from saddle.checking.finite import finite_checks, limit_check, pair_counts_check
from saddle.checking.interior import interior_point
from saddle.checking.reductions import reduction_checks, reductions

BINARY, SPHERICAL = "binary-perceptron", "spherical-perceptron"

TWO_STEPS = Ansatz(
    name="2rsb",
    tree=Node("root", (("n/m1", Node("family", (("m1/m2", Node("state", (("m2", Leaf("w")),))),))),)),
    overlaps=((("root", "w", "w"), "q0"), (("family", "w", "w"), "q1"), (("state", "w", "w"), "q2")),
    multiplicities=("m1", "m2"),
)

PROBES = Node("cluster", (("1", Leaf("ref", anchor=True)), ("r", Leaf("probe"))))
ON_STATES = Ansatz(
    name="franz-parisi on 1rsb",
    tree=Node(
        "root",
        (
            ("(n-m)/m", Node("state", (("m", Leaf("ref")),))),
            ("1", Node("state", (("m-1", Leaf("ref")), ("1", PROBES)))),
        ),
    ),
    overlaps=(
        (("cluster", "probe", "probe"), "q"),
        (("root", "probe", "ref"), "t0"),
        (("state", "probe", "ref"), "t1"),
        (("cluster", "probe", "ref"), "p"),
        (("root", "ref", "ref"), "qr0"),
        (("state", "ref", "ref"), "qr1"),
    ),
    vanishing=("r", "n"),
    imposed=("p",),
    prefixes=(("ref", "reference_"),),
    reference="1rsb",
    given=(("qr0", "q0"), ("qr1", "q1")),
    multiplicities=("m",),
)


def test_two_steps_have_the_textbook_interaction() -> None:
    derived = replica.derive(BINARY, TWO_STEPS)
    q0, q1, q2, q0hat, q1hat, q2hat, m1, m2 = sp.symbols("q0 q1 q2 q0hat q1hat q2hat m1 m2")
    expected = (m1 * q0 * q0hat - (m1 - m2) * q1 * q1hat - (m2 - 1) * q2 * q2hat - q2hat) / 2
    assert sp.expand(derived.interaction - expected) == 0
    assert derived.weight_of == {"q0": -m1 / 2, "q1": (m1 - m2) / 2, "q2": (m2 - 1) / 2}
    assert [str(v) for v in (derived.pivots["q1"].variance, derived.pivots["q2"].variance)] == ["-q0 + q1", "-q1 + q2"]


def test_two_steps_on_the_sphere() -> None:
    """The determinant's sectors give the logarithms of the three eigenvalues."""
    derived = replica.derive(SPHERICAL, TWO_STEPS)
    point = interior_point(derived)
    q0, q1, q2, m1, m2 = (sp.Float(point[name], 30) for name in ("q0", "q1", "q2", "m1", "m2"))
    small = 1 - q2
    middle = small + m2 * (q2 - q1)
    large = middle + m1 * (q1 - q0)
    expected = (sp.log(small) + sp.log(middle / small) / m2 + sp.log(large / middle) / m1 + q0 / large) / 2
    assert abs(evaluate(derived.entropic, point, derived.definitions, 20) - expected) < 1e-18


@pytest.mark.parametrize("model", [BINARY, SPHERICAL])
def test_two_steps_before_the_limit(model: str) -> None:
    derived = replica.derive(model, TWO_STEPS)
    point = interior_point(derived)
    checks = [pair_counts_check(derived), *finite_checks(derived, point, False)]
    assert all(check.passed for check in checks), checks


def test_two_steps_reduce_to_one() -> None:
    derived = replica.derive(SPHERICAL, TWO_STEPS)
    point = interior_point(derived)
    claims = [reduction.name for reduction in reductions(TWO_STEPS, point)]
    assert claims == [
        "q1 = q0 merges family into root",
        "q2 = q1 merges state into family",
        "m1 = m2 leaves single copies",
        "m2 = 1 leaves single copies",
    ]


def test_a_reference_with_states() -> None:
    derived = replica.derive(BINARY, ON_STATES)
    point = interior_point(derived)
    checks = [pair_counts_check(derived), *finite_checks(derived, point, False)]
    assert all(check.passed for check in checks), checks
    assert [name for name, weight in derived.weight_of.items() if weight == 0] == ["qr0", "qr1"]


@pytest.mark.parametrize("model", [BINARY, pytest.param(SPHERICAL, marks=pytest.mark.full)])
def test_all_checks_of_two_steps(model: str) -> None:
    checks = saddle.check(model, TWO_STEPS)
    assert all(check.passed for check in checks), checks


def test_limit_and_reductions_of_a_reference_with_states() -> None:
    derived = replica.derive(BINARY, ON_STATES)
    point = interior_point(derived)
    checks = [limit_check(derived, point), *reduction_checks(derived, point)]
    assert all(check.passed for check in checks), checks
