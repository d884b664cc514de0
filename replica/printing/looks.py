r"""The two looks of a formula: LaTeX for amsmath, and one line of unicode for a terminal."""

from __future__ import annotations

import sympy as sp

from replica.expr import Delta, H, Log2Cosh, LogH, Mills, MillsExcess, Step, TwoCosh
from replica.parts.pieces import SMOOTH
from replica.printing.breaking import COLUMNS, PAGE, width
from replica.printing.level_words import LEVELS, level_text
from replica.printing.loss_words import LOSSES, loss_text
from replica.printing.notation import Name, superscript
from replica.printing.piecewise_words import function_text
from replica.printing.writing import Writer


class LatexWriter(Writer):
    """Formulas for amsmath."""

    LOSS = r"\ell"
    SIZES = ("big", "Big", "bigg", "Bigg")

    def named(self, name: Name, power: str) -> str:
        if name.squared:
            return name.latex("" if power == "1" else power or "2")
        return name.latex(power)

    def long(self, text: str) -> bool:
        return width(text) > 0.8 * PAGE

    def stretches(self, text: str) -> bool:
        return r"\left" in text

    def word(self, word: str) -> str:
        return rf"\{word} "

    def sign(self, negative: bool, first: bool) -> str:
        return ("-" if negative else "") if first else (" - " if negative else " + ")

    def space(self) -> str:
        return r"\, "

    def product(self, factors: list[str]) -> str:
        return " ".join(factors)

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def root(self, inner: str) -> str:
        return rf"\sqrt{{{inner}}}"

    def power(self, power: str) -> str:
        return f"^{{{power}}}"

    def exponential(self, argument: str) -> str:
        return rf"\mathrm{{e}}^{{{argument}}}"

    def parenthesised(self, inner: str) -> str:
        return rf"\left({inner}\right)" if r"\frac" in inner or r"\sum" in inner else f"({inner})"

    def brackets(self, inner: str, round_: bool = False) -> tuple[str, str]:
        left, right = "()" if round_ else "[]"
        held = [i + 1 for i, size in enumerate(self.SIZES) if rf"\{size}l" in inner]
        tall = 2 if r"\sum" in inner or r"\left(" in inner else 1 if r"\frac" in inner else -1 if round_ else 0
        size = min(max([tall, *held]), len(self.SIZES) - 1)
        return (rf"\{self.SIZES[size]}l{left}", rf"\{self.SIZES[size]}r{right}") if size >= 0 else (left, right)

    def expectation(self, name: Name) -> str:
        return rf"\mathbb{{E}}_{{{name.latex()}}}"

    def maximum(self, names: list[Name]) -> str:
        return rf"\max_{{{', '.join(name.latex() for name in names)}}} "

    def at_maximum(self, names: list[Name]) -> str:
        starred = ", ".join(f"{name.latex()} = {name.latex('*')}" for name in names)
        return rf"_{{{starred}}}"

    def site_sum(self, name: Name, values: sp.Tuple) -> str:
        if set(values) == {-1, 1}:
            return rf"\sum_{{{name.latex()} = \pm 1}} "
        return rf"\sum_{{{name.latex()} \in \{{{', '.join(map(str, values))}\}}}} "

    def _function(self, expr: sp.Expr, power: str) -> str:
        if isinstance(expr, SMOOTH):
            return function_text(self, expr, power, latex=True)
        if isinstance(expr, LEVELS):
            return level_text(self, expr, power, latex=True)
        if isinstance(expr, LOSSES):
            return loss_text(self, expr, power, latex=True)
        argument, single = self.argument(expr)
        tall = r"\frac" in argument
        inner = rf"\left({argument}\right)" if tall else f"({argument})"
        raised = f"^{{{power}}}" if power else ""
        gap = r"\!" if tall else ""
        if isinstance(expr, MillsExcess):
            minus = argument if single or tall else f"({argument})"
            left, right = self.brackets(argument)
            return rf"{left}M{gap}{inner} - {minus}{right}{raised}"
        if isinstance(expr, TwoCosh):
            bare = rf"2\cosh {argument}" if single else rf"2\cosh{inner}"
            return f"({bare}){raised}" if power else bare
        if isinstance(expr, Log2Cosh):
            return rf"\ln 2\cosh{' ' + argument if single else inner}" + raised
        if isinstance(expr, sp.tanh):
            return rf"\tanh{raised}{' ' + argument if single else inner}"
        if isinstance(expr, LogH):
            return rf"\ln H{raised}{gap}{inner}"
        letter = {H: "H", Mills: "M", Step: r"\theta", Delta: r"\delta"}[type(expr)]
        return rf"{letter}{raised}{gap}{inner}"


class TextWriter(Writer):
    """Formulas for a terminal."""

    def named(self, name: Name, power: str) -> str:
        if name.squared:
            return _raise(name.text(), "" if power == "1" else power or "2", bool(name.index))
        return _raise(name.text(), power, False)

    def long(self, text: str) -> bool:
        return len(text) > 0.8 * COLUMNS

    def stretches(self, text: str) -> bool:
        return False

    def word(self, word: str) -> str:
        return f"{word} "

    def sign(self, negative: bool, first: bool) -> str:
        return ("-" if negative else "") if first else (" - " if negative else " + ")

    def space(self) -> str:
        return " "

    def product(self, factors: list[str]) -> str:
        return " ".join(factors)

    def fraction(self, above: str, below: str) -> str:
        whole = not any(sign in _outside(above) for sign in (" + ", " - ", "/"))
        single = not any(sign in _outside(below) for sign in (" ", "/", "2cosh", ")("))
        return f"{above if whole else f'({above})'}/{below if single else f'({below})'}"

    def root(self, inner: str) -> str:
        return f"√({inner})" if " " in inner or "(" in inner else f"√{inner}"

    def power(self, power: str) -> str:
        return superscript(power) if power.isdigit() else f"^({power})" if len(power) > 1 else f"^{power}"

    def exponential(self, argument: str) -> str:
        return f"exp({argument})"

    def parenthesised(self, inner: str) -> str:
        return f"({inner})"

    def brackets(self, inner: str, round_: bool = False) -> tuple[str, str]:
        return ("(", ")") if round_ else ("[", "]")

    def expectation(self, name: Name) -> str:
        return f"E_{name.text()}"

    def maximum(self, names: list[Name]) -> str:
        return f"max_{{{', '.join(name.text() for name in names)}}} "

    def at_maximum(self, names: list[Name]) -> str:
        return f"_{{{', '.join(f'{name.text()}*' for name in names)}}}"

    def site_sum(self, name: Name, values: sp.Tuple) -> str:
        inside = "±1" if set(values) == {-1, 1} else "{" + ", ".join(map(str, values)) + "}"
        return f"Σ_{{{name.text()}={inside}}} "

    def _function(self, expr: sp.Expr, power: str) -> str:
        if isinstance(expr, SMOOTH):
            return function_text(self, expr, power, latex=False)
        if isinstance(expr, LEVELS):
            return level_text(self, expr, power, latex=False)
        if isinstance(expr, LOSSES):
            return loss_text(self, expr, power, latex=False)
        argument, single = self.argument(expr)
        raised = self.power(power) if power else ""
        if isinstance(expr, MillsExcess):
            return f"[M({argument}) - {argument if single else f'({argument})'}]{raised}"
        if isinstance(expr, TwoCosh):
            return f"(2cosh({argument})){raised}" if power else f"2cosh({argument})"
        if isinstance(expr, (Log2Cosh, LogH)):
            return ("ln 2cosh" if isinstance(expr, Log2Cosh) else "ln H") + f"{raised}({argument})"
        letter = {H: "H", Mills: "M", Step: "θ", Delta: "δ", sp.tanh: "tanh"}[type(expr)]
        return f"{letter}{raised}({argument})"


def _raise(letter: str, power: str, indexed: bool) -> str:
    if not power:
        return letter
    raised = superscript(power) if power.isdigit() else f"^({power})" if len(power) > 1 else f"^{power}"
    base, mark, index = letter.partition("_")
    return f"{base}{raised}{mark}{index}" if indexed else letter + raised


def _outside(text: str) -> str:
    """The text with all brackets emptied."""
    level, kept = 0, []
    for letter in text:
        level -= letter in ")]"
        if level == 0:
            kept.append(letter)
        level += letter in "(["
    return "".join(kept)
