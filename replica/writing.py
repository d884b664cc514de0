r"""Expressions of a derivation as LaTeX or as one line of unicode, in pieces that a line may break between.

One traversal serves both: a :class:`Writer` decides the order of terms and factors, what goes into a fraction and
where a line may end; :class:`LatexWriter` and :class:`TextWriter` say how each construct looks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import sympy as sp

from replica.expr import Average, Delta, H, Log2Cosh, LogH, Mills, MillsExcess, SiteSum, Step, TwoCosh
from replica.notation import Name, Notation, superscript

SPECIAL_FORMS = (H, LogH, Mills, MillsExcess, TwoCosh, Log2Cosh, Step, Delta, sp.tanh, sp.exp)


@dataclass(frozen=True)
class Piece:
    """A part of a formula; a line may break before it if ``depth`` is given (how many brackets are open there)."""

    text: str
    depth: int | None = None


Pieces = list[Piece]


def joined(pieces: Pieces) -> str:
    """The pieces on one line."""
    return "".join(piece.text for piece in pieces)


class Writer(ABC):
    """The common part of both looks.

    Parameters
    ----------
    notation : Notation
        Printed names.
    arguments : dict
        Names for arguments of special functions, to be written instead of them.
    """

    def __init__(self, notation: Notation, arguments: dict[sp.Expr, Name] | None = None) -> None:
        self.notation, self.arguments = notation, arguments or {}
        self.scope: dict[sp.Symbol, Name] = {}

    # -- the traversal ------------------------------------------------------------------------------------------

    def line(self, expr: sp.Expr) -> str:
        """The expression on one line."""
        return joined(self.pieces(expr))

    def pieces(self, expr: sp.Expr, depth: int = 0) -> Pieces:
        """The expression in pieces."""
        if isinstance(expr, sp.Add):
            return self._sum(expr, depth)
        if isinstance(expr, Average):
            return self._average(expr, depth)
        if isinstance(expr, SiteSum):
            return [Piece(self.site_sum(self.notation.name(expr.variable), expr.values), depth)] + self._grouped(
                expr.body, depth
            )
        if isinstance(expr, sp.log):
            inner = expr.args[0]
            if isinstance(inner, Average):
                return [Piece(self.word("ln"), depth), *_glued(self.pieces(inner, depth))]
            return self._bracketed(self.word("ln"), inner, depth)
        if isinstance(expr, sp.Pow) and isinstance(expr.base, Average) and not expr.exp.could_extract_minus_sign():
            return self._bracketed("", expr.base, depth, self.line(expr.exp))
        if isinstance(expr, sp.Mul) or (isinstance(expr, sp.Pow) and expr.exp.could_extract_minus_sign()):
            return self._product(expr, depth)
        return [Piece(self._atom(expr))]

    def _sum(self, expr: sp.Expr, depth: int) -> Pieces:
        pieces: Pieces = []
        for term in self.terms(expr):
            negative = term.could_extract_minus_sign()
            body = self._grouped(-term if negative else term, depth) if negative else self.pieces(term, depth)
            sign = self.sign(negative, first=not pieces)
            pieces += [Piece(sign, depth if pieces else None), *_glued(body)] if sign else body
        return pieces

    def _grouped(self, expr: sp.Expr, depth: int) -> Pieces:
        return self._bracketed("", expr, depth) if isinstance(expr, sp.Add) else self.pieces(expr, depth)

    def terms(self, expr: sp.Expr) -> list[sp.Expr]:
        """The terms of a sum as a reader would order them: a positive one first."""
        names = self.notation.multiplicities
        symbols = [s for s in expr.free_symbols if s.name in names]
        if symbols and not expr.has(Average, sp.log) and len(expr.args) > 2:
            expr = sp.collect(sp.expand(expr), symbols, sp.factor)
        ordered = sorted(sp.Add.make_args(expr), key=self._place)
        positive = [term for term in ordered if not term.could_extract_minus_sign()]
        if positive and ordered[0] not in positive:
            first = ordered[0]
            if not expr.has(Average, LogH, Log2Cosh, sp.log):
                ordered = positive + [term for term in ordered if term not in positive]
            elif first.is_number:
                ordered = [*ordered[1:], first]
        return ordered

    def _place(self, term: sp.Expr) -> tuple[object, ...]:
        heavy = term.has(Average, SiteSum, sp.log)
        bound = {a.variable for a in term.atoms(Average, SiteSum)}
        ranks = sorted((self.notation.rank(s) for s in term.free_symbols - bound), reverse=True)
        single = 0 if term.is_number else 1
        return heavy, term.has(sp.Symbol("alpha")), single, ranks[:1] if not heavy else [], -_degree(term), str(term)

    def _product(self, expr: sp.Expr, depth: int) -> Pieces:
        negative, numerator, denominator, averages = self._factors(expr)
        pieces = [Piece(self.sign(True, first=True))] if negative else []
        plain = sp.Mul(*numerator, evaluate=False) if numerator else sp.Integer(1)
        if denominator:
            pieces.append(Piece(self.fraction(self._row(numerator), self._row(denominator, below=True))))
        elif numerator and not (plain == 1 and averages):
            pieces.append(Piece(self._row(numerator)))
        for factor in averages:
            inner = _glued(self._grouped(factor, depth)) if not pieces else self._grouped(factor, depth + 1)
            if pieces:
                inner = [Piece(self.space() + inner[0].text, depth + 1 if depth else None), *inner[1:]]
            pieces += inner
        return pieces

    def _factors(self, expr: sp.Expr) -> tuple[bool, list[sp.Expr], list[sp.Expr], list[sp.Expr]]:
        """Sign, plain factors above and below the line, and what follows the fraction."""
        coefficient, rest = expr.as_coeff_Mul()
        negative, coefficient = coefficient < 0, abs(coefficient)
        above: list[sp.Expr] = [sp.Integer(coefficient.p)] if coefficient.p != 1 else []
        below: list[sp.Expr] = [sp.Integer(coefficient.q)] if coefficient.q != 1 else []
        after: list[sp.Expr] = []
        factors = sp.Mul.make_args(rest)
        quotient = any(f.has(Average) and f.as_base_exp()[1].could_extract_minus_sign() for f in factors)
        special_below = any(
            isinstance(f.as_base_exp()[0], SPECIAL_FORMS) and f.as_base_exp()[1].could_extract_minus_sign()
            for f in factors
        )
        for factor in factors:
            base, exponent = factor.as_base_exp()
            if isinstance(factor, sp.exp):
                base, exponent = factor, sp.Integer(1)
            if isinstance(base, sp.Add) and exponent.is_integer and self._reads_backwards(base):
                negative ^= bool(exponent % 2)
                base = -base
            if exponent.could_extract_minus_sign():
                below.append(base**-exponent)
            elif base.has(Average, SiteSum, sp.log):
                (above if quotient and base.has(Average) else after).append(base**exponent)
            elif isinstance(base, (*SPECIAL_FORMS, sp.Add)) and not special_below and _has_special(base):
                after.append(base**exponent)
            else:
                above.append(base**exponent)
        after.sort(key=lambda f: f.has(Average, SiteSum))
        return negative, sorted(above, key=self._factor_place), sorted(below, key=self._factor_place), after

    def _reads_backwards(self, base: sp.Expr) -> bool:
        """Whether a sum such as ``q - 1`` is better written ``1 - q``."""
        constant = base.as_coeff_Add()[0]
        return constant < 0 and any(s.name in self.notation.overlaps for s in base.free_symbols)

    def _factor_place(self, factor: sp.Expr) -> tuple[object, ...]:
        base = factor.as_base_exp()[0] if not isinstance(factor, sp.exp) else factor
        kind = 0 if base.is_number else 1 if isinstance(base, sp.Symbol) else 3 if _has_special(base) else 2
        rank = self.notation.rank(base) if isinstance(base, sp.Symbol) else (0, 0, "")
        hat = isinstance(base, sp.Symbol) and self.notation.name(base).hat
        return kind, base.name != "alpha" if isinstance(base, sp.Symbol) else True, hat, rank, str(factor)

    def _row(self, factors: list[sp.Expr], below: bool = False) -> str:
        """Factors side by side, roots under one root sign."""
        if not factors:
            return "1"
        roots = [f.base for f in factors if isinstance(f, sp.Pow) and f.exp == sp.Rational(1, 2) and not self._is_square(f.base)]
        rest = [f for f in factors if not (isinstance(f, sp.Pow) and f.base in roots and f.exp == sp.Rational(1, 2))]
        alone = len(rest) + bool(roots) == 1
        texts = [self.line(f) if alone else self._factor(f) for f in rest]
        if roots:
            texts.append(self.root(self.line(roots[0]) if len(roots) == 1 else "".join(map(self._factor, roots))))
        return self.product(texts)

    def _factor(self, expr: sp.Expr) -> str:
        text = joined(self._grouped(expr, 1))
        return self.parenthesised(text) if isinstance(expr, SiteSum) else text

    def _is_square(self, expr: sp.Expr) -> bool:
        return isinstance(expr, sp.Symbol) and self.notation.name(expr).squared

    def _average(self, expr: Average, depth: int) -> Pieces:
        name = self.notation.variable(expr.variable, expr.variance)
        outer = self.scope.get(expr.variable)
        self.scope[expr.variable] = name
        body = self._bracketed(self.expectation(name), expr.body, depth)
        if outer is None:
            del self.scope[expr.variable]
        else:
            self.scope[expr.variable] = outer
        return body

    def _bracketed(self, before: str, body: sp.Expr, depth: int, power: str = "") -> Pieces:
        inner = self.pieces(body, depth + 1)
        left, right = self.brackets(joined(inner))
        first, *rest = _glued(inner)
        pieces = [Piece(before + left + first.text, depth), *rest]
        last = pieces.pop()
        return [*pieces, Piece(last.text + right + (self.power(power) if power else ""), last.depth)]

    def symbol(self, symbol: sp.Symbol) -> Name:
        """The printed name of a symbol at this place."""
        return self.scope.get(symbol) or self.notation.name(symbol)

    def _atom(self, expr: sp.Expr) -> str:
        if isinstance(expr, sp.Symbol):
            return self.named(self.symbol(expr), "")
        if isinstance(expr, sp.Rational) and expr.q != 1:
            return self.fraction(str(expr.p), str(expr.q))
        if isinstance(expr, sp.exp):
            return self.exponential(self.line(self._argument(expr)) if not self._argument_name(expr) else self.named(self._argument_name(expr), ""))
        if isinstance(expr, SPECIAL_FORMS):
            return self._function(expr, "")
        if isinstance(expr, sp.Pow):
            return self._power(expr.base, expr.exp)
        return str(expr)

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> str:
        if self._is_square(base) and (2 * exponent).is_Integer:
            return self.named(self.symbol(base), str(2 * exponent) if exponent != sp.Rational(1, 2) else "1")
        if exponent == sp.Rational(1, 2):
            return self.root(self.line(base))
        power = self.line(exponent)
        if isinstance(base, sp.Symbol):
            return self.named(self.symbol(base), power)
        if isinstance(base, SPECIAL_FORMS):
            return self._function(base, power)
        return self.parenthesised(self.line(base)) + self.power(power)

    def _argument(self, expr: sp.Expr) -> sp.Expr:
        return expr.args[0]

    def _argument_name(self, expr: sp.Expr) -> Name | None:
        return self.arguments.get(expr.args[0])

    def argument(self, expr: sp.Expr) -> tuple[str, bool]:
        """What is written for the argument of a special function, and whether it is a single symbol."""
        name = self._argument_name(expr)
        if name is not None:
            return self.named(name, ""), True
        return self.line(expr.args[0]), expr.args[0].is_Symbol

    # -- the looks ----------------------------------------------------------------------------------------------

    @abstractmethod
    def named(self, name: Name, power: str) -> str:
        """A symbol to a power."""

    @abstractmethod
    def word(self, word: str) -> str:
        """The name of a function in front of its argument."""

    @abstractmethod
    def sign(self, negative: bool, first: bool) -> str:
        """A sign between terms, or in front of the first one."""

    @abstractmethod
    def space(self) -> str:
        """What stands between factors."""

    @abstractmethod
    def product(self, factors: list[str]) -> str:
        """Factors side by side."""

    @abstractmethod
    def fraction(self, above: str, below: str) -> str:
        """A fraction."""

    @abstractmethod
    def root(self, inner: str) -> str:
        """A square root."""

    @abstractmethod
    def power(self, power: str) -> str:
        """An exponent."""

    @abstractmethod
    def exponential(self, argument: str) -> str:
        """The exponential function."""

    @abstractmethod
    def parenthesised(self, inner: str) -> str:
        """Parentheses that grow with their content."""

    @abstractmethod
    def brackets(self, inner: str) -> tuple[str, str]:
        """Brackets of a size for this content, between which a line may break."""

    @abstractmethod
    def expectation(self, name: Name) -> str:
        """The sign of a Gaussian average."""

    @abstractmethod
    def site_sum(self, name: Name, values: sp.Tuple) -> str:
        """The sign of a sum over a weight."""

    @abstractmethod
    def _function(self, expr: sp.Expr, power: str) -> str:
        """A special function to a power."""


def _glued(pieces: Pieces) -> Pieces:
    """The pieces with no break before the first one."""
    return [Piece(pieces[0].text), *pieces[1:]] if pieces else pieces


def _degree(term: sp.Expr) -> int:
    return sum(1 for s in term.free_symbols) if not term.has(Average) else 0


def _has_special(expr: sp.Expr) -> bool:
    return bool(expr.has(*SPECIAL_FORMS))


class LatexWriter(Writer):
    """Formulas for amsmath."""

    SIZES = ("big", "Big", "bigg", "Bigg")

    def named(self, name: Name, power: str) -> str:
        if name.squared:
            return name.latex("" if power == "1" else power or "2")
        return name.latex(power)

    def word(self, word: str) -> str:
        return rf"\{word} "

    def sign(self, negative: bool, first: bool) -> str:
        return ("-" if negative else "") if first else (" - " if negative else " + ")

    def space(self) -> str:
        return r"\, "

    def product(self, factors: list[str]) -> str:
        return r"\, ".join(factors) if any("(" in f or "\\cosh" in f for f in factors) and False else " ".join(factors)

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

    def brackets(self, inner: str) -> tuple[str, str]:
        held = [i for i, size in enumerate(self.SIZES) if rf"\{size}l" in inner]
        size = max([*(i + 1 for i in held), 2 if r"\sum" in inner else 1 if r"\frac" in inner else 0])
        size = min(size, len(self.SIZES) - 1)
        return rf"\{self.SIZES[size]}l[", rf"\{self.SIZES[size]}r]"

    def expectation(self, name: Name) -> str:
        return rf"\mathbb{{E}}_{{{name.latex()}}}"

    def site_sum(self, name: Name, values: sp.Tuple) -> str:
        if set(values) == {-1, 1}:
            return rf"\sum_{{{name.latex()} = \pm 1}} "
        return rf"\sum_{{{name.latex()} \in \{{{', '.join(map(str, values))}\}}}} "

    def _function(self, expr: sp.Expr, power: str) -> str:
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

    def word(self, word: str) -> str:
        return f"{word} "

    def sign(self, negative: bool, first: bool) -> str:
        return ("-" if negative else "") if first else (" - " if negative else " + ")

    def space(self) -> str:
        return " "

    def product(self, factors: list[str]) -> str:
        return " ".join(factors)

    def fraction(self, above: str, below: str) -> str:
        return f"{self._operand(above)}/{self._operand(below)}"

    def _operand(self, text: str) -> str:
        simple = not any(sign in text for sign in " /") or _closed(text)
        return text if simple else f"({text})"

    def root(self, inner: str) -> str:
        return f"√({inner})" if " " in inner else f"√{inner}"

    def power(self, power: str) -> str:
        return superscript(power) if power.isdigit() else f"^({power})" if len(power) > 1 else f"^{power}"

    def exponential(self, argument: str) -> str:
        return f"exp({argument})"

    def parenthesised(self, inner: str) -> str:
        return f"({inner})"

    def brackets(self, inner: str) -> tuple[str, str]:
        return "[", "]"

    def expectation(self, name: Name) -> str:
        return f"E_{name.text()}"

    def site_sum(self, name: Name, values: sp.Tuple) -> str:
        inside = "±1" if set(values) == {-1, 1} else "{" + ", ".join(map(str, values)) + "}"
        return f"Σ_{{{name.text()}={inside}}} "

    def _function(self, expr: sp.Expr, power: str) -> str:
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


def _closed(text: str) -> bool:
    """Whether one pair of brackets holds the whole text, a function's name before it allowed."""
    start = text.find("(")
    if start < 0 or not text.endswith(")") or " " in text[:start] or "/" in text[:start]:
        return False
    level = 0
    for place, letter in enumerate(text):
        level += (letter in "([") - (letter in ")]")
        if level == 0 and place > start and place < len(text) - 1:
            return False
    return True
