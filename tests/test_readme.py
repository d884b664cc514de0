"""The README does what it says: its commands and Python run, and its tables hold what the code computes."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from saddle import cli
from saddle.points.results import Status

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


SHELL = [line for block in blocks("sh") for line in block.splitlines() if line]
FRESH = [line for line in SHELL if line.startswith("python3 -m venv")]
COMMANDS = [line for line in SHELL if line.startswith("replica ")]


def run(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run one ``replica`` command in this process, in the current folder; ``> FILE`` is what a shell would do."""
    words = shlex.split(line)
    command, target = (words[:-2], words[-1]) if words[-2] == ">" else (words, None)
    assert command[0].endswith("replica")
    assert cli.main(command[1:]) == 0, line
    out, err = capsys.readouterr()
    assert out
    assert err == ""
    if target is not None:
        Path(target).write_text(out, encoding="utf-8")
    return out


def test_a_fresh_machine_needs_two_lines() -> None:
    assert len(FRESH) == 2
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for line in FRESH:
        venv, install, use = line.split(" && ")
        assert venv == "python3 -m venv .venv"
        found = re.fullmatch(r'\.venv/bin/python -m pip install "\.\[(\w+)\]"', install)
        assert found is not None
        assert found[1] in extras
        assert use.startswith(".venv/bin/")
    assert FRESH[1].endswith(" && .venv/bin/python -m pytest")


def test_the_first_line_leaves_plot_and_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(FRESH[0].split(" && ")[-1], capsys)
    assert (tmp_path / "fp.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "fp.csv").read_text(encoding="utf-8").splitlines()) == 1 + 2 * 100


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) >= 10
    for line in COMMANDS:
        if line != "replica published":  # test_published.py has solved for its numbers
            run(line, capsys)
    assert (tmp_path / "curve.pdf").read_bytes().startswith(b"%PDF")


def test_every_command_is_shown() -> None:
    from saddle.command.options import _SUMMARIES

    assert {line.split()[1] for line in COMMANDS} == set(_SUMMARIES)


@pytest.mark.parametrize("index", range(len(blocks("python"))))
def test_python_prints_what_its_comments_say(
    index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = blocks("python")[index]
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "README.md", "exec"), {"__name__": "__main__"})  # dataclasses look their module up
    expected = [line.rpartition("  # ")[2] for line in source.splitlines() if line.lstrip().startswith("print(")]
    assert expected
    assert capsys.readouterr().out.splitlines() == expected


def test_the_example_has_ten_lines() -> None:
    assert len([line for line in blocks("python")[0].splitlines() if line]) <= 10


def test_accuracy_record_says_what_the_readme_says() -> None:
    record = json.loads((PROJECT / "tests" / "benchmarks" / "accuracy.json").read_text(encoding="utf-8"))
    assert record["points"] == len(record["rows"]) >= 300
    assert record["not_covered"] == 0
    assert record["beyond_promise"] == 0
    assert record["digits"] == 30


def test_statuses_and_exit_codes_are_all_explained() -> None:
    shown = re.findall(r"^\| `([\w-]+)` \| [^|]+ \|$", README, flags=re.MULTILINE)
    assert shown == [str(status) for status in Status]
    assert [int(c) for c in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)] == [
        cli.OK,
        cli.FAILED,
        cli.BAD_INPUT,
        cli.INTERRUPTED,
    ]


def test_names_are_explained() -> None:
    """Every parameter and order parameter of a row stands in the table of names."""
    from replica import zoo

    named = set(re.findall(r"`(\w+)`", README))
    for ansatz in (zoo.rs(), zoo.franz_parisi()):
        assert {*ansatz.names().values(), *ansatz.conjugate_names().values()} <= named
    assert {"alpha", "kappa", "reference_kappa", "distance", "free_entropy", "slope", "bound", "replicon"} <= named
    assert {"residual", "quadrature_error", "error", "typical_distance", "positive", "monotonic"} <= named


def test_files_that_are_named_exist() -> None:
    for name in ("tests/benchmarks/accuracy.py", "notebooks/flat_minima_around_high_margin_solutions.ipynb"):
        assert name in README
        assert (PROJECT / name).is_file()
    sources = re.findall(r"^ .*?\b(replica|saddle)/([\w./, ]+?)(?:(?:   | ──).*)?$", README, flags=re.MULTILINE)
    assert sources
    import replica
    import saddle

    folders = {"replica": Path(str(replica.__file__)).parent, "saddle": Path(str(saddle.__file__)).parent}
    for package, listed in sources:
        for file in listed.split(", "):
            assert (folders[package] / file).exists(), file


def test_nothing_points_into_a_checkout() -> None:
    # The README is also the long description of the distribution, where relative links lead nowhere.
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert all(link.startswith("https://") for link in links)
