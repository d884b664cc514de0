"""Diagrams as sweeps: rows that do not depend on which others are asked for, nor on who computes them or how often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import saddle
from saddle.command.options import settings_of
from saddle.critical import diagrams, margin_diagram, teacher_diagram, teacher_lines
from saddle.sweeping.packing import line, packed
from saddle.sweeping.plan import units_of

MODEL = "binary-perceptron"
LOADS = [0.72, 0.735, 0.745, 0.7475, 0.76]
"""Both lines, one of them, and none."""
COMMANDS = (
    f"{MODEL} --alpha 0.6:0.75:16",
    "teacher-student --kappa -0.16:-0.01:16",
    "spherical-perceptron --kappa -3:-0.15:400",
)


def same(curve: saddle.Curve, other: saddle.Curve) -> bool:
    """Whether two diagrams are the same to the last bit."""
    points, others = ([line(packed(point)) for point in one] for one in (curve, other))
    return points == others and repr(curve.curves) == repr(other.curves) and type(curve) is type(other)


@pytest.mark.full
def test_a_load_is_the_same_whichever_others_are_asked_for() -> None:
    together = saddle.diagram(MODEL, LOADS)
    diagrams._lines.cache_clear()
    alone = saddle.diagram(MODEL, LOADS[2])
    assert line(packed(alone[0])) == line(packed(together[2]))
    assert [row.row()["kappa_gap"] > 0 for row in together] == [True, True, True, True, False]


def test_rows_are_kept_one_by_one_and_none_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, path, computed = saddle.diagram(MODEL, LOADS), tmp_path / "s.jsonl", []
    row = diagrams._row

    def counted(setting: object, load: float, *rest: object) -> object:
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(load)
        return row(setting, load, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(diagrams, "_row", counted)
    with pytest.raises(KeyboardInterrupt, match="3 of 5 points are in"):
        saddle.sweep("diagram", {"model": MODEL, "alpha": LOADS}, 1, path)
    computed.append(0.0)
    found = saddle.sweep("diagram", {"model": MODEL, "alpha": LOADS}, 1, path)
    assert computed == [*LOADS[:3], 0.0, *LOADS[3:]]
    assert same(found, expected)
    assert {entry["name"] for entry in found.curves} == {"alpha_c", "alpha_LE", "alpha_gap"} and len(found.curves) == 3
    grown = saddle.sweep("diagram", {"model": MODEL, "alpha": [*LOADS, 0.8]}, 1, path)
    assert computed[6:] == [0.8] and same(saddle.Curve(grown.points[:5]), saddle.Curve(expected.points))


OTHERS = {
    "spherical-perceptron": ({"kappa": [-1.2, -0.3, -0.1, 0.0, 0.1, 0.4, 0.7]}, margin_diagram, margin_diagram._instability),
    "teacher-student": ({"kappa": [-0.2, -0.12, 0.0, 0.03, 0.06, 0.3]}, teacher_diagram, teacher_lines._two_phases),
}
"""Diagrams over the margin: margins in several pieces of their lines and units of work, and what finds a piece."""


@pytest.mark.parametrize("model", list(OTHERS))
def test_rows_over_the_margin_are_kept_one_by_one_and_depend_on_no_other(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, module, pieces = OTHERS[model]
    grid, path, computed = {"model": model, **grid}, tmp_path / "s.jsonl", []
    expected, row = saddle.diagram(**grid), module._row  # type: ignore[attr-defined]

    def counted(*given: object) -> object:
        if len(computed) == 5:
            raise KeyboardInterrupt
        computed.append(given)
        return row(*given)

    monkeypatch.setattr(module, "_row", counted)
    with pytest.raises(KeyboardInterrupt, match="5 of"):
        saddle.sweep("diagram", grid, 1, path)
    computed.append(())
    pieces.cache_clear()
    assert same(saddle.sweep("diagram", grid, 1, path), expected)
    assert same(saddle.load_store(path).curve, expected)
    assert len(computed) == len(expected) + 1
    pieces.cache_clear()
    alone = saddle.diagram(model, kappa=grid["kappa"][1])
    assert line(packed(alone[0])) == line(packed(expected[1])) and repr(alone.curves) == repr(expected.curves)


def test_a_diagram_is_cut_into_units_of_four_rows() -> None:
    args = settings_of("diagram", {"model": "teacher-student", "kappa": "-0.2:0.1:10"})
    assert [len(unit.places) for unit in units_of(args, [None])] == [4, 4, 2]


def finished(path: Path) -> list[str]:
    """The keys of the rows in a store, a torn last line left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    records = [json.loads(text) for text in lines if text.endswith("\n")]
    return [record["key"] for record in records if "key" in record]


@pytest.mark.full
@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_diagram_of_two_workers_goes_on(command: str, tmp_path: Path) -> None:
    path, run = tmp_path / "s.jsonl", [sys.executable, "-m", "saddle.cli", "diagram", *command.split(), "--json"]
    expected = json.loads(subprocess.run(run, check=True, capture_output=True, text=True, timeout=300).stdout)
    sweep = [*run, "--workers", "2", "--store", str(path)]
    process = subprocess.Popen(sweep, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1200):
        if len(before := finished(path)) >= 4 or process.poll() is not None:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = finished(path)
    assert 4 <= len(before) < len(expected["rows"])
    found = json.loads(subprocess.run(sweep, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert found["rows"] == expected["rows"] and found["curves"] == expected["curves"]
    keys = finished(path)
    assert keys[: len(before)] == before and len(keys) == len(set(keys)) == len(expected["rows"])
