"""Models and ansatze in files of the user's own: no file of the package knows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import replica
import saddle
from replica import InputError, Model
from saddle.cli import main
from saddle.command.recompute import recompute
from saddle.kernels.kernel import kernel_key

BINARY = """\
from dataclasses import dataclass

from replica import Ansatz, BinaryWeights, Leaf, Model, Node
from replica.expr import Step

@dataclass(frozen=True)
class Shifted:
    name: str = "shifted threshold"
    parameters: tuple = ("kappa",)

    def factor(self, fld, parameters):
        return Step(fld - parameters["kappa"] - 1)

    def implies(self, inner, outer):
        return inner["kappa"] > outer["kappa"]

shifted = Model("shifted-perceptron", BinaryWeights(), Shifted())

def made():
    return shifted

def broken():
    return 1 / 0

tree = Ansatz("my-rs", Node("root", (("n", Leaf("w")),)), ((("root", "w", "w"), "q"),))
number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my-models.py"
    path.write_text(BINARY)
    return path


@pytest.mark.parametrize("name", ["shifted", "made"])
def test_a_file_is_accepted_wherever_a_name_is(file: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A shifted margin is the binary perceptron at another margin: the numbers must be those."""
    there = f"{file}:{name}"
    ours = saddle.solve((there, "rs"), alpha=0.3, kappa=-0.7)
    known = saddle.solve(("binary-perceptron", "rs"), alpha=0.3, kappa=0.3)
    assert ours.free_entropy == pytest.approx(known.free_entropy, abs=1e-13)
    assert replica.derive(there, "rs").model.name == "shifted-perceptron"
    assert main(["solve", there, "--ansatz", "rs", "--alpha", "0.3", "--kappa", "-0.7", "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["model"] == "shifted-perceptron"
    assert recompute(json.loads(text)).agrees
    assert main(["derive", there, "--ansatz", f"{file}:tree"]) == 0


def test_the_checks_run_on_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"{file}:shifted", "--ansatz", f"{file}:tree"]) == 0
    assert "finite n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.py:x", "There is no file"),
        ("{}:nothing", "it defines shifted, made"),
        ("{}:number", "is a int, not a replica.Model"),
        ("{}:broken", "ZeroDivisionError"),
        ("{}:tree", "is a Ansatz, not a replica.Model"),
        ("{}:Shifted", "is a type, not a replica.Model"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(file: Path, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        replica.derive(name.format(file), "rs")
    assert str(error.value).count("\n") == 0


def test_a_file_that_cannot_be_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.py"
    path.write_text("import nowhere_at_all\n")
    assert main(["derive", f"{path}:model"]) == 2
    assert "nowhere_at_all" in capsys.readouterr().err
    path.write_text("x = (\n")
    assert main(["derive", f"{path}:model"]) == 2
    assert "SyntaxError" in capsys.readouterr().err


def test_an_edited_formula_is_another_kernel(file: Path) -> None:
    """The data of both versions are the same; only the source tells them apart."""
    before = replica.zoo.model(f"{file}:shifted")
    assert replica.zoo.model(f"{file}:shifted") is before
    file.write_text(BINARY.replace('["kappa"] - 1', '["kappa"] - 2'))
    after = replica.zoo.model(f"{file}:shifted")
    assert repr(after.constraint) == repr(before.constraint)
    assert kernel_key(after, replica.zoo.rs()) != kernel_key(before, replica.zoo.rs())


def test_shipped_parts_have_no_source_in_their_recipe() -> None:
    assert ":" not in replica.zoo.binary_perceptron().recipe()


def test_parts_that_can_change_are_refused() -> None:
    @dataclass
    class Mutable:
        name: str = "mutable"

    with pytest.raises(InputError, match="frozen dataclass"):
        Model("mutable", replica.BinaryWeights(), Mutable())  # type: ignore[arg-type]
