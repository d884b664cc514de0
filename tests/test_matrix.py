"""Every cell of the matrix models x ansatze: derivation, reductions, kernel and solution.

In CI numbers of averages come from a grid in double precision and kernels run as plain Python; with ``-m full`` they come
from mpmath, kernels are compiled, and every cell is solved.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sympy as sp

import replica
import saddle
from replica import FreeEntropy, InputError, Model, zoo
from replica.ansatz import conjugate, multiplicity
from saddle import cli, matrix
from saddle.checking import oracle
from saddle.checking.derivatives import gradient_checks
from saddle.checking.finite import finite_checks, pair_counts_check
from saddle.checking.grid import nesting
from saddle.checking.interior import interior_point
from saddle.checking.kernels import kernel_checks
from saddle.checking.outcome import Check, Tally
from saddle.checking.reductions import reduction_checks
from saddle.kernels.kernel_source import render
from saddle.kernels.quadrature import Rule
from saddle.matrix import Cell

PROJECT = Path(__file__).resolve().parents[1]
COMPILER = "cast(_F, njit(cache=True, error_model='numpy', nogil=True)(function))"
OWN = Path(__file__).parent / "own_models" / "ternary.py"
CELLS = list(matrix.cells())
DERIVED = [cell for cell in CELLS if cell.verdict != matrix.NO]
SOLVED = [cell for cell in CELLS if cell.verdict == matrix.YES]
BASE: dict[str, dict[str, float]] = {
    "binary": {"alpha": 0.5, "kappa": 0.0},
    "spherical": {"alpha": 1.0, "kappa": 0.0},
    "symmetric": {"alpha": 1.0, "kappa": 1.0},
    "u-function": {"alpha": 0.8, "kappa": 0.6},
    "teacher": {"alpha": 0.8, "kappa": 0.0},
    "committee": {"alpha": 0.5, "kappa": 0.0},
    "spherical committee": {"alpha": 1.0, "kappa": 0.0},
    "own": {"alpha": 0.3, "kappa": 0.0},
}
REFERENCE = {"spherical": 0.3, "symmetric": 0.8, "u-function": 0.7, "binary": 0.2}
ASKED: dict[str, dict[str, float]] = {
    "rs": {},
    "1rsb": {"m": 0.5},
    "franz-parisi": {"distance": 0.1},
    "local-entropy": {"y": 3.0, "overlap": 0.8},
    "local-entropy-reference": {"y": 5.0, "distance": 0.1},
}
DEEP_KERNELS = [
    ("binary", "local-entropy-reference"), ("committee", "1rsb"), ("own", "franz-parisi"),
]  # fmt: skip
"""Kernels of two dimensions that CI has time for; those of other tests are compiled."""
BROKEN = {"spherical": {"alpha": 9.0, "kappa": -1.0, "m": 0.3}, "spherical committee": {"alpha": 2.6, "m": 0.3}}
"""Where replica symmetry is broken and not frozen."""
COLD: dict[str, dict[str, float]] = {
    "binary": {"alpha": 1.2, "beta": 6.0},
    "spherical": {"alpha": 4.0, "beta": 6.0},
    "symmetric": {"alpha": 2.0, "beta": 5.0},
    "u-function": {"alpha": 2.5, "beta": 6.0},
    "teacher": {"alpha": 2.0, "kappa": 0.5, "beta": 6.0},
    "committee": {"alpha": 1.5, "beta": 6.0},
    "spherical committee": {"alpha": 4.0, "beta": 6.0},
    "own": {"alpha": 2.0, "beta": 6.0},
}
"""More patterns than can be fulfilled at low temperature: states of continuous weights, frozen configurations of others."""


def model_of(cell: Cell) -> Model:
    model = zoo.model(f"{OWN}:ternary") if cell.row.model == matrix.OWN else zoo.model(cell.row.model, **cell.row.options)
    return replica.soft(model) if cell.column.hot else model


def derivations(cells: list[Cell], kernels: bool = False) -> list[Any]:
    """The pairings of these cells without repetition, each with its name; what CI has no time for is marked."""
    found = {(c.row.name, c.column.ansatz, c.column.hot): c for c in cells}
    marks = {True: [pytest.mark.full], False: []}
    named = ((f"{c.row.short}-{c.column.ansatz}{'-beta' * c.column.hot}", c) for c in found.values())
    return [pytest.param(c, id=name, marks=marks[_long(c, kernels)]) for name, c in named]


def _long(cell: Cell, kernels: bool) -> bool:
    """Whether a pairing is left to the whole run: one whose parts others have, and most kernels of two dimensions."""
    short, ansatz, hot = cell.row.short, cell.column.ansatz, cell.column.hot
    if hot and (short not in ("binary", "symmetric", "teacher") or (ansatz == "franz-parisi" and short != "binary")):
        return True
    if (short == "spherical committee" and ansatz != "rs") or (short, ansatz) == ("teacher", "franz-parisi"):
        return True
    shallow = ansatz == "rs" or (short in ("symmetric", "u-function") and not hot)
    return kernels and not shallow and (hot or (short, ansatz) not in DEEP_KERNELS)


def named(cells: list[Cell]) -> list[Any]:
    return [pytest.param(c, id=f"{c.row.short}-{c.column.name}") for c in cells]


@cache
def derived(model: Model, ansatz: str) -> FreeEntropy:
    return replica.derive(model, ansatz)


def annealed_check(f: FreeEntropy, point: dict[str, float]) -> list[Check]:
    """Where clusters have no overlap, the free entropy is that of one cluster, averaged over the patterns."""
    root = f.ansatz.tree
    if len(root.groups) > 1 or f.ansatz.vanishing != ("n",):
        return []
    values = dict(point)
    for (node, _, _), name in f.ansatz.names().items():
        if node == root.name:
            values |= {name: 0.0, conjugate(name): 0.0}
    (number,) = sp.solve(multiplicity(root.groups[0][0]) - 1, sp.Symbol("n"))
    values["n"] = float(number.subs(values))
    step, tally = f.steps[3], Tally()
    finite = {name: oracle.number(expr, values, dict(step.definitions), 12) for name, expr in step.equations}
    terms = {"G_E": f.energetic, "G_I": f.interaction, "G_S": f.entropic}
    for name, expr in terms.items():
        tally.compare(name, oracle.number(expr, values, f.definitions, 12), finite[name] / values["n"])
    return [tally.outcome("reduction: annealed", 1e-8)]


def uncompiled(f: FreeEntropy) -> ModuleType:
    module = ModuleType("uncompiled_kernel")
    exec(compile(render(f).replace(COMPILER, "function"), "kernel", "exec"), module.__dict__)
    return module


# ------------------------------------------------------------------------------------------------------- contract


@pytest.fixture
def on_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Averages are summed on a grid in double precision."""
    monkeypatch.setattr(oracle, "_AFFORDABLE", {0: 30})


@pytest.mark.usefixtures("on_a_grid")
@pytest.mark.parametrize("cell", derivations(DERIVED))
def test_gradient_and_finite_n(cell: Cell) -> None:
    f = derived(model_of(cell), cell.column.ansatz)
    point = interior_point(f)
    checks = [pair_counts_check(f), *finite_checks(f, point, False), *gradient_checks(f, point, 20)]
    assert all(check.passed for check in checks), checks
    assert len(checks) >= 3 + bool(f.order_parameters)


@pytest.mark.usefixtures("on_a_grid")
@pytest.mark.parametrize("cell", derivations(SOLVED))
def test_reductions(cell: Cell) -> None:
    f = derived(model_of(cell), cell.column.ansatz)
    point = interior_point(f)
    checks = [*reduction_checks(f, point), *annealed_check(f, point)]
    assert all(check.passed for check in checks), checks
    assert checks or cell.column.ansatz == "rs"


@pytest.mark.usefixtures("on_a_grid")
@pytest.mark.parametrize("cell", derivations(SOLVED, kernels=True))
def test_uncompiled_kernel(cell: Cell) -> None:
    f = derived(model_of(cell), cell.column.ansatz)
    rule = Rule(0.1, 11.0) if nesting(f.energetic) < 2 else Rule(0.17, 9.0)
    checks = kernel_checks(f, interior_point(f), uncompiled(f), rule)
    assert all(check.passed for check in checks), checks
    assert {"kernel values"} <= {check.name for check in checks}


@pytest.mark.full
@pytest.mark.parametrize("cell", derivations(SOLVED))
def test_whole_contract(cell: Cell) -> None:
    """Averages by mpmath, kernels compiled."""
    f = derived(model_of(cell), cell.column.ansatz)
    checks = [*saddle.check(f), *annealed_check(f, interior_point(f))]
    assert all(check.passed for check in checks), checks


# ------------------------------------------------------------------------------------------------------ solutions


def solved(cell: Cell) -> Any:
    short, column, model = cell.row.short, cell.column, model_of(cell)
    values = dict(BASE[short])
    if column.multiplicity == "clones":
        return saddle.ogp(model, values["kappa"], 3).points[0]
    if column.ansatz == "1rsb" and column.hot:  # the Parisi parameter is extremised
        return saddle.solve((model, column.ansatz), **values | COLD[short])
    values |= ASKED[column.ansatz] | (BROKEN.get(short, {}) if column.ansatz == "1rsb" else {})
    if short == "own" and "overlap" in values:  # a distance, since the norm is not fixed
        values["distance"] = 0.1
        del values["overlap"]
    if column.multiplicity == "inf":
        values["y"] = math.inf
    if column.hot:
        values["beta"] = 2.0
    if column.ansatz == "franz-parisi":
        values |= {"reference_kappa": REFERENCE.get(short, 0.1)} | ({"reference_beta": 2.0} if column.hot else {})
    return saddle.solve((model, column.ansatz), **values)


@pytest.mark.usefixtures("plain_python")
@pytest.mark.parametrize("cell", named([c for c in SOLVED if c.column.ansatz == "rs"]))
def test_a_cell_is_solved(cell: Cell) -> None:
    point = solved(cell)
    assert point.status.has_value, point.message
    assert max(point.error, point.residual) < 1e-9


@pytest.mark.full
@pytest.mark.parametrize("cell", named([c for c in SOLVED if c.column.ansatz != "rs"]))
def test_every_cell_is_solved(cell: Cell) -> None:
    point = solved(cell)
    assert point.status.has_value, point.message
    assert max(point.error, point.residual) < 1e-9


@pytest.mark.parametrize("cell", named([c for c in CELLS if c.verdict == matrix.NO]))
def test_what_makes_no_sense_is_refused(cell: Cell) -> None:
    with pytest.raises(InputError) as caught:
        solved(cell)
    assert "\n" not in str(caught.value)
    assert cell.reason


# --------------------------------------------------------------------------------------------------------- tables


def test_every_model_and_ansatz_has_its_cells() -> None:
    assert {cell.row.model for cell in CELLS} == {*zoo.MODELS, matrix.OWN}
    assert {cell.column.ansatz for cell in CELLS} == {*zoo.ANSATZE}
    assert len(CELLS) == len(matrix.ROWS) * len(matrix.COLUMNS)
    assert all(bool(cell.reason) == (cell.verdict != matrix.YES) for cell in CELLS)
    unknown = [key for key in matrix._EXCEPTIONS if key not in {(c.row.name, c.column.name) for c in CELLS}]
    assert not unknown


def test_the_readme_shows_the_matrix() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    begin, end = "<!-- matrix: begin (the text of saddle.matrix.markdown) -->\n", "\n<!-- matrix: end -->"
    assert readme.partition("## Models and ansatze\n")[2].partition(begin)[2].partition(end)[0] == matrix.markdown()


def test_the_command_prints_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["matrix"]
    assert found == [cell.as_json() for cell in CELLS]
    assert cli.main(["models"]) == 0
    shown = capsys.readouterr().out
    assert all(reason in shown for reason in matrix.reasons())
    assert sum(line.split()[:2] == ["1rsb", "yes"] for line in shown.splitlines()) == 1
