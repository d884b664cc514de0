"""Both branches of a student of a teacher along the load, their transitions, and what has no capacity."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from test_teacher import MODEL, bayes_load, entropy

import saddle
from replica.errors import InputError
from saddle.cli import main


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    path = tmp_path_factory.mktemp("generalization") / "curve.json"
    saddle.generalization(MODEL, [0.5, 1.2, 1.3, 1.5]).to_json(path)
    return json.loads(path.read_text(encoding="utf-8"))


def threshold(curve: saddle.Curve, name: str) -> dict[str, float]:
    return next(dict(entry) for entry in curve.thresholds if entry["name"] == name)  # type: ignore[arg-type]


def entropy_on_bayes_line(q: float) -> float:
    alpha = bayes_load(q)
    qhat = brentq(lambda x: _overlap(x) - q, 1e-6, 60.0, xtol=1e-14)
    return entropy(q, qhat, q, qhat, alpha, 0.0)


def _overlap(qhat: float) -> float:
    from test_teacher import GAUSS, Z

    return float(np.sum(GAUSS * np.tanh(qhat + np.sqrt(qhat) * Z)))


def test_transitions_against_explicit_functions_of_the_overlap() -> None:
    curve = saddle.generalization(MODEL, 0.5)
    crossing = bayes_load(brentq(entropy_on_bayes_line, 0.6, 0.75, xtol=1e-14))
    found = threshold(curve, "alpha_first_order")
    assert abs(found["value"] - crossing) < found["error"] + 1e-12 and found["error"] < 1e-12
    assert round(found["value"], 4) == 1.2447
    top = minimize_scalar(lambda q: -bayes_load(q), bounds=(0.85, 0.95), method="bounded", options={"xatol": 1e-10})
    found = threshold(curve, "alpha_spinodal")
    assert abs(found["value"] + top.fun) < found["error"] + 1e-12 and found["error"] < 1e-10
    assert 1.492 < found["value"] < 1.493


def test_rows_of_both_branches(document: dict[str, object]) -> None:
    rows = {(row["alpha"], row["branch"]): row for row in document["rows"]}  # type: ignore[attr-defined]
    assert len(rows) == 8
    phases = {key: row["phase"] for key, row in rows.items()}
    assert phases[0.5, "student"] == phases[1.2, "student"] == phases[1.3, "teacher"] == "stable"
    assert phases[0.5, "teacher"] == phases[1.3, "student"] == "metastable"
    assert phases[1.5, "student"] is None and rows[1.5, "student"]["status"] == "no-saddle"
    assert rows[1.5, "student"]["generalization_error"] is None and rows[1.5, "student"]["r"] is None
    for row in rows.values():
        if row["branch"] == "teacher":
            assert (row["r"], row["generalization_error"], row["free_entropy"], row["error"]) == (1.0, 0.0, 0.0, 0.0)
        elif row["r"] is not None:
            assert row["generalization_error"] == pytest.approx(math.acos(row["r"]) / math.pi)
            assert row["r"] == row["order_parameters"]["r"]
    assert [t["name"] for t in document["thresholds"]] == ["alpha_first_order", "alpha_spinodal"]  # type: ignore[attr-defined]


def test_document_of_a_python_curve_names_its_command(document: dict[str, object]) -> None:
    assert document["provenance"]["command"][:3] == ["replica", "generalization", MODEL]  # type: ignore[index]
    assert document["provenance"]["complete"]  # type: ignore[index]


def test_a_margin_leaves_the_bayes_line_and_has_no_teacher_branch() -> None:
    curve = saddle.generalization(MODEL, [0.5, 1.0], 0.1)
    assert [point["branch"] for point in curve] == ["student", "student"]
    assert np.all(curve.q > curve.r)
    for point in curve:
        assert abs(point.value - entropy(**point.order_parameters, alpha=point["alpha"], kappa=0.1)) < 1e-12
    assert threshold(curve, "alpha_first_order")["status"] == "absent"


def test_capacity_and_margin() -> None:
    none = saddle.capacity(MODEL, 0.0)
    assert none.status is saddle.Status.ABSENT and "the teacher is a solution at any load" in none.message
    margin = saddle.max_margin(MODEL, 0.5)
    assert entropy(**margin.order_parameters, alpha=0.5, kappa=margin.value) == pytest.approx(0.0, abs=1e-12)
    assert saddle.capacity(MODEL, margin.value).value == pytest.approx(0.5, abs=1e-12)
    alone = saddle.max_margin(MODEL, 1.3)
    assert alone.value == 0.0 and "only solution" in alone.message


def test_bad_input() -> None:
    with pytest.raises(InputError, match="no teacher"):
        saddle.generalization("binary-perceptron", 0.5)
    with pytest.raises(InputError, match="negative"):
        saddle.generalization(MODEL, 0.5, -0.1)


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "learning.svg"
    words = ["generalization", MODEL, "--alpha", "1.1:1.5:3", "--json", "--plot", str(picture)]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["alpha"] for row in found["rows"]] == [1.1, 1.1, 1.3, 1.3, 1.5, 1.5]
    assert picture.stat().st_size > 0
    assert main(words[:-3]) == 0
    assert "alpha_spinodal 1.49263181823" in capsys.readouterr().out
