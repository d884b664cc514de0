"""What a reader sees of a derivation: no internal names, LaTeX that closes what it opens, text that fits."""

from __future__ import annotations

import itertools
import re

import pytest
import sympy as sp

import replica
from replica.ansatz import Ansatz, Leaf, Node
from replica.free_entropy import FreeEntropy
from replica.printing.breaking import lines, width, wrapped
from replica.printing.looks import LatexWriter
from replica.printing.page import notation_of
from replica.printing.symbols import latex_symbol
from replica.printing.writing import Piece
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


every_derivation = pytest.mark.parametrize("fe", [pytest.param(fe, id=named(fe)) for fe in derived()])


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
            for line in re.split(r" \\\\\n(?!&\\qquad)", environment):
                assert len(re.findall(r"\\left(?![a-z])", line)) == len(re.findall(r"\\right(?![a-z])", line)), line
                assert line.count("{") == line.count("}"), line
                assert all(len(re.findall(r"(?<!\\)&", row)) == 1 for row in line.split("\\\\\n")), line


@every_derivation
def test_a_line_of_latex_fits_the_page(fe: FreeEntropy) -> None:
    for environment in re.findall(r"\\begin\{(?:align|gather)\}(.*?)\\end\{", fe.latex(), re.DOTALL):
        assert max(width(line.replace(r"\notag", "")) for line in environment.split("\\\\\n")) < 32


@every_derivation
def test_text_fits_and_has_every_part(fe: FreeEntropy) -> None:
    text = fe.text()
    assert max(map(len, text.splitlines())) <= 100
    for title in (*(step.title for step in fe.steps), "Order parameters", "Saddle equations", "Replicon"):
        assert f"\n{title}\n" in text
    for equation in fe.saddle_equations():
        assert f"\n    {notation_of(fe).name(equation.lhs).text()} = " in text
        assert equation.lhs.name in text
    assert all(f"    λ_{replicon.overlap} = 1" in text for replicon in fe.replicons.values())


@every_derivation
def test_functions_and_order_parameters_are_explained_once(fe: FreeEntropy) -> None:
    latex = fe.latex()
    for words in ("is the Gaussian tail", "is the inverse Mills ratio"):
        assert latex.count(words) == 1
    for op in fe.order_parameters:
        start = f"${notation_of(fe).name(sp.Symbol(op.symbol)).latex()}$ &"
        row = next(line for line in latex.splitlines() if line.startswith(start))
        assert op.meaning.split(",")[0] in row
        assert op.role.split()[0] in row


@every_derivation
def test_every_abbreviation_is_defined(fe: FreeEntropy) -> None:
    text = fe.text()
    for letter in "abcdfg":
        if re.search(rf"\({letter}\)", text):
            assert re.search(rf"^    {letter}\s* = ", text, re.MULTILINE), (named(fe), letter)
    for mark in set(re.findall(r"[ℓτZ]\u0302?_?[₀-₉xyuvη]+", text)):
        square = mark[0] + "²" + mark[1:]
        assert re.search(rf"^    ({mark}|{square})\s* = ", text, re.MULTILINE), (named(fe), mark)


def test_franz_parisi_looks_like_the_textbook() -> None:
    latex = replica.derive("binary-perceptron", "franz-parisi").latex()
    average = r"\mathbb{E}_{x}\Bigl[\frac{1}{H(b)}\, \mathbb{E}_{u}\bigl[H(c)\, M^{2}(a)\bigr]\Bigr]"
    assert rf"\hat{{q}} &= \frac{{\alpha}}{{1 - q}}\, {average}" in latex
    assert r"a = \frac{\kappa - \ell_{x} x - u}{\sqrt{1 - q}}" in latex


def test_a_sum_reads_forwards() -> None:
    fe = replica.derive("spherical-perceptron", "rs")
    writer = LatexWriter(notation_of(fe))
    q, n = sp.symbols("q n")
    assert writer.line(q / (q - 1) ** 2) == r"\frac{q}{(1 - q)^{2}}"
    assert writer.line(1 / (q - 1)) == r"-\frac{1}{1 - q}"
    assert writer.line(sp.factor(n * (n - 1) / 2)) == r"\frac{n (n - 1)}{2}"
    assert writer.line(1 + n * q - q) == "1 + q (n - 1)"


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
    assert "ζ ~ N(0, z)" in text
    assert "z ~ N" not in text


def test_a_line_ends_where_few_brackets_are_open() -> None:
    pieces = [Piece("aaaa"), Piece(" + [bbbb", 0), Piece(" + cccc", 1), Piece(" + dddd]", 1), Piece(" + eeee", 0)]
    assert all(len(line) <= 22 for line in lines(pieces, len, 22, 22))
    assert " ".join(lines(pieces, len, 22, 22)) == "aaaa + [bbbb + cccc + dddd] + eeee"


def test_words_are_wrapped() -> None:
    assert all(len(line) <= 100 for line in wrapped("word " * 60, "  ", "    ").splitlines())


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
