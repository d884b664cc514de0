"""The command line: what it understands and refuses, exit codes, documents; the reports are stand-ins."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from handmade import capacity, fp_point, rs_point

import replica
import saddle
from saddle import cli
from saddle.command.options import COMPUTING
from saddle.points.results import SaddlePoint, Status
from saddle.reporting.curve import Curve

ENTROPY = ("entropy", "binary-perceptron", "--alpha", "0.5")
FRANZ_PARISI = ("franz-parisi", "binary-perceptron", "--alpha", "0.5", "--reference-kappa", "0.2", "--distance", "0.1")


class Reports:
    """Stand-ins for the reports, which keep what they were called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.status = Status.CONVERGED
        self.interrupt_after = -1

    def _points(self, points: Sequence[Any], progress: Callable[[Any], None] | None) -> Curve:
        for index, point in enumerate(points):
            if index == self.interrupt_after:
                raise KeyboardInterrupt
            if progress is not None:
                progress(point)
        return Curve(tuple(points))

    def entropy_curve(
        self,
        model: Any,
        alpha: Any,
        kappa: Any,
        *,
        ansatz: Any,
        beta: Any = None,
        start: Any,
        tolerance: float,
        progress: Any,
    ) -> Curve:
        self.calls.append((model.name, alpha, kappa, start, tolerance))
        return self._points([rs_point(k, 0.25, alpha=a, status=self.status) for a in alpha for k in kappa], progress)

    def franz_parisi(
        self,
        model: Any,
        alpha: Any,
        reference: Any,
        kappa: Any,
        distance: Any,
        *,
        beta: Any = None,
        reference_beta: Any = None,
        start: Any,
        tolerance: float,
        progress: Any,
    ) -> Curve:
        self.calls.append((model.name, alpha, reference, kappa, distance, start, tolerance))
        found = [(0.4 if r == "max" else r, d) for r in reference for d in reversed(distance)]
        return self._points([fp_point(d, reference_kappa=r) for r, d in found], progress)

    def capacity(
        self, model: Any, kappa: Any, *, ansatz: Any, start: Any, tolerance: float, progress: Any
    ) -> Curve:
        self.calls.append((model.name, kappa, start, tolerance))
        return self._points([capacity(k) for k in kappa], progress)

    def max_margin(
        self, model: Any, alpha: Any, *, ansatz: Any, start: Any, tolerance: float, progress: Any
    ) -> Curve:
        self.calls.append((model.name, alpha, start, tolerance))
        return self._points([capacity(0.0) for _ in alpha], progress)

    def solve(self, problem: Any, *, start: Any, tolerance: float, **parameters: Any) -> SaddlePoint:
        self.calls.append((problem[0].name, problem[1].name, parameters, start, tolerance))
        return rs_point(parameters["kappa"], alpha=parameters["alpha"], status=self.status)


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Reports:
    found = Reports()
    for name in ("entropy_curve", "franz_parisi", "capacity", "max_margin", "solve"):
        monkeypatch.setattr(saddle, name, getattr(found, name), raising=False)
    return found


def refused(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that bad input leaves on standard error."""
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "usage" not in err
    return err


def document(argv: Sequence[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert cli.main(argv) == code
    out, err = capsys.readouterr()
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    return found


# ---- what is understood


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--kappa", "-1:1:3"), (-1.0, 0.0, 1.0)),
        (("--kappa", "-1,0,1"), (-1.0, 0.0, 1.0)),
        (("--kappa", "-1e-3"), (-0.001,)),
        (("--kappa", "-.5"), (-0.5,)),
        (("--kappa=-1:1:3",), (-1.0, 0.0, 1.0)),
        (("--kappa", "0.5"), (0.5,)),
        ((), (0.0,)),
    ],
)
def test_ranges_with_a_minus_in_front(words: tuple[str, ...], expected: object, reports: Reports) -> None:
    assert cli.main([*ENTROPY, *words]) == 0
    assert reports.calls == [("binary-perceptron", (0.5,), expected, None, 1e-12)]


def test_options_of_the_solver(reports: Reports) -> None:
    assert cli.main([*ENTROPY, "--start", "q=0.9,qhat=2", "--tolerance", "1e-8"]) == 0
    assert reports.calls[0][3:] == ({"q": 0.9, "qhat": 2.0}, 1e-8)


def test_franz_parisi_passes_max_and_all_ranges(reports: Reports) -> None:
    words = ["--reference-kappa", "0.2,max", "--distance", "0.1:0.3:3", "--kappa", "-0.1"]
    assert cli.main(["franz-parisi", "binary-perceptron", "--alpha", "0.5", *words]) == 0
    assert reports.calls[0][1:5] == ((0.5,), (0.2, "max"), (-0.1,), (0.1, 0.2, 0.3))


def test_thresholds(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(["capacity", "spherical-perceptron", "--json"], capsys)
    assert reports.calls == [("spherical-perceptron", (0.0,), None, 1e-12)]
    assert (found["value"], found["error"], len(found["rows"])) == (0.833, 1e-12, 1)
    assert cli.main(["max-margin", "binary-perceptron", "--alpha", "0.5,0.6"]) == 0
    assert reports.calls[1][1] == (0.5, 0.6)


def test_solve_takes_the_parameters_of_its_ansatz(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(["solve", "binary-perceptron", "--alpha", "0.5,0.6", "--kappa", "-1,0", "--json"], capsys)
    assert [(row["alpha"], row["kappa"]) for row in found["rows"]] == [(0.5, -1.0), (0.5, 0.0), (0.6, -1.0), (0.6, 0.0)]
    assert reports.calls[0] == ("binary-perceptron", "rs", {"alpha": 0.5, "kappa": -1.0}, None, 1e-12)
    words = ("--ansatz", "franz-parisi", "--alpha", "0.5", "--reference-kappa", "max", "--distance", "0.1")
    assert cli.main(["solve", "binary-perceptron", *words]) == 0
    assert reports.calls[-1][2] == {"alpha": 0.5, "kappa": 0.0, "reference_kappa": "max", "distance": 0.1}


def test_the_document_records_the_command(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*ENTROPY, "--kappa", "-1:1:3", "--json"]
    assert document(argv, capsys)["provenance"]["command"] == ["replica", *argv]


def test_a_table_without_json(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*ENTROPY, "--kappa", "0,0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "binary-perceptron, rs, alpha = 0.5 (2 points)"
    assert lines[1].split()[:2] == ["kappa", "free_entropy"]
    assert len(lines) == 4


def test_files(reports: Reports, tmp_path: Path) -> None:
    table, picture = tmp_path / "c.csv", tmp_path / "c.pdf"
    assert cli.main([*ENTROPY, "--kappa", "0:0.1:2", "--csv", str(table), "--plot", str(picture)]) == 0
    assert [row["kappa"] for row in csv.DictReader(table.read_text().splitlines())] == ["0", "0.10000000000000001"]
    assert picture.read_bytes()[:4] == b"%PDF"


# ---- exit codes


@pytest.mark.parametrize(("status", "code"), [(s, 0 if s.is_answer else 1) for s in Status])
def test_exit_code_is_1_only_for_a_failure(
    status: Status, code: int, reports: Reports, capsys: pytest.CaptureFixture[str]
) -> None:
    reports.status = status
    found = document([*ENTROPY, "--json"], capsys, code)
    assert found["status"] == str(status)
    assert found["rows"][0]["status"] == str(status)


def test_interrupted_writes_the_rows_so_far(
    reports: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports.interrupt_after = 2
    table = tmp_path / "c.csv"
    words = ["--distance", "0.1,0.2,0.3", "--csv", str(table), "--json"]
    found = document([*FRANZ_PARISI[:6], *words], capsys, 130)
    # finished from the far end, written in the order asked for
    assert [row["distance"] for row in found["rows"]] == [0.2, 0.3]
    assert found["provenance"]["complete"] is False
    assert [float(row["distance"]) for row in csv.DictReader(table.read_text().splitlines())] == [0.2, 0.3]


def test_interrupted_before_the_first_row(reports: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports.interrupt_after = 0
    found = document([*ENTROPY, "--json", "--plot", str(tmp_path / "c.png")], capsys, 130)
    assert (found["rows"], found["value"], found["status"]) == ([], None, "interrupted")
    assert not list(tmp_path.iterdir())


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    commands = capsys.readouterr().out
    for name in (*COMPUTING, "models", "derive", "check", "published", "recompute"):
        assert name in commands
        assert cli.main([name, "--help"]) == 0
        assert f"example:\n  replica {name}" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("replica-saddle ")


# ---- bad input


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ((), "no command"),
        (("nope",), "nope"),
        (("--nope",), "nope"),
        (("models", "extra"), "extra"),
        (("entropy",), "MODEL"),
        (("entropy", "binary-perceptron"), "--alpha"),
        (("entropy", "nope", "--alpha", "0.5"), "nope"),
        (("derive", "nope"), "nope"),
        (("check", "nope"), "nope"),
        (("derive", "binary-perceptron", "--ansatz", "nope"), "nope"),
        (("check", "binary-perceptron", "--ansatz", "nope"), "nope"),
        (("derive", "binary-perceptron", "--format", "nope"), "nope"),
        (("derive", "binary-perceptron", "--format", "python", "--steps"), "--steps"),
        ((*ENTROPY, "--ansatz", "nope"), "nope"),
        ((*ENTROPY, "--ansatz", "franz-parisi"), "franz-parisi"),
        ((*ENTROPY, "--nope", "3"), "--nope"),
        ((*ENTROPY, "--kap", "3"), "--kap"),
        ((*ENTROPY, "--distance", "0.1"), "--distance"),
        ((*ENTROPY, "--kappa"), "--kappa"),
        ((*ENTROPY, "--kappa", "--json"), "--kappa"),
        ((*ENTROPY, "--kappa", "0:1"), "0:1"),
        ((*ENTROPY, "--kappa", ""), "empty"),
        ((*ENTROPY, "--kappa", "nan"), "nan"),
        ((*ENTROPY, "--kappa", "-inf"), "-inf"),
        ((*ENTROPY, "--kappa", "1:2:0"), "1:2:0"),
        ((*ENTROPY, "--kappa", "a"), "'a'"),
        ((*ENTROPY, "--kappa", "a\nb"), "'a b'"),
        ((*ENTROPY, "--kappa", "max"), "max"),
        ((*ENTROPY, "--kappa", "0:1:2000", "--alpha", "1:2:2000"), "points"),
        ((*ENTROPY, "--start", "q"), "q=0.9"),
        ((*ENTROPY, "--tolerance", "0"), "tolerance"),
        ((*ENTROPY, "--tolerance", "nan"), "--tolerance"),
        ((*ENTROPY, "--tolerance", "1e-9,1e-8"), "tolerance"),
        (("entropy", "binary-perceptron", "--alpha", "0"), "alpha"),
        (("entropy", "binary-perceptron", "--alpha", "-0.5"), "alpha"),
        (("entropy", "binary-perceptron", "--alpha", "0:1:3"), "alpha"),
        (("capacity", "binary-perceptron", "--alpha", "0.5"), "--alpha"),
        (("max-margin", "binary-perceptron", "--alpha", "0.5", "--kappa", "0"), "--kappa"),
        ((*FRANZ_PARISI, "--distance", "0.5"), "distance"),
        ((*FRANZ_PARISI, "--distance", "0"), "distance"),
        ((*FRANZ_PARISI, "--distance", "-0.1:0.3:3"), "distance"),
        ((*FRANZ_PARISI, "--reference-kappa", "min"), "max"),
        (FRANZ_PARISI[:-2], "--distance"),
        (("solve", "binary-perceptron", "--alpha", "0.5", "--distance", "0.1"), "--distance"),
        (
            ("solve", "binary-perceptron", "--alpha", "0.5", "--ansatz", "franz-parisi", "--distance", "0.1"),
            "--reference-kappa",
        ),
        (("solve", "binary-perceptron", "--alpha", "0.5", "--ansatz", "local-entropy", "--overlap", "0.9"), "--y"),
        (("solve", "binary-perceptron", "--alpha", "0.5", "--ansatz", "local-entropy", "--y", "2"), "--overlap"),
        (("solve", "binary-perceptron", "--alpha", "0.5", "--m", "0.5"), "--m"),
        (("solve", "binary-perceptron", "--alpha", "0.5", "--all-branches", "--start", "q=0.9"), "leave out --start"),
        (("entropy", "binary-perceptron", "--alpha", "0.5", "--ansatz", "local-entropy"), "1rsb"),
        (("local-entropy", "binary-perceptron", "--alpha", "0.5", "--overlap", "0.9"), "--y"),
        (("local-entropy", "binary-perceptron", "--alpha", "0.5", "--y", "0.5", "--overlap", "0.9"), "at least 1"),
        (("local-entropy", "binary-perceptron", "--alpha", "0.5", "--y", "2", "--overlap", "1"), "overlap"),
        (("complexity", "spherical-perceptron", "--alpha", "9"), "--m"),
        (("recompute",), "FILE"),
        (("recompute", "/nowhere/file.json"), "cannot read"),
    ],
)
def test_bad_input_is_one_line(
    argv: Sequence[str], word: str, reports: Reports, capsys: pytest.CaptureFixture[str]
) -> None:
    assert word in refused(argv, capsys)
    assert not reports.calls


@pytest.mark.parametrize("option", ["--csv", "--plot"])
@pytest.mark.parametrize("place", ["missing/c.png", ".", "file/c.png", "", "nul\0.png"])
def test_unwritable_files_are_refused_before_computing(
    option: str,
    place: str,
    reports: Reports,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    assert option in refused([*ENTROPY, option, place], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert not reports.calls


def test_files_are_tested_without_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("kept")
    for path in (old, new):
        refused(["entropy", "nope", "--alpha", "0.5", "--csv", str(path)], capsys)
    assert old.read_text() == "kept"
    assert not new.exists()


def test_pictures_of_no_known_kind(reports: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("curve", "curve.csv"):
        assert ".png" in refused([*ENTROPY, "--plot", str(tmp_path / name)], capsys)
    same = str(tmp_path / "c.png")
    assert "same file" in refused([*ENTROPY, "--plot", same, "--csv", same], capsys)
    assert not reports.calls


def test_missing_extra(
    reports: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "replica-saddle[plot]" in refused([*ENTROPY, "--plot", str(tmp_path / "c.png")], capsys)
    assert not reports.calls


def test_what_a_report_refuses_is_one_line(
    reports: Reports, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise replica.InputError("reference margin 0.9 is above the largest margin 0.418")

    monkeypatch.setattr(saddle, "franz_parisi", refusing)
    assert "above the largest margin" in refused(FRANZ_PARISI, capsys)


# ---- the other commands


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(["models", "--json"], capsys)
    assert [row["model"] for row in found["models"]][:2] == ["binary-perceptron", "spherical-perceptron"]
    assert {"rs", "franz-parisi", "1rsb"} <= set(found["ansatze"])
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    assert "threshold" in out
    assert "ansatze: rs" in out


@pytest.mark.parametrize("passed", [True, False])
def test_check(passed: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [
        SimpleNamespace(name="gradient", value=1e-20, tolerance=1e-15, passed=True, detail="30 digits"),
        SimpleNamespace(name="finite n", value=1e-3, tolerance=1e-9, passed=passed, detail="n = 2"),
    ]
    monkeypatch.setattr(saddle, "check", lambda model, ansatz: checks, raising=False)
    found = document(["check", "binary-perceptron", "--json"], capsys, 0 if passed else 1)
    assert found["passed"] is passed
    assert [check["name"] for check in found["checks"]] == ["gradient", "finite n"]
    assert cli.main(["check", "binary-perceptron", "--ansatz", "1rsb"]) == (0 if passed else 1)
    assert "finite n" in capsys.readouterr().out


def test_recompute(reports: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "curve.json"
    found = document([*ENTROPY, "--kappa", "-1:1:3", "--json"], capsys)
    path.write_text(json.dumps(found))
    assert document(["recompute", str(path), "--json"], capsys)["agrees"] is True
    assert cli.main(["recompute", str(path)]) == 0
    assert capsys.readouterr().out == "agrees: 3 rows recomputed\n"
    found["rows"][1]["free_entropy"] += 1e-9
    path.write_text(json.dumps(found))
    assert cli.main(["recompute", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("row 2 (alpha = 0.5, kappa = 0): free_entropy")
    assert lines[1] == "does not agree: 1 disagreement in 3 rows"
    path.write_text("{}")
    refused(["recompute", str(path)], capsys)


def test_a_repeated_command_writes_no_files(
    reports: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, path = tmp_path / "c.csv", tmp_path / "curve.json"
    path.write_text(json.dumps(document([*ENTROPY, "--json", "--csv", str(table)], capsys)))
    table.unlink()
    assert cli.main(["recompute", str(path)]) == 0
    assert not table.exists()


# ---- as a process


def run(*argv: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saddle.cli", *argv], capture_output=True, text=True, timeout=60, check=False, **settings
    )


def test_the_process_leaves_with_the_exit_code() -> None:
    assert run("models").returncode == 0
    done = run("entropy", "binary-perceptron", "--alpha", "nan")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_reader_that_has_gone_is_no_error() -> None:
    script = "import sys; from saddle.cli import main; sys.exit(main(['models', '--json']))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where those who began the tests ignore it
from handmade import rs_point
import saddle
from saddle import cli

def slow(model, alpha, kappa, *, ansatz, beta=None, start, tolerance, progress):
    for k in kappa:
        progress(rs_point(k))
        print("row", file=sys.stderr, flush=True)
        time.sleep(60 if k == 1 else 0)

saddle.entropy_curve = slow
sys.exit(cli.main(["entropy", "binary-perceptron", "--alpha", "0.5", "--kappa", "0:3:4", "--json"]))
"""


def test_a_process_that_is_interrupted_writes_its_rows() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    ) as process:
        assert process.stderr is not None
        assert [process.stderr.readline() for _ in range(2)] == ["row\n", "row\n"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""
    assert [row["kappa"] for row in json.loads(out)["rows"]] == [0.0, 1.0]
