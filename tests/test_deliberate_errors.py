"""Every shipped check notices the error that it is there for, made on purpose in a copy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import sympy as sp

import replica
import saddle
from replica import FreeEntropy
from replica.ansatz import Leaf, Node
from replica.parts.pieces import Edge
from saddle.checking import oracle
from saddle.checking.derivatives import gradient_checks, replicon_check
from saddle.checking.finite import finite_checks, limit_check, pair_counts_check
from saddle.checking.interior import interior_point
from saddle.checking.kernels import kernel_checks
from saddle.checking.outcome import Check
from saddle.checking.reductions import reduction_checks
from saddle.kernels.kernel_source import render

COMPILER = "cast(_F, njit(cache=True, error_model='numpy', nogil=True)(function))"
Q, QHAT, KAPPA = sp.symbols("q qhat kappa")


def rs() -> FreeEntropy:
    return replica.derive("binary-perceptron", "rs")


def franz_parisi() -> FreeEntropy:
    return replica.derive("binary-perceptron", "franz-parisi")


def failed(checks: Check | list[Check]) -> set[str]:
    return {check.name for check in (checks if isinstance(checks, list) else [checks]) if not check.passed}


def in_step(f: FreeEntropy, index: int, change: Callable[[sp.Expr], sp.Expr], name: str) -> FreeEntropy:
    """A copy with one equation of one step changed."""
    step = f.steps[index]
    equations = tuple((label, change(expr) if label == name else expr) for label, expr in step.equations)
    return replace(f, steps=(*f.steps[:index], replace(step, equations=equations), *f.steps[index + 1 :]))


def finite(f: FreeEntropy) -> list[Check]:
    return finite_checks(f, interior_point(f), False)


def gradient(f: FreeEntropy) -> list[Check]:
    return gradient_checks(f, interior_point(f), 20)


def limit(f: FreeEntropy) -> Check:
    return limit_check(f, interior_point(f))


def replicon(f: FreeEntropy) -> Check:
    return replicon_check(f, interior_point(f))


def test_nothing_fails_before() -> None:
    f = rs()
    assert not failed([pair_counts_check(f), *finite(f), limit(f), *gradient(f), replicon(f)])


def test_a_wrong_number_of_pairs() -> None:
    f = rs()
    n = sp.Symbol("n")
    assert failed(pair_counts_check(replace(f, counts={"q": n**2 / 2})))
    assert failed(pair_counts_check(replace(f, counts={"q": n * (n - 1)})))
    assert failed(pair_counts_check(replace(f, weight_of={"q": sp.Integer(-1)})))


@pytest.mark.parametrize(
    ("name", "change", "notices"),
    [
        ("G_E", lambda e: e.subs(KAPPA, -KAPPA), "finite n, patterns"),
        ("G_E", lambda e: e.subs(Q, Q**2), "finite n, patterns"),
        ("G_I", lambda e: -e, "finite n, weights"),
        ("G_I", lambda e: e + sp.Symbol("n") * QHAT / 2, "finite n, weights"),
        ("G_S", lambda e: e.subs(sp.Symbol("n"), sp.Symbol("n") - 1), "finite n, weights"),
    ],
)
def test_an_error_at_symbolic_multiplicities(name: str, change: Callable[[sp.Expr], sp.Expr], notices: str) -> None:
    wrong = in_step(rs(), 3, change, name)
    assert failed(finite(wrong)) == {notices}
    assert failed(limit(wrong))


def test_swapped_overlaps_at_symbolic_multiplicities() -> None:
    f = franz_parisi()
    step = f.steps[3]
    swap = {sp.Symbol("p"): sp.Symbol("t"), sp.Symbol("t"): sp.Symbol("p")}
    definitions = tuple((symbol, expr.subs(swap, simultaneous=True)) for symbol, expr in step.definitions)
    wrong = replace(f, steps=(*f.steps[:3], replace(step, definitions=definitions), *f.steps[4:]))
    assert "finite n, patterns" in failed(finite(wrong))


def test_an_error_in_the_limit() -> None:
    f = rs()
    assert failed(limit(replace(f, energetic=-f.energetic)))
    assert failed(limit(replace(f, interaction=2 * f.interaction)))
    assert failed(limit(in_step(f, 4, lambda e: e / 2, "G_S")))


@pytest.mark.parametrize(
    ("wrong", "notices"),
    [
        (lambda f: replace(f, energetic_pairs={"q": -f.energetic_pairs["q"]}), "gradient in the overlaps"),
        (lambda f: replace(f, energetic=f.energetic.subs(KAPPA, -KAPPA)), "gradient in the overlaps"),
        (lambda f: replace(f, weight_of={"q": sp.Integer(-1)}), "gradient in the overlaps"),
        (lambda f: replace(f, weight_pairs={"q": f.weight_pairs["q"] ** 2}), "gradient in the conjugates"),
        (lambda f: replace(f, interaction=Q * QHAT / 2), "gradient in the conjugates"),
        (lambda f: replace(f, interaction=-f.interaction), "gradient in the conjugates"),
    ],
)
def test_an_error_in_a_saddle_equation(wrong: Callable[[FreeEntropy], FreeEntropy], notices: str) -> None:
    assert notices in failed(gradient(wrong(rs())))


def test_swapped_equations_are_named() -> None:
    f = franz_parisi()
    pairs = dict(f.weight_pairs)
    pairs["p"], pairs["t"] = pairs["t"], pairs["p"]
    found = gradient(replace(f, weight_pairs=pairs))
    assert failed(found) == {"gradient in the conjugates"}
    assert any("phat" in check.detail or "that" in check.detail for check in found)


def test_an_error_in_the_equation_of_the_reference() -> None:
    f = franz_parisi()
    wrong = replace(f, energetic_pairs={**f.energetic_pairs, "qr": 2 * f.energetic_pairs["qr"]})
    assert "reduction: the reference is rs" in failed(reduction_checks(wrong, interior_point(wrong)))


def test_a_reference_that_is_another_problem() -> None:
    f = franz_parisi()
    wrong = replace(f, ansatz=replace(f.ansatz, reference="1rsb", given=(("qr", "q0"),)))
    assert "reduction: the reference is 1rsb" in failed(reduction_checks(wrong, interior_point(f)))


def test_an_error_in_the_replicon() -> None:
    f = rs()
    found = f.replicons["root"]
    assert failed(replicon(replace(f, replicons={"root": replace(found, energetic=2 * found.energetic)})))
    assert failed(replicon(replace(f, replicons={"root": replace(found, weights=found.weights**2)})))


def test_an_error_in_one_step_of_symmetry_breaking() -> None:
    """A power dropped from the tilt is invisible at m = 1, not where the states merge."""
    f = replica.derive("spherical-perceptron", "1rsb")
    wrong = replace(f, energetic=f.energetic * sp.Symbol("m"))
    found = failed(reduction_checks(wrong, interior_point(wrong)))
    assert found == {"reduction: q1 = q0 merges state into root"}


Y = sp.Symbol("y")
OWN = f"{Path(__file__).parent / 'own_models' / 'ternary.py'}:ternary"
KINDS: list[tuple[str, Callable[[], FreeEntropy], Callable[[FreeEntropy], FreeEntropy], str]] = [
    (
        "a window with one edge moved",
        lambda: replica.derive("symmetric-binary-perceptron", "franz-parisi"),
        lambda f: in_step(f, 3, lambda e: e.xreplace({-KAPPA: KAPPA / 2}), "G_E"),
        "finite n, patterns",
    ),
    (
        "an edge of a window that is lost in a saddle equation",
        lambda: replica.derive("u-function-perceptron", "1rsb"),
        lambda f: replace(f, energetic_pairs={"q1": f.energetic_pairs["q1"].replace(_is_second_edge, lambda e: 0 * e)}),
        "gradient in the overlaps",
    ),
    (
        "the wrong sign of a temperature",
        lambda: replica.derive(replica.soft(replica.zoo.binary_perceptron()), "rs"),
        lambda f: in_step(f, 3, lambda e: e.subs(sp.Symbol("beta"), -sp.Symbol("beta")), "G_E"),
        "finite n, patterns",
    ),
    (
        "a teacher whose overlap is left out",
        lambda: replica.derive("teacher-student", "rs"),
        lambda f: replace(f, interaction=f.interaction.subs(sp.Symbol("r"), 0)),
        "gradient in the conjugates",
    ),
    (
        "one label instead of two",
        lambda: replica.derive("teacher-student", "rs"),
        lambda f: in_step(f, 3, lambda e: e - sp.log(2), "G_E"),
        "finite n, patterns",
    ),
    (
        "pairs of a cluster counted with a replica too many",
        lambda: replica.derive("binary-perceptron", "local-entropy"),
        lambda f: replace(f, interaction=f.interaction.subs(Y, Y + 1)),
        "gradient in the conjugates",
    ),
    (
        "a power of a cluster with a replica too many",
        lambda: replica.derive("spherical-perceptron", "local-entropy"),
        lambda f: replace(f, energetic=f.energetic.subs(Y, Y + 1)),
        "gradient in the overlaps",
    ),
    (
        "a reference whose sign is lost",
        lambda: replica.derive("binary-perceptron", "local-entropy-reference"),
        lambda f: replace(f, weight_pairs={**f.weight_pairs, "S": -f.weight_pairs["S"]}),
        "gradient in the conjugates",
    ),
    (
        "a norm that is taken for 1",
        lambda: replica.derive(OWN, "rs"),
        lambda f: replace(f, energetic=f.energetic.subs(sp.Symbol("Q"), 1)),
        "gradient in the overlaps",
    ),
    (
        "a chain factor of a committee that is dropped",
        lambda: replica.derive("tree-committee", "rs"),
        lambda f: replace(f, energetic_pairs={"q": f.energetic_pairs["q"] / 2}),
        "gradient in the overlaps",
    ),
]


def _is_second_edge(expr: sp.Expr) -> bool:
    return isinstance(expr, Edge) and expr.index == 2


@pytest.mark.parametrize(("make", "wrong", "notices"), [pytest.param(*kind[1:], id=kind[0]) for kind in KINDS])
def test_an_error_of_every_kind_of_model_and_ansatz(
    make: Callable[[], FreeEntropy],
    wrong: Callable[[FreeEntropy], FreeEntropy],
    notices: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oracle, "_AFFORDABLE", {0: 30})  # numbers from the grid: the errors are large
    changed = wrong(make())
    checks = finite(changed) if notices.startswith("finite") else gradient(changed)
    assert notices in failed(checks)


@pytest.mark.parametrize(
    ("before", "after", "notices"),
    [
        (r"out\[1\] = ", "out[1] = -", {"kernel values"}),
        (r"    _kappa = p\[2\]", "    _kappa = -p[2]", {"kernel values"}),
        (r"    out\[2\] = ", "    out[2] = 2.0 * ", {"kernel Jacobian"}),
        (r"\+= (_weight\d+ \* _logh\d+)", r"-= \1", {"kernel values"}),
    ],
)
def test_an_error_in_a_kernel(before: str, after: str, notices: set[str]) -> None:
    f = rs()
    source = render(f).replace(COMPILER, "function")
    wrong, count = re.subn(before, after, source)
    assert count
    kernel = ModuleType("wrong_kernel")
    exec(compile(wrong, "kernel", "exec"), kernel.__dict__)
    assert failed(kernel_checks(f, interior_point(f), kernel)) & notices == notices


def test_swapped_arguments_of_a_kernel() -> None:
    f = franz_parisi()
    source = render(f).replace(COMPILER, "function")
    first, second = "    _t = p[1]\n    _p = p[2]\n", "    _t = p[2]\n    _p = p[1]\n"
    assert first in source
    kernel = ModuleType("wrong_kernel")
    exec(compile(source.replace(first, second), "kernel", "exec"), kernel.__dict__)
    assert "kernel values" in failed(kernel_checks(f, interior_point(f), kernel))


def test_a_copy_is_checked_as_it_is() -> None:
    f = rs()
    wrong = replace(f, energetic_pairs={"q": -f.energetic_pairs["q"]})
    assert {check.name for check in saddle.check(wrong) if not check.passed} >= {"gradient in the overlaps"}


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(replica.InputError):
        saddle.check("binary-perceptron")
    with pytest.raises(replica.InputError):
        saddle.check(rs(), "rs")
    with pytest.raises(replica.InputError):
        saddle.check("binary-perceptron", replace(replica.zoo.rs(), tree=Node("root", (("m", Leaf("w")),))))
