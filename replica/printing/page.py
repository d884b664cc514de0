r"""One page of a derivation: equations, and the explanation of everything where it first appears.

Equations that fit a line are written in full.  Where the result or a saddle equation does not, what is long and comes
again gets a letter (:mod:`replica.printing.shorthand`); what is left over is broken where few brackets are open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import sympy as sp

from replica.expr import Average, H, LogH, Mills, MillsExcess, Step
from replica.parts.hermite import PowerSeries
from replica.parts.pieces import SMOOTH
from replica.printing.breaking import COLUMNS, PAGE, columns, lines, width, wrapped
from replica.printing.level_words import level_explanations
from replica.printing.looks import LatexWriter, TextWriter
from replica.printing.loss_words import loss_explanations
from replica.printing.notation import Notation
from replica.printing.piecewise_words import explanations
from replica.printing.shorthand import Shorthand
from replica.printing.symbols import latex_symbol
from replica.printing.writing import Piece, Pieces, joined

if TYPE_CHECKING:
    from replica.free_entropy import FreeEntropy
    from replica.steps import Step as DerivationStep

Row = tuple[str, Sequence[sp.Expr]]
"""A left-hand side and what it is equal to."""

_FUNCTIONS: tuple[tuple[tuple[type, ...], str, str], ...] = (
    ((Step,), r"\theta \text{ is the step function}", "θ is the step function"),
    (
        (H, LogH, Mills, MillsExcess, *SMOOTH),
        r"H(x) = \int_x^\infty \mathrm{d}t\, \mathrm{e}^{-t^2/2}/\sqrt{2\pi} \text{ is the Gaussian tail}",
        "H(x) = ∫_x^∞ dt exp(-t²/2)/√(2π) is the Gaussian tail",
    ),
    (
        (Mills, MillsExcess),
        r"M(x) = -\mathrm{d} \ln H(x)/\mathrm{d}x \text{ is the inverse Mills ratio}",
        "M(x) = -d ln H(x)/dx is the inverse Mills ratio",
    ),
    (
        (PowerSeries,),
        r"\Delta_{g}(q) = \sum_{k \geq 1} \mathbb{E}[g\, \mathrm{He}_k]^2 q^k/k! \text{ belongs to the activation}",
        "Δ_g(q) = Σ_k E[g He_k]² q^k/k! belongs to the activation",
    ),
)
_TERMS = {"G_I": "G_I", "G_S": "G_S", "G_E": "G_E"}


class Page:
    """What is written so far of one derivation: which names have been explained.

    Parameters
    ----------
    free_entropy : FreeEntropy
    latex : bool
        LaTeX, or text.
    """

    def __init__(self, free_entropy: FreeEntropy, latex: bool) -> None:
        self.latex, self.notation = latex, notation_of(free_entropy).copy()
        self.definitions = {s: e for step in free_entropy.steps for s, e in step.definitions} | dict(
            free_entropy.definitions
        )
        self.told: set[object] = set()
        kind = LatexWriter if latex else TextWriter
        self.full = kind(self.notation)
        self.letters = Shorthand(self.notation, self.full)
        self.short = kind(self.notation, self.letters.arguments)
        self.measure: Callable[[str], float] = width if latex else len
        self.room = PAGE if latex else COLUMNS - 4

    # -- names --------------------------------------------------------------------------------------------------

    def symbol(self, name: str) -> str:
        """A symbol in print."""
        return self.full.line(sp.Symbol(name))

    def math(self, formula: str) -> str:
        """A formula inside a sentence."""
        return f"${formula}$" if self.latex else formula

    # -- equations ----------------------------------------------------------------------------------------------

    def block(self, rows: Sequence[Row], brief: bool = False) -> str:
        """Equations with what they need explained; ``brief`` ones with letters for arguments if one is too wide."""
        if not rows:
            return ""
        exprs = [e for _, right in rows for e in right]
        lettered, written = brief and bool(self.letters.arguments), []
        if not lettered:
            written = [(left, [self.full.pieces(e) for e in right]) for left, right in rows]
        wide = any(self._too_wide(left, right) for left, right in written)
        lettered |= brief and wide
        new = self.letters.name_arguments(exprs) if lettered else []
        if lettered or wide:
            writer = self.short if lettered else self.full
            norms = self.letters.name_norms(exprs, averages=lettered)
            new += [(self.full.line(symbol), writer.line(norm)) for norm, symbol in norms]
            written = [(left, [writer.pieces(self.letters.short(e)) for e in right]) for left, right in rows]
        parts = [self._display(written), self._where(exprs, new)]
        return "\n".join(part for part in parts if part)

    def _too_wide(self, left: str, right: Sequence[Pieces]) -> bool:
        whole = " = ".join([left, *map(joined, right)])
        return self.measure(whole) > self.room

    def _display(self, rows: Sequence[tuple[str, Sequence[Pieces]]]) -> str:
        shown = []
        for left, right in rows:
            pieces = list(right[0])
            for more in right[1:]:
                pieces += [Piece(" = ", 0), *[Piece(p.text, None if i == 0 else p.depth) for i, p in enumerate(more)]]
            room = self.room - self.measure(left) - (1.3 if self.latex else 3)
            later = room - (2.0 if self.latex else 0)
            found = lines(pieces, self.measure, room, later)
            if self.latex:
                aligned = " \\notag \\\\\n&\\qquad ".join(started(line) for line in found)
                shown.append(f"{left} &= {aligned}")
            else:
                gap = " " * (columns(left) + 3)
                shown.append("\n".join(f"    {left + ' = ' if not i else gap}{line}" for i, line in enumerate(found)))
        if self.latex:
            return "\\begin{align}\n" + " \\\\\n".join(shown) + "\n\\end{align}"
        return "\n".join(shown)

    def _where(self, exprs: Sequence[sp.Expr], new: Sequence[tuple[str, str]]) -> str:
        """The arguments, variables, abbreviations and functions that appear here first."""
        variables = self.variables(exprs)
        variances = [average.variance for average in variables.values()]
        items = list(new)
        needed = self.needed([*exprs, *variances])
        items += [(self.full.line(s), self.full.line(e)) for s, e in needed]
        sentences = []
        if variables:
            gaussian = r"\sim \mathcal{N}" if self.latex else "~ N"
            gap = r"\,".strip() if self.latex else " "
            law = [self.math(f"{name} {gaussian}(0,{gap}{self.full.line(a.variance)})") for name, a in variables.items()]
            sentences.append(
                f"{_listed(law)} {'is a Gaussian variable' if len(law) == 1 else 'are independent Gaussian variables'}"
            )
        told: dict[object, str] = dict(explanations(exprs, self.full, self.latex))
        told.update(level_explanations(exprs, self.full, self.latex))
        told.update(loss_explanations(exprs, self.full, self.latex))
        for name, sentence in told.items():
            if name not in self.told:
                self.told.add(name)
                sentences.append(sentence)
        for functions, tex, text in _FUNCTIONS:
            if functions not in self.told and any(e.has(*functions) for e in (*exprs, *(e for _, e in needed))):
                self.told.add(functions)
                formula, _, words = tex.partition(r" \text{")
                sentences.append(f"${formula}$ {words.rstrip('}')}" if self.latex else text)
        text = ""
        if items:
            text = "where\n" + self._definitions(items)
        if sentences:
            text += ("\n" if text else "") + self.sentence(("Here " if items else "where ") + "; ".join(sentences) + ".")
        return text

    def sentence(self, text: str) -> str:
        """Words as a paragraph."""
        return text if self.latex else wrapped(text)

    def _definitions(self, items: Sequence[tuple[str, str]]) -> str:
        if not self.latex:
            size = max(columns(left) for left, _ in items)
            padded = [(left + " " * (size - columns(left)), right) for left, right in items]
            return "\n".join(wrapped(f"{left} = {right}", "    ", " " * (size + 7)) for left, right in padded)
        rows, row = [], ""
        for left, right in items:
            formula = f"{left} = {right}"
            longer = rf"{row}, \qquad {formula}" if row else formula
            if row and width(longer) > self.room - 1:
                rows.append(row + ",")
                longer = formula
            row = longer
        return "\\begin{gather}\n" + " \\\\\n".join([*rows, row + "."]) + "\n\\end{gather}"

    def variables(self, exprs: Sequence[sp.Expr]) -> dict[str, Average]:
        """The averages over variables that appear here first, by the name of the variable."""
        found: dict[str, Average] = {}
        averages = [n for e in exprs for n in sp.preorder_traversal(e) if isinstance(n, Average)]
        for average in averages:
            name = self.notation.variable(average.variable, average.variance)
            if name not in self.told:
                self.told.add(name)
                found[self.full.named(name, "")] = average
        return found

    def needed(self, exprs: Iterable[sp.Expr]) -> list[tuple[sp.Symbol, sp.Expr]]:
        """The abbreviations that are needed here first."""
        needed = set().union(*(e.free_symbols for e in exprs))
        for symbol in reversed(list(self.definitions)):
            if symbol in needed:
                needed |= self.definitions[symbol].free_symbols
        found = [(s, e) for s, e in self.definitions.items() if s in needed and s not in self.told]
        self.told |= {s for s, _ in found}
        return found

    # -- sections -----------------------------------------------------------------------------------------------

    def section(self, title: str, sentence: str, *parts: str) -> str:
        """A titled part."""
        if self.latex:
            head = rf"\paragraph{{{prose(title)}.}} {prose(sentence)}"
        else:
            head = f"{title}\n{'-' * len(title)}\n{wrapped(sentence)}"
        return "\n".join(part for part in (head, *parts) if part)

    def step(self, step: DerivationStep, shown: bool = True) -> str:
        """The formula and the equations of a step."""
        parts = [step.formula[0 if self.latex else 1]]
        if shown:
            rows: list[Row] = [
                (self.left(name, step), [sp.factor(expr) if name.startswith("N_") else expr])
                for name, expr in step.equations
                if not self._is_variable(name)
            ]
            parts.append(self.block(rows, brief=any(name == "phi" for name, _ in step.equations)))
        return "\n".join(part for part in parts if part)

    def _is_variable(self, name: str) -> bool:
        """Variances of variables come with the sentence that introduces these."""
        return name in self.notation.order

    def left(self, name: str, step: DerivationStep) -> str:
        """A left-hand side."""
        if name.startswith("N_"):
            return f"N_{{{self.symbol(name[2:])}}}" if self.latex else name
        if name in _TERMS and step.title.startswith("The limit"):
            smallest = self.notation.ansatz.vanishing[0]
            return rf"\lim \tfrac{{1}}{{{self.symbol(smallest)}}}\, {name}" if self.latex else f"lim {name}/{smallest}"
        known = {
            "-sum_{a<b} Qhat_ab Q_ab": (r"-\sum_{a<b} \hat{Q}_{ab} Q_{ab}", "-Σ_{a<b} Q̂_ab Q_ab"),
            "Phi": (r"\Phi", "Φ"),
            "phi": (r"\phi", "φ"),
        }
        return known[name][0 if self.latex else 1] if name in known else name


def started(line: str) -> str:
    """A line of LaTeX that begins with a sign binds it as a binary one."""
    return "{}" + line if line[:2] in ("+ ", "- ", "= ") else line


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def prose(text: str) -> str:
    """Words for LaTeX: symbols and limits in math."""
    text = re.sub(r"(\w+) -> 0", lambda m: rf"${latex_symbol(m[1])} \to 0$", text)
    text = re.sub(r"\bchi\b", r"$\\chi$", text)
    text = re.sub(r"(replicas|fields|overlaps|number|unit of) ([A-Za-z])(?=[ .,:;])", _single, text)
    return re.sub(r"\b1 - 2 distance\b", r"$1 - 2 \\times$ distance", text)


def _single(match: re.Match[str]) -> str:
    return match[0] if match[2] == "a" and match[1] != "replicas" else f"{match[1]} ${match[2]}$"


@lru_cache(maxsize=32)
def _notation(model: object, ansatz: object, defined: tuple[sp.Symbol, ...]) -> Notation:
    from replica.derivation import Derivation

    derivation = Derivation(model, ansatz)  # type: ignore[arg-type]
    fields = derivation.energetic.nested.fields
    weights = derivation.weights.nested.fields if derivation.model.weights.discrete else None
    derivation.energetic.free_entropy()
    if weights is not None:
        derivation.weights.free_entropy()
    return Notation(derivation.model, derivation.ansatz, fields, weights, defined)


def notation_of(free_entropy: FreeEntropy) -> Notation:
    """The printed names of a derivation."""
    return _notation(free_entropy.model, free_entropy.ansatz, tuple(free_entropy.definitions))
