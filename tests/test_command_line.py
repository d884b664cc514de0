"""The commands of the README, run for real through the entry point, with what they print and how they exit."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from saddle.cli import main


def _json(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> dict:
    assert main([*argv, "--json"]) == code

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not strict JSON")

    return json.loads(capsys.readouterr().out, parse_constant=refuse)


def _refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "Traceback" not in captured.err and "usage" not in captured.err
    return captured.err


def test_solve_document(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(capsys, "solve", "binary-perceptron", "--ansatz", "rs", "--alpha", "0.5", "--kappa", "0")
    (row,) = document["rows"]
    assert document["value"] == row["free_entropy"] and document["error"] == row["error"]
    assert abs(document["value"] - 0.3143900669) < 5e-11
    assert set(row["order_parameters"]) == {"q", "qhat"}
    assert {"residual", "quadrature_error", "error", "status", "message"} <= set(row)
    assert document["model"] == "binary-perceptron" and document["ansatz"] == "rs"
    assert document["provenance"]["kernel"] and document["provenance"]["command"][0] == "replica"


def test_solve_defaults_and_product(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(capsys, "solve", "binary-perceptron", "--alpha", "0.3,0.5", "--kappa", "-1:1:3")
    assert [(row["alpha"], row["kappa"]) for row in document["rows"]] == [
        (0.3, -1.0), (0.3, 0.0), (0.3, 1.0), (0.5, -1.0), (0.5, 0.0), (0.5, 1.0)
    ]
    assert document["value"] is None and document["rows"][5]["status"] == "no-saddle"
    assert document["rows"][5]["free_entropy"] is None


def test_entropy_writes_table_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, picture = tmp_path / "curve.csv", tmp_path / "curve.pdf"
    argv = ["entropy", "binary-perceptron", "--alpha", "0.5", "--kappa", "-1:0.41:42"]
    assert main([*argv, "--csv", str(table), "--plot", str(picture)]) == 0
    assert "free_entropy" in capsys.readouterr().out
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 42 and picture.stat().st_size > 1000
    assert float(rows[-1]["free_entropy"]) > 0 and float(rows[0]["kappa"]) == -1.0
    assert len(rows[0]["free_entropy"].replace("0.", "")) >= 16


def test_capacity_and_max_margin(capsys: pytest.CaptureFixture[str]) -> None:
    capacity = _json(capsys, "capacity", "binary-perceptron", "--kappa", "0")
    assert 0.833078599 <= capacity["value"] <= 0.833078600 and capacity["rows"][0]["value"] == capacity["value"]
    margin = _json(capsys, "max-margin", "binary-perceptron", "--alpha", "0.5")
    assert abs(margin["value"] - 0.4180624988) < 5e-11
    negative = _json(capsys, "capacity", "spherical-perceptron", "--kappa", "-5e-1")
    assert negative["warnings"] and abs(negative["value"] - 4.770099) < 5e-7


def test_franz_parisi_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "fp.png"
    document = _json(
        capsys, "franz-parisi", "binary-perceptron", "--alpha", "0.5", "--reference-kappa", "0.2,max", "--kappa", "0",
        "--distance", "0.002:0.35:100", "--plot", str(picture),
    )  # fmt: skip
    assert len(document["rows"]) == 200 and picture.exists()
    assert [entry["reference_kappa"] for entry in document["curves"]] == pytest.approx([0.2, 0.4180624988], abs=1e-9)
    assert all(entry["positive"] and entry["monotonic"] for entry in document["curves"])
    row = document["rows"][0]
    assert set(row["order_parameters"]) == {"q", "qhat", "t", "that", "p", "phat", "qr", "qrhat"}
    assert row["free_entropy"] < row["bound"] and row["slope"] > 0
    distances = [row["distance"] for row in document["rows"]]
    assert distances[:100] == distances[100:] and distances[0] == 0.002


def test_physical_answers_exit_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(
        capsys, "franz-parisi", "binary-perceptron", "--alpha", "0.5", "--reference-kappa", "0", "--distance", "0.0001,0.1"
    )
    assert [row["status"] for row in document["rows"]] == ["branch-end", "converged"]
    assert document["rows"][0]["free_entropy"] is None


def test_recompute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(capsys, "entropy", "binary-perceptron", "--alpha", "0.5", "--kappa", "0,0.1")
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(document))
    assert main(["recompute", str(saved)]) == 0
    document["rows"][1]["free_entropy"] += 1e-6
    saved.write_text(json.dumps(document))
    assert main(["recompute", str(saved)]) == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("capacity", "no-such-model"), "no model"),
        (("solve", "binary-perceptron", "--ansatz", "5rsb", "--alpha", "1"), "no ansatz"),
        (("entropy", "binary-perceptron", "--alpha", "0.5", "--kappa", "0:1"), "range"),
        (("entropy", "binary-perceptron", "--alpha", "0.5", "--kappa", ""), "kappa"),
        (("entropy", "binary-perceptron", "--alpha", "0"), "alpha"),
        (("entropy", "binary-perceptron", "--alpha", "nan"), "nan"),
        (("entropy", "spherical-perceptron", "--alpha", "3"), "No saddle"),
        (("solve", "spherical-perceptron", "--alpha", "3"), "No saddle"),
        (("entropy", "binary-perceptron", "--alpha", "0.5", "--csv", "/no/such/folder/a.csv"), "a.csv"),
        (("max-margin", "binary-perceptron"), "alpha"),
        (("max-margin", "binary-perceptron", "--alpha", "-1"), "alpha"),
        (("solve", "binary-perceptron", "--alpha", "0.5", "--start", "x=1"), "order parameter"),
    ],
)
def test_bad_input_is_one_line(argv: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in _refused(capsys, *argv)


@pytest.mark.parametrize(
    ("reference", "distance", "words"),
    [("0.5", "0.1", "maximal margin"), ("0.2", "0.5", "1/2"), ("0.2", "0", "distance"), ("most", "0.1", "reference")],
)
def test_bad_franz_parisi_is_one_line(
    reference: str, distance: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("franz-parisi", "binary-perceptron", "--alpha", "0.5", "--reference-kappa", reference, "--distance", distance)
    assert words in _refused(capsys, *argv)


def test_start_and_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    plain = _json(capsys, "solve", "binary-perceptron", "--alpha", "0.5")
    other = _json(capsys, "solve", "binary-perceptron", "--alpha", "0.5", "--start", "q=0.9", "--tolerance", "1e-8")
    assert math.isclose(plain["value"], other["value"], rel_tol=1e-12)
    assert other["provenance"]["tolerance"] == 1e-8
