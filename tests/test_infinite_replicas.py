"""Infinitely many replicas: the limit that the engine takes, against formulas typed by hand and large finite numbers."""

from __future__ import annotations

import json
import math
import re

import mpmath
import pytest
import sympy as sp
import textbook_infinite as by_hand

import replica
import saddle
from replica import zoo
from replica.evaluation import OracleRule, evaluate
from replica.expr import Log2Cosh, LogH
from replica.limits.infinite import infinite_limit
from replica.limits.maximum import AtMaximum, Maximum, ScaledAverage, along_characteristics, is_concave
from saddle.command.recompute import recompute
from saddle.kernels.infinite_kernel import infinite_kernel_source
from saddle.points.results import SaddlePoint, Status

X, Z, V, A, S = sp.symbols("x z v a s")
RULE = OracleRule(15, 0.08, 9.0)


def solved(ansatz: str = "local-entropy", model: str = "binary-perceptron", **parameters: float) -> SaddlePoint:
    return saddle.solve((model, ansatz), **{"alpha": 0.6, "kappa": 0.0, "y": math.inf, **parameters})


CONCAVE, EVEN = LogH(A - X - Z), Log2Cosh(A * X + Z)


@pytest.mark.parametrize("body", [CONCAVE, EVEN])
@pytest.mark.parametrize("name", ["x", "a", "v"])
def test_maximum_is_differentiated_by_the_envelope_theorem(body: sp.Expr, name: str) -> None:
    values, step = {"x": 0.3, "a": 0.7, "v": 1.4}, 1e-4
    for node in (Maximum(body, Z, V), AtMaximum(sp.sin(Z) + X, body, Z, V)):
        found = evaluate(sp.diff(node, sp.Symbol(name)), values, digits=15)
        ends = [evaluate(node, {**values, name: values[name] + sign * step}, digits=15) for sign in (1, -1)]
        assert float(found) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), abs=1e-7)


def test_maximum_is_the_largest_over_both_wells_and_all_values_of_a_weight() -> None:
    body = Log2Cosh(S * A + X + Z)
    node = Maximum(body, Z, V, S, sp.Tuple(-1, 1))
    values = {"x": -0.1, "a": 0.4, "v": 2.5}
    grid = [(s, z / 200) for s in (-1, 1) for z in range(-1200, 1201)]
    best = max(math.log(2 * math.cosh(s * 0.4 - 0.1 + z)) - z * z / 5 for s, z in grid)
    assert float(evaluate(node, values, digits=15)) == pytest.approx(best, abs=1e-4)
    assert float(evaluate(AtMaximum(S, *node.problem), values, digits=15)) == -1.0


def test_variance_of_a_kinked_average_is_differentiated_by_scaling() -> None:
    """The derivative keeps what the jump of the slope at the origin contributes, unlike the heat equation."""
    average = ScaledAverage(Maximum(Log2Cosh(X + Z), Z, A), X, V)
    values = {"v": 0.8, "a": 1.6}
    ends = [evaluate(average, {**values, "v": 0.8 + sign * 1e-3}, rule=OracleRule(15, 0.02, 9.0)) for sign in (1, -1)]
    slope = evaluate(sp.diff(average, V), values, rule=OracleRule(15, 0.02, 9.0))
    assert float(slope) == pytest.approx(float(ends[0] - ends[1]) / 2e-3, abs=1e-5)


def test_characteristics_give_the_same_number() -> None:
    average = ScaledAverage(Maximum(CONCAVE, Z, V), X, sp.Integer(1))
    changed = along_characteristics(average)
    assert not changed.has(Maximum, AtMaximum) and is_concave(CONCAVE, Z)
    values = {"a": 0.2, "v": 0.6}
    assert mpmath.almosteq(evaluate(average, values, rule=RULE), evaluate(changed, values, rule=RULE), 1e-12)


@pytest.mark.parametrize(
    ("alpha", "kappa", "overlap"), [(0.6, 0.0, 0.42), (0.6, 0.0, 0.7), (0.6, 0.0, 0.9), (0.83, 0.0, 0.95), (0.3, 0.5, 0.9)]
)
def test_mutual_overlap_against_hand_typed_equations(alpha: float, kappa: float, overlap: float) -> None:
    point = solved(alpha=alpha, kappa=kappa, overlap=overlap)
    truth = by_hand.binary(alpha, kappa, dict(point.order_parameters))
    assert truth["residual"] < 1e-10
    assert point["local_entropy"] == pytest.approx(truth["local_entropy"], abs=1e-11)
    assert point["complexity"] == pytest.approx(truth["complexity"], abs=1e-10)
    assert point["slope"] == pytest.approx(-2 * truth["slope"], abs=1e-9)
    assert point.error < 1e-12 and point.residual < 1e-12


@pytest.mark.parametrize("distance", [0.15, 0.05, 0.02])
def test_reference_against_hand_typed_equations(distance: float) -> None:
    point = solved("local-entropy-reference", distance=distance)
    truth = by_hand.binary(0.6, 0.0, dict(point.order_parameters))
    assert truth["residual"] < 1e-10
    assert point["local_entropy"] == pytest.approx(truth["local_entropy"], abs=1e-11)
    assert point["complexity"] == pytest.approx(truth["complexity"], abs=1e-10)
    assert point["slope"] == pytest.approx(2 * point.order_parameters["Shat"], abs=1e-13)


@pytest.mark.parametrize(("alpha", "kappa", "overlap"), [(0.6, 0.0, 0.6), (3.0, -1.0, 0.8)])
def test_spherical_weights_against_hand_typed_equations(alpha: float, kappa: float, overlap: float) -> None:
    point = solved(model="spherical-perceptron", alpha=alpha, kappa=kappa, overlap=overlap)
    truth = by_hand.spherical(alpha, kappa, overlap, point.order_parameters["C"])
    assert truth["residual"] < 1e-10
    assert point["local_entropy"] == pytest.approx(truth["local_entropy"], abs=1e-11)
    assert point["complexity"] == pytest.approx(truth["complexity"], abs=1e-10)


@pytest.mark.parametrize("overlap", [0.6, 0.9])
def test_free_entropy_of_many_replicas_has_these_two_orders(overlap: float) -> None:
    """At the saddle of the limit, the free entropy of y replicas differs from both orders by a term of order 1/y."""
    point = solved(overlap=overlap)
    local, complexity = point["local_entropy"], point["complexity"]
    found = {y: by_hand.finite(y, 0.6, 0.0, dict(point.order_parameters)) for y in (100.0, 200.0, 400.0)}
    left = {y: value - y * local - complexity for y, value in found.items()}
    assert abs(left[400.0]) < 0.02
    assert left[100.0] / left[200.0] == pytest.approx(2.0, rel=0.15)
    assert left[200.0] / left[400.0] == pytest.approx(2.0, rel=0.1)


@pytest.mark.full
def test_large_finite_numbers_approach_the_limit() -> None:
    limit = solved(overlap=0.9)
    points = [solved(overlap=0.9, y=y) for y in (50.0, 100.0)]
    for name, order in (("local_entropy", 2), ("complexity", 1)):
        left = [point[name] - limit[name] for point in points]
        assert left[0] / left[1] == pytest.approx(2.0**order, rel=0.15)


def test_branch_starts_at_the_typical_overlap() -> None:
    typical = saddle.solve(("binary-perceptron", "rs"), alpha=0.6, kappa=0.0)
    point = solved(overlap=typical.order_parameters["q"])
    assert point["local_entropy"] == pytest.approx(typical.free_entropy, abs=1e-13)
    assert abs(point["complexity"]) < 1e-12 and abs(point["slope"]) < 1e-12
    below = solved(overlap=0.3)
    assert below.order_parameters["C"] < 0 and below.converged and below.error < 1e-12


@pytest.mark.parametrize(("ansatz", "overlap"), [("local-entropy", 0.6), ("local-entropy-reference", 0.8)])
def test_claimed_error_covers_the_true_one(ansatz: str, overlap: float) -> None:
    """The oracle evaluates the maxima themselves; the kernels integrate along characteristics or the half line."""
    point = solved(ansatz, overlap=overlap)
    limit, values = infinite_limit(("binary-perceptron", ansatz)), {**point.order_parameters, "alpha": 0.6, "kappa": 0.0}
    rule = OracleRule(20, 0.05, 11.0)
    truth = evaluate(limit.leading, values, rule=rule), evaluate(limit.next, values, rule=rule)
    assert abs(point["local_entropy"] - truth[0]) <= point.error
    assert abs(point["complexity"] - truth[1]) <= point["complexity_error"]


@pytest.mark.parametrize("overlap", [0.97, 0.99])
def test_shifts_that_grow_exponentially_keep_their_digits(overlap: float) -> None:
    point = solved(overlap=overlap)
    assert point.order_parameters["C"] > 40 * (1 - overlap)
    if overlap < 0.98:
        truth = by_hand.binary(0.6, 0.0, dict(point.order_parameters))
        assert point["local_entropy"] == pytest.approx(truth["local_entropy"], abs=1e-10)
    assert point.error < 1e-11


def test_a_shift_of_1e12_and_a_variance_of_1e_minus_25_keep_their_digits() -> None:
    """The exact number was integrated to 40 digits over the maximising field, outside of the engine."""
    point = solved(alpha=0.199, kappa=-0.28, distance=0.027)
    assert point.order_parameters["C"] > 1e12 and point.order_parameters["q0hat"] < 1e-24
    assert abs(point["complexity"] + 0.258092977839612451) <= point["complexity_error"] < 1e-12
    assert solved(alpha=0.199, kappa=-0.28, distance=0.018).error < 1e-12


def test_a_branch_that_leaves_double_precision_says_so() -> None:
    point = solved(overlap=0.9999)
    assert point.status is Status.NOT_CONVERGED and "could be followed" in point.message


def test_no_typical_solutions_leave_no_clusters_and_say_why() -> None:
    point = solved(model="spherical-perceptron", alpha=1.7, kappa=0.9, overlap=0.8)
    assert point.status is Status.NO_SADDLE and "at the capacity" in point.message


def test_rows_name_infinity_and_have_no_free_entropy() -> None:
    curve = saddle.Curve((solved(overlap=0.9),))
    document = json.loads(curve.to_json())
    row = document["rows"][0]
    assert row["y"] == document["parameters"]["y"] == "inf"
    assert row["free_entropy"] is None and document["value"] == row["local_entropy"]
    assert {"q0", "q1", "q0hat", "q1hat", "B", "C"} == set(row["order_parameters"])
    assert row["order_parameters"]["q0"] == row["order_parameters"]["q1"]
    assert ",inf," in curve.to_csv()


@pytest.mark.parametrize(
    ("model", "ansatz", "words"),
    [
        ("symmetric-binary-perceptron", "local-entropy", "it has none"),
        ("spherical-perceptron", "local-entropy-reference", "centre of its replicas"),
        ("binary-perceptron", "rs", "no single multiplicity"),
    ],
)
def test_what_has_no_limit_is_refused_with_the_reason(model: str, ansatz: str, words: str) -> None:
    with pytest.raises(replica.UnsupportedAnsatz, match=words):
        infinite_limit((model, ansatz))


@pytest.mark.parametrize(
    ("model", "ansatz"),
    [("binary-perceptron", "local-entropy"), ("binary-perceptron", "local-entropy-reference"),
     ("spherical-perceptron", "local-entropy")],
)  # fmt: skip
def test_limit_is_printed(model: str, ansatz: str) -> None:
    limit = infinite_limit((model, ansatz))
    text, latex = limit.text(), limit.latex()
    assert "max_" in text and r"\max_" in latex
    assert max(map(len, text.splitlines())) <= 100
    assert latex.count("{") == latex.count("}") and latex.count(r"\begin") == latex.count(r"\end")
    assert len(limit.saddle_equations()) == len(limit.unknowns)


@pytest.mark.parametrize(("activation", "overlap"), [("relu", 0.6), ("sign", 0.5)])
def test_committees_against_the_oracle(activation: str, overlap: float) -> None:
    model = replica.zoo.MODELS["tree-committee"](activation)  # type: ignore[call-arg]
    point = saddle.solve((model, "local-entropy"), alpha=0.6, kappa=0.0, y=math.inf, overlap=overlap)
    limit, values = infinite_limit((model, "local-entropy")), {**point.order_parameters, "alpha": 0.6, "kappa": 0.0}
    rule = OracleRule(20, 0.05, 11.0)
    assert abs(point["local_entropy"] - evaluate(limit.leading, values, rule=rule)) <= point.error
    assert abs(point["complexity"] - evaluate(limit.next, values, rule=rule)) <= point["complexity_error"]
    for equation in limit.saddle_equations():
        left, right = (evaluate(side, values, rule=rule) for side in equation.args)
        assert abs(left - right) < 1e-10


def test_a_document_of_a_committee_is_recomputed() -> None:
    curve = saddle.local_entropy(replica.zoo.model("tree-committee", activation="relu"), 0.4, 0.1, y="inf", overlap=[0.9])
    stored = json.loads(curve.to_json())
    (row,) = stored["rows"]
    assert stored["provenance"]["command"][5:7] == ["--activation", "relu"]
    assert row["kappa_normalized"] > row["kappa"]
    assert row["free_entropy"] is None and stored["value"] == row["local_entropy"]
    assert recompute(stored).agrees
    stored["value"] = row["local_entropy"] = row["local_entropy"] + 1e-9
    assert not recompute(stored).agrees


def test_the_kernel_of_a_series_holds_its_coefficients() -> None:
    model = replica.zoo.tree_committee("tanh")
    source = infinite_kernel_source(model, zoo.local_entropy())
    used = set(re.findall(r"\b_(?:Series|Gap)_\w+", source))
    assert used and used == set(re.findall(r"^(_\w+) = np\.array", source, flags=re.MULTILINE))
