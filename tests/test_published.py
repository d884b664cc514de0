"""Published numbers beside ours: every row that can be computed agrees, and a wrong one would be noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saddle import cli, published

# What cannot be computed yet; a quantity that becomes computable leaves this list and joins the comparison.
WAITING = 0


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return published.table()


def test_every_published_number_has_its_row(rows: list[dict[str, Any]]) -> None:
    given = published.data()
    assert [(row["quantity"], row["model"], row["kappa"]) for row in rows] == [
        (row["quantity"], row["model"], row["kappa"]) for row in given
    ]
    assert all(set(row) == set(rows[0]) for row in rows)
    assert sum(row["agrees"] is None for row in rows) == WAITING


def test_every_number_that_is_computed_agrees(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["agrees"] is not None:
            assert row["agrees"] is True, row
            assert 0.0 < row["error"] < 1e-11
            assert row["note"] is None


def test_the_readme_shows_the_table(rows: list[dict[str, Any]]) -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    begin, end = "<!-- published: begin (the text of saddle.published.markdown) -->\n", "\n<!-- published: end -->"
    assert readme.partition(begin)[2].partition(end)[0] == published.markdown(rows)


def test_a_number_that_waits_says_for_what(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["agrees"] is None:
            assert row["ours"] is None
            assert row["error"] is None
            assert row["note"].startswith("needs ")


def test_all_perceptron_capacities_are_computed(rows: list[dict[str, Any]]) -> None:
    perceptrons = ("binary perceptron", "spherical perceptron")
    computed = [row for row in rows if row["agrees"] is not None]
    for row in rows:
        if row["quantity"].startswith("capacity") and row["model"] in perceptrons:
            assert row in computed
    assert {row["kappa"] for row in computed} >= {-1.0, -0.5, 0.0, 0.05, 0.1, 0.5, 1.0}


def test_order_parameters_at_capacity_solve_their_equations(rows: list[dict[str, Any]]) -> None:
    # E tanh^2 and E tanh^4 by a plain sum over the Gaussian, which shares nothing with the package.
    import numpy as np

    ours = {row["quantity"]: row["ours"] for row in rows if row["model"] == "binary perceptron" and row["kappa"] == 0}
    z = np.linspace(-9.0, 9.0, 4001)
    weight = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    squared = np.tanh(np.sqrt(ours["qhat at capacity"]) * z) ** 2
    assert weight @ squared == pytest.approx(ours["q at capacity"], abs=1e-12)
    assert weight @ squared**2 == pytest.approx(ours["E tanh^4 at capacity"], abs=1e-12)


@pytest.mark.parametrize(
    ("ours", "error", "given", "expected"),
    [
        (0.5, 0.0, {"interval": [0.4, 0.6]}, True),
        (0.61, 0.0, {"interval": [0.4, 0.6]}, False),
        (0.61, 0.02, {"interval": [0.4, 0.6]}, True),
        (0.39, 0.02, {"interval": [0.4, 0.6]}, True),
        (0.7844, 0.0, {"value": 0.784, "digits": 3}, True),
        (0.7846, 0.0, {"value": 0.784, "digits": 3}, False),
        (0.7846, 2e-4, {"value": 0.784, "digits": 3}, True),
        (3.79462834, 0.0, {"value": 3.7946283, "digits": 8}, True),
        (3.79462836, 0.0, {"value": 3.7946283, "digits": 8}, False),
        (2.0 + 5e-13, 0.0, {"value": 2, "exact": True}, True),
        (2.0 + 5e-12, 0.0, {"value": 2, "exact": True}, False),
    ],
)
def test_agreement(ours: float, error: float, given: dict[str, Any], expected: bool) -> None:
    assert published.agreement(ours, error, given) is expected


def test_progress_is_told_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_COMPUTED", {})
    seen: list[dict[str, Any]] = []
    assert published.table(seen.append) == seen
    assert len(seen) == len(published.data())


def test_command_prints_what_is_compared_and_what_waits(
    rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*rows, {**rows[0], "ours": None, "error": None, "agrees": None, "note": "needs a solver for more"}]
    monkeypatch.setattr(published, "table", lambda: rows)
    assert cli.main(["published"]) == 0
    compared, _, waiting = capsys.readouterr().out.partition("not computed by this version:")
    assert "0.83307859974" in compared
    assert "1809.07742" in compared
    assert "needs a solver for more" in waiting
    assert cli.main(["published", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["agrees"] is True
    assert document["rows"] == rows


def test_command_fails_where_one_number_disagrees(
    rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [{**rows[0], "ours": 0.9, "agrees": False}, *rows[1:]]
    monkeypatch.setattr(published, "table", lambda: wrong)
    assert cli.main(["published", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["agrees"] is False
    assert cli.main(["published"]) == 1
    assert "  no  " in capsys.readouterr().out
