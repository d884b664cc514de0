"""Infinitely many replicas of a teacher's students, and of weights whose norm is free: formulas typed by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import sympy as sp
import textbook_infinite as by_hand

import saddle
from replica import Model, zoo
from replica.expr import Log2Cosh
from replica.limits.infinite import infinite_limit
from replica.limits.maximum import AtMaximum, JumpSum, Maximum, ScaledAverage
from saddle import cli
from saddle.kernels.codegen import KernelWriter
from saddle.kernels.kernel_source import special_source
from saddle.kernels.quadrature import Rule
from saddle.points.results import SaddlePoint, Status

OWN = Path(__file__).parent / "own_models" / "ternary.py"
ANSATZE = ("local-entropy", "local-entropy-reference")
KNOWN: dict[tuple[str, str], dict[str, float]] = {
    ("teacher", "local-entropy"): {
        "q1": 0.9, "q0hat": 0.031617, "B": 1.755278, "C": 3.347499, "r": 0.473352, "rhat": 0.118558,
    },
    ("teacher", "local-entropy-reference"): {
        "q1": 0.812049, "q0hat": 0.133301, "B": 0.483647, "C": 1.413812, "r_w": 0.476382, "r_what": 0.255079,
        "Shat": 0.740882,
    },
    ("own", "local-entropy"): {"Q": 0.653657, "Qhat": -4.947878, "q0hat": 0.248709, "B": 4.851592, "C": 1.254417},
    ("own", "local-entropy-reference"): {
        "Q_w": 0.635581, "Q_what": -2.531302, "q1": 0.452183, "q0hat": 0.757972, "B": 0.799115, "C": 0.535431,
        "Shat": 1.863495,
    },
}  # fmt: skip
"""Solutions at alpha = 0.7, kappa = 0 to six digits, near which Newton's method starts."""
CELLS = [pytest.param(*cell, id="-".join(cell)) for cell in KNOWN]


def model_of(short: str) -> Model:
    return zoo.model("teacher-student" if short == "teacher" else f"{OWN}:ternary")


def asked(short: str, ansatz: str) -> dict[str, float]:
    """The constraint of the command lines in the documentation: overlap 0.9, or distance 0.05."""
    mutual = short == "teacher" and ansatz == "local-entropy"
    return {"alpha": 0.7, "kappa": 0.0} | ({"overlap": 0.9} if mutual else {"distance": 0.05})


def typed(short: str, alpha: float, kappa: float, point: SaddlePoint) -> dict[str, float]:
    formula = by_hand.binary if short == "teacher" else by_hand.ternary
    return formula(alpha, kappa, dict(point.order_parameters))


@pytest.mark.usefixtures("plain_python")
@pytest.mark.parametrize(("short", "ansatz"), CELLS)
def test_a_saddle_against_hand_typed_equations(short: str, ansatz: str) -> None:
    point = saddle.solve((model_of(short), ansatz), y=math.inf, start=KNOWN[short, ansatz], **asked(short, ansatz))
    truth = typed(short, 0.7, 0.0, point)
    assert point.converged and truth["residual"] < 1e-10
    assert point["local_entropy"] == pytest.approx(truth["local_entropy"], abs=1e-11)
    assert point["complexity"] == pytest.approx(truth["complexity"], abs=1e-11)
    assert point.error < 1e-11


@pytest.mark.full
@pytest.mark.parametrize(
    ("short", "alpha", "kappa", "distance"),
    [("teacher", 0.3, 0.0, 0.4), ("teacher", 0.7, 0.3, 0.1), ("teacher", 1.1, 0.0, 0.03), ("own", 0.3, 0.2, 0.1),
     ("own", 0.7, 0.0, 0.02), ("own", 1.0, 0.0, 0.03)],
)  # fmt: skip
@pytest.mark.parametrize("ansatz", ANSATZE)
def test_branches_against_hand_typed_equations(short: str, ansatz: str, alpha: float, kappa: float, distance: float) -> None:
    if ansatz == "local-entropy-reference":
        distance = min(distance, 0.05)  # farther away a reference does not hold its replicas
    point = saddle.solve((model_of(short), ansatz), y=math.inf, alpha=alpha, kappa=kappa, distance=distance)
    truth = typed(short, alpha, kappa, point)
    assert point.status.has_value and truth["residual"] < 1e-9
    assert abs(point["local_entropy"] - truth["local_entropy"]) < point.error + 1e-11
    assert abs(point["complexity"] - truth["complexity"]) < point.error + 1e-11


@pytest.mark.full
@pytest.mark.parametrize(("short", "ansatz"), [("teacher", ANSATZE[0]), ("own", ANSATZE[0]), ("own", ANSATZE[1])])
def test_large_finite_numbers_approach_the_limit(short: str, ansatz: str) -> None:
    """What is left of the free entropy beside both orders falls like 1/y, and so does the complexity's difference."""
    pairing, parameters = (model_of(short), ansatz), asked(short, ansatz)
    limit = saddle.solve(pairing, y=math.inf, **parameters)
    found = dict(limit.order_parameters)
    left, apart = [], []
    for y in (20.0, 50.0):
        guess = {**found, "q0": found["q1"] - found["C"] / y, "q1hat": found["q0hat"] + found["B"] / y}
        guess |= {"Q_refhat": -y * found["Shat"]} if "Q_ref" in found else {}
        guess = {name: value for name, value in guess.items() if name not in "BC"}
        point = saddle.solve(pairing, y=y, start=guess, **parameters)
        left.append((point.free_entropy - y * limit["local_entropy"] - limit["complexity"]) * y)
        apart.append((point["complexity"] - limit["complexity"]) * y)
    assert left[1] == pytest.approx(left[0], rel=0.2)
    assert apart[1] == pytest.approx(apart[0], rel=0.45)


@pytest.mark.full
@pytest.mark.parametrize(("short", "ansatz"), CELLS)
def test_slope_is_that_of_the_local_entropy(short: str, ansatz: str) -> None:
    parameters = {"alpha": 0.7, "kappa": 0.0, "y": math.inf}
    points = {d: saddle.solve((model_of(short), ansatz), distance=d, **parameters) for d in (0.0499, 0.05, 0.0501)}
    slope = (points[0.0501]["local_entropy"] - points[0.0499]["local_entropy"]) / 2e-4
    assert points[0.05]["slope"] == pytest.approx(slope, rel=1e-5)


@pytest.mark.full
def test_a_reference_far_away_does_not_hold_its_replicas() -> None:
    for name in ("teacher-student", f"{OWN}:ternary"):
        point = saddle.solve(
            (zoo.model(name), "local-entropy-reference"), alpha=0.7, kappa=0.0, y=math.inf, distance=0.4
        )
        assert point.status is Status.BRANCH_END and "field along the reference vanishes" in point.message


FAR = {"Q": 0.369791, "Qhat": 691.68875, "q0hat": 623.61441, "B": -95.9277, "C": -0.17088}


@pytest.mark.usefixtures("plain_python")
def test_replicas_that_are_farther_apart_than_typical_solutions() -> None:
    """The exact number is the sum of three terms integrated to 25 digits, each maximum solved for at every node."""
    point = saddle.solve((zoo.model(f"{OWN}:zero_one"), ANSATZE[0]), alpha=0.5, y=math.inf, distance=0.09, start=FAR)
    assert abs(point["local_entropy"] + 0.257815094066813959) <= point.error < 1e-11
    assert point.status is Status.NEGATIVE_ENTROPY


@pytest.mark.full
@pytest.mark.parametrize(("alpha", "end"), [(0.3, 0.106), (0.5, 0.093)])
def test_branch_ends_where_the_overlap_matrix_stops_being_positive(alpha: float, end: float) -> None:
    pairing = zoo.model(f"{OWN}:zero_one"), ANSATZE[0]
    inside, beyond = (
        saddle.solve(pairing, alpha=alpha, y=math.inf, distance=end + apart) for apart in (-0.0005, 0.001)
    )
    room = inside.order_parameters["Q"] - inside.order_parameters["q1"]
    assert inside.status.has_value and 0.0 < 1.0 + inside.order_parameters["C"] / room < 0.02
    assert beyond.status is Status.BRANCH_END and "stops being positive" in beyond.message


def test_norms_of_a_limit_are_told_apart() -> None:
    limit = infinite_limit((model_of("own"), "local-entropy-reference"))
    shat, q_w, q_ref, d = sp.symbols("Shat Q_w Q_ref D")
    assert limit.imposed == ("D",)
    assert limit.relations == {"S": (q_w + q_ref) / 2 - d}
    assert limit.growing == {"Q_refhat": -shat}
    assert {*limit.readings} == {"Q_ref"} and "Q_ref" not in limit.unknowns


@pytest.mark.parametrize(("short", "ansatz"), CELLS)
def test_limit_is_printed(short: str, ansatz: str) -> None:
    limit = infinite_limit((model_of(short), ansatz))
    text, latex = limit.text(), limit.latex()
    assert "max_" in text and r"\max_" in latex
    assert max(map(len, text.splitlines())) <= 100
    assert latex.count("{") == latex.count("}") and latex.count(r"\begin") == latex.count(r"\end")
    assert len(limit.saddle_equations()) == len(limit.unknowns)
    assert all(name in text for name in (["half a squared distance"] if short == "own" else ["r"]))


# ---------------------------------------------------------------------------------------------------------- jumps


def written(exprs: list[sp.Expr], values: dict[str, float]) -> list[float]:
    """Expressions as a kernel computes them, in plain Python."""
    source = KernelWriter("numbers", list(values), {}, exprs).source()
    space: dict[str, object] = {"_compiled": lambda function: function}
    exec(special_source(compiled=False) + source, space)
    out, (sinh, cosh, origin) = [math.nan] * len(exprs), Rule(0.06).tables()
    space["numbers"]([*values.values()], sinh, cosh, origin, 0.015, 10.0, out)  # type: ignore[operator]
    return out


X, Z, V, A, F = sp.symbols("x z v a f")
TILTED = Maximum(Log2Cosh(F + X + Z), Z, A)


@pytest.mark.parametrize("name", ["f", "a", "v"])
def test_a_jump_that_moves_counts_in_the_second_derivative(name: str) -> None:
    """The maximiser jumps at x = -f for a > 1: derivatives of what jumps there, against differences."""
    average = ScaledAverage(TILTED, X, V)
    first = sp.diff(average, F)
    second = sp.diff(first, sp.Symbol(name))
    assert second.has(JumpSum) and not first.has(JumpSum)
    values, step = {"f": 0.3, "a": 1.7, "v": 0.9}, 1e-4
    (slope,) = written([second], values)
    ends = [written([first], {**values, name: values[name] + sign * step})[0] for sign in (1, -1)]
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.9, 1.003, 2.5])
def test_an_average_between_jumps_is_that_of_a_dense_grid(shift: float) -> None:
    average = ScaledAverage(AtMaximum(sp.tanh(F + X + Z) ** 2, Log2Cosh(F + X + Z), Z, A), X, V)
    (found,) = written([average], {"f": 0.3, "a": shift, "v": 0.9})
    truth = by_hand.weights(0.9, shift, 0.0, 0.3)["t2"]
    assert found == pytest.approx(truth, abs=1e-12)


# ---------------------------------------------------------------------------------------------------- command line


@pytest.mark.full
@pytest.mark.parametrize(("short", "ansatz"), CELLS)
def test_the_command_line(short: str, ansatz: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = "teacher-student" if short == "teacher" else f"{OWN}:ternary"
    constraint = {f"--{k}": v for k, v in asked(short, ansatz).items()} | {"--y": "inf"}
    reference = ["--reference"] if ansatz == "local-entropy-reference" else []
    words = ["local-entropy", model, *(str(x) for pair in constraint.items() for x in pair), *reference, "--json"]
    assert cli.main(words) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["y"] == "inf" and row["free_entropy"] is None and row["status"] == "converged"
    assert row["order_parameters"]["q0"] == row["order_parameters"]["q1"]
    if short == "own":
        norms = [value for name, value in row["order_parameters"].items() if name in ("Q", "Q_w", "Q_ref")]
        overlap = row["order_parameters"]["S" if reference else "q1"]
        assert sum(norms) / len(norms) - overlap == pytest.approx(0.1, abs=1e-12)
