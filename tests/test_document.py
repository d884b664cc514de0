"""The JSON document: its shape, its strictness, reading it back, and whether it still holds."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import capacity, fp_point, rs_point

import replica
from saddle.command.options import parse
from saddle.command.recompute import compare, recompute
from saddle.critical.diagrams import Diagram, DiagramRow
from saddle.critical.landmark import Landmark
from saddle.points.coexistence import CoexistingPoint
from saddle.points.results import SaddlePoint, Status, Threshold
from saddle.reporting.curve import Curve
from saddle.reporting.document import command_of, document, dumps, read, strict

KEYS = {
    "schema",
    "model",
    "ansatz",
    "parameters",
    "value",
    "error",
    "status",
    "message",
    "warnings",
    "rows",
    "provenance",
}


def loaded(curve: Curve) -> dict[str, Any]:
    """The document of a curve after a way through text."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in a document")

    found: dict[str, Any] = json.loads(curve.to_json(), parse_constant=refuse)
    return found


def test_one_row_is_repeated_at_the_top() -> None:
    found = loaded(Curve((rs_point(0.0, 0.25),), command=("replica", "solve")))
    assert set(found) == KEYS
    assert found["schema"] == 1
    assert (found["model"], found["ansatz"]) == ("binary-perceptron", "rs")
    assert (found["value"], found["error"]) == (0.25, 1e-13)
    assert (found["status"], found["message"]) == ("converged", "Converged.")
    assert found["parameters"] == {"alpha": 0.5, "kappa": 0.0}
    (row,) = found["rows"]
    assert row["free_entropy"] == 0.25
    assert row["order_parameters"] == {"q": 0.1 + 0.2, "qhat": 0.5}
    assert (row["alpha"], row["kappa"], row["status"], row["stable"]) == (0.5, 0.0, "converged", True)
    assert {"residual", "quadrature_error", "error", "message"} <= set(row)


def test_threshold_at_the_top() -> None:
    found = loaded(Curve((capacity(-0.5, 1.68, warnings=("an upper bound",)),)))
    assert (found["value"], found["error"]) == (1.68, 1e-12)
    assert found["rows"][0]["value"] == 1.68
    assert found["warnings"] == ["an upper bound"]
    assert found["rows"][0]["kappa"] == -0.5


def test_several_rows() -> None:
    negative = rs_point(0.1, -0.05, status=Status.NEGATIVE_ENTROPY)
    found = loaded(Curve((rs_point(0.0), negative)))
    assert (found["value"], found["error"], found["status"]) == (None, None, "converged")
    assert found["message"] == "2 rows: 1 converged, 1 negative-entropy."
    assert found["parameters"] == {"alpha": 0.5, "kappa": [0.0, 0.1]}
    assert found["rows"][1]["free_entropy"] == -0.05


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("converged", "not-converged", "no-saddle"), "not-converged"),
        (("converged", "no-saddle", "branch-end"), "no-saddle"),
        (("branch-end", "negative-entropy"), "branch-end"),
        (("negative-entropy", "negative-entropy"), "converged"),
        ((), "not-converged"),
    ],
)
def test_the_worst_status_is_that_of_the_document(statuses: tuple[str, ...], expected: str) -> None:
    points = tuple(rs_point(0.1 * i, status=Status(status)) for i, status in enumerate(statuses))
    assert loaded(Curve(points))["status"] == expected


def test_a_failure_is_null_and_keeps_its_iterations() -> None:
    found = loaded(Curve((rs_point(status=Status.NOT_CONVERGED),)))
    assert (found["value"], found["error"], found["status"]) == (None, None, "not-converged")
    (row,) = found["rows"]
    assert row["free_entropy"] is None
    assert row["order_parameters"] == {"q": None, "qhat": None}
    assert row["iterations"][1] == {"step": 1, "residual": 0.3, "damping": 0.5, "method": "newton"}


def test_curves_only_where_there_are() -> None:
    entry = {"alpha": 0.5, "kappa": 0.0, "reference_kappa": 0.2, "typical_distance": math.nan, "positive": np.True_}
    found = loaded(Curve((fp_point(0.1), fp_point(0.2)), curves=(entry,)))
    assert set(found) == KEYS | {"curves"}
    assert found["curves"] == [{**entry, "typical_distance": None, "positive": True}]


def test_provenance() -> None:
    provenance = loaded(Curve((rs_point(), rs_point(0.1)), command=("replica", "entropy", "--kappa", "0,0.1")))[
        "provenance"
    ]
    assert provenance["command"] == ["replica", "entropy", "--kappa", "0,0.1"]
    assert provenance["complete"] is True
    assert (provenance["kernel"], provenance["rule"], provenance["tolerance"]) == ("k1", "sinh h=0.15", 1e-12)
    assert {"python", "replica-saddle", "numpy", "scipy", "sympy", "numba", "mpmath"} <= set(provenance["versions"])


def test_command_of_a_curve_from_python() -> None:
    entropies = Curve((rs_point(-0.1), rs_point(np.float64(0.2))))
    assert command_of(entropies) == (
        *("replica", "entropy", "binary-perceptron", "--alpha", "0.5", "--kappa", "-0.1,0.2", "--tolerance", "1e-12"),
    )
    assert command_of(Curve((capacity(),)))[:5] == ("replica", "capacity", "binary-perceptron", "--kappa", "0.0")
    assert command_of(Curve((fp_point(0.1),)))[1] == "franz-parisi"
    ragged = Curve((rs_point(0.1, alpha=0.5), rs_point(0.2, alpha=0.6)))
    assert loaded(ragged)["provenance"]["complete"] is False
    assert loaded(entropies)["provenance"]["complete"] is True


def test_commands_of_thresholds_branches_and_diagrams() -> None:
    known: dict[str, Any] = {field.name: getattr(capacity(), field.name) for field in dataclasses.fields(Threshold)}
    rows = [
        Landmark(**{**known, "name": name}, definition="", where={"y": y} if y else {})
        for name, y in (("alpha_LE_y", 10.0), ("alpha_LE_y", "inf"), ("alpha_c", None))
    ]
    assert command_of(Curve(tuple(rows)))[1:9] == (
        *("thresholds", "binary-perceptron", "--kappa", "0.0", "--only", "alpha_LE_y,alpha_c", "--y", "10.0,inf"),
    )
    saddle_point = {field.name: getattr(rs_point(), field.name) for field in dataclasses.fields(SaddlePoint)}
    branch = CoexistingPoint(**saddle_point, branch=0, physical=True, reason="")
    assert {"solve", "--all-branches"} <= set(command_of(Curve((branch,))))
    assert parse(command_of(Curve((branch,)))[1:]).all_branches


def test_a_diagram_agrees_with_itself_and_lines_within_their_errors() -> None:
    lines = {"alpha_first_order": 1.25, "alpha_first_order_error": 1e-9, "alpha_c": math.nan, "alpha_c_error": math.nan}
    known: dict[str, Any] = {field.name: getattr(capacity(), field.name) for field in dataclasses.fields(Threshold)}
    row = DiagramRow(**{**known, "name": "diagram", "value": 1.25, "error": 1e-9}, lines=lines)
    stored = loaded(Diagram((row,)))
    assert compare(stored, stored).agrees
    near, far = (
        loaded(Diagram((dataclasses.replace(row, value=1.25 + d, lines={**lines, "alpha_first_order": 1.25 + d}),)))
        for d in (1.5e-9, 3e-9)
    )
    assert compare(stored, near).agrees
    assert "alpha_first_order 1.25 is stored" in compare(stored, far).text()


def test_strict_json() -> None:
    value = {"a": (math.nan, -math.inf, np.float64(0.1), np.int64(3), np.bool_(True), None), "b": Status.NO_SADDLE}
    assert strict(value) == {"a": [None, None, 0.1, 3, True, None], "b": "no-saddle"}
    assert strict(np.array([1.0, np.nan])) == [1.0, None]
    assert json.loads(dumps({"x": 0.1 + 0.2})) == {"x": 0.1 + 0.2}
    with pytest.raises(TypeError):
        strict(object())


def test_documents_come_back(tmp_path: Path) -> None:
    path = tmp_path / "curve.json"
    curve = Curve((rs_point(), rs_point(0.1)), command=("replica",))
    text = curve.to_json(path)
    assert path.read_text() == text
    assert read(path) == json.loads(text) == strict(document(curve))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "3", "null", "{}", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "rows": NaN}',
        '{"schema": 1, "rows": [3], "parameters": {}}', "\udcff",
        '{"schema": 1, "rows": [{}], "parameters": {}, "provenance": {}}',
        '{"schema": 1, "rows": [], "parameters": {}, "provenance": {}}',
        '{"schema": 1, "rows": [], "parameters": {}, "provenance": {"command": [3]}}',
    ],
)  # fmt: skip
def test_other_files_are_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(replica.InputError) as refused:
        read(path)
    assert "\n" not in str(refused.value)


def test_a_file_of_absurd_depth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(replica.InputError):
        read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(replica.InputError, match="cannot read"):
        read(tmp_path / "nope.json")
    with pytest.raises(replica.InputError, match="cannot read"):
        read(tmp_path)


STORED = Curve(
    (rs_point(0.0, 0.25), rs_point(0.1, -0.05, status=Status.NEGATIVE_ENTROPY)), command=("replica", "entropy")
)


def test_a_document_agrees_with_itself() -> None:
    found = compare(loaded(STORED), loaded(STORED))
    assert found.agrees
    assert found.text() == "agrees: 2 rows recomputed"
    failed = loaded(Curve((rs_point(status=Status.NOT_CONVERGED),)))
    assert compare(failed, failed).agrees


def test_values_agree_within_the_two_errors() -> None:
    for shift, agrees in ((1.9e-13, True), (2.3e-13, False), (-1.9e-13, True), (-1.0, False)):
        moved = Curve((rs_point(0.0, 0.25 + shift), STORED.points[1]))
        assert compare(loaded(STORED), loaded(moved)).agrees is agrees


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(stored: dict[str, Any]) -> None:
        place: Any = stored
        for key in path[:-2]:
            place = place[key]
        place[path[-2]] = path[-1]

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_set("rows", 0, "free_entropy", 0.26), "free_entropy"),
        (_set("rows", 0, "free_entropy", None), "free_entropy"),
        (_set("rows", 1, "status", "converged"), "status"),
        (_set("rows", 1, "stable", False), "stable"),
        (_set("rows", 1, "order_parameters", "q", 0.31), "q "),
        (_set("rows", 1, "kappa", 0.11), "no such row"),
        (_set("model", "spherical-perceptron"), "model"),
        (_set("rows", []), "0 rows are stored"),
    ],
)
def test_disagreements_are_named(change: Callable[[dict[str, Any]], None], word: str) -> None:
    stored = loaded(STORED)
    change(stored)
    found = compare(stored, loaded(STORED))
    assert not found.agrees
    assert any(word in line for line in found.disagreements)
    assert "does not agree" in found.text().splitlines()[-1]


def test_the_top_has_to_repeat_the_only_row() -> None:
    stored = loaded(STORED[:1])
    stored["value"] = 0.3
    assert compare(stored, loaded(STORED[:1])).disagreements == ("value at the top is 0.3, in the row 0.25",)


def test_statements_on_curves_are_compared() -> None:
    def curve(distance: float, positive: bool) -> dict[str, Any]:
        entry = {"alpha": 0.5, "typical_distance": distance, "positive": positive}
        return loaded(Curve((fp_point(0.1),), curves=(entry,), command=("replica",)))

    assert compare(curve(0.3, True), curve(0.3 + 1e-9, True)).agrees
    assert not compare(curve(0.3, True), curve(0.31, True)).agrees
    assert not compare(curve(0.3, True), curve(0.3, False)).agrees


def test_an_interrupted_document_is_compared_as_far_as_it_goes() -> None:
    part = loaded(Curve(STORED.points[1:], command=STORED.command, complete=False))
    assert compare(part, loaded(STORED)).agrees
    assert (part["status"], part["rows"][0]["status"]) == ("interrupted", "negative-entropy")
    assert part["message"].startswith("Interrupted; so far: ")


def test_recompute_runs_the_stored_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def execute(argv: list[str], progress: object = None) -> Curve:
        seen.append(argv)
        return STORED

    monkeypatch.setattr("saddle.command.commands.execute", execute)
    assert recompute(loaded(STORED)).agrees
    assert seen == [["entropy"]]


@pytest.mark.parametrize(
    "command", [[], ["replica"], ["replica", "models"], ["replica", "recompute", "x"], ["rm", "-r"]]
)
def test_only_commands_that_compute_rows_are_repeated(command: list[str]) -> None:
    stored = loaded(STORED)
    stored["provenance"]["command"] = command
    with pytest.raises(replica.InputError):
        recompute(stored)
