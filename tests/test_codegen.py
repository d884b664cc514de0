"""The printed kernels: no kink is lost, no name collides, and plain Python agrees with compiled code."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy as sp

import replica
from replica.expr import SPECIAL, Average, H, Log2Cosh, LogH, Mills, Step
from replica.fields import Definitions
from replica.passes import linear_arguments, merge
from saddle.checking.interior import interior_point
from saddle.kernels.codegen import KernelWriter, split_tilts
from saddle.kernels.kernel import load_kernel
from saddle.kernels.kernel_source import Layout, render
from saddle.kernels.quadrature import Rule
from saddle.kernels.window import fineness, gathered, shortened, tilted
from saddle.points.problem import Problem

COMPILER = "cast(_F, njit(cache=True, error_model='numpy', nogil=True)(function))"
BINARY, SPHERICAL = "binary-perceptron", "spherical-perceptron"
PAIRINGS = [(model, ansatz) for model in (BINARY, SPHERICAL) for ansatz in ("rs", "1rsb", "franz-parisi")]
x, y, z, a, b, c, v, w = sp.symbols("x y z a b c v w")


def uncompiled(source: str) -> ModuleType:
    """The kernel module as plain Python."""
    assert COMPILER in source
    module = ModuleType("uncompiled_kernel")
    exec(compile(source.replace(COMPILER, "function"), "kernel", "exec"), module.__dict__)
    return module


FUNCTIONS = ("energetic", "energetic_jacobian", "weights", "weights_jacobian")


def outputs(kernel: ModuleType, derived: Any, rule: Rule, names: tuple[str, ...] = FUNCTIONS) -> dict[str, np.ndarray]:
    """What the value and Jacobian functions of a kernel return at a generic point."""
    point = interior_point(derived)
    given = {name: point[name] for k in kernel.META["given"] for name in (k, k + "hat")}
    problem = Problem(kernel, point, given)
    place = problem.raw_place({k: point[k] for k in problem.active})
    n = len(problem.active)
    columns = n if problem.discrete else len(problem.free)
    energetic, weights = problem.energetic_arguments(place), problem.weights_arguments(place, point)
    sizes = dict(zip(FUNCTIONS, (1 + n, 1 + n + n * n, 1 + n, 1 + n + n * columns), strict=True))
    arguments = {name: energetic if name.startswith("energetic") else weights for name in FUNCTIONS}
    return {name: problem.call(name, arguments[name], sizes[name], rule) for name in names}


# ---------------------------------------------------------------------------------------------------------- kinks


def distinct_arguments(body: sp.Expr, variable: sp.Symbol) -> set[sp.Expr]:
    """Special arguments that contain a variable, with variables of inner averages at 0, written out."""
    inner = {average.variable: 0 for average in body.atoms(Average)}
    found = {node.args[0] for node in body.atoms(*SPECIAL) if node.args[0].has(variable)}
    return {sp.expand(argument.subs(inner)) for argument in found}


@pytest.mark.parametrize(("model", "ansatz"), PAIRINGS)
def test_every_special_argument_is_a_kink(model: str, ansatz: str) -> None:
    derived = replica.derive(model, ansatz)
    exprs = [derived.energetic, derived.entropic, *derived.energetic_pairs.values(), *derived.weight_pairs.values()]
    averages = {average for expr in exprs for average in expr.atoms(Average)}
    assert averages
    for average in averages:
        kinks = linear_arguments(average.body, average.variable)
        assert len(kinks) == len(distinct_arguments(average.body, average.variable))
        for slope, rest, _, _, _ in kinks:
            assert slope != 0 and not slope.has(average.variable) and not rest.has(average.variable)


@pytest.mark.parametrize(("model", "ansatz"), PAIRINGS)
def test_every_kink_is_printed(model: str, ansatz: str) -> None:
    """Each loop of the value functions considers as many roots as its body has distinct arguments."""
    derived = replica.derive(model, ansatz)
    for writer in Layout(derived).writers():
        if writer.name not in ("energetic", "weights"):
            continue
        loops: dict[tuple[sp.Symbol, sp.Expr], set[sp.Expr]] = {}
        for output in writer.outputs:
            for average in output.atoms(Average):
                key = (average.variable, average.variance)
                loops.setdefault(key, set()).update(distinct_arguments(average.body, average.variable))
        source = writer.source()
        roots: dict[str, int] = {}
        for tag in re.findall(r"root_(k\d+) = ", source):
            roots[tag] = roots.get(tag, 0) + 1
        assert sorted(roots.values()) == sorted(len(arguments) for arguments in loops.values() if arguments)


def test_an_unexpanded_argument_counts() -> None:
    body = LogH((a - b * (z + c)) / x) * Mills(2 * z)
    found = {(sp.simplify(slope), sp.simplify(rest)) for slope, rest, _, _, _ in linear_arguments(body, z)}
    assert found == {(sp.simplify(-b / x), sp.simplify((a - b * c) / x)), (sp.Integer(2), sp.Integer(0))}


def test_an_inner_variable_smears_a_kink() -> None:
    body = Average(LogH(a - b * z - c * y), y, v)
    ((slope, rest, spread, tilting, _),) = linear_arguments(body, z)
    assert (slope, rest, spread, tilting) == (-b, a, [c**2 * v], False)
    ((*_, tilting, _),) = linear_arguments(H(z + a) ** 2 * x, z)
    assert tilting


def test_a_bent_argument_is_refused() -> None:
    with pytest.raises(replica.NotDifferentiable, match="not linear"):
        linear_arguments(LogH(z**2), z)


# ---------------------------------------------------------------------------------------------------------- passes


def test_merged_variables_give_the_same_number() -> None:
    body = Average(LogH(sp.Rational(1, 3) - y - x / 2), y, v)
    separate = Average(Step(x - sp.Rational(1, 4)) * body, x, w, evaluate=False)
    definitions = Definitions("")
    joined = merge(separate, definitions)
    assert len(joined.atoms(Average)) == 1
    values = {"v": 0.5, "w": 0.75}
    expected = replica.evaluate(separate, values, {}, 14)
    assert abs(replica.evaluate(joined, values, definitions.table, 14) - expected) < 1e-13


def test_tilts_leave_a_body_together() -> None:
    powers, rest = split_tilts(H(z) ** a * Mills(z) + 2 * H(z) ** a)
    assert powers == {H(z): a}
    assert sp.expand(rest - Mills(z) - 2) == 0
    powers, rest = split_tilts(H(z) + 1)
    assert powers == {} and rest.has(LogH)


# ----------------------------------------------------------------------------------------------------------- source


@pytest.mark.parametrize(("model", "ansatz"), PAIRINGS)
def test_plain_python_agrees_with_compiled_code(model: str, ansatz: str) -> None:
    derived, rule = replica.derive(model, ansatz), Rule(0.3, 8.0)
    plain = outputs(uncompiled(render(derived)), derived, rule)
    if ansatz == "1rsb" and model == SPHERICAL:
        assert all(np.isfinite(found).all() for found in plain.values())
        return  # compiled for binary weights: one compilation of four functions is enough
    compiled = outputs(load_kernel(derived.model, derived.ansatz), derived, rule)
    for name, found in plain.items():
        assert np.isfinite(found).all()
        assert np.allclose(found, compiled[name], rtol=1e-12, atol=1e-13), name


def test_value_and_jacobian_functions_return_the_same_values() -> None:
    derived = replica.derive(BINARY, "franz-parisi")
    found = outputs(uncompiled(render(derived)), derived, Rule(0.3, 8.0))
    for side in ("energetic", "weights"):
        assert np.allclose(found[side], found[f"{side}_jacobian"][: len(found[side])], rtol=1e-13, atol=0.0)


def test_names_of_the_user_and_of_the_printer_do_not_meet() -> None:
    """An overlap may be called like any name that the printer makes up."""
    base = replica.zoo.franz_parisi()

    def with_name(name: str) -> tuple[str, np.ndarray]:
        overlaps = tuple((key, name if own == "t" else own) for key, own in base.overlaps)
        derived = replica.derive(BINARY, replace(base, overlaps=overlaps, meaning=()))
        source = render(derived)
        return source, outputs(uncompiled(source), derived, Rule(0.4, 7.0), ("energetic",))["energetic"]

    source, expected = with_name("t")
    function = source.split("def energetic(")[1].split("def energetic_jacobian(")[0]
    made_up = sorted(set(re.findall(r"^ +_(a\d\d+) =", function, re.M)))
    assert len(made_up) > 3
    for name in [*made_up[::2], "out"]:
        assert np.array_equal(with_name(name)[1], expected), name


@pytest.mark.parametrize(("model", "ansatz"), PAIRINGS)
def test_a_name_is_read_only_after_it_is_written(model: str, ansatz: str) -> None:
    """In every printed function each local name is assigned before its first use, in the order of the lines."""
    tree = ast.parse(render(replica.derive(model, ansatz)))
    printed = [f for f in tree.body if isinstance(f, ast.FunctionDef) and [arg.arg for arg in f.args.args][:2] == ["p", "S"]]
    assert len(printed) >= 8
    for function in printed:
        written = {arg.arg: 0 for arg in function.args.args}
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        for node in names:
            if isinstance(node.ctx, ast.Store):
                written[node.id] = min(node.lineno, written.get(node.id, node.lineno))
        for node in names:
            if isinstance(node.ctx, ast.Load) and node.id.startswith("_") and node.id in written:
                assert written[node.id] <= node.lineno, (function.name, node.id)


def test_an_undefined_symbol_is_an_error() -> None:
    writer = KernelWriter("broken", ["a"], {}, [Average(Log2Cosh(z + b), z, a)])
    with pytest.raises(KeyError, match="undefined symbols"):
        writer.source()


@pytest.mark.parametrize("a, b, variance", [(6.0, -40.0, 0.9), (3.0, 0.7, 0.9), (-2.0, 5.0, 0.01), (90.0, -300.0, 0.7)])
def test_a_range_ends_where_a_tail_leaves_what_the_reach_leaves(a: float, b: float, variance: float) -> None:
    half, reach = 0.5 / variance, 10.0

    def cost(z: float) -> float:
        return half * z * z + 0.5 * max(0.0, a + b * z) ** 2

    bulk = -a * b * variance / (1.0 + b * b * variance) if a > 0.0 else 0.0
    most, sd = 0.5 * reach**2 + cost(bulk), variance**0.5
    low, high = min(bulk, 0.0) - reach * sd, max(bulk, 0.0) + reach * sd
    ends = shortened(low, high, a, b, half, most)
    assert low <= ends[0] < bulk < ends[1] <= high
    for end, widest in zip(ends, (low, high), strict=True):
        assert end == widest or cost(end) == pytest.approx(most)
    assert ends != (low, high)


def test_only_tails_in_front_of_a_body_shorten_its_range() -> None:
    tail = H(a - b * z)

    def source(body: sp.Expr) -> str:
        return KernelWriter("energetic", ["a", "b", "v"], {}, [Average(body, z, v)]).source()

    assert "shortened(" in source(tail * LogH(z))
    assert "shortened(" not in source(tail * sp.exp(3 * z) * LogH(z))
    assert "shortened(" not in source(tail + LogH(z))


def test_nodes_resolve_a_mass_that_a_tail_has_made_narrow() -> None:
    variance, slope, rest = 1.0, -10.0, 3000.0  # the root lies 300 standard deviations out
    bulk, spread = tilted(0.0, 1.0, rest, slope, variance)
    assert bulk == pytest.approx(300.0 / 1.01) and spread == pytest.approx(1.0 / 101.0**0.5)
    assert gathered(bulk, 1.0, bulk, spread) < 3.0 * spread
    assert gathered(0.0, 1.0, bulk, spread) == 1.0
    assert fineness(1.0, bulk, 2.0 * spread, bulk, 1.0, bulk - 9.0 * spread, 2.0 * spread, True) > 1.0
