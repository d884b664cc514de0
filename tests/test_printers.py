"""What a reader sees of a derivation: no internal names, LaTeX that closes what it opens, text that fits."""

from __future__ import annotations

import itertools
import re

import pytest

import replica
from replica.ansatz import Ansatz, Leaf, Node
from replica.free_entropy import FreeEntropy
from replica.layout import broken, width, wrapped
from replica.symbols import latex_symbol
from saddle.cli import main

TWO_RSB = Ansatz(
    name="2rsb",
    tree=Node("root", (("n/m1", Node("outer", (("m1/m2", Node("inner", (("m2", Leaf("w")),))),))),)),
    overlaps=((("root", "w", "w"), "q0"), (("outer", "w", "w"), "q1"), (("inner", "w", "w"), "q2")),
    multiplicities=("m1", "m2"),
)
CASES = [(m, a) for m, a in itertools.product(replica.zoo.MODELS, replica.zoo.ANSATZE)]
MANGLED = re.compile(r"[ew][zlvsrc](_|\\_)|_own|s_ref|s_\{ref|\b[ew][lvz]_|reference_\{|Average|SiteSum|MillsExcess")


def derived() -> list[FreeEntropy]:
    found = [replica.derive(model, ansatz) for model, ansatz in CASES]
    return found + [replica.derive(model, TWO_RSB) for model in replica.zoo.MODELS]


def named(fe: FreeEntropy) -> str:
    return f"{fe.model.name}-{fe.ansatz.name}"


every_derivation = pytest.mark.parametrize("fe", derived(), ids=named)


def latex_of(fe: FreeEntropy) -> list[str]:
    return [fe.latex(), fe._repr_latex_(), *(step.latex() for step in fe.steps)]


@every_derivation
def test_no_internal_name_is_shown(fe: FreeEntropy) -> None:
    for shown in (*latex_of(fe), fe.text()):
        assert not MANGLED.search(shown), MANGLED.search(shown)


@every_derivation
def test_latex_closes_what_it_opens(fe: FreeEntropy) -> None:
    for latex in latex_of(fe):
        assert latex.count("{") == latex.count("}")
        begun, ended = (re.findall(rf"\\{word}\{{(\w+)\}}", latex) for word in ("begin", "end"))
        assert sorted(begun) == sorted(ended)
        for environment in re.findall(r"\\begin\{align(?:ed)?\}(.*?)\\end\{align", latex, re.DOTALL):
            for line in re.split(r"\\\\\n", environment):
                assert len(re.findall(r"\\left(?![a-z])", line)) == len(re.findall(r"\\right(?![a-z])", line)), line
                assert line.count("{") == line.count("}"), line
                assert len(re.findall(r"(?<!\\)&", line)) == 1, line


@every_derivation
def test_a_line_of_latex_fits_the_page(fe: FreeEntropy) -> None:
    for environment in re.findall(r"\\begin\{align\}(.*?)\\end\{align\}", fe.latex(), re.DOTALL):
        assert max(width(line) for line in re.split(r"\\\\\n", environment)) < 150


@every_derivation
def test_text_fits_and_has_every_part(fe: FreeEntropy) -> None:
    text = fe.text()
    assert max(map(len, text.splitlines())) <= 100
    for title in (*(step.title for step in fe.steps), "Order parameters", "Saddle equations", "Replicon"):
        assert f"\n{title}\n" in text
    for equation in fe.saddle_equations():
        assert f"\n    {equation.lhs} = " in text
    assert "1 - alpha * E_" in text


@every_derivation
def test_functions_and_order_parameters_are_explained_once(fe: FreeEntropy) -> None:
    latex = fe.latex()
    for words in ("is the Gaussian tail", "is the inverse Mills ratio"):
        assert latex.count(words) == 1
    for op in fe.order_parameters:
        assert rf"\item ${latex_symbol(op.symbol)}$ (conjugate ${latex_symbol(op.conjugate)}$)" in latex
        assert op.meaning.split(",")[0] in latex


def test_every_abbreviation_is_defined() -> None:
    for fe in derived():
        text = fe.text()
        for name in set(re.findall(r"\b[AZ]\d+\b", text)):
            assert re.search(rf"^    {name} = ", text, re.MULTILINE), (named(fe), name)


def test_the_tree_is_drawn() -> None:
    fe = replica.derive("binary-perceptron", "franz-parisi")
    assert "        1 x cluster: q (probe, probe), p (probe, ref)\n            1 x ref\n            r x probe" in fe.text()
    assert r"\mathrm{cluster} \left[1 \times \mathrm{ref}, \; r \times \mathrm{probe}\right]" in fe.latex()


def test_symbols() -> None:
    expected = {"alpha": r"\alpha", "q0hat": r"\hat{q}_{0}", "qr": "q_{r}", "qrhat": r"\hat{q}_{r}", "that": r"\hat{t}"}
    expected |= {"reference_kappa": r"\kappa_{r}", "kappa1": r"\kappa_{1}", "m": "m", "p": "p"}
    assert {name: latex_symbol(name) for name in expected} == expected


def test_a_name_that_is_taken_is_not_used_again() -> None:
    ansatz = Ansatz("rs", Node("root", (("n", Leaf("w")),)), ((("root", "w", "w"), "z"),))
    text = replica.derive("binary-perceptron", ansatz).text()
    assert "y ~ N(0, z)" in text
    assert "z ~ N" not in text


def test_a_break_inside_brackets_balances_them() -> None:
    lines = broken(r"\alpha \left[" + " + ".join(["a b c d e f"] * 30) + r"\right] - 1", 40)
    assert len(lines) > 3
    assert all(len(re.findall(r"\\left", line)) == len(re.findall(r"\\right", line)) for line in lines)
    assert all(width(line) <= 44 for line in lines)


def test_text_is_broken_before_signs() -> None:
    lines = wrapped("a = " + " + ".join(["b*c"] * 40), 50, "  ", "    ").splitlines()
    assert all(len(line) <= 50 for line in lines)
    assert all(line.startswith("    + b*c") for line in lines[1:])


@pytest.mark.parametrize("extra", [(), ("--steps",)])
@pytest.mark.parametrize("form", ["latex", "text"])
def test_the_command_prints_a_derivation(form: str, extra: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "binary-perceptron", "--ansatz", "franz-parisi", "--format", form, *extra]) == 0
    shown = capsys.readouterr().out
    assert "Gaussian decomposition" in shown
    assert ("Saddle equations" in shown) == (not extra)
    assert (r"\begin{align}" in shown) == (form == "latex")
    assert not MANGLED.search(shown)


@pytest.mark.parametrize("ansatz", list(replica.zoo.ANSATZE))
def test_the_command_prints_source(ansatz: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "binary-perceptron", "--ansatz", ansatz, "--format", "python"]) == 0
    compile(capsys.readouterr().out, "generated", "exec")
